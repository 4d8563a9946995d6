"""V27 against networks that answer by more than the image, and honest ones that keep, draw or count something."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.apart import apart, has_copies
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.machine import Machine
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Cell, Reading, Selection
from benchmark.records.record import Record
from benchmark.records.state import Attacked, Passage, State
from benchmark.results.evidence import Evidence
from benchmark.selftest.__main__ import audited
from benchmark.selftest.broken import Unchecked
from tests.benchmark.evaluation import secretive
from tests.benchmark.evidence import evidence, verdict
from tests.benchmark.networks import small_network
from zoo import ZooEntry, models
from zoo.catalogue.kept import attributes_of, deeds_of, differing
from zoo.kind import Kind
from zoo.seeding import private_generator

IMAGES = 12
LINF = ThreatModel("linf", 0.1)


def rebuilt(entry: ZooEntry, threat: ThreatModel = LINF, start: int = 0) -> Record:
    """The record of networks that are built anew, after an attack that has shown every image."""
    evaluator = Evaluator(Machine(), entries={entry.name: entry})
    subject, adaptive = evaluator.subject(entry), ADAPTIVE_ATTACKS["rebuilt"]
    finite = subject.kind is Kind.FINITE
    cell = Cell(
        *(entry.name, entry.dataset, adaptive.attack(threat), start, start + IMAGES, (adaptive.library,)),
        *subject.draws(),
        finite=finite,
    )
    assert evaluator.evaluate(cell).state is None
    return evaluator.evaluate(dataclasses.replace(cell, reading=Reading.REBUILT))


@pytest.fixture(scope="module")
def honest() -> Record:
    """Of a network that answers by the image alone."""
    return rebuilt(models["mnist/mlp"])


def judged(record: Record) -> tuple[str, str]:
    plain = evidence()
    return verdict("V27", Evidence(plain.records, plain.extra, [record]))


def state_of(record: Record) -> State:
    assert record.state is not None
    return record.state


SECRETIVE: dict[Callable[[], nn.Module], str] = {
    secretive.RememberingInBuffers: "adversarial images first",
    secretive.remembering_in_a_closure: "adversarial images first",
    secretive.Tiring: "after 200 calls",
    secretive.NormalisedOverItsBatch: "beside other images",
    secretive.BatchNormInTraining: "beside other images",
    secretive.another_each_time: "adversarial images first",
}


@pytest.mark.parametrize(("factory", "passage"), SECRETIVE.items(), ids=[one.__name__ for one in SECRETIVE])
def test_who_answers_by_more_than_the_image_fails(factory: Callable[[], nn.Module], passage: str) -> None:
    record = rebuilt(secretive.entry_of(factory))
    assert state_of(record).passages[passage].beyond > 0.3 * state_of(record).passages[passage].images
    assert judged(record)[0] == "FAIL"
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.skipif(not has_copies(), reason="needs copies of the process")
@pytest.mark.parametrize("factory", [secretive.RememberingInItsFile, secretive.RememberingInItsClass])
def test_what_all_builds_share_is_told_by_images_that_no_attack_has_shown(factory: Callable[[], nn.Module]) -> None:
    """In this process every build remembers the clean images, so that only the histories differ."""
    state = state_of(rebuilt(secretive.entry_of(factory)))
    different = {name for name, one in state.passages.items() if one.beyond}
    assert different == {"neighbours of images seen before", "after 200 calls"}
    seen = state.passages["neighbours of images seen before"]
    assert seen.reversed > seen.images / 3  # what the network is without its memory


@pytest.mark.parametrize("factory", [secretive.RememberingAFew, secretive.KnowingTheAudit])
def test_what_knows_the_audits_images_alone_is_told_by_others_that_are_attacked(
    factory: Callable[[], nn.Module],
) -> None:
    """It has no history: it answers alike whatever it is shown."""
    record = rebuilt(secretive.entry_of(factory))
    state = state_of(record)
    assert state.attacked is not None
    (seen, of_seen), (unseen, of_unseen) = state.attacked.audited, state.attacked.unseen
    assert (seen, unseen) == (of_seen, 0)
    assert of_unseen >= 6
    status, text = judged(record)
    assert (status, "images survive PGD that the audit has asked about" in text) == ("FAIL", True)
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_a_wide_posterior_is_attacked_alike_on_images_of_the_audit_and_on_others() -> None:
    """Through the attacker's draws, judged by others: two draws that judge themselves would lose nearly all images."""
    record = rebuilt(models["mnist/bayesian-mlp-50"], ThreatModel("l2", 1.0))
    attacked = state_of(record).attacked
    assert attacked is not None
    for survive, count in (attacked.audited, attacked.unseen):
        assert survive > count / 2 > 2
    assert judged(record)[0] == "PASS"


