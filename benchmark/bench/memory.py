"""Resident memory of this process."""

from __future__ import annotations

import math
from pathlib import Path

_PROC = Path("/proc/self")


def forget_peak() -> None:
    """Let the peak start again from what is resident now."""
    if _PROC.is_dir():
        (_PROC / "clear_refs").write_text("5")


def resident(kind: str) -> float:
    """Now (VmRSS) or at the most (VmHWM), in MiB; NaN where the system is not Linux."""
    if not _PROC.is_dir():
        return math.nan
    lines = (_PROC / "status").read_text().splitlines()  # in KiB
    (found,) = [line.split()[1] for line in lines if line.startswith(f"{kind}:")]
    return int(found) / 1024
