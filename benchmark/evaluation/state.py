"""Does a network answer by the image alone? Evidence for V27.

A network that remembers which images it has seen can answer for their neighbours what it answered for them: whoever
attacks it has shown it the image. The judge has met the clean image before each adversarial one, too, so that no attack
of an audit can tell. What tells is another history:

* a network that is built anew meets the adversarial images first, then in another order, singly, in halves of a batch,
  beside other images, then the clean ones; it must answer as the judge does who has been through the whole audit;
* images that no attack has shown are shown, with gradients, to one copy of a new network and not to another, and both
  are asked about their neighbours: noise, and adversarial images that were made step by step on a copy that had seen
  none of the steps before. A third copy is asked after some hundred calls.

Each copy is of the whole process (`benchmark.evaluation.apart`), so that what networks share is no hiding place either.
Files are: a network that writes its memory to one is not found here. Nor is one that behaves until it has been called
more often than here. Answers are compared up to rounding (`benchmark.evaluation.health.rounding`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.attacks.balls import unit, within
from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.apart import apart, has_copies
from benchmark.evaluation.health import rounding
from benchmark.protocol import STEP_RATIO
from benchmark.records.state import Attacked, Passage, State
from zoo.catalogue.kept import Digests, attributes_of, deeds_of, differing, weights_of
from zoo.combine import answered, expected
from zoo.posteriors import SeededPass
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator

UNSEEN = 16  # images of the histories
SINGLY, SHOWN, CALLS, STEPS = 8, 4, 200, 10
_NAMES = 5  # of what differs, that are kept

Build = Callable[[], ExpectedPrediction]


class Answers(NamedTuple):
    """log_p: (B, K), in float64. rounding: (B,) what rounding may make of it."""

    log_p: Tensor
    rounding: Tensor


@torch.no_grad()
def answers(network: ExpectedPrediction, x: Tensor) -> Answers:
    """As the judge evaluates images x (B, C, H, W)."""
    logits = torch.cat([network.logits(part) for part in x.split(network.chunk_size(x))], 1)  # (S, B, K)
    log_p = expected(logits, network.weights)
    return Answers(log_p.double().cpu(), rounding(log_p, logits).double().cpu())


def compared(first: Answers, second: Answers, y: Tensor) -> Passage:
    """Two answers about the same images with labels y (B,)."""
    y = y.cpu()
    difference = (first.log_p - second.log_p).abs().nan_to_num(1e30, 1e30).amax(1)
    may = torch.maximum(first.rounding, second.rounding)
    worst = (difference / may).argmax()
    right = answered(first.log_p, y) == y, answered(second.log_p, y) == y
    numbers = (float(f"{float(one[worst]):.2g}") for one in (difference, may))
    return Passage(len(y), int((right[0] != right[1]).sum()), int((difference > may).sum()), *numbers)


class _Passages:
    """Passages by name; one in which the network fails is kept with what it raised."""

    def __init__(self) -> None:
        self.found: dict[str, Passage] = {}
        self.failed: dict[str, str] = {}

    def take(self, name: str, answer: Callable[[], Answers], before: Answers, y: Tensor) -> None:
        try:
            self.found[name] = compared(answer(), before, y)
        except Exception as error:  # whatever a user's network raises is evidence
            self.failed[name] = f"{type(error).__name__}: {error}"


def state_of(
    build_judge: Build,
    build_attacker: Build,
    build_few: Build,
    judge: ExpectedPrediction,
    attacker: ExpectedPrediction | None,
    images: tuple[Tensor, Tensor, Tensor],
    unseen: tuple[Tensor, Tensor] | None,
    threat: ThreatModel,
) -> State:
    """The state of an entry.

    build_judge, build_attacker: build them anew. build_few: builds the network anew, with few draws.
    judge: which has been through the audit. attacker: which has, too, where it must answer as the judge does; None
    where its draws differ.
    images: clean (B, C, H, W), adversarial, and labels (B,). unseen: images that no attack has shown, and labels; None
    where the histories are measured elsewhere. threat: in which neighbours are looked for.
    """
    x, x_adv, y = images
    passages = _Passages()
    before, clean = answers(judge, x_adv), answers(judge, x)
    _take_orders(passages, build_judge(), x, x_adv, y, before)
    passages.take("clean images last", lambda: answers(judge, x), clean, y)
    if attacker is not None:
        passages.take("by the attacker's network", lambda: answers(attacker, x_adv), before, y)
    weights: list[str] = []
    attributes: list[str] = []
    attacked: Attacked | None = None
    if unseen is not None:
        new, other = build_few(), build_few()
        weights, attributes = differing(weights_of(new), weights_of(other)), _differing_attributes(new, other)
        try:
            _take_histories(passages, new, *unseen, threat)
            of_unseen = _unseen_survivors(build_judge(), build_attacker(), *unseen, threat)
        except ValueError as error:
            passages.failed["neighbours of unseen images"] = str(error)
        else:
            attacked = Attacked(_survivors(clean, before, y), of_unseen)
    else:
        other = build_few()
    few, others = x[:SINGLY], x_adv[:SINGLY]
    remembers = _remembers(other, few, others)
    deeds = deeds_of(lambda: other(few))
    return State(
        passages.found,
        passages.failed,
        weights[:_NAMES],
        attributes[:_NAMES],
        remembers[:_NAMES],
        deeds.draws,
        deeds.optimises,
        has_copies(),
        attacked,
    )


def _take_orders(
    passages: _Passages, new: ExpectedPrediction, x: Tensor, x_adv: Tensor, y: Tensor, before: Answers
) -> None:
    """The same images in several orders, by a network that has seen none. before: the judge's answers."""
    count = len(x)
    passages.take("adversarial images first", lambda: answers(new, x_adv), before, y)
    if not any(isinstance(part, SeededPass) for part in new.modules()):  # whose noise is that of a place in a batch
        order = torch.randperm(count, generator=private_generator("another order"))
        back = order.argsort()
        passages.take("in another order", lambda: _at(answers(new, x_adv[order]), back), before, y)
        few = torch.arange(min(SINGLY, count))
        passages.take("singly", lambda: _joined(answers(new, x_adv[i : i + 1]) for i in few), _at(before, few), y[few])
        halves = x_adv.split((count + 1) // 2)
        passages.take("in halves of a batch", lambda: _joined(answers(new, half) for half in halves), before, y)
    kept = torch.arange(0, count, 2)
    beside = x.clone()
    beside[kept] = x_adv[kept]
    passages.take("beside other images", lambda: _at(answers(new, beside), kept), _at(before, kept), y[kept])


def _survivors(clean: Answers, attacked: Answers, y: Tensor) -> tuple[int, int]:
    """Of images that are right as they are how many are right when attacked, and how many there are."""
    y = y.cpu()
    right = answered(clean.log_p, y) == y
    return int((right & (answered(attacked.log_p, y) == y)).sum()), int(right.sum())


def _take_histories(passages: _Passages, new: ExpectedPrediction, x: Tensor, y: Tensor, threat: ThreatModel) -> None:
    """What a new network says of the neighbours of images x that it has seen and not seen; it is left as it is.

    Raises ValueError where the network fails.
    """

    def shown(network: ExpectedPrediction) -> None:
        for _ in range(SHOWN):
            network.value_and_gradient(x, y)
            answers(network, x)

    def called(network: ExpectedPrediction) -> None:
        for _ in range(CALLS):
            answers(network, x[:1])

    noise = torch.randn(x.shape, generator=private_generator("neighbours")).to(x)
    around = [within(x + radius * unit(noise, threat.norm), x, threat) for radius in (threat.eps, threat.eps / 4)]
    asked = torch.cat([_climbed(new, x, y, threat), *around])  # (3 B, C, H, W)
    nothing, labels = _of_a_copy(new, asked), y.repeat(3)
    passages.take("neighbours of images seen before", lambda: _of_a_copy(new, asked, shown), nothing, labels)
    passages.take(f"after {CALLS} calls", lambda: _of_a_copy(new, asked, called), nothing, labels)


def _unseen_survivors(
    judge: ExpectedPrediction, attacker: ExpectedPrediction, x: Tensor, y: Tensor, threat: ThreatModel
) -> tuple[int, int]:
    """Of the half of the images x that are as they were in the split, how many survive PGD, as `_survivors` counts.

    As images of the audit do: through the attacker's draws, by the judge's. An attack through the judge's would break
    more of a wide posterior, whatever it has seen. Raises ValueError where the network fails.
    """
    x, y = x[: len(x) // 2], y[: len(x) // 2]
    return _survivors(_of_a_copy(judge, x), _of_a_copy(judge, _climbed(attacker, x, y, threat)), y)


def _of_a_copy(
    new: ExpectedPrediction, asked: Tensor, history: Callable[[ExpectedPrediction], None] = lambda _: None
) -> Answers:
    """What a copy of a network answers after a history; the network is left as it is."""

    def compute(network: ExpectedPrediction) -> list[Tensor]:
        history(network)
        return list(answers(network, asked))

    return Answers(*apart(compute, new))


def _climbed(new: ExpectedPrediction, x: Tensor, y: Tensor, threat: ThreatModel) -> Tensor:
    """Adversarial images in the ball, (B, C, H, W).

    Each gradient is of a copy that has seen nothing: the attack that hidden state cannot mislead.
    """
    at, eps = x.clone(), threat.eps
    for _ in range(STEPS):
        (gradient,) = apart(lambda network, at=at: [network.value_and_gradient(at, y)[1]], new)  # type: ignore[misc]
        step = STEP_RATIO * eps / STEPS * unit(gradient.to(x), threat.norm)
        at = within(at + step, x, threat)
    return at


def _remembers(network: ExpectedPrediction, few: Tensor, others: Tensor) -> list[str]:
    """What depends on more than the last pass: it differs after the same pass, with and without others before it."""

    def after(*passes: Tensor) -> Digests:
        for images in passes:
            answers(network, images)
        return weights_of(network) | attributes_of(network)

    return differing(after(few), after(others, few))


def _differing_attributes(first: ExpectedPrediction, second: ExpectedPrediction) -> list[str]:
    return differing(attributes_of(first), attributes_of(second))


def _at(of: Answers, places: Tensor) -> Answers:
    return Answers(*(values[places] for values in of))


def _joined(parts: Iterable[Answers]) -> Answers:
    log_p, may = zip(*parts, strict=True)
    return Answers(torch.cat(log_p), torch.cat(may))