def test_a_record_without_other_images_is_judged_by_the_rest(honest: Record) -> None:
    old = dataclasses.replace(honest, state=dataclasses.replace(state_of(honest), attacked=None))
    assert "attacked" not in old.to_json()["state"]
    assert judged(old)[0] == judged(honest)[0] == "PASS"


@pytest.mark.parametrize(("unseen", "expected"), [((8, 8), "PASS"), ((3, 8), "PASS"), ((0, 8), "FAIL")])
def test_that_others_are_a_little_less_robust_is_no_evidence(
    honest: Record, unseen: tuple[int, int], expected: str
) -> None:
    found = State({"again": Passage(100, 0, 0, 1e-6, 1e-3)}, attacked=Attacked((60, 99), unseen))
    assert judged(dataclasses.replace(honest, state=found))[0] == expected


def test_noise_of_numpys_generator_and_two_builds_that_differ_are_named() -> None:
    noisy = Unchecked(
        "mnist/noisy", "mnist", "frequentist", secretive.NoisyByNumPy, None, secretive.entry_of(nn.Module).source
    )
    record = rebuilt(noisy)
    assert state_of(record).draws == ["NumPy"]
    assert judged(record)[0] == "FAIL"
    assert len(state_of(rebuilt(secretive.entry_of(secretive.another_each_time))).weights) == 1


@pytest.mark.parametrize(
    ("factory", "says"),
    [(secretive.OptimisingItsInput, "optimises by grad"), (secretive.Counting, "remembers")],
)
def test_what_answers_by_the_image_alone_is_flagged_for_what_it_does(
    factory: Callable[[], nn.Module], says: str
) -> None:
    record = rebuilt(secretive.entry_of(factory))
    assert judged(record)[0] == "FLAG"
    assert says in judged(record)[1]


@pytest.mark.parametrize(
    "entry",
    [
        secretive.entry_of(secretive.KeepingItsActivations),
        secretive.entry_of(secretive.Offset),
        secretive.entry_of(secretive.DroppingOut, randomness="dropout"),
        secretive.entry_of(secretive.Ensemble),
        models["mnist/lenet"],
        pytest.param(models["mnist/bayesian-mlp"], marks=pytest.mark.slow),
    ],
    ids=lambda entry: entry.name,
)
def test_honest_networks_pass(entry: ZooEntry) -> None:
    record = rebuilt(entry, LINF if entry.name in models else ThreatModel("l2", 1.0))
    assert judged(record)[0] == "PASS"
    assert {one.beyond for one in state_of(record).passages.values()} == {0}


def test_of_further_shards_the_histories_are_not_measured_again(honest: Record) -> None:
    second = rebuilt(models["mnist/mlp"], start=IMAGES)
    left_out = set(state_of(honest).passages) - set(state_of(second).passages)
    assert left_out == {"neighbours of images seen before", "after 200 calls"}
    assert judged(second)[0] == "PASS"


