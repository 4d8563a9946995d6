"""What is kept of a cell's images while they are in memory: of each example the most harmful one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmark.records.images import CellImages, harm
from benchmark.records.record import Record


class Kept:
    """Takes in the images of one cell, library by library."""

    def __init__(self) -> None:
        self._clean: Tensor | None = None
        self._adversarial: dict[str, Tensor] = {}
        self._losses: dict[str, Tensor] = {}

    def take(self, library: str, clean: Tensor, adversarial: Tensor, losses: Tensor) -> None:
        """clean, adversarial: (B, C, H, W), as judged. losses: (G, B), the attacker's at each gradient."""
        self._clean, self._adversarial[library], self._losses[library] = clean, adversarial, losses

    def packed(self, record: Record) -> bytes | None:
        """What is kept, packed; None where no library ran. record: of the cell, which says what harms most."""
        if self._clean is None:
            return None
        libraries = [self._most_harmful(record, place) for place in range(len(record.examples))]
        worst = torch.stack([self._adversarial[library][place] for place, library in enumerate(libraries)])
        return CellImages(
            clean=self._clean.cpu().numpy(),
            adversarial=worst.cpu().numpy(),
            library=np.array([record.cell.libraries.index(library) for library in libraries], np.uint8),
            losses={library: losses.float().cpu().numpy() for library, losses in self._losses.items()},
        ).packed()

    def _most_harmful(self, record: Record, place: int) -> str:
        return min(self._adversarial, key=lambda library: harm(record.outcomes[library], place))
