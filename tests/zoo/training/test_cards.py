"""The committed weights, and what their cards say of them."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from zoo import models
from zoo.catalogue.entries import WEIGHTS
from zoo.catalogue.recipes import GOALS, GOALS_UNDER_PGD40, RECIPES, Recipe
from zoo.catalogue.samplers import Dropout, Ensemble, Hmc
from zoo.datasets import Split, load_split
from zoo.networks import build_network
from zoo.posteriors import posterior_draws
from zoo.seeding import derive_seed, private_generator
from zoo.train import app
from zoo.training.cards import HISTORY, accuracy, evenly, gradient_norms, recipe_of

TRAINED = [name for name in RECIPES if name in models]


@pytest.fixture
def data_root(request: pytest.FixtureRequest) -> Path | None:
    """None where the bundled data are enough for the test's entry; otherwise the full data sets, or a skip."""
    name: str = request.getfixturevalue("name")
    return None if name.startswith("mnist/") else request.getfixturevalue("shared_data")


def test_split(name: str, data_root: Path | None) -> Split:
    return load_split(models[name].dataset, "test", data_root)


test_split.__test__ = False  # type: ignore[attr-defined]


def test_an_entry_is_there_once_it_has_been_trained() -> None:
    cards = {str(path.relative_to(WEIGHTS).with_suffix("")) for path in WEIGHTS.glob("*/*.json")}
    assert set(TRAINED) == cards
    assert {"mnist/lenet", "mnist/bayesian-lenet", "mnist/lenet-adversarial"} <= cards


@pytest.mark.parametrize("name", TRAINED)
def test_committed_weights_have_the_accuracy_on_their_cards(name: str, data_root: Path | None) -> None:
    """On 1,000 random test images, within four standard errors; 8 draws, for which a Bayesian card has a number."""
    entry, split = models[name], test_split(name, data_root)
    index = np.random.default_rng(0).choice(len(split), 1000, replace=False)
    prediction = entry.predictor(8, derive_seed("card test"))
    with torch.no_grad():
        predicted = prediction(torch.from_numpy(split.images[index]).float() / 255).argmax(-1).numpy()
    measured = float((predicted == split.labels[index]).mean())
    results = entry.card["results"]
    on_card = results["accuracy_by_draws"]["8"] if "accuracy_by_draws" in results else results["accuracy"]
    assert abs(measured - on_card) < 4 * np.sqrt(on_card * (1 - on_card) / 1000)


@pytest.mark.parametrize("name", TRAINED)
def test_goals_are_reached_or_the_card_says_what_was_tried(name: str) -> None:
    card = models[name].card
    results = card["results"]
    assert results["examples"] == 10_000
    reached = results["accuracy"] >= GOALS.get(name, 0)
    if name in GOALS_UNDER_PGD40:
        assert results["pgd40"]["eps"] == card["recipe"]["adversarial"]["eps"]
        reached = reached and results["pgd40"]["accuracy"] >= GOALS_UNDER_PGD40[name]
    assert reached != ("note" in card)


@pytest.mark.parametrize("name", [name for name in TRAINED if "bayesian" in name])
def test_a_bayesian_card_shows_a_posterior(name: str) -> None:
    """Spread in every layer, information in it, and accuracy from one draw to 128."""
    results = models[name].card["results"]
    layers = [part for part, layer in models[name].build().named_modules() if hasattr(layer, "weight_rho")]
    assert list(results["posterior"]["sigma_over_abs_mu"]) == layers
    assert min(results["posterior"]["sigma_over_abs_mu"].values()) > 1e-3
    assert results["posterior"]["mutual_information_nats"] > 1e-4
    assert list(results["accuracy_by_draws"]) == [str(2**k) for k in range(8)]
    assert results["accuracy_by_draws"][str(results["draws"])] == results["accuracy"]


@pytest.mark.parametrize("name", [name for name in TRAINED if isinstance(RECIPES[name].sampler, Hmc)])
def test_a_card_of_samples_shows_a_posterior_and_whether_its_chains_agree(name: str) -> None:
    recipe, card = RECIPES[name], models[name].card
    results, sampling, network = card["results"], card["sampling"], models[name].build()
    assert results["draws"] == network.size == recipe.sampler.keep
    assert list(results["posterior"]["sigma_over_abs_mu"]) == ["fc1", "fc2"]
    assert min(results["posterior"]["sigma_over_abs_mu"].values()) > 1e-3
    assert results["posterior"]["mutual_information_nats"] > 0.1
    assert results["posterior"]["sigma_over_abs_mu_of_mean_0"] == pytest.approx(
        (math.pi * network.size / 2) ** 0.5, abs=1e-3
    )
    assert list(results["accuracy_by_draws"]) == [*(str(2**k) for k in range(7)), "100"]
    assert results["accuracy_by_draws"]["100"] == results["accuracy"]
    assert sampling["chains"] == recipe.sampler.chains >= 3
    assert (
        sampling["samples"] == recipe.sampler.chains * (recipe.epochs - recipe.sampler.burn_in) // recipe.sampler.every
    )
    assert 0.65 <= sampling["acceptance"] <= 0.9
    agree, chance = sampling["test_log_probabilities"], sampling["independent_draws"]
    assert agree["quantities"] == results["examples"]
    assert sampling["converged"] == (agree["split_rhat_max"] < 1.01)
    assert sampling["conclusion"].startswith("converged" if sampling["converged"] else "not converged")
    assert agree["split_rhat_median"] < 1.01
    assert agree["split_rhat_max"] < chance["split_rhat_max"] + 0.02
    assert agree["ess_median"] > 0.8 * chance["ess_median"]
    assert abs(sampling["accuracy_of_all_samples"] - results["accuracy"]) < 0.005


