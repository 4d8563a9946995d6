"""Training: the KL's share, resuming, the committed weights and what their cards say."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections import OrderedDict
from pathlib import Path

import foolbox
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from zoo.catalogue.recipes import RECIPES, Adversarial, Certified, Recipe
from zoo.catalogue.settings import with_settings
from zoo.datasets import Split, load_split
from zoo.layers import kl_divergence, use_generator
from zoo.networks import build_network
from zoo.posteriors import evident_posterior, posterior_mean
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator
from zoo.training.cards import posterior_spread, write_entry
from zoo.training.loop import Training, augmented, start_at_means


@pytest.fixture
def few() -> Split:
    """600 MNIST images in the role of a training split."""
    test = load_split("mnist", "test")
    return dataclasses.replace(test, name="train", images=test.images[:600], labels=test.labels[:600])


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("bayesian-lenet", epochs=3, max_lr=3e-3, batch_size=128),
        Recipe("bayesian-lenet", epochs=3, max_lr=3e-3, batch_size=128, draws=2, kl_weighting="soenderby"),
        Recipe("lenet", epochs=3, max_lr=3e-3, batch_size=128, adversarial=Adversarial(0.1, steps=2, ramp_epochs=1)),
        Recipe("bayesian-lenet", epochs=3, max_lr=2e-3, batch_size=128, certified=Certified(0.1, warm_up=1, ramp=1)),
        Recipe("alexnet", epochs=3, max_lr=1e-3, batch_size=128, flips=True, shifts=2, precision="bfloat16"),
    ],
    ids=["bayesian", "two-draws", "adversarial", "certified", "dropout-augmented-bfloat16"],
)
def test_a_killed_training_ends_with_the_same_weights(
    recipe: Recipe, few: Split, tmp_path: Path, untouched_global_state: None
) -> None:
    whole, _ = Training("mnist/test", recipe, few, tmp_path / "whole.safetensors").run()
    killed = Training("mnist/test", recipe, few, tmp_path / "killed.safetensors")
    save = killed._save

    def save_and_die() -> None:
        save()
        if len(killed.history) == 2:
            raise KeyboardInterrupt

    killed._save = save_and_die
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    resumed = Training("mnist/test", recipe, few, tmp_path / "killed.safetensors")
    assert len(resumed.history) == 2
    network, history = resumed.run()
    assert [row["epoch"] for row in history] == [1, 2, 3]
    for name, value in whole.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name


def test_a_damaged_checkpoint_is_named(few: Split, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"c\.safetensors is damaged"):
        Training("mnist/test", Recipe("lenet", 1, 1e-3), few, path)


def test_the_loss_is_the_mean_of_the_draws_likelihoods_and_the_kl(few: Split, tmp_path: Path) -> None:
    recipe = Recipe("bayesian-lenet", 1, 1e-3, batch_size=540, draws=3, kl_weighting="standard")
    training = Training("mnist/test", recipe, few, tmp_path / "c.safetensors")
    network = copy.deepcopy(training.network)
    _, (row,) = training.run()
    # the same draws and the same images in the same order, from the untrained network
    use_generator(network, private_generator("weights", recipe.seed, 0))
    x, y = next(training._minibatches(0))
    with torch.no_grad():
        likelihoods = [nn.functional.cross_entropy(network(x), y).item() for _ in range(3)]
        kl = kl_divergence(network).item()
    assert len(set(likelihoods)) == 3
    assert row["loss"] == pytest.approx(np.mean(likelihoods) + kl / 540, rel=1e-5)


@pytest.mark.parametrize("family", ["", "bayesian-"])
@pytest.mark.parametrize("architecture", ["lenet", "alexnet", "3conv3fc"])
def test_cifar100_is_trained_by_its_recipes(architecture: str, family: str, tmp_path: Path) -> None:
    """On the samples that foolbox ships: enough to learn which classes they are of."""
    paths = sorted((Path(foolbox.__file__).parent / "data").glob("cifar100_*.png"))
    images = np.stack([np.asarray(Image.open(path)).transpose(2, 0, 1) for path in paths])
    labels = np.array([int(path.stem.split("_")[2]) for path in paths])
    assert images.shape == (20, 3, 32, 32)
    few = Split("cifar100", "train", images, labels, "foolbox's samples")
    network = f"{family}{architecture}"
    recipe = with_settings(RECIPES[f"cifar100/{network}"], ["epochs=30", "batch_size=18", "flips=false", "shifts=0"])
    recipe = dataclasses.replace(recipe, start_from=None)  # a trained twin comes with none of the zoo's weights
    training = Training(f"cifar100/{network}", recipe, few, tmp_path / "c.safetensors")
    trained, _ = training.run()
    prediction = ExpectedPrediction.of(trained, 8, 0, posterior=evident_posterior(trained))
    images, labels = training.train
    logits = prediction(images.float() / 255)
    assert logits.shape == (18, 100)
    loss = nn.functional.cross_entropy(logits, labels)
    assert loss.item() < np.log(100) - 1, "that these images have few of the classes was not learned"


def test_held_out_images_are_not_trained_on(few: Split, tmp_path: Path) -> None:
    training = Training("mnist/test", Recipe("lenet", 1, 1e-3), few, tmp_path / "c.safetensors")
    seen = {image.numpy().tobytes() for image in training.train[0]}
    held_out = {image.numpy().tobytes() for image in training.validation[0]}
    assert (len(seen), len(held_out)) == (540, 60)
    assert not seen & held_out


def test_a_collapsed_posterior_is_refused(few: Split, tmp_path: Path) -> None:
    recipe = Recipe("bayesian-lenet", epochs=1, max_lr=3e-3)
    network, history = Training("mnist/test", recipe, few, tmp_path / "c.safetensors").run()
    for name, parameter in network.named_parameters():
        if name.endswith("rho"):
            nn.init.constant_(parameter, -30.0)
    with pytest.raises(ValueError, match="collapsed"):
        write_entry("mnist/test", recipe, network, history, few, few, "", tmp_path)
    assert not list(tmp_path.glob("mnist/*"))


def test_mutual_information_is_that_of_the_formula() -> None:
    """Two draws that are certain of different classes: ln 2 nats; two that agree: none."""
    certain = torch.tensor([[[0.0, -1e9]], [[-1e9, 0.0]]])
    network = nn.Sequential()
    assert posterior_spread(network, certain)["mutual_information_nats"] == pytest.approx(np.log(2), abs=1e-6)
    with pytest.raises(ValueError, match="collapsed"):
        posterior_spread(network, certain[[0, 0]])


def test_augmented_images_are_flips_and_shifts_of_their_own(few: Split) -> None:
    """Every image is found among the 2 x 9 x 9 that there can be of it, and all kinds of them occur."""
    images = torch.from_numpy(few.images[:64].copy())
    found = augmented(images, private_generator("augment"), flips=True, shifts=4)
    assert found.shape == images.shape
    assert found.dtype == images.dtype
    kinds = set()
    for image, moved in zip(images, found, strict=True):
        candidates = {
            (flip, down, right): nn.functional.pad(image.flip(2) if flip else image, [4] * 4)[
                :, down : down + 28, right : right + 28
            ]
            for flip in (False, True)
            for down in range(9)
            for right in range(9)
        }
        matches = [kind for kind, candidate in candidates.items() if torch.equal(candidate, moved)]
        assert matches
        kinds.add(matches[0])
    assert {flip for flip, _, _ in kinds} == {False, True}
    assert len({down for _, down, _ in kinds}) > 5
    assert len({right for _, _, right in kinds}) > 5
    assert torch.equal(found, augmented(images, private_generator("augment"), flips=True, shifts=4))
    assert augmented(images, private_generator("augment"), flips=False, shifts=0) is images


def test_means_begin_at_the_trained_twins_weights() -> None:
    twin, bayesian = build_network("3conv3fc", "mnist"), build_network("bayesian-3conv3fc", "mnist")
    start_at_means(bayesian, twin)
    x = torch.rand(2, 1, 28, 28, generator=private_generator("twin"))
    assert torch.equal(posterior_mean(bayesian).eval()(x), twin.eval()(x))
    with pytest.raises(ValueError, match=r"no layer fc1"):
        start_at_means(build_network("bayesian-lenet", "mnist"), _renamed(build_network("lenet", "mnist")))
    with pytest.raises(ValueError, match=r"layer conv1: other weights"):
        start_at_means(build_network("bayesian-lenet", "mnist"), build_network("lenet", "cifar10-jpeg"))


def _renamed(network: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name.replace("fc1", "other"), part) for name, part in network.named_children()))


def test_weights_are_halved_only_where_that_changes_no_accuracy(
    few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe("lenet", epochs=1, max_lr=3e-3, flips=True, shifts=2, precision="bfloat16")
    network, history = Training("mnist/test", recipe, few, tmp_path / "c.safetensors").run()
    for allowed, dtype in ((1.0, torch.float16), (-1.0, torch.float32)):
        monkeypatch.setattr("zoo.training.cards.HALF_MAY_COST", allowed)
        card = json.loads(write_entry("mnist/test", recipe, network, history, few, few, "", tmp_path).read_text())
        weights = load_file(tmp_path / "mnist" / "test.safetensors")
        assert {value.dtype for value in weights.values()} == {dtype}
        assert card["weights"]["dtype"] == str(dtype).removeprefix("torch.")
        network.load_state_dict(weights)
        prediction = ExpectedPrediction([network.eval()])
        hits = prediction(torch.from_numpy(few.images.copy()).float() / 255).argmax(1).numpy() == few.labels
        assert card["results"]["accuracy"] == pytest.approx(hits.mean())
