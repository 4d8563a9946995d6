"""The images of a cell that are kept: of each example the most harmful one. Packed bit for bit; no torch.

What is kept is the images themselves, not differences: compressed they are smaller in linf, and float32 does not give
an image back exactly from its difference to another.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from benchmark.records.outcome import Outcome

LEVEL = 1  # of zlib: a hundred images of 3 x 224 x 224 in a quarter of the time of its own choice, as small but for 2 %
_LOSSES = "losses/"  # before the name of a library


@dataclass(frozen=True, eq=False)
class CellImages:
    """The most harmful image of each of a cell's N examples, over its libraries, as it was judged.

    clean, adversarial: (N, C, H, W) float32 in [0, 1]; one outside budget or box was replaced by the original.
    library: (N,) the position, in the cell's libraries, of the one that made it.
    losses: library -> (G, N) float32, the attacker's cross-entropy in nats at each of its G gradients.
    What else it takes to judge them again is in the record of the same key.
    """

    clean: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    library: NDArray[np.uint8]
    losses: dict[str, NDArray[np.float32]]

    def packed(self) -> bytes:
        """As bytes: compressed safetensors."""
        arrays = {"clean": self.clean, "adversarial": self.adversarial, "library": self.library}
        losses = {f"{_LOSSES}{library}": values for library, values in self.losses.items()}
        contiguous = {name: np.ascontiguousarray(array) for name, array in (arrays | losses).items()}
        return zlib.compress(safetensors.numpy.save(contiguous), LEVEL)

    @classmethod
    def unpacked(cls, packed: bytes) -> CellImages:
        """Of what `packed` gave."""
        arrays = safetensors.numpy.load(zlib.decompress(packed))
        losses = {name: arrays.pop(name) for name in list(arrays) if name.startswith(_LOSSES)}
        return cls(**arrays, losses={name.removeprefix(_LOSSES): values for name, values in losses.items()})


def harm(outcome: Outcome, place: int) -> tuple[bool, float]:
    """What the images of one example are ordered by, the most harmful first: judged wrong, then log p of the label."""
    return outcome.correct[place], outcome.log_p[place]
