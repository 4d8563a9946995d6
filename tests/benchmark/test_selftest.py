"""Networks that look robust and are not: each is caught by the checks named for it, and honest ones by none."""

from __future__ import annotations

import pytest

from benchmark.evaluation.closed_form import closed_form_gaps
from benchmark.plan.cells import Selection
from benchmark.protocol import LIBRARIES
from benchmark.results.checks.check import STATUSES
from benchmark.selftest.__main__ import audit_broken, audited
from benchmark.selftest.networks import BROKEN
from zoo import models
from zoo.datasets import DataNotFoundError

CAUGHT = ("FAIL", "ERROR")
HONEST = ("mnist/lenet", "mnist/bayesian-lenet", "mnist/lenet-adversarial", "mnist/bayesian-mlp")
# Trained against linf alone, it masks its gradients in l2: Square breaks what PGD leaves there. Such networks are known
# for it: Schott et al. 2019, "Towards the First Adversarially Robust Neural Network Model on MNIST".
MASKED = ("mnist/lenet-adversarial",)
# The adaptive attacks that the checks named need, at one eps, so that all of it takes a minute.
NEEDED = {
    "V11": ("square-linf",),
    "V12": ("pgd-linf",),
    "V13": ("pgd-linf",),
    "V8": ("pgd-linf",),
}


# Those that hide mnist/mlp need few attacks; the others are audited whole, which takes long.
QUICK = [name for name, broken in BROKEN.items() if broken.behind == models["mnist/mlp"]]


@pytest.mark.parametrize("name", QUICK)
def test_a_broken_network_is_caught_by_the_checks_named_for_it(name: str) -> None:
    broken = BROKEN[name]
    attacks = {attack for check in broken.checks for attack in NEEDED.get(check, ())} or {"noise-l2"}
    examples, eps = (40, 0.05) if name == "drowned" else (20, 0.1)
    result = audit_broken(broken, Selection(examples=examples, eps=(eps,), attacks=tuple(sorted(attacks))))
    found = result.verdicts
    assert {check: found[check].status for check in broken.checks if found[check].status not in CAUGHT} == {}
    assert {row.rank for row in result.rows if row.threat.norm == "linf"} == {None}
    assert broken.entry.name not in models


@pytest.mark.slow
def test_fresh_draws_find_what_drowns_in_the_noise_of_few_and_are_said_not_to_be_enough() -> None:
    selection = Selection(examples=40, eps={"linf": (0.05,), "l2": ()}, attacks=("mifgsm-linf",))
    result = audit_broken(BROKEN["drowned"], selection)
    (row,) = result.rows
    assert row.adaptive["fresh draws"] >= 5  # 10 to 11 of 40, by rounding
    assert result.verdicts["V14"].status == "FLAG"


def test_an_honest_network_of_the_same_kind_is_not_caught() -> None:
    result = audited(models["mnist/mlp"], Selection(examples=20, eps=(0.1,), attacks=("pgd-linf", "square-linf")))
    assert [v for v in result.verdicts.values() if v.status in CAUGHT] == []


def test_a_faulty_adapter_leaves_nothing_behind() -> None:
    broken = BROKEN["idle-adapter"]
    audit_broken(broken, Selection(examples=5, eps=(0.1,), attacks=("noise-l2",)))
    assert all(gap.reached for gap in closed_form_gaps(LIBRARIES))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*HONEST, *BROKEN])
def test_the_whole_audit_tells_honest_networks_from_broken_ones(name: str) -> None:
    selection = Selection(examples=50)
    try:
        result = audited(models[name], selection) if name in HONEST else audit_broken(BROKEN[name], selection)
    except DataNotFoundError:
        pytest.skip("its images do not come with the project")
    found = result.verdicts
    caught = {check for check, verdict in found.items() if verdict.status in CAUGHT}
    assert caught >= set(BROKEN[name].checks if name in BROKEN else ())
    assert bool(caught) == (name in BROKEN or name in MASKED)
    assert caught <= {"V11"} or name in BROKEN
    assert {verdict.status for verdict in found.values()} <= set(STATUSES) - {"OPEN"}
