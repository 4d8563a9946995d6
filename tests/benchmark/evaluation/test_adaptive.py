"""The attacks beyond the white-box ones: each against something that is known, and cells that run them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from benchmark.attacks.craft import craft
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.evaluation.closed_form import closed_form_gaps, optimum
from benchmark.evaluation.evaluator import Evaluator, likeliest_wrong
from benchmark.evaluation.health import examine
from benchmark.evaluation.judge import distance, violations
from benchmark.evaluation.machine import Machine
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, AdaptiveAttack
from benchmark.plan.cells import Cell, Selection
from benchmark.plan.roles import role_of
from benchmark.plan.suites import SUITES
from benchmark.protocol import LIBRARIES, standard_attack
from tests.benchmark.networks import EXAMPLES, X, Y, prediction_of, small_network
from zoo import ZooEntry
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator
from zoo.targets import Gradient

BALLS = [ThreatModel("linf", 0.03), ThreatModel("l2", 0.2)]
GENERATOR = "adaptive tests"


def two_classes() -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A linear network whose third logit never wins, images far from the box, labels, and where margins grow most."""
    linear = nn.utils.skip_init(nn.Linear, 64, 3)
    with torch.no_grad():
        linear.weight.copy_(0.05 * torch.randn(3, 64, generator=private_generator(GENERATOR)))
        linear.weight[2] = 0
        linear.bias.copy_(torch.tensor([0.0, 0.0, -1000.0]))
    weight = linear.weight.detach()
    x = 0.15 + 0.7 * torch.rand(40, 1, 8, 8, generator=private_generator(GENERATOR, "x"))
    network = nn.Sequential(nn.Flatten(), linear)
    y = network(x).argmax(1).detach()
    return network, x, y, (weight[1] - weight[0]) * (1 - 2 * y[:, None])


def breakable(network: nn.Module, x: Tensor, y: Tensor, direction: Tensor, threat: ThreatModel) -> Tensor:
    best = optimum(x.flatten(1), direction, AttackSpec("pgd-l2" if threat.norm == "l2" else "fgsm", threat, 1.0, 1))
    with torch.no_grad():
        return network(best.view_as(x)).argmax(1) != y


@pytest.mark.parametrize("threat", BALLS, ids=lambda threat: threat.norm)
@pytest.mark.parametrize("name", ["apgd-ce", "apgd-dlr"])
def test_apgd_breaks_on_a_linear_model_exactly_what_can_be_broken(name: str, threat: ThreatModel) -> None:
    network, x, y, direction = two_classes()
    can = breakable(network, x, y, direction, threat)
    assert 5 < can.sum() < 40
    images = craft(
        "torchattacks", prediction_of(network), x, y, ADAPTIVE_ATTACKS[name].attack(threat), range(40), 0
    ).images
    assert not violations(x, images, threat).any()
    assert torch.equal(network(images).argmax(1) != y, can)


@pytest.mark.parametrize("threat", BALLS, ids=lambda threat: threat.norm)
@pytest.mark.parametrize("trial", ["square", "noise"])
def test_attacks_without_gradients_stay_inside_and_break_only_what_can_be_broken(
    trial: str, threat: ThreatModel, untouched_global_state: None
) -> None:
    network, x, y, direction = two_classes()
    can = breakable(network, x, y, direction, threat)
    library, spec = ADAPTIVE_ATTACKS[trial].library, ADAPTIVE_ATTACKS[trial].attack(threat)
    found = craft(library, prediction_of(network), x, y, spec, range(40), 0)
    assert not violations(x, found.images, threat).any()
    broken = network(found.images).argmax(1) != y
    assert not (broken & ~can).any()
    assert found.backwards == 0
    assert found.forwards > 0
    if trial == "square":
        assert broken.sum() > can.sum() / 2
    again = craft(library, prediction_of(network), x, y, spec, range(40), 0)
    assert torch.equal(again.images, found.images)


