"""Seeds derived from what is computed, and private generators made from them.

Nothing in this project reads or writes torch's, NumPy's or Python's global random state.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(*parts: object) -> int:
    """A 63-bit seed that is a pure function of `parts`: the same on every machine and version.

    >>> derive_seed("attack", "mnist/lenet", 0) == derive_seed("attack", "mnist/lenet", 0)
    True
    """
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def private_generator(*parts: object) -> torch.Generator:
    """A CPU generator seeded by `derive_seed(*parts)`; CPU so that draws are the same on any device."""
    import torch

    return torch.Generator().manual_seed(derive_seed(*parts))


@contextlib.contextmanager
def forked_random_state(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """A random state of torch's own for the block, seeded; the global one is afterwards what it was before.

    device: whose state, beside the CPU's; None for all devices there are. Not by `torch.manual_seed` where there is no
    GPU: it would note each call, with a stack trace, for the day when there is one: milliseconds each, and memory that
    never comes back.
    """
    import torch

    on_gpu = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=None if device is None else [device] if on_gpu else []):
        if device is None and torch.accelerator.is_available():
            torch.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextlib.contextmanager
def isolated_random_state(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Torch's, NumPy's and Python's global random states, seeded for the block; afterwards they are what they were.

    For other people's code that draws from them. device: as for `forked_random_state`.
    """
    import numpy as np

    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    with forked_random_state(seed, device):
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


@contextlib.contextmanager
def seeded_by(generator: torch.Generator) -> Iterator[None]:
    """The global random states follow `generator` for the block: for a `draw` by a library that takes no generator.

    def draw(self, generator):
        with seeded_by(generator):
            return copy.deepcopy(self.swag.sample())  # Pyro, TyXe, SWAG objects, ...
    """
    import torch

    with isolated_random_state(int(torch.randint(2**62, (), generator=generator))):
        yield
