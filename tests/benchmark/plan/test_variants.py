"""Attacks with other settings: what they become, what they are called, which settings a method has."""

from __future__ import annotations

import pytest

from benchmark import APGD, BIM, DDN, FAB, FGSM, FMN, MIFGSM, PGD, PMA, BrendelBethge, HopSkipJump, Square
from benchmark.attacks.craft import adapter_of
from benchmark.attacks.methods import METHODS
from benchmark.attacks.spec import ThreatModel
from benchmark.cli import wanted_attacks
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Selection, Subject
from benchmark.plan.roles import role_of
from benchmark.plan.suites import SUITES
from benchmark.plan.variants import Variant
from benchmark.plan.wanted import wanted
from benchmark.protocol import LIBRARIES, label_of, standard_attack
from tests.benchmark.attacks.test_own_attacks import made, step
from zoo.targets import Gradient

LENET = [Subject("mnist/lenet", "mnist", 10_000, deterministic=True)]
LINF, L2 = ThreatModel("linf", 0.1), ThreatModel("l2", 1.0)


def labels(suite: str, *attacks: object, **selected: object) -> list[str]:
    asked = wanted(attacks)
    cells = SUITES[suite].cells(LENET, Selection(attacks=asked.names, further=asked.further, **selected))  # type: ignore[arg-type]
    return [cell.label.removeprefix("mnist/lenet ").split(" [")[0] for cell in cells]


def test_without_other_settings_they_are_the_suites_own() -> None:
    assert [PGD().spec(threat, Gradient()) for threat in (LINF, L2)] == [
        standard_attack("pgd-linf", 0.1),
        standard_attack("pgd-l2", 1.0),
    ]
    assert BIM().spec(LINF, Gradient()) == standard_attack("bim", 0.1)
    for variant, adaptive in ((APGD(), "apgd-ce"), (APGD(loss="dlr"), "apgd-dlr"), (Square(), "square")):
        assert variant.spec(L2, Gradient()) == ADAPTIVE_ATTACKS[adaptive].attack(L2)
    assert [label_of(one.spec(LINF, Gradient())) for one in (PGD(), FGSM(), MIFGSM(), APGD(), Square())] == [
        "pgd-linf",
        "fgsm",
        "mifgsm-linf",
        "apgd-ce-linf",
        "square-linf",
    ]


def test_further_methods_go_by_their_own_names_at_every_eps_of_their_norms() -> None:
    at = {"linf": (0.1,), "l2": (1.0, 2.0)}
    assert labels("whitebox", APGD(loss="dlr-targeted"), PMA("l2"), FAB("linf"), eps=at) == [
        "apgd-t-linf eps 0.1",
        "apgd-t-l2 eps 1",
        "apgd-t-l2 eps 2",
        "pma-l2 eps 1",
        "pma-l2 eps 2",
        "fab-t-linf eps 0.1",
    ]
    assert labels("whitebox", DDN(), FMN("linf", steps=7), BrendelBethge("l2"), HopSkipJump("l2"), eps=at) == [
        "ddn eps 1",
        "ddn eps 2",
        "fmn-linf, 7 steps eps 0.1",
        "brendel-bethge-l2 eps 1",
        "brendel-bethge-l2 eps 2",
        "hopskipjump-l2 eps 1",
        "hopskipjump-l2 eps 2",
    ]


def test_labels_say_what_is_not_usual() -> None:
    assert label_of(PGD(steps=100, restarts=5).spec(LINF, Gradient())) == "pgd-linf, 100 steps, 5 starts"
    assert label_of(PGD("linf", step_size=2 / 255).spec(LINF, Gradient())) == "pgd-linf, step size 2/255"
    assert label_of(Square(steps=50).spec(L2, Gradient())) == "square-l2, 50 queries"
    assert label_of(PGD().spec(LINF, Gradient(precision="bfloat16"))) == "pgd-linf, bfloat16"


def test_what_is_named_is_run_and_nothing_else() -> None:
    at = {"linf": (0.1,), "l2": (1.0,)}
    assert labels("whitebox", PGD(steps=100), eps=at) == ["pgd-linf, 100 steps eps 0.1", "pgd-l2, 100 steps eps 1"]
    assert labels("whitebox", "fgsm", PGD("l2", restarts=2), eps=at) == ["fgsm eps 0.1", "pgd-l2, 2 starts eps 1"]
    name = "tests.benchmark.attacks.test_own_attacks:step"
    assert labels("whitebox", step, eps=at) == [f"{name}-linf eps 0.1", f"{name}-l2 eps 1"]
    assert labels("smoke", step) == labels("smoke", f"{name}") == [f"{name}-linf eps 0.1", f"{name}-l2 eps 1"]