def test_noise_fills_the_linf_ball_and_does_not_leave_it() -> None:
    """foolbox divides by the largest component, not by the largest in absolute value."""
    never = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        never[1].weight.zero_()
        never[1].bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    x = torch.full((500, 1, 8, 8), 0.5)
    wrong = torch.ones(500, dtype=torch.long)  # so that the first point is kept
    spec = dataclasses.replace(ADAPTIVE_ATTACKS["noise"].attack(BALLS[0]), steps=1)
    first = craft("foolbox", prediction_of(never), x, 0 * wrong, spec, range(500), 0).images
    assert torch.equal(first, x)  # nothing is broken, so the image comes back

    class Sometimes(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            moved = (images != 0.5).flatten(1).any(1)
            return torch.stack([(~moved).float(), moved.float(), 0 * moved], 1) + 0 * images.flatten(1)[:, :1]

    images = craft("foolbox", prediction_of(Sometimes()), x, 0 * wrong, spec, range(500), 0).images
    reach = distance(x, images, BALLS[0])
    assert torch.allclose(reach, torch.full_like(reach, BALLS[0].eps), atol=1e-7)


@pytest.mark.parametrize("threat", BALLS, ids=lambda threat: threat.norm)
def test_the_libraries_agree_on_the_way_towards_a_label(bayesian_net: nn.Module, threat: ThreatModel) -> None:
    prediction = ExpectedPrediction.of(bayesian_net.float(), 4, 0)
    x, y = torch.rand(6, 1, 4, 4, generator=private_generator(GENERATOR)), torch.arange(6) % 3
    spec = ADAPTIVE_ATTACKS["confident"].attack(threat)
    images = [craft(library, prediction, x, y, spec, range(6), 0).images for library in LIBRARIES]
    for other in images[1:]:  # in l2 they clip and project in another order
        assert torch.allclose(images[0], other, atol=1e-5 if threat.norm == "linf" else 1e-2)
    before, after = (prediction(each).gather(1, y[:, None]) for each in (x, images[0]))
    assert (after > before).all()


def test_restarts_towards_a_label_keep_what_is_surest_of_it() -> None:
    prediction = prediction_of(small_network())
    spec = dataclasses.replace(ADAPTIVE_ATTACKS["confident"].attack(BALLS[0]), steps=2)
    once, often = (
        craft("torchattacks", prediction, X, Y, dataclasses.replace(spec, restarts=count), EXAMPLES, 0).images
        for count in (1, 4)
    )
    column = Y[:, None]
    assert (prediction(often).gather(1, column) >= prediction(once).gather(1, column)).all()
    assert not torch.equal(once, often)


def test_the_likeliest_wrong_label() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor([3.0, 2.0, 1.0, 2.5]))
    found = likeliest_wrong(prediction_of(network), X, torch.tensor([0, 1, 2, 3, 0, 1, 2]))
    assert found.tolist() == [3, 0, 0, 0, 3, 0, 0]


def test_scaled_and_shifted_logits_are_those_of_each_draw(bayesian_net: nn.Module, images: Tensor) -> None:
    plain = ExpectedPrediction.of(bayesian_net, 5, 0)
    changed = ExpectedPrediction.of(bayesian_net, 5, 0, Gradient(logit_scale=0.1, logit_shift=7.0))
    by_hand = (0.1 * plain.logits(images) + 7).softmax(-1).mean(0)
    assert torch.allclose(changed.probabilities(images), by_hand)
    assert not torch.allclose(changed.probabilities(images), plain.probabilities(images), atol=1e-3)


def cell(trial: AdaptiveAttack, threat: ThreatModel = BALLS[0], **changes: object) -> Cell:
    fields = {"model": "mnist/small", "dataset": "mnist", "attack": trial.attack(threat), "start": 0, "stop": 8}
    fields |= {"libraries": (trial.library,), "attack_draws": 3, "judge_draws": 5, **changes}
    return Cell(**fields)  # type: ignore[arg-type]


