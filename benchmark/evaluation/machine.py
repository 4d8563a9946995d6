"""How a process evaluates cells: on which device, from which data, with how many threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.kind import Said

if TYPE_CHECKING:
    from benchmark.attacks.craft import Adapter
    from benchmark.attacks.own import OwnAttack
    from benchmark.attacks.spec import AttackSpec
    from benchmark.plan.cells import Cell
    from zoo.catalogue.behaviour import Behaviour


@dataclass(frozen=True)
class Machine:
    """Nothing here is part of a cell's key; device, threads and stack differ by rounding and are in its provenance.

    threads: of torch in each process; None leaves torch's default. share: let libraries and neighbouring cells share
    gradients. stack: many draws in one pass; None where faster. external: `package.module:factory`, data set and
    what is said of entries that are not in the zoo, for processes that start anew. own_data: for these, too, the folder
    or function of a user's images, and their size. behaviours: (name, behaviour) of entries from outside the zoo, as
    first stored: part of their fingerprints; every process compares its networks with them. attacks: the user's own,
    which every process makes from what was handed over; their digests are in keys. keep_images: whether each cell's
    most harmful images are kept, and its attacker's losses.
    Raises ValueError for less than one thread.
    """

    device: str = "cpu"
    data_root: Path | None = None
    download: bool = False
    threads: int | None = None
    share: bool = True
    stack: bool | None = None
    external: tuple[tuple[str, str | None, Said], ...] = ()
    behaviours: tuple[tuple[str, Behaviour], ...] = ()
    own_data: tuple[str, int | None] | None = None
    attacks: tuple[OwnAttack, ...] = ()
    keep_images: bool = False

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be at least 1, not {self.threads}")

    def own_attack(self, spec: AttackSpec) -> OwnAttack:
        """The user's attack of that name. Raises ValueError where none was handed over."""
        for attack in self.attacks:
            if attack.name == spec.method.name:
                return attack
        raise ValueError(f"{spec.name} is an own attack that was not handed over: name it in attacks= or --attack")

    def own_adapter(self, cell: Cell) -> Adapter | None:
        """What runs a cell of an own attack; None for any other cell."""
        return self.own_attack(cell.attack).adapter(cell.seed, cell.start) if cell.attack.is_own else None
