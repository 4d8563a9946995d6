"""Checks on stored outcomes, against records made by hand."""

from __future__ import annotations

from benchmark.agreement import Comparison
from benchmark.outcomes import outcome_frame
from benchmark.record import Record
from benchmark.validity import CHECKS, Evidence, verdicts
from tests.benchmark.records import make, status


def test_checks_on_stored_outcomes() -> None:
    both = {"foolbox": [True] * 100, "art": [True] * 100}

    def survivors(count: int) -> dict[str, list[bool]]:
        return {"foolbox": [True] * count + [False] * (100 - count), "art": [True] * count + [False] * (100 - count)}

    healthy = [make("mnist/a", "fgsm", 0.1, survivors(60)), make("mnist/a", "pgd-linf", 0.1, survivors(50))]
    assert {check: status(check, healthy) for check in CHECKS} == dict.fromkeys(CHECKS, "PASS")
    masked = [make("mnist/a", "fgsm", 0.1, survivors(50)), make("mnist/a", "pgd-linf", 0.1, both)]
    assert status("V6", masked) == "FAIL"
    slightly = [make("mnist/a", "fgsm", 0.1, survivors(98)), make("mnist/a", "pgd-linf", 0.1, both)]
    assert status("V6", slightly) == "FLAG"
    assert (
        status("V7", [make("mnist/a", "fgsm", 0.1, survivors(50)), make("mnist/a", "fgsm", 0.2, survivors(90))])
        == "FAIL"
    )
    assert (
        status("V7", [make("mnist/a", "fgsm", 0.1, survivors(50)), make("mnist/a", "fgsm", 0.2, survivors(52))])
        == "FLAG"
    )
    assert (
        status("V7", [make("mnist/a", "fgsm", 0.1, survivors(50)), make("mnist/a", "fgsm", 0.2, survivors(51))])
        == "PASS"
    )
    apart = Comparison("foolbox", "art", 100, 0, 0.5, 100, tuple(range(8)), ())
    assert apart.level == "disagree"
    assert status("V16", [make("mnist/a", "fgsm", 0.1, both, agreement=[apart])]) == "FLAG"
    assert status("V16", [make("mnist/a", "fgsm", 0.1, {"art": [True]})]) == "FLAG"


def test_checks_take_the_worst_of_all_comparisons() -> None:
    """A failure on many images is not hidden by a larger share of few, nor by an attack with fewer images."""

    def records(attack: str, eps: float, stand: int, count: int) -> Record:
        return make("mnist/a", attack, eps, {"foolbox": [True] * stand + [False] * (count - stand)})

    masked = [records("fgsm", 0.1, 970, 1000), records("pgd-linf", 0.1, 1000, 1000)]
    assert status("V6", masked) == "FAIL"
    few = [records("fgsm", 0.2, 48, 50), records("pgd-linf", 0.2, 50, 50)]
    assert status("V6", few) == "FLAG"
    assert status("V6", masked + few) == "FAIL"
    assert status("V6", [*masked, records("pgd-l2", 0.1, 10, 100)]) == "FAIL"
    rising = [records("bim", 0.1, 500, 1000), records("bim", 0.2, 600, 1000)]
    assert status("V7", [*rising, records("fgsm", 0.1, 5, 10), records("fgsm", 0.2, 8, 10)]) == "FAIL"


def test_checks_without_evidence_say_so() -> None:
    apart = [
        make("mnist/a", "fgsm", 0.1, {"foolbox": [True] * 3}),
        make("mnist/a", "pgd-linf", 0.1, {"foolbox": [True] * 3}, start=3),
    ]
    found = {v.check: v for v in verdicts(Evidence(apart, outcome_frame(apart)))}
    for check in ("V6", "V7"):
        assert found[check].evidence.startswith("not checked")
