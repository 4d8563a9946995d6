"""What identifies what a cell is made of: its network, its images, the source of a transfer, an own attack."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.attacks.methods import BOUND
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell
from benchmark.protocol import BOUNDS_VERSION, surrogate_fingerprint
from zoo import ZooEntry
from zoo.catalogue.behaviour import fingerprint_of, same_behaviour
from zoo.datasets import Split
from zoo.targets import SURROGATE


class Identities:
    """Fingerprints, each made once. entry, split: from a name to what it names."""

    def __init__(self, machine: Machine, entry: Callable[[str], ZooEntry], split: Callable[[str], Split]) -> None:
        self._machine, self._entry, self._split = machine, entry, split
        self._known: dict[str, str] = {}

    def fingerprints(self, cell: Cell) -> dict[str, str]:
        """Of a cell's network and images, of a transfer's source, of an own attack, and of the rules of bounds."""
        found = self.identity(cell)
        if (source := cell.attack.source) is not None:
            of = found["model"]
            found["source"] = surrogate_fingerprint(of) if source == SURROGATE else self._of(source)
        if cell.attack.method is BOUND:
            found["bounds"] = BOUNDS_VERSION
        if cell.attack.is_own:
            found["attack"] = self._machine.own_attack(cell.attack).digest
        return found

    def identity(self, cell: Cell) -> dict[str, str]:
        """Of a cell's network and images alone."""
        return {"model": self._of(cell.model), "data": self._split(cell.dataset).fingerprint}

    def _of(self, name: str) -> str:
        """The fingerprint of an entry, with its behaviour where it is from outside the zoo.

        Raises ValueError where the behaviour is not the one that the run was started with.
        """
        if name not in self._known:
            entry = self._entry(name)
            identity = entry.fingerprint
            if entry.is_external:
                here = entry.behaviour()
                expected = dict(self._machine.behaviours).get(name, here)
                if not same_behaviour(expected, here):
                    raise ValueError(
                        f"{name} answers otherwise than where the run was started: its factory builds another network "
                        "each time (fix its seed, or load its weights), or code, weights or packages differ there"
                    )
                identity = fingerprint_of(identity, expected)
            self._known[name] = identity
        return self._known[name]
