"""Every sampler by its recipe: the same door, the same kind of entry, figures on the card, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import zoo
from zoo.catalogue import recipes
from zoo.catalogue.entries import network_of
from zoo.catalogue.entry import ZooEntry
from zoo.catalogue.recipes import Recipe
from zoo.catalogue.samplers import Dropout, Ensemble, Hmc, Laplace, Sampler, Sghmc, Swag, named_samplers
from zoo.datasets import Split, load_split
from zoo.networks import build_network
from zoo.posteriors import posterior_of
from zoo.train import app
from zoo.training.cards import fields_of, recipe_of, write_entry
from zoo.training.loop import Training
from zoo.training.samplers import SAMPLERS
from zoo.training.samplers.ensemble import member_seed
from zoo.training.sampling import Sampling, sample
from zoo.training.subset import Divided, divided

MAP = Recipe("mlp-50", epochs=2, max_lr=1e-2, batch_size=20, prior=0.3, images=60)
RECIPES = {
    "sghmc": dataclasses.replace(
        MAP, epochs=8, sampler=Sghmc(chains=2, cycles=2, burn_in=0, per_cycle=2, cold=0.7, keep=8), max_lr=1e-3
    ),
    "swag": dataclasses.replace(MAP, epochs=6, sampler=Swag(rank=4, draws=5)),
    "ensemble": dataclasses.replace(MAP, sampler=Ensemble(3)),
    "dropout": dataclasses.replace(MAP, epochs=3, sampler=Dropout(0.4, draws=5)),
}


@pytest.fixture(scope="module")
def few() -> Split:
    """300 MNIST images in the role of a training split."""
    test = load_split("mnist", "test")
    return dataclasses.replace(test, name="train", images=test.images[:300], labels=test.labels[:300])


@pytest.fixture(scope="module")
def data(few: Split) -> Divided:
    return divided(few, 60)


@pytest.fixture(scope="module")
def start(few: Split) -> nn.Module:
    network, _ = Training("mnist/map", MAP, few, None).run()
    return network


def build() -> nn.Module:
    return build_network("mlp-50", "mnist")


def test_every_sampler_has_settings_a_module_and_a_name_on_cards() -> None:
    assert [sampler.name for sampler in (Sghmc(), Sghmc(friction=1.0), Laplace())] == ["SGHMC", "SGLD", "Laplace"]
    assert set(SAMPLERS) == set(named_samplers().values()) == {Hmc, Sghmc, Swag, Ensemble, Dropout, Laplace}


@pytest.mark.parametrize("name", RECIPES)
def test_a_sampler_gives_a_network_of_its_samples_and_figures(
    name: str, data: Divided, few: Split, start: nn.Module, tmp_path: Path, untouched_global_state: None
) -> None:
    recipe = RECIPES[name]
    made = sample(build, data, recipe, tmp_path / "c.safetensors", start if name == "swag" else None)
    network = made.network
    assert network.size == recipe.sampler.size
    posterior = posterior_of(network)
    assert posterior.family == ("ensemble" if name == "ensemble" else "bayesian")
    for key, value in network.state_dict().items():
        assert torch.equal(value, made.states[key]), "all are kept here"
    again = sample(build, data, recipe, None, start if name == "swag" else None)
    assert torch.equal(again.draws.positions, made.draws.positions)
    other = sample(build, data, dataclasses.replace(recipe, seed=1), None, start if name == "swag" else None)
    assert not torch.equal(other.draws.positions, made.draws.positions)
    figures = made.figures(few)
    assert figures["sampler"] == recipe.sampler.title
    assert figures["kept"] == recipe.sampler.size
    assert figures["energy"]["least"] <= figures["energy"]["mean"] <= figures["energy"]["most"]
    assert figures["chains"] == (2 if name == "sghmc" else 1)
    assert ("test_log_probabilities" in figures) == (name == "sghmc")
    assert figures["passes_through_all_images"] == {"sghmc": 16, "swag": 6, "ensemble": 6, "dropout": 3}[name]
    path = write_entry("mnist/test", recipe, network, made.draws.history, few, few, "", tmp_path, figures)
    card = json.loads(path.read_text())
    assert recipe_of(card) == recipe
    assert list(card["recipe"]["sampler"]) == [name]
    assert card["sampling"] == figures
    assert card["training"]["history"][-1]["epoch"] == recipe.epochs
    assert card["results"]["draws"] == recipe.sampler.size


def test_chains_begin_at_draws_of_the_prior_or_at_initialisations(data: Divided) -> None:
    """Seen after steps so short that nothing has moved."""
    still = dataclasses.replace(RECIPES["sghmc"], max_lr=1e-14)
    wide = sample(build, data, still).draws.positions
    fresh = dataclasses.replace(still, sampler=dataclasses.replace(still.sampler, begin="initialisation"))
    narrow = sample(build, data, fresh).draws.positions
    assert wide.std() == pytest.approx(0.3, rel=0.02)
    assert narrow.abs().max() <= 1.01 / 50**0.5
    assert not torch.allclose(narrow[0], narrow[1], atol=1e-3)


def test_members_of_an_ensemble_are_the_networks_trained_by_themselves(few: Split, tmp_path: Path) -> None:
    recipe = RECIPES["ensemble"]
    sampling = Sampling("mnist/ensemble", recipe, few, tmp_path / "c.safetensors")
    network, _ = sampling.run()
    for member, found in enumerate(network.members()):
        own = dataclasses.replace(recipe, sampler=None, seed=member_seed(0, member))
        alone, _ = Training("mnist/ensemble", own, few, None).run()
        for name, value in alone.state_dict().items():
            assert torch.equal(found.state_dict()[name], value), name
    assert len({member.state_dict()["fc2.bias"].numpy().tobytes() for member in network.members()}) == 3
    assert len(list(tmp_path.glob("c-*-member-*.safetensors"))) == 3


def test_a_killed_ensemble_goes_on_with_the_member_it_was_at(
    few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, path, trained = RECIPES["ensemble"], tmp_path / "c.safetensors", []
    whole, _ = Sampling("mnist/test", recipe, few, tmp_path / "whole.safetensors").run()
    epoch = Training._epoch

    def dying(training: Training, now: int) -> dict[str, float]:
        trained.append(now)
        if len(trained) == 4:
            raise KeyboardInterrupt
        return epoch(training, now)

    monkeypatch.setattr(Training, "_epoch", dying)
    with pytest.raises(KeyboardInterrupt):
        Sampling("mnist/test", recipe, few, path).run()
    network, _ = Sampling("mnist/test", recipe, few, path).run()
    assert trained == [0, 1, 0, 1, 1, 0, 1]
    for name, value in whole.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name


def test_a_checkpoint_of_something_else_is_not_gone_on_from(data: Divided, start: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    fewer = dataclasses.replace(data, images=data.images.flip(0))
    for name in ("sghmc", "swag"):
        path.unlink(missing_ok=True)
        sample(build, data, RECIPES[name], path, start)
        with pytest.raises(ValueError, match=r"c\.safetensors is of another sampling"):
            sample(build, fewer, RECIPES[name], path, start)
    first = sample(build, data, RECIPES["ensemble"], path)
    second = sample(build, fewer, RECIPES["ensemble"], path)
    assert not torch.equal(first.draws.positions, second.draws.positions)


def test_what_begins_at_a_trained_network_says_so(data: Divided, few: Split, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="SWAG begins at a trained network: say start_from in the recipe"):
        sample(build, data, RECIPES["swag"])
    with pytest.raises(ValueError, match="other weights than the architecture"):
        sample(build, data, RECIPES["swag"], start=build_network("lenet", "mnist"))


def test_what_would_be_lost_later_is_refused_at_once(data: Divided, few: Split, tmp_path: Path) -> None:
    many = dataclasses.replace(RECIPES["swag"], sampler=Swag(rank=4, draws=101))
    with pytest.raises(ValueError, match=r"101 samples of 39760 weights are 8\.0 MB in half precision.* keep 100"):
        Sampling("mnist/test", many, few, tmp_path / "c.safetensors")
    with pytest.raises(ValueError, match="60 images, where its recipe says 50"):
        sample(build, data, dataclasses.replace(RECIPES["sghmc"], images=50))
    with pytest.raises(ValueError, match="trained, not sampled"):
        sample(build, data, MAP)
    with pytest.raises(ValueError, match="trained, not sampled"):
        Sampling("mnist/test", MAP, few, tmp_path / "c.safetensors")
    normalised = lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10))  # noqa: E731
    with pytest.raises(ValueError, match=r"2\.running_mean, 2\.running_var, 2\.num_batches_tracked .* are no weights"):
        sample(normalised, data, RECIPES["sghmc"])


def test_laplace_without_its_library_says_how_to_get_it(
    data: Divided, start: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "laplace", None)
    recipe = dataclasses.replace(MAP, epochs=1, max_lr=1.0, sampler=Laplace(draws=4))
    with pytest.raises(ValueError, match=r"needs laplace-torch .*: pip install 'laplace-torch>=0.3'"):
        sample(build, data, recipe, start=start)


def test_cards_from_before_there_were_several_samplers_are_read() -> None:
    hmc = dataclasses.replace(MAP, epochs=20, batch_size=60, sampler=Hmc(2, 10, keep=20))
    for recipe in (hmc, MAP):
        fields = fields_of(recipe)
        assert recipe_of({"recipe": fields}) == recipe
        old = {name: value for name, value in fields.items() if name != "sampler"}
        assert recipe_of({"recipe": {**old, "hmc": (fields["sampler"] or {}).get("hmc")}}) == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": Swag(rank=9)}, "end of 8 epochs, fewer than its rank of 9"),
        ({"sampler": Swag(rank=4, burn_in=5)}, "end of 3 epochs, fewer than its rank of 4"),
        ({"sampler": Sghmc(cycles=3, burn_in=0, keep=4)}, "3 cycles are not of whole epochs: 8 are no multiple"),
        ({"sampler": Sghmc(cycles=4, burn_in=0, keep=16), "batch_size": 61}, "batch_size=61 of 60 images"),
        ({"sampler": Sghmc(cycles=4, burn_in=0, keep=16), "prior": None}, "SGHMC is of a posterior: say prior"),
        ({"sampler": Sghmc(cycles=4, burn_in=0, keep=16), "flips": True}, "flips=True is not for SGHMC"),
        (
            {"sampler": Sghmc(cycles=4, burn_in=0, keep=16), "start_from": "mnist/mlp-50"},
            "start_from=mnist/mlp-50 is not",
        ),
        ({"sampler": Swag(rank=4), "optimizer": "l-bfgs", "batch_size": 60}, "optimizer=l-bfgs is not for SWAG"),
        ({"sampler": Sghmc(cycles=4, burn_in=0, keep=16), "optimizer": "l-bfgs"}, "optimizer=l-bfgs is not for SGHMC"),
        ({"sampler": Laplace()}, r"Laplace trains nothing: say epochs=1, max_lr=1, not 8 and 0\.01"),
        ({"sampler": Ensemble(), "start_from": "mnist/mlp-50"}, "start_from=mnist/mlp-50 is for Bayesian networks"),
        ({"sampler": Ensemble(), "architecture": "bayesian-mlp", "prior": None}, "is a posterior already"),
        ({"sampler": Dropout(), "architecture": "bayesian-mlp", "prior": None}, "is a posterior already"),
        ({"sampler": Dropout(), "optimizer": "l-bfgs", "batch_size": 60}, "l-bfgs cannot follow: say adam"),
    ],
)
def test_a_recipe_that_a_sampler_cannot_follow_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(MAP, **{"epochs": 8, **changes})


@pytest.mark.parametrize(
    ("sampler", "settings", "message"),
    [
        (Sghmc, {"friction": 0.0}, "friction of SGHMC must be above 0 and at most 1, not 0.0; 1 is SGLD"),
        (Sghmc, {"begin": "map"}, "SGHMC begins at one of prior, initialisation, not at 'map'"),
        (Sghmc, {"cold": 1.5}, "cold of SGHMC is a share from 0 to 1, not 1.5"),
        (Sghmc, {"temperature": -1.0}, "temperature of SGHMC must be 0 or more"),
        (Sghmc, {"cycles": 6}, "SGHMC gives 4 samples, 1 of each of 6 cycles of 4 chains after 5 of burn-in; keep=100"),
        (Sghmc, {"cycles": 5}, "burn_in of SGHMC is 0 or more of its 5 cycles, not 5"),
        (Sghmc, {"keep": 99}, "as many samples of each of 4 chains, which 99 are not"),
        (Swag, {"rank": 1}, "rank of SWAG must be 2 or more"),
        (Swag, {"momentum": 1.0}, "momentum of SWAG must be from 0 to below 1"),
        (Swag, {"draws": 0}, "draws of SWAG must be positive, not 0"),
        (Swag, {"burn_in": -1}, "burn_in of SWAG must not be negative"),
        (Ensemble, {"members": 1}, "an ensemble has 2 members or more, not 1"),
        (Dropout, {"rate": 1.0}, "rate of MC dropout is a share above 0 and below 1, not 1.0"),
        (Dropout, {"draws": 0}, "draws of MC dropout must be positive, not 0"),
        (Laplace, {"structure": "kfac"}, "no structure 'kfac' of Laplace; there are: diag, kron, full"),
        (Laplace, {"subset": "last"}, "no subset 'last' of Laplace; there are: all, last_layer"),
    ],
)
def test_settings_without_meaning_are_refused(
    sampler: type[Sampler], settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sampler(**settings)


@pytest.mark.parametrize("name", ["sghmc", "ensemble"])
def test_the_command_trains_resumes_and_writes_an_entry(
    name: str, few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[name]
    monkeypatch.setitem(recipes.RECIPES, "mnist/test", recipe)
    monkeypatch.setattr("zoo.datasets.load_split", lambda *_: few)
    command = ["mnist/test", "--out", str(tmp_path), "--checkpoints", str(tmp_path / "checkpoints")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    weights = tmp_path / "mnist/test.safetensors"
    first = weights.read_bytes()
    assert CliRunner().invoke(app, command).exit_code == 0  # from its checkpoint: nothing is left to do
    assert weights.read_bytes() == first
    entry = ZooEntry(
        "mnist/test", "mnist", recipe.family, lambda: network_of(recipe, "mnist"), weights, Path(zoo.__file__)
    )
    network, posterior = entry.load()
    assert posterior.size == recipe.sampler.size == len(network.members())
    assert posterior.is_sample == (name != "ensemble")
    assert entry.label == {"sghmc": "bayesian", "ensemble": "ensemble"}[name]
    assert entry.card["sampling"]["sampler"] == recipe.sampler.title
    refused = CliRunner().invoke(app, [*command, "--device", "cuda"])
    assert refused.exit_code == 2
