"""What the adaptive suite plans, and that cells and attacks from before it keep their keys."""

from __future__ import annotations

import dataclasses
import json
import lzma

import pytest

from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, UNBOUNDED_ATTACK
from benchmark.plan.cells import Cell, Reading, Selection, Subject
from benchmark.plan.roles import role_of, surviving_examples
from benchmark.plan.stronger_attacks import AUTOATTACK_PARTS
from benchmark.plan.suites import SUITES
from benchmark.protocol import AUTOATTACK, eps_grid, standard_attack
from benchmark.publications import PROJECT
from benchmark.records.record import Record, cell_key
from benchmark.results.selection import sifted
from tests.benchmark.handmade import make, outcome
from zoo import models
from zoo.targets import SURROGATE, Gradient

BAYESIAN = Subject(
    "mnist/b", "mnist", 10_000, deterministic=False, others=(("mnist/f", True), ("mnist/other-b", False))
)
FREQUENTIST = Subject("mnist/f", "mnist", 10_000, deterministic=True, others=(("mnist/b", False),))
SUITE = SUITES["adaptive"]


def whitebox(model: str, stands: list[bool]) -> list:
    """The suite's white-box records with the same outcome of every attack."""
    libraries = dict.fromkeys(("torchattacks", "foolbox", "art"), stands)
    grid = eps_grid("mnist")
    return [
        make(model, attack, eps, libraries)
        for attack, norm in (("fgsm", "linf"), ("bim", "linf"), ("pgd-linf", "linf"), ("pgd-l2", "l2"))
        for eps in grid[norm]
    ]


@pytest.mark.parametrize("subject", [BAYESIAN, FREQUENTIST], ids=["bayesian", "frequentist"])
def test_every_cell_is_a_white_box_one_or_known_as_its_trial(subject: Subject) -> None:
    first = SUITE.cells([subject], Selection())
    second = SUITE.follow_up(whitebox(subject.model, [True] * 100), [subject], Selection())
    named = [adaptive.name for cell in first + second if (adaptive := role_of(cell).adaptive) is not None]
    early = [one for one in ADAPTIVE_ATTACKS.values() if one.on in ("all", "surviving") and one.name != SURROGATE]
    every = [one for one in early if subject.kind in one.kinds]  # others come later
    expected = {adaptive.name for adaptive in every if not adaptive.is_nearest}
    nearest = [adaptive.name for adaptive in every for _ in adaptive.norms if adaptive.is_nearest]
    assert set(named) == expected | set(nearest) | {UNBOUNDED_ATTACK.name}
    assert set(SUITES["whitebox"].cells([subject], Selection())) < set(first)
    rungs = 2 if "fresh draws" in expected else 0  # of the first three those beyond the first
    per_threat = len(expected) - 1 + len(subject.others) + rungs  # a transfer for each other network
    assert len(named) == 4 * per_threat + len(nearest) + 1
    assert len(set(first + second)) == len(first + second)
    for cell in first + second:
        assert Cell.from_json(json.loads(json.dumps(cell.to_json()))) == cell


def test_trials_attack_what_the_white_box_left_and_nothing_else() -> None:
    stands = [index % 3 == 0 for index in range(30)]
    records = whitebox("mnist/b", stands)
    wrong = dataclasses.replace(records[0], clean=outcome([index != 0 for index in range(30)]))
    left = surviving_examples([wrong, *records[1:]])
    threat = records[0].cell.attack.threat
    assert left["mnist/b", threat] == {(0, 30): tuple(range(3, 30, 3))}  # image 0 is wrong as it is
    cells = SUITE.follow_up(records, [BAYESIAN], Selection(examples=30))
    assert {cell.only for cell in cells} == {tuple(range(0, 30, 3))}
    assert {(cell.start, cell.stop) for cell in cells} == {(0, 30)}


def test_where_nothing_stands_nothing_is_left_to_try() -> None:
    cells = SUITE.follow_up(whitebox("mnist/b", [False] * 10), [BAYESIAN], Selection(examples=10))
    assert {cell.reading for cell in cells} == {Reading.REBUILT}  # which asks for no survivors


def test_a_shard_that_a_library_failed_on_is_not_followed_up() -> None:
    records = whitebox("mnist/b", [True] * 10)
    failed = dataclasses.replace(records[0], outcomes={"art": dataclasses.replace(outcome([]), error="no")})
    left = surviving_examples([failed, *records[1:]])
    assert ("mnist/b", records[0].cell.attack.threat) not in left


