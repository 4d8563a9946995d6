"""An entry that is sampled, and one trained to the maximum of the same posterior: of few images, in little time."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.catalogue.recipes import Recipe
from zoo.catalogue.samplers import Hmc
from zoo.datasets import Split, load_split
from zoo.networks import build_network
from zoo.posteriors import posterior_of
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed, forked_random_state, private_generator
from zoo.training.cards import recipe_of, write_entry
from zoo.training.figures import conclusion, convergence
from zoo.training.full_batch import FullBatch
from zoo.training.log_posterior import LogPosterior
from zoo.training.loop import Training, checkpoint_path
from zoo.training.samplers.hmc import Samples, Settings, Target, leapfrog, sample
from zoo.training.sampling import Sampling, thinned
from zoo.training.subset import divided

RECIPE = Recipe(
    "mlp-50",
    epochs=20,
    max_lr=0.02,
    batch_size=60,
    prior=0.3,
    images=60,
    sampler=Hmc(chains=2, burn_in=8, every=2, keep=4),
)
MAP = dataclasses.replace(RECIPE, sampler=None, epochs=2, max_lr=1.0, optimizer="l-bfgs")


@pytest.fixture(scope="module")
def few() -> Split:
    """300 MNIST images in the role of a training split."""
    test = load_split("mnist", "test")
    return dataclasses.replace(test, name="train", images=test.images[:300], labels=test.labels[:300])


@pytest.fixture(scope="module")
def sampling(few: Split, tmp_path_factory: pytest.TempPathFactory) -> Sampling:
    done = Sampling("mnist/test", RECIPE, few, tmp_path_factory.mktemp("sampling") / "c.safetensors")
    done.run()
    return done


def test_the_log_posterior_is_that_of_categorical_labels_and_a_gaussian_prior() -> None:
    """Value and gradient, in float64, up to the constant that differences of it do not have."""
    with forked_random_state(0):
        network = build_network("mlp-50", "mnist").double()
    x = torch.rand(5, 1, 28, 28, generator=private_generator("log posterior"), dtype=torch.float64)
    labels = torch.tensor([3, 1, 4, 1, 5])
    target = LogPosterior(network, x, labels, 0.3)
    prior = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 0.3)
    positions = 0.1 * torch.randn(2, 39_760, generator=private_generator("positions"), dtype=torch.float64)
    found, gradient = target(positions)
    logs = []
    for position, row in zip(positions, gradient, strict=True):
        nn.utils.vector_to_parameters(position, network.parameters())
        network.zero_grad()
        log_likelihood = network(x).log_softmax(-1)[range(5), labels].sum()
        values = list(network.parameters())
        log_prior = sum(prior.log_prob(value).sum() for value in values)
        (log_likelihood + log_prior).backward()
        assert torch.allclose(torch.cat([value.grad.flatten() for value in values]), row, rtol=1e-8, atol=1e-10)
        logs.append((log_likelihood + log_prior).item())
    assert float(found[0] - found[1]) == pytest.approx(logs[0] - logs[1], rel=1e-9)


def test_a_sampling_keeps_all_samples_and_makes_a_network_of_some(sampling: Sampling, few: Split) -> None:
    network, history = sampling.run()  # from its checkpoint: nothing is left to do
    assert [row["epoch"] for row in history] == list(range(1, 21))
    every = load_file(sampling.samples_path)
    assert {name: tuple(value.shape) for name, value in every.items()} == {
        "fc1.weight": (12, 50, 784),
        "fc1.bias": (12, 50),
        "fc2.weight": (12, 10, 50),
        "fc2.bias": (12, 10),
    }
    with safe_open(sampling.samples_path, "pt") as file:
        assert file.metadata() == {"chains": "2"}
    kept = [2, 5, 8, 11]  # of six samples of each of two chains
    for name, value in network.state_dict().items():
        assert torch.equal(value, every[name][kept]), name
    assert posterior_of(network).what == "Monte-Carlo samples of its posterior (4)"
    positions = sampling.made.draws.positions
    assert torch.equal(every["fc1.weight"].flatten(1), positions.flatten(0, 1)[:, : 50 * 784])


def test_a_killed_sampling_goes_on(
    sampling: Sampling, few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.safetensors"

    def dying(target: Target, starts: Tensor, settings: Settings, checkpoint: Path, _tell: object, of: str) -> Samples:
        def die(samples: Samples) -> None:
            if samples.done == 12:
                raise KeyboardInterrupt

        return sample(target, starts, settings, checkpoint, die, of)

    with monkeypatch.context() as patch:
        patch.setattr("zoo.training.samplers.hmc.sample", dying)
        with pytest.raises(KeyboardInterrupt):
            Sampling("mnist/test", RECIPE, few, path).run()
    with safe_open(path, "pt") as file:
        assert file.metadata()["done"] == "10"
    resumed = Sampling("mnist/test", RECIPE, few, path)
    resumed.run()
    assert torch.equal(resumed.made.draws.positions, sampling.made.draws.positions)


def test_chains_that_have_not_mixed_are_lengthened(
    sampling: Sampling, few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More iterations of the same recipe, and more samples kept, go on from what there is."""
    shorter = dataclasses.replace(RECIPE, epochs=14, sampler=Hmc(chains=2, burn_in=8, every=2, keep=2))
    path = checkpoint_path(tmp_path, "mnist/test", shorter, few)
    assert path == checkpoint_path(tmp_path, "mnist/test", RECIPE, few)
    other = dataclasses.replace(RECIPE, sampler=Hmc(chains=2, burn_in=6, every=2, keep=4))
    assert path != checkpoint_path(tmp_path, "mnist/test", other, few)
    Sampling("mnist/test", shorter, few, path).run()
    longer, iterations = Sampling("mnist/test", RECIPE, few, path), []

    def counted(*args: Any) -> Any:
        iterations.append(args)
        return leapfrog(*args)

    monkeypatch.setattr("zoo.training.samplers.hmc.leapfrog", counted)
    longer.run()
    assert len(iterations) == 6
    assert torch.equal(longer.made.draws.positions, sampling.made.draws.positions)


