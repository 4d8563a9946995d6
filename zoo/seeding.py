"""Seeds derived from what is computed, and private generators made from them.

Nothing in this project reads or writes torch's, NumPy's or Python's global random state.
"""

from __future__ import annotations

import hashlib
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


def seed_device(device: torch.device, seed: int) -> None:
    """Seed the global generator of one device; to be called on a forked random state.

    `torch.manual_seed` seeds all devices there might be, and where there is no GPU it notes each call, with a stack
    trace, for the day when there is one: milliseconds each, and memory that never comes back.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
