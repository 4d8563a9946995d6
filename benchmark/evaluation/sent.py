"""What worker processes are sent, because no file of theirs has it: networks, images and attacks in memory."""

from __future__ import annotations

import os
import sys
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from benchmark.attacks.own import OwnAttack
    from benchmark.evaluation.evaluator import Evaluator
    from zoo import ZooEntry
    from zoo.datasets.registry import OwnDataset


class Sent(NamedTuple):
    """Entries and data sets that no file registers there; attacks that were handed over as they are."""

    entries: list[ZooEntry]
    data: list[OwnDataset]
    attacks: list[OwnAttack]

    @property
    def alone(self) -> list[str]:
        """The names of what other nodes cannot make themselves."""
        data = [data.name for data in self.data if data.is_in_memory]
        return [*(entry.name for entry in self.entries), *data, *(attack.name for attack in self.attacks)]


def sent_to_workers(evaluator: Evaluator) -> Sent:
    """What is in this process alone. Raises ValueError for what cannot be sent to another one."""
    attacks = [attack for attack in evaluator.machine.attacks if not isinstance(attack.handed_over, str)]
    for attack in attacks:
        _require_sendable(attack.name, attack.thing, attack)
    return Sent(_entries(evaluator), _data(evaluator), attacks)


def _entries(evaluator: Evaluator) -> list[ZooEntry]:
    from zoo import models

    live = [entry for entry in evaluator.entries.values() if entry.name not in models]
    for entry in evaluator.entries.values():
        _require_sendable(entry.name, entry.factory, entry if entry in live else None)
    return live


def _data(evaluator: Evaluator) -> list[OwnDataset]:
    """A user's data sets, but for the one that processes find by themselves."""
    from zoo.datasets import DATASETS

    found = evaluator.machine.own_data
    names = {entry.dataset for entry in evaluator.entries.values()}
    own = DATASETS.own(names - ({DATASETS.named_by(*found)} if found else set()))
    for data in own:
        _require_sendable(data.name, data.make, data)
    return own


def _require_sendable(name: str, code: object, sent: object) -> None:
    """Raises ValueError for what no other process can have. sent: what it would be sent. code: the callable in it."""
    try:
        pickled = bytes(ForkingPickler.dumps(sent))
        problem = "it is defined in a notebook" if _is_in_notebook(code, pickled) else ""
    except Exception as error:  # whatever a part of a user's network or attack raises
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise ValueError(
            f"{name} cannot be sent to worker processes ({problem}): leave out workers, or define its parts "
            "in a file and not inside a function"
        )


def _is_in_notebook(code: object, sent: bytes) -> bool:
    """Whether it is of a session that no other process can read again. sent: what another process would get of it."""
    of_session = getattr(code, "__module__", "") == "__main__" or b"__main__" in sent
    return of_session and not os.path.isfile(getattr(sys.modules["__main__"], "__file__", ""))
