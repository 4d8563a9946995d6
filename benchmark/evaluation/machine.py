"""How a process evaluates cells: on which device, from which data, with how many threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalogue.behaviour import Behaviour


@dataclass(frozen=True)
class Machine:
    """Nothing here is part of a cell's key; device, threads and stack differ by rounding and are in its provenance.

    threads: of torch in each process; None leaves torch's default. share: let libraries and neighbouring cells share
    gradients. stack: many draws in one pass; None where faster. external: `package.module:factory`, data set and
    family of entries that are not in the zoo, for processes that start anew. behaviours: (name, behaviour) of entries
    from outside the zoo, as first stored: part of their fingerprints; every process compares its networks with them.
    Raises ValueError for less than one thread.
    """

    device: str = "cpu"
    data_root: Path | None = None
    download: bool = False
    threads: int | None = None
    share: bool = True
    stack: bool | None = None
    external: tuple[tuple[str, str | None, str | None], ...] = ()
    behaviours: tuple[tuple[str, Behaviour], ...] = ()

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be at least 1, not {self.threads}")