def test_the_card_says_how_the_chains_went(sampling: Sampling, few: Split, tmp_path: Path) -> None:
    network, history = sampling.run()
    figures = sampling.figures(few)
    assert (figures["chains"], figures["burn_in"], figures["samples"], figures["kept"]) == (2, 8, 12, 4)
    after = [row["acceptance"] for row in history[8:]]
    assert figures["acceptance"] == pytest.approx(sum(after) / len(after), abs=1e-4)
    assert figures["leapfrogs"] == round(0.15 * math.pi / figures["step_size"])
    images = torch.from_numpy(few.images.copy()).float() / 255
    logits = []
    for position in sampling.made.draws.positions.flatten(0, 1):
        nn.utils.vector_to_parameters(position, sampling.made.target.network.parameters())
        with torch.no_grad():
            logits.append(sampling.made.target.network(images))
    predicted = torch.stack(logits).softmax(-1).mean(0).argmax(-1).numpy()
    assert figures["accuracy_of_all_samples"] == pytest.approx((predicted == few.labels).mean())
    path = write_entry("mnist/test", RECIPE, network, history, few, few, "", tmp_path, figures)
    card = json.loads(path.read_text())
    assert recipe_of(card) == RECIPE
    assert card["sampling"] == figures
    results = card["results"]
    assert list(results["accuracy_by_draws"]) == list(results["gradient_norm_by_draws"]) == ["1", "2", "4"]
    assert results["draws"] == 4
    assert results["accuracy_by_draws"]["4"] == results["accuracy"]
    # the first n are the n members that are drawn under the card's seed
    network.load_state_dict(load_file(path.with_suffix(".safetensors")))
    for draws in (1, 2, 4):
        prediction = ExpectedPrediction.of(network, draws, derive_seed("card", 0))
        hits = (prediction(images).argmax(-1).numpy() == few.labels).mean()
        assert results["accuracy_by_draws"][str(draws)] == pytest.approx(hits)
    stack = network.state_dict()["fc2.weight"]
    spread = float(stack.std(0).mean() / stack.mean(0).abs().mean())
    assert results["posterior"]["sigma_over_abs_mu"]["fc2"] == pytest.approx(spread, abs=1e-3)
    assert list(results["posterior"]["sigma_over_abs_mu"]) == ["fc1", "fc2"]