def test_they_are_run_by_the_libraries_that_have_them_and_not_at_eps_0() -> None:
    asked = wanted([PGD(steps=30), APGD(steps=5), step])
    cells = SUITES["whitebox"].cells(LENET, Selection(attacks=(), further=asked.further))
    by_name = {cell.attack.name: cell.libraries for cell in cells}
    assert set(by_name.values()) == {LIBRARIES, ("torchattacks",), ("own",)}
    assert by_name["pgd-l2"] == LIBRARIES
    assert all(cell.attack.threat.eps > 0 for cell in cells)
    with pytest.raises(ValueError, match="square-l2 is run by torchattacks alone, not by art"):
        labels("whitebox", Square("l2", steps=5), libraries=("art",))


def test_the_libraries_of_a_method_have_it_in_every_norm() -> None:
    """mifgsm is torchattacks' in linf alone."""
    for library in LIBRARIES:
        runners = adapter_of(library).__closure__
        assert runners is not None
        has = next(cell.cell_contents for cell in runners if isinstance(cell.cell_contents, dict))
        named = {method.name for method in METHODS.values() if library in method.libraries}
        assert named == set(has) - ({"mifgsm"} if library == "torchattacks" else set())


def test_they_are_no_column_and_no_adaptive_attack_and_decide_not_what_the_adaptive_suite_attacks() -> None:
    asked = wanted([PGD(steps=100), step])
    cells = SUITES["whitebox"].cells(LENET, Selection(attacks=(), further=asked.further))
    for role in map(role_of, cells):
        assert (role.is_column, role.adaptive, role.target, role.board and role.is_column) == (False, None, None, False)
        assert role.further
    names = {role_of(cell).called for cell in cells}
    assert names == {
        "pgd-linf, 100 steps",
        "pgd-l2, 100 steps",
        *(f"tests.benchmark.attacks.test_own_attacks:step-{norm}" for norm in ("linf", "l2")),
    }
    with_them = SUITES["adaptive"].cells(LENET, Selection(further=asked.further))
    assert set(SUITES["adaptive"].cells(LENET, Selection())) == set(with_them) - set(cells)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGD(steps=0), "steps and restarts must be at least 1, not 0"),
        (lambda: PGD(norm="l1"), "pgd is an attack in linf and l2, not in l1"),
        (lambda: Variant("bim", "l2"), "bim is an attack in linf, not in l2"),
        (lambda: Variant("bim", restarts=3), "bim has no restarts; its settings: steps, step_size"),
        (lambda: Variant("fgsm", steps=3), "fgsm has no steps; its settings: none that could be changed"),
        (lambda: PGD(step_size=0.01), "step_size=0.01 is a length in one norm: say in which"),
        (lambda: PGD("linf", step_size=-1.0), "step_size must be a number > 0, not -1.0"),
        (lambda: APGD(loss="hinge"), "no loss 'hinge'"),
        (lambda: Variant("pdg"), "no method 'pdg'; there are: fgsm"),
        (lambda: wanted([made(1), made(2)]), "two attacks are called .*make them functions of different names"),
        (lambda: wanted_attacks(("fgsm",), 10, None, None), "--steps: no attack that was asked for has it; bim"),
        (lambda: wanted_attacks(None, None, "0.01", None), "--step-size 0.01 is a length in one norm"),
        (lambda: wanted_attacks(None, None, "a lot", None), "--step-size 'a lot' is not a number"),
        (lambda: Selection(attacks=("pgd",)), "no attack 'pgd'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_options_change_the_attacks_that_have_them() -> None:
    asked = wanted_attacks(None, 50, None, 3)
    assert asked.names == ("fgsm",)
    assert [label_of(one.spec(ThreatModel(norm, 0.1), Gradient())) for one in asked.further for norm in one.norms] == [
        "bim, 50 steps",
        "pgd-linf, 50 steps, 3 starts",
        "pgd-l2, 50 steps, 3 starts",
    ]