def test_a_network_that_fails_alone_in_a_batch_fails() -> None:
    class NotAlone(secretive.Around):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) == 7:
                raise RuntimeError("not in halves of fourteen")
            return super().forward(x)

    evaluator = Evaluator(Machine(), entries={"mnist/not": (entry := secretive.entry_of(NotAlone, "not"))})
    cell = Cell(entry.name, "mnist", ADAPTIVE_ATTACKS["rebuilt"].attack(LINF), 0, 14, ("torchattacks",), 1, 1)
    record = evaluator.evaluate(dataclasses.replace(cell, reading=Reading.REBUILT))
    assert state_of(record).failed == {"in halves of a batch": "RuntimeError: not in halves of fourteen"}
    assert judged(record)[0] == "FAIL"


def test_without_such_a_record_the_check_is_open_and_a_failed_one_is_an_error(honest: Record) -> None:
    plain = evidence()
    assert verdict("V27", Evidence(plain.records, plain.extra))[0] == "OPEN"
    failed = dataclasses.replace(honest.outcomes["torchattacks"], error="out of cheese")
    assert judged(dataclasses.replace(honest, state=None, outcomes={"torchattacks": failed}))[0] == "ERROR"


def test_a_copy_leaves_no_trace_and_says_what_it_raises() -> None:
    network, seen = small_network(), []

    def compute(one: nn.Module) -> list[Tensor]:
        seen.append(1)
        one.trace = 1  # type: ignore[assignment]
        return [one(torch.zeros(1, 1, 8, 8))]

    def fail(one: nn.Module) -> list[Tensor]:
        raise RuntimeError("out of cheese")

    (found,) = apart(compute, network)
    assert torch.allclose(found, network(torch.zeros(1, 1, 8, 8)), atol=1e-6)
    assert not hasattr(network, "trace")
    assert bool(seen) is not has_copies()
    with pytest.raises((ValueError, RuntimeError), match="out of cheese"):
        apart(fail, network)


def test_what_a_network_keeps_is_seen_wherever_python_shows_it() -> None:
    x = torch.rand(2, 1, 28, 28, generator=private_generator("kept"))
    for factory, name in (
        (secretive.Remembering, "memory"),
        (secretive.RememberingInItsFile, "SHARED"),
        (secretive.RememberingInItsClass, "memory"),
        (secretive.remembering_in_a_closure, "memory"),
        (secretive.Counting, "last"),
    ):
        network = factory()
        network(x)
        before = attributes_of(network)
        network(1 - x)
        assert any(name in one for one in differing(before, attributes_of(network))), factory
    plain = secretive.hidden()
    before = attributes_of(plain)
    plain(x)
    assert differing(before, attributes_of(plain)) == []


def test_what_a_pass_draws_and_optimises_is_said(untouched_global_state: None) -> None:
    x = torch.zeros(1, 1, 28, 28)
    for factory, draws, optimises in (
        (secretive.hidden, [], []),
        (secretive.NoisyByNumPy, ["NumPy"], []),
        (secretive.OptimisingItsInput, [], ["grad"]),
        (lambda: nn.Sequential(nn.Dropout(0.5)).train(), ["torch"], []),
    ):
        network = factory()
        deeds = deeds_of(lambda network=network: network(x))  # type: ignore[misc]
        assert (deeds.draws, deeds.optimises) == (draws, optimises)


@pytest.mark.slow
def test_a_network_that_remembers_passes_all_other_checks() -> None:
    """It looks perfectly robust to all of the audit, and V27 alone keeps it out of the ranking."""
    selection = Selection(examples=20, eps={"linf": (0.1,), "l2": (1.0,)})
    result = audited(secretive.entry_of(secretive.Remembering), selection)
    found = result.verdicts
    assert {row.worst.hits for row in result.rows} == {row.clean.hits for row in result.rows}
    assert {name for name, one in found.items() if one.status in ("FAIL", "ERROR")} == {"V27"}
