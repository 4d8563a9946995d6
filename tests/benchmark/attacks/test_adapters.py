"""The libraries' adapters, each by itself: what they promise is in `adapter_contract`."""

from __future__ import annotations

from typing import ClassVar

from benchmark.attacks.methods import METHODS
from benchmark.attacks.seen import BEYOND
from benchmark.attacks.starts import TRIES
from benchmark.protocol import LIBRARIES
from tests.benchmark.attacks.adapter_contract import AdapterContract


class TestTorchattacks(AdapterContract):
    library = "torchattacks"
    lacks = ("mifgsm-l2",)
    # the start is looked at, too
    more: ClassVar = {"apgd-ce": (1, 1), "apgd-dlr": (1, 1), "pma": (1, 1), "square": (1, 0)}
    # towards each of four wrong labels; FAB predicts after each step, too
    at_most: ClassVar = {"apgd-t": (1 + 4 * 21, 4 * 21), "fab-t": (2 + 4 * (2 + 2 * 20), 4 * 20)}


class TestFoolbox(AdapterContract):
    library = "foolbox"
    more: ClassVar = {"noise": (1, 0)}
    # Those that look for the nearest image move it off the boundary. Brendel-Bethge goes from two starts; beside its
    # steps it looks for them, and between them and the image.
    at_most: ClassVar = {
        "ddn": (20 + len(BEYOND), 20),
        "fmn": (20 + len(BEYOND), 20),
        "brendel-bethge": (1 + TRIES + 2 * (20 + 11) + len(BEYOND), 2 * 20),
    }


class TestART(AdapterContract):
    library = "art"
    # it predicts twice to log its own success
    more: ClassVar = {"bim": (2, 0), "mifgsm": (2, 0), "pgd": (2, 0)}
    unmetered = 1


def test_every_library_keeps_the_contract_and_every_method_is_run_by_one() -> None:
    contracts = [TestTorchattacks(), TestFoolbox(), TestART()]
    assert tuple(contract.library for contract in contracts) == LIBRARIES
    assert set().union(*(contract.runners() for contract in contracts)) == set(METHODS)