def test_the_sampled_posterior_is_of_the_network_whose_maximum_is_there_too() -> None:
    maximum, sampled = models["mnist/mlp-50"], models["mnist/hmc-mlp"]
    assert repr(maximum.build()) == repr(sampled.build().members()[0])
    assert maximum.card["training"]["train_fingerprint"] == sampled.card["training"]["train_fingerprint"]
    assert maximum.card["training"]["history"][-1]["gradient norm"] < 1e-4
    assert (maximum.family, sampled.family) == ("frequentist", "bayesian")
    assert sampled.load()[1].what == "Monte-Carlo samples of its posterior (100)"


@pytest.mark.parametrize(("count", "most", "found"), [(3, 5, [0, 1, 2]), (10, 5, [1, 3, 5, 7, 9]), (7, 3, [1, 3, 6])])
def test_a_history_is_thinned_evenly_to_its_end(count: int, most: int, found: list[int]) -> None:
    assert evenly(count, most) == found


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_cards_say_what_the_weights_give(name: str, data_root: Path | None) -> None:
    """The whole test split under the card's own draws: at most two images may round the other way elsewhere."""
    entry, split = models[name], test_split(name, data_root)
    recipe = entry.card["recipe"]
    prediction = entry.predictor(entry.card["results"].get("draws", 1), derive_seed("card", recipe["seed"]))
    labels = torch.from_numpy(split.labels)
    with torch.no_grad():
        parts = torch.from_numpy(split.images).split(1000)
        predicted = torch.cat([prediction(part.float() / 255).argmax(-1) for part in parts])
    assert abs(accuracy(predicted, labels)["accuracy"] - entry.card["results"]["accuracy"]) <= 2e-4


@pytest.mark.parametrize("name", TRAINED)
def test_cards_name_recipe_and_data(name: str, data_root: Path | None) -> None:
    card = models[name].card
    assert card["name"] == name
    assert card["training"]["test_fingerprint"] == test_split(name, data_root).fingerprint
    epochs, history, sampler = card["recipe"]["epochs"], card["training"]["history"], RECIPES[name].sampler
    # networks that a sampler trains one by one have a row each
    rows = sampler.members if isinstance(sampler, Ensemble) else 1 if isinstance(sampler, Dropout) else epochs
    assert len(history) == min(rows, HISTORY)
    assert history[-1]["epoch"] == epochs
    assert recipe_of(card) == RECIPES[name]


def test_the_norm_on_a_card_is_that_of_autograd() -> None:
    """On noise: on a digit's black the units that are pooled are equal, and rounding says which has the gradient."""
    split = load_split("mnist", "test")
    split = dataclasses.replace(split, images=np.random.default_rng(0).integers(0, 256, split.images.shape, np.uint8))
    network = build_network("bayesian-lenet", "mnist")
    norms = gradient_norms(network, Recipe("bayesian-lenet", 1, 1e-3, seed=5), split)
    assert list(norms) == ["1", "2", "4", "8", "16", "32", "64"]
    sample = torch.randperm(10_000, generator=private_generator("card images"))[:200].numpy()
    x = (torch.from_numpy(split.images[sample]).float() / 255).requires_grad_()
    labels = torch.from_numpy(split.labels[sample])
    draws = [draw.eval() for draw in posterior_draws(network, 2, derive_seed("card", 5))]
    losses = [torch.nn.functional.cross_entropy(draw(x), labels, reduction="sum") for draw in draws]
    (gradient,) = torch.autograd.grad(sum(losses) / 2, x)
    assert norms["2"] == pytest.approx(float(gradient.flatten(1).norm(dim=1).mean()), rel=1e-3)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The card of a copy of mnist/lenet in the zoo's place, its results and its note spoilt."""
    for suffix in (".json", ".safetensors"):
        shutil.copy(WEIGHTS / f"mnist/lenet{suffix}", tmp_path / f"lenet{suffix}")
    path = tmp_path / "lenet.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "results": {}, "note": "of old"}))
    entry = dataclasses.replace(models["mnist/lenet"], weights=tmp_path / "lenet.safetensors")
    monkeypatch.setattr(models, "_entries", {"mnist/lenet": entry})
    return path


def test_measuring_again_rewrites_the_results_and_nothing_else(copied: Path) -> None:
    before = json.loads((WEIGHTS / "mnist/lenet.json").read_text())
    result = CliRunner().invoke(app, ["mnist/lenet", "--measure"])
    assert result.exit_code == 0, result.output
    after = json.loads(copied.read_text())
    assert abs(after["results"]["accuracy"] - before["results"]["accuracy"]) <= 2e-4
    ours, theirs = ({k: v for k, v in card.items() if k not in ("results", "recipe")} for card in (after, before))
    assert ours == theirs
    assert recipe_of(after) == recipe_of(before) == RECIPES["mnist/lenet"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("test_fingerprint", "0" * 64, "other test images"), ("max_lr", 0.5, "another recipe")],
)
def test_measuring_refuses_a_card_about_something_else(copied: Path, field: str, value: object, message: str) -> None:
    card = json.loads(copied.read_text())
    card["training" if field == "test_fingerprint" else "recipe"][field] = value
    copied.write_text(json.dumps(card))
    result = CliRunner().invoke(app, ["mnist/lenet", "--measure"])
    assert result.exit_code == 2
    assert message in result.output
    assert json.loads(copied.read_text()) == card


@pytest.mark.parametrize("option", [["--set", "seed=1"], ["--set", "epochs=2"], ["--out", "x"]])
def test_measuring_is_about_the_zoos_own_weights(option: list[str]) -> None:
    result = CliRunner().invoke(app, ["mnist/lenet", "--measure", *option])
    assert result.exit_code == 2
    assert "--measure" in result.output
