"""Judgements of claims: the rule, the statements, and every claim of the paper both ways."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmark.papers.robustness_of_bayesian_approach import claims
from benchmark.papers.robustness_of_bayesian_approach.claims import (
    CLAIMS,
    Claim,
    Decided,
    better_on_average,
    better_on_clean_images,
    judge_claims,
    loses,
)
from benchmark.papers.robustness_of_bayesian_approach.curves import Curve, build_curves
from benchmark.papers.robustness_of_bayesian_approach.page import claims_page
from benchmark.papers.robustness_of_bayesian_approach.suite import MODELS
from benchmark.records.record import Record
from tests.benchmark.handmade import N, paper_records, walk


def test_a_claim_is_confirmed_refuted_or_undecided() -> None:
    """Partial conjunctions: with u of n needed, 5 % / (n - u + 1) to confirm and 5 % / u to refute."""

    def fixed(p_true: float, p_false: float) -> claims.Statement:
        return lambda _: Decided("", "", p_true, p_false)

    holds, fails, unclear = fixed(0.001, 0.99), fixed(0.99, 0.001), fixed(0.4, 0.6)
    barely, hardly = fixed(0.97, 0.03), fixed(0.03, 0.97)  # significant alone, not among two
    for statements, needed, judgement in (
        ((holds, holds), None, "confirmed"),
        ((holds, hardly), None, "confirmed"),
        ((holds, fails), None, "refuted"),
        ((holds, unclear), None, "undecided"),
        ((holds, barely), None, "undecided"),
        ((barely,), None, "refuted"),
        ((holds, holds, holds, fails), 3, "confirmed"),
        ((holds, holds, hardly, fails), 3, "undecided"),
        ((holds, holds, fails, fails), 3, "refuted"),
        ((holds, holds, unclear, fails), 3, "undecided"),
        ((holds, lambda _: None), None, "not measured"),
    ):
        assert Claim("", "", statements, (), needed).judge(lambda _, __: None)[0] == judgement


def test_statements_decide_as_their_curves_say() -> None:
    curves = {(c.model, c.attack): c for c in build_curves(walk("mnist/weak", 0.02) + walk("mnist/strong", 0.4))}

    def lookup(model: str, attack: str) -> Curve | None:
        return curves.get((model, attack))

    weak, strong = loses("mnist/weak", "fgsm", little=True)(lookup), loses("mnist/strong", "fgsm", little=True)(lookup)
    assert weak is not None
    assert strong is not None
    assert weak.p_false < 1e-6 < 0.5 < weak.p_true
    assert strong.p_true == pytest.approx(0.9**N)
    vulnerable = loses("mnist/weak", "fgsm", little=False)(lookup)
    assert vulnerable is not None
    assert (vulnerable.p_true, vulnerable.p_false) == (weak.p_false, weak.p_true)
    better = better_on_average("mnist/strong", "mnist/weak", "large")(lookup)
    assert better is not None
    assert better.p_true == pytest.approx(5e-4)
    assert "+70.0 points" in better.numbers
    clean = better_on_clean_images("mnist/strong", "mnist/weak")(lookup)
    assert clean is not None
    assert (clean.p_true, clean.p_false) == (1.0, 1.0)
    assert better_on_average("mnist/strong", "mnist/none", "large")(lookup) is None


def judgements(records: list[Record], target: str = "expected") -> dict[str, str]:
    return {claim.text: judgement for claim, judgement, _ in judge_claims(build_curves(records), target)}


# For each claim, by its first words: curves under which it must be confirmed, and curves that refute it
CIFAR, NEVER = "cifar10-jpeg", 0.6
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "On clean MNIST images AlexNet": (
        {"clean": {"mnist/lenet": 20, "mnist/bayesian-alexnet": 20}},
        {"clean": {"mnist/alexnet": 20, "mnist/bayesian-lenet": 20}},
    ),
    "MNIST, small eps: frequentist LeNet is highly": ({"broken_from": {"mnist/lenet": 0.02}}, {}),
    "MNIST, small eps: Bayesian LeNet is robust": ({}, {"broken_from": {"mnist/bayesian-lenet": 0.05}}),
    "MNIST, small eps: AlexNet is robust": ({}, {"broken_from": {"mnist/alexnet": 0.05}}),
    "MNIST, small eps: Bayesian AlexNet is robust": ({}, {"broken_from": {"mnist/bayesian-alexnet": 0.05}}),
    "MNIST, small eps: Bayesian LeNet is more": (
        {"broken_from": {"mnist/lenet": 0.02}},
        {"broken_from": {"mnist/bayesian-lenet": 0.02}},
    ),
    "MNIST, large eps: Bayesian networks": (
        {"broken_from": {"mnist/bayesian-lenet": 0.3, "mnist/bayesian-alexnet": 0.3}},
        {"broken_from": {"mnist/bayesian-lenet": 0.3, "mnist/alexnet": 0.3}},
    ),
    "On clean CIFAR-10 images Bayesian AlexNet": (
        {"clean": {f"{CIFAR}/bayesian-alexnet": 5, f"{CIFAR}/bayesian-3conv3fc": 5}},
        {"clean": {f"{CIFAR}/bayesian-alexnet": 5}},
    ),
    "On clean CIFAR-10 images Bayesian LeNet": (
        {"clean": {f"{CIFAR}/bayesian-lenet": 20}},
        {"clean": {f"{CIFAR}/lenet": 20}},
    ),
    "CIFAR-10, small eps: Bayesian LeNet retains": ({}, {"broken_from": {f"{CIFAR}/bayesian-lenet": 0.05}}),
    "CIFAR-10, small eps: attacks do not lower the accuracy of Bayesian AlexNet": (
        {"broken_from": {f"{CIFAR}/alexnet": 0.05}},
        {},
    ),
    "CIFAR-10, small eps: attacks do not lower the accuracy of Bayesian 3Conv3FC": (
        {"broken_from": {f"{CIFAR}/3conv3fc": 0.05}},
        {"broken_from": {f"{CIFAR}/3conv3fc": 0.05, f"{CIFAR}/bayesian-3conv3fc": 0.05}},
    ),
    "CIFAR-10, large eps: Bayesian LeNet is the best": (
        {"broken_from": {f"{CIFAR}/bayesian-lenet": 0.3}},
        {"broken_from": {f"{CIFAR}/bayesian-lenet": 0.3, f"{CIFAR}/3conv3fc": 0.4}},
    ),
    "CIFAR-10, large eps: FGSM": ({}, {"broken_from": {f"{CIFAR}/alexnet": NEVER}}),
    "Networks made Bayesian by variational inference are more robust than their twins (small": (
        {"broken_from": {model: 0.02 for model in MODELS if "bayesian" not in model}},
        {"broken_from": {"mnist/bayesian-alexnet": 0.02}},
    ),
    "Networks made Bayesian by variational inference are more robust than their twins (large": (
        {"broken_from": {model: 0.02 for model in MODELS if "bayesian" not in model}},
        {"broken_from": {f"{CIFAR}/bayesian-alexnet": 0.02}},
    ),
    "Bayesian networks can defend": ({}, {"broken_from": {f"{CIFAR}/bayesian-alexnet": 0.05}}),
}


@pytest.mark.parametrize("words", CASES)
def test_every_claim_can_be_confirmed_and_refuted(words: str) -> None:
    (text,) = (claim.text for claim in CLAIMS if claim.text.startswith(words))
    confirming, refuting = CASES[words]
    assert judgements(paper_records(**confirming))[text] == "confirmed"
    assert judgements(paper_records(**refuting))[text] == "refuted"


def test_every_claim_is_judged_under_both_protocols() -> None:
    assert len(CASES) == len(CLAIMS)
    records = paper_records(dict.fromkeys(MODELS, 0.05))
    robust = "MNIST, small eps: Bayesian LeNet is robust to all attacks."
    assert judgements(records, "expected")[robust] == "refuted"
    assert judgements(records, "resampled")[robust] == "confirmed"
    for target in claims.PROTOCOLS.values():
        assert "not measured" not in judgements(records, target).values()
        assert set(judgements([], target).values()) == {"not measured"}


def test_the_page_begins_with_the_sum_of_what_stands_below() -> None:
    """Under each protocol as many as there are headings that say so; what was not measured is named."""
    for records in (paper_records(), walk("mnist/lenet", 0.02)):
        page = claims_page(build_curves(records))
        sentence = page.split("\n\n")[2]
        assert sentence.startswith(f"Of {len(CLAIMS)} claims: under the paper's protocol")
        for words, part in zip(claims.PROTOCOLS, sentence.split("; "), strict=True):
            counts = {
                name: int(count)
                for count, name in re.findall(r"(\d+) (confirmed|refuted|undecided|not measured)", part)
            }
            assert words in part
            assert sum(counts.values()) == len(CLAIMS)
            for name, count in counts.items():
                assert page.count(f"Under {words}: **{name}**") == count
