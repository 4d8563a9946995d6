"""What the page about the zoo says of posteriors, by the figures on their cards."""

from __future__ import annotations

import pytest

from benchmark.reports.zoo_cards import _epochs, _note, _posterior
from zoo import models

AGREE = {"split_rhat_max": 1.1, "ess_min": 30.0, "ess_median": 80.0}
RESULTS = {"posterior": {"mutual_information_nats": 0.1, "sigma_over_abs_mu": {"fc1": 1.0}}}
RECIPE = {"kl_weighting": "constant", "kl_constant": 0.1, "epochs": 600, "start_from": None}


def card(kind: str, **sampling: object) -> dict[str, object]:
    return {"recipe": {**RECIPE, "sampler": {kind: {}}}, "results": RESULTS, "sampling": sampling}


@pytest.mark.parametrize(
    ("card", "by", "went"),
    [
        (
            card(
                "sghmc", sampler="SGLD", chains=4, samples=100, kept=40, test_log_probabilities=AGREE, conclusion="no"
            ),
            "SGLD, 4 chains",
            "4 chains of 25 samples, of which 40 are kept. Test log-probabilities: split R-hat up to 1.100, ESS from "
            "30, median 80: no.",
        ),
        (card("swag", sampler="SWAG", chains=1, samples=100, kept=100), "SWAG", "100 samples, of which 100 are kept."),
        (
            card("ensemble", sampler="deep ensemble", chains=1, samples=5, kept=5),
            "deep ensemble",
            "5 samples, of which 5 are kept.",
        ),
    ],
)
def test_every_sampler_says_what_it_is_and_how_it_went(card: dict[str, object], by: str, went: str) -> None:
    assert _posterior("mnist/net", card)["approximated by"] == by
    assert _note(card) == went
    assert _epochs(card["recipe"]) == "600"


def test_the_committed_samples_are_of_hmc() -> None:
    card = models["mnist/hmc-mlp"].card
    assert _posterior("mnist/hmc-mlp", card)["approximated by"] == "HMC, 4 chains"
    assert (
        _epochs(card["recipe"]) == _epochs({**card["recipe"], "hmc": None, "sampler": {"hmc": {}}}) == "400 iterations"
    )
    assert "acceptance 0.81, step 0.0085, 56 leapfrogs. Test log-probabilities: split R-hat" in _note(card)
