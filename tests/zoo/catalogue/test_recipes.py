"""Recipes: the KL's share, other settings than a recipe's own, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.catalogue.recipes import RECIPES, Adversarial, Recipe, kl_share
from zoo.catalogue.samplers import Hmc
from zoo.catalogue.settings import with_settings

batches_and_epochs = st.tuples(st.integers(1, 3000), st.integers(1, 50))


@given(batches_and_epochs)
def test_the_kl_is_counted_once_an_epoch(size: tuple[int, int]) -> None:
    batches, epochs = size
    for weighting in ("standard", "blundell"):
        total = sum(kl_share(weighting, 0.1, batch, batches, 0, epochs) for batch in range(batches))
        assert total == pytest.approx(1.0)
    total = sum(kl_share("constant", 0.1, batch, batches, 0, epochs) for batch in range(batches))
    assert total == pytest.approx(0.1)
    last = sum(kl_share("soenderby", 0.1, batch, batches, epochs - 1, epochs) for batch in range(batches))
    assert last == pytest.approx(1.0)


def test_blundell_weights_are_those_of_the_paper() -> None:
    """2^(M - i) / (2^M - 1) with i from 1."""
    ours = [kl_share("blundell", 0, batch, 5, 0, 1) for batch in range(5)]
    assert ours == pytest.approx([16 / 31, 8 / 31, 4 / 31, 2 / 31, 1 / 31])
    with pytest.raises(ValueError, match="no KL weighting 'x'"):
        kl_share("x", 0, 0, 1, 0, 1)


def test_soenderby_warms_up_over_the_first_quarter() -> None:
    shares = [kl_share("soenderby", 0, 0, 1, epoch, 8) for epoch in range(8)]
    assert shares == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 1])


def test_twins_of_every_cifar_begin_at_their_own() -> None:
    for dataset in ("cifar10-jpeg", "cifar10", "cifar100"):
        assert RECIPES[f"{dataset}/bayesian-3conv3fc"].start_from == f"{dataset}/3conv3fc"
        assert RECIPES[f"{dataset}/bayesian-lenet"].start_from is None


def test_settings_replace_a_recipes_own() -> None:
    recipe = with_settings(
        RECIPES["mnist/bayesian-lenet"], ["draws=2", "kl_weighting=soenderby", "flips=true", "max_lr=1e-4"]
    )
    assert (recipe.draws, recipe.kl_weighting, recipe.flips, recipe.max_lr) == (2, "soenderby", True, 1e-4)
    assert recipe.epochs == RECIPES["mnist/bayesian-lenet"].epochs
    assert with_settings(recipe, []) == recipe
    assert with_settings(RECIPES["mnist/bayesian-3conv3fc"], ["start_from=none"]).start_from is None
    both = with_settings(RECIPES["mnist/bayesian-lenet"], ["start_from=mnist/lenet", "rho=-3"])
    assert (both.start_from, both.rho) == ("mnist/lenet", -3.0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epoch=2", "no setting 'epoch'; there are: architecture, epochs"),
        ("epochs", "epochs is a whole number, not ''"),
        ("epochs=two", "epochs is a whole number, not 'two'"),
        ("epochs=0", "epochs of a recipe must be positive, not 0"),
        ("flips=yes", "flips is true or false, not 'yes'"),
        ("kl_weighting=graves", "no KL weighting 'graves'; there are: standard, blundell, soenderby, constant"),
        ("kl_constant=-1", "kl_constant of a recipe must not be negative"),
        ("kl_constant=nan", "kl_constant of a recipe must not be negative"),
        ("max_lr=inf", "max_lr of a recipe must be positive"),
        ("rho=small", "rho is none or a number, not 'small'"),
        ("rho=nan", "rho of a recipe must be finite"),
        ("precision=float16", "no precision 'float16'; there are: float32, bfloat16"),
        ("adversarial=none", "no setting 'adversarial'"),
    ],
)
def test_settings_without_meaning_are_refused(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_settings(RECIPES["mnist/bayesian-lenet"], [setting])


@pytest.mark.parametrize("setting", [{"draws": 2}, {"rho": -3.0}, {"start_from": "mnist/lenet"}])
def test_a_frequentist_network_has_no_posterior(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(setting))}=.* is for Bayesian networks, not for lenet"):
        Recipe("lenet", epochs=1, max_lr=1e-3, **setting)


SAMPLED = Recipe("mlp-50", epochs=20, max_lr=0.01, batch_size=300, prior=0.3, images=300, sampler=Hmc(2, 10, keep=20))


def test_what_is_sampled_is_bayesian_whatever_its_architecture() -> None:
    assert SAMPLED.is_bayesian
    assert not replace(SAMPLED, sampler=None).is_bayesian
    assert RECIPES["mnist/hmc-mlp"].is_bayesian
    assert not RECIPES["mnist/mlp-50"].is_bayesian


def test_the_map_is_of_the_very_model_that_is_sampled() -> None:
    map_, hmc = RECIPES["mnist/mlp-50"], RECIPES["mnist/hmc-mlp"]
    for name in ("architecture", "prior", "images", "batch_size"):
        assert getattr(map_, name) == getattr(hmc, name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prior": None}, "say prior, images, batch_size=images"),
        ({"images": None}, "say prior, images, batch_size=images"),
        ({"batch_size": 100}, "say prior, images, batch_size=images"),
        ({"epochs": 19}, "2 chains of 19 iterations, 10 of them burn-in, have 9 each.* at least 20,"),
        ({"epochs": 5}, "have 0 each"),
        (
            {"epochs": 41, "sampler": Hmc(2, 10, every=3, keep=20)},
            "each 3 must give at least 20, and leave no",
        ),
        ({"draws": 2}, "draws=2 is not for HMC"),
        ({"rho": -3.0}, "rho=-3.0 is not for HMC"),
        ({"flips": True}, "flips=True is not for HMC"),
        ({"shifts": 2}, "shifts=2 is not for HMC"),
        ({"precision": "bfloat16"}, "precision=bfloat16 is not for HMC"),
        ({"start_from": "mnist/mlp-50"}, "start_from=mnist/mlp-50 is not for HMC"),
        ({"adversarial": Adversarial(0.1)}, r"adversarial=Adversarial\(.* is not for HMC"),
        ({"prior": 0.0}, "prior of a recipe must be positive, not 0.0"),
        ({"images": -5}, "images of a recipe must be positive, not -5"),
    ],
)
def test_a_sampling_without_meaning_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SAMPLED, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chains": 0}, "chains of HMC must be positive, not 0"),
        ({"burn_in": 0}, "burn_in of HMC must be positive, not 0"),
        ({"keep": 0}, "keep of HMC must be positive, not 0"),
        ({"chains": 3}, "as many samples of each of 3 chains, which 100 are not"),
    ],
)
def test_chains_without_meaning_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hmc(**changes)


def test_l_bfgs_is_for_all_images_at_once() -> None:
    with pytest.raises(ValueError, match="l-bfgs is of a posterior given all images at once: say prior"):
        with_settings(RECIPES["mnist/lenet"], ["optimizer=l-bfgs"])
    with pytest.raises(ValueError, match="shifts=2 is not for l-bfgs"):
        with_settings(RECIPES["mnist/mlp-50"], ["shifts=2"])
    with pytest.raises(ValueError, match="no optimizer 'sgd'; there are: adam, l-bfgs"):
        with_settings(RECIPES["mnist/lenet"], ["optimizer=sgd"])


def test_mean_field_layers_have_a_prior_of_their_own() -> None:
    with pytest.raises(ValueError, match=r"prior=0\.3 is for ordinary networks: the layers of bayesian-lenet have one"):
        with_settings(RECIPES["mnist/bayesian-lenet"], ["prior=0.3"])
    assert with_settings(RECIPES["mnist/lenet"], ["prior=0.3", "images=500"]).images == 500
