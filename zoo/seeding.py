"""Seeds derived from what is computed, and private generators made from them.

Nothing in this project reads or writes torch's, NumPy's or Python's global random state.
"""

from __future__ import annotations

import contextlib
import hashlib
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