def test_a_cell_on_some_images_says_of_them_what_one_on_all_says(small_entry: ZooEntry) -> None:
    evaluator, trial = Evaluator(Machine(share=False)), ADAPTIVE_ATTACKS["doubled steps"]
    everything = evaluator.evaluate(cell(trial))
    some = (everything.examples[5], everything.examples[2])
    part = evaluator.evaluate(cell(trial, only=some))
    assert part.examples == [everything.examples[2], everything.examples[5]]
    assert part.key != everything.key
    whole, found = everything.outcomes["torchattacks"], part.outcomes["torchattacks"]
    for name in ("correct", "predicted", "log_p", "mutual_information"):
        here, there = (getattr(outcome, name) for outcome in (found, whole))
        assert here == pytest.approx([there[2], there[5]], rel=2e-3)


def test_a_transfer_takes_the_others_gradients_and_names_it_in_its_key(small_entry: ZooEntry) -> None:
    attack = dataclasses.replace(ADAPTIVE_ATTACKS["transfer"].attack(BALLS[0]), gradient=Gradient(source="mnist/mlp"))
    own, transfer = cell(ADAPTIVE_ATTACKS["transfer"]), cell(ADAPTIVE_ATTACKS["transfer"], attack=attack)
    evaluator = Evaluator()
    by_own, record = evaluator.evaluate(own), evaluator.evaluate(transfer)
    assert set(record.fingerprints) == {"model", "data", "source"}
    assert record.key != by_own.key
    assert role_of(dataclasses.replace(transfer, attack_draws=8)).adaptive is ADAPTIVE_ATTACKS["transfer"]
    assert sum(record.outcomes["torchattacks"].log_p) > sum(by_own.outcomes["torchattacks"].log_p)
    assert sum(record.outcomes["torchattacks"].log_p) < sum(record.clean.log_p)


def test_mutual_information_is_that_of_the_judges_draws(small_entry: ZooEntry) -> None:
    record = Evaluator().evaluate(cell(ADAPTIVE_ATTACKS["doubled steps"]))
    for outcome in (record.clean, record.outcomes["torchattacks"]):
        assert len(outcome.mutual_information) == 8
        assert all(0 < i <= h for i, h in zip(outcome.mutual_information, outcome.entropy, strict=True))


def test_health_of_a_sound_network_and_of_unsound_ones(bayesian_net: nn.Module) -> None:
    x, y = torch.rand(6, 1, 4, 4, generator=private_generator(GENERATOR)), torch.arange(6) % 3
    net = bayesian_net.float()
    gaps = closed_form_gaps(LIBRARIES)
    sound = examine(ExpectedPrediction.of(net, 8, 0), ExpectedPrediction.of(net, 8, 1), x, y, gaps)
    assert (sound.images, sound.repeat, sound.probabilities, sound.dead, sound.undefined) == (6, 0.0, 0, 0, 0)
    assert sound.normalisation < 1e-6
    assert sound.cosine is not None
    assert 0 < sound.cosine < 1
    assert (len(sound.shortfall), sound.missed) == (12, [])
    same = examine(ExpectedPrediction.of(net, 8, 0), ExpectedPrediction.of(net, 8, 0), x, y, gaps)
    assert same.cosine == 1

    class Rounding(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, :3].round().softmax(1)

    unsound = examine(prediction_of(Rounding()), None, x, y, gaps)
    assert (unsound.probabilities, unsound.dead, unsound.cosine) == (6, 6, None)


def test_health_is_taken_once_and_kept(small_entry: ZooEntry) -> None:
    evaluator = Evaluator()
    cells = SUITES["whitebox"].cells([evaluator.subject(small_entry)], Selection(examples=4))
    at_zero = [c for c in cells if c.attack.threat.eps == 0]
    assert {c.attack.name for c in at_zero} == {"fgsm", "bim", "pgd-linf", "pgd-l2"}
    records = [evaluator.evaluate(c) for c in at_zero]
    assert [record.cell.attack.name for record in records if record.health] == ["fgsm"]
    for record in records:
        for outcome in record.outcomes.values():
            assert outcome.distance == [0.0] * 4
            assert outcome.correct == record.clean.correct
        assert type(record).from_json(record.to_json()) == record
    assert standard_attack("fgsm", 0.0).threat.eps == 0