def test_a_network_that_is_trained_is_not_sampled(few: Split, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mnist/test is trained, not sampled"):
        Sampling("mnist/test", MAP, few, tmp_path / "c.safetensors")


def test_the_maximum_a_posteriori_has_no_gradient_left(few: Split, tmp_path: Path) -> None:
    """The gradient of the log posterior that HMC samples, at what training under the prior ends with."""
    training = FullBatch("mnist/test", MAP, few, tmp_path / "c.safetensors")
    network, history = training.run()
    images, labels = training.train
    assert len(labels) == 60
    target = LogPosterior(network, images.float() / 255, labels, 0.3)
    position = nn.utils.parameters_to_vector(network.parameters()).detach()
    start = 0.1 * torch.randn(len(position), generator=private_generator("start"))
    (log_density, at_start), gradient = target(torch.stack([position, start]))
    assert log_density > at_start
    assert gradient[0].norm() < 1e-4 * gradient[1].norm()
    assert history[-1]["gradient norm"] < 1e-5
    loss = F.cross_entropy(network(images.float() / 255), labels).item()
    by_hand = loss + float(position.square().sum()) / (2 * 0.3**2 * 60)
    assert history[-1]["loss"] == pytest.approx(by_hand, rel=1e-3)


def test_a_killed_full_batch_training_ends_with_the_same_weights(
    few: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.training.full_batch.ITERATIONS", 15)
    recipe = dataclasses.replace(MAP, epochs=1)
    whole, _ = FullBatch("mnist/test", MAP, few, tmp_path / "whole.safetensors").run()
    path = tmp_path / "killed.safetensors"
    FullBatch("mnist/test", recipe, few, path).run()
    resumed = FullBatch("mnist/test", MAP, few, path)
    assert len(resumed.history) == 1
    network, _ = resumed.run()
    for name, value in whole.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name


def test_minibatches_have_their_share_of_the_prior(few: Split, tmp_path: Path) -> None:
    """The loss of a full batch before its step is the negative log posterior an image."""
    recipe = dataclasses.replace(MAP, optimizer="adam", epochs=1, max_lr=1e-3)
    training = Training("mnist/test", recipe, few, tmp_path / "c.safetensors")
    with torch.no_grad():
        images, labels = training.train
        loss = F.cross_entropy(training.network(images.float() / 255), labels).item()
        squares = sum(value.square().sum().item() for value in training.network.parameters())
    _, (row,) = training.run()
    assert row["loss"] == pytest.approx(loss + squares / (2 * 0.3**2 * 60), rel=1e-5)


def test_fewer_images_are_among_more_and_none_is_held_out(few: Split) -> None:
    def seen(images: int | None) -> set[bytes]:
        return {image.numpy().tobytes() for image in divided(few, images).images}

    held_out = {image.tobytes() for image in divided(few, 60).held_out.images}
    assert (len(seen(30)), len(seen(60)), len(seen(None)), len(held_out)) == (30, 60, 270, 30)
    assert seen(30) < seen(60) < seen(None)
    assert not seen(None) & held_out
    with pytest.raises(ValueError, match="mnist has 270 images to train on; 271 are too many"):
        divided(few, 271)


def test_thinned_samples_are_evenly_spaced_in_each_chain() -> None:
    positions = torch.arange(20.0).reshape(2, 10, 1)
    assert thinned(positions, 5).flatten().tolist() == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    assert thinned(positions, 3).flatten().tolist() == [2, 5, 9, 12, 15, 19]


def test_what_has_not_converged_is_called_so() -> None:
    values = torch.randn(4, 2000, 20, generator=private_generator("converged"), dtype=torch.float64)
    good = convergence(values)
    assert conclusion(good, good) == "converged: split R-hat is below 1.01 for all 20 test log-probabilities"
    assert good["split_rhat_max"] < 1.01
    assert good["ess_median"] == pytest.approx(8000, rel=0.1)
    values[1, :, 0] += 3
    bad = convergence(values)
    assert conclusion(bad, good).startswith("not converged by split R-hat < 1.01 everywhere: 5.0 % of the test")
    assert "0.0 % of as many independent draws" in conclusion(bad, good)
    assert bad["share_of_split_rhat_from_1.01"] == bad["share_of_split_rhat_from_1.05"] == pytest.approx(1 / 20)
    assert bad["ess_min"] < 20 < bad["ess_median"]
    still = convergence(torch.arange(2.0)[:, None, None].expand(2, 4, 3))
    assert (still["split_rhat_max"], still["split_rhat_median"]) == (1000, 1000), "infinite, which JSON does not know"