def test_draws_of_the_trials() -> None:
    cells = SUITE.follow_up(whitebox("mnist/b", [True] * 100), [BAYESIAN], Selection())
    cells += SUITE.cells([BAYESIAN], Selection())
    draws = {role.adaptive.name: cell.attack_draws for cell in cells if (role := role_of(cell)).adaptive is not None}
    assert draws.pop("one draw") == 1
    assert draws.pop("doubled draws") == 16
    assert draws.pop("judge's draws") == 64
    assert draws.pop("fresh draws") == 32
    assert set(draws.values()) == {8}


def test_a_selection_narrows_the_trials_and_leaves_the_white_box() -> None:
    selection = Selection(attacks=("square-linf",), eps=(0.1,))
    first = SUITE.cells([FREQUENTIST], selection)
    assert {cell.attack.name for cell in first} == {"fgsm", "bim", "pgd-linf", "pgd-l2"}
    cells = SUITE.follow_up(whitebox("mnist/f", [True] * 100), [FREQUENTIST], selection)
    assert [(cell.attack.name, cell.attack.threat.eps) for cell in cells] == [("square-linf", 0.1)]
    without = Selection(libraries=("foolbox",))
    only_noise = SUITE.follow_up(whitebox("mnist/f", [True] * 100), [FREQUENTIST], without)
    assert {role_of(cell).adaptive for cell in only_noise} == {ADAPTIVE_ATTACKS["noise"]}
    with pytest.raises(ValueError, match="leave out --target"):
        SUITE.cells([FREQUENTIST], Selection(targets=("mean-loss",)))


def test_the_parts_of_autoattack_have_its_budgets() -> None:
    for (method, budget), name in zip(AUTOATTACK.items(), AUTOATTACK_PARTS, strict=True):
        attack = ADAPTIVE_ATTACKS[name].attack(ThreatModel("linf", 0.1))
        assert (attack.method.name, attack.steps, attack.restarts, attack.gradient) == (method, budget, 1, Gradient())
    assert ADAPTIVE_ATTACKS["square"].attack(ThreatModel("linf", 0.1)).steps < AUTOATTACK["square"]


def test_every_committed_record_keeps_its_key_and_its_json() -> None:
    """From what it says itself, with the packages that it was made with."""
    assert {"goal", "source", "logit_scale", "logit_shift"}.isdisjoint(standard_attack("fgsm", 0.1).to_json())
    paths = sorted((PROJECT / "records").rglob("*.json.xz"))
    assert paths
    for path in paths:
        for fields in json.loads(lzma.decompress(path.read_bytes()))["records"]:
            assert AttackSpec.from_json(fields["cell"]["attack"]).to_json() == fields["cell"]["attack"]
            record = Record.from_json(fields)
            assert json.loads(json.dumps(record.cell.to_json())) == fields["cell"]
            assert cell_key(record.cell, record.fingerprints, record.provenance["packages"]) == fields["key"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"goal": "sure"}, "no goal"),
        ({"name": "bim", "random_start": False, "goal": "confident"}, "bim knows .* not 'confident'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes: dict[str, object], message: str) -> None:
    fields = {"name": "pgd-linf", "threat": ThreatModel("linf", 0.1), "step_size": 0.01, "steps": 5, **changes}
    with pytest.raises(ValueError, match=message):
        AttackSpec(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"logit_scale": 0.0}, "cannot be scaled"),
        ({"logit_shift": float("nan")}, "cannot be scaled"),
        ({"target": "mean"}, "no gradient target 'mean'"),
        ({"precision": "float16"}, "no precision 'float16'"),
    ],
)
def test_a_gradient_of_nothing_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gradient(**fields)  # type: ignore[arg-type]


def test_a_transfer_is_out_of_date_when_its_source_has_changed() -> None:
    attack = dataclasses.replace(
        ADAPTIVE_ATTACKS["transfer"].attack(ThreatModel("linf", 0.1)), gradient=Gradient(source="mnist/mlp")
    )
    plain = make("mnist/unregistered", "fgsm", 0.1, {"torchattacks": [True]})
    transfer = dataclasses.replace(plain, cell=dataclasses.replace(plain.cell, attack=attack))
    for fingerprint, current in ((models["mnist/mlp"].fingerprint, True), ("of other weights", False)):
        fingerprints = {**plain.fingerprints, "source": fingerprint}
        assert bool(sifted([dataclasses.replace(transfer, fingerprints=fingerprints)]).records) is current
