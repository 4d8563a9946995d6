"""Weights and the model card beside them: written once, after training, and read wherever the entry is used."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from scipy.stats import binomtest
from torch import Tensor, nn

from zoo.bounds import certified
from zoo.catalogue.entries import WEIGHTS
from zoo.catalogue.entry import ZooEntry
from zoo.catalogue.recipes import NOTES, Adversarial, Certified, Recipe
from zoo.catalogue.registry import models
from zoo.catalogue.samplers import named_samplers
from zoo.combine import answered
from zoo.datasets import Split
from zoo.files import write_whole
from zoo.layers import bayesian_layers
from zoo.posteriors import Kind, Posterior, SampledNetwork, evident_posterior
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed
from zoo.targets import Gradient
from zoo.training.loop import adversarial_batch
from zoo.training.subset import HELD_OUT
from zoo.uncertainty import entropies

CARD_DRAWS, MOST_DRAWS = 64, 128
HISTORY = 100  # rows of a training on its card
GRADIENT_IMAGES = 200
CERTIFIED_IMAGES, CERTIFIED_DRAWS = 1000, 8
HALF_MAY_COST, HALF_DRAWS = 0.0005, 8  # of accuracy over these draws: half precision is kept if it changes no more


def write_entry(
    name: str,
    recipe: Recipe,
    network: nn.Module,
    history: list[dict[str, float]],
    held_out: Split,
    test: Split,
    train_fingerprint: str,
    folder: Path | None = None,
    sampling: dict[str, Any] | None = None,
) -> Path:
    """Write `<folder>/<name>.safetensors` and its card; the path of the card. Measured is what is written.

    held_out: part of the training split on which it is decided whether half precision will do.
    sampling: what there is to say of a network of samples; see `zoo.training.sampling`.
    Raises ValueError, and writes nothing, if the posterior of a Bayesian network has collapsed to a point.
    """
    full = {key: value.detach().contiguous().clone() for key, value in network.state_dict().items()}
    half = {key: value.half() for key, value in full.items()}
    exact = clean_accuracy(network, recipe, held_out)
    network.load_state_dict(half)  # which makes float32 of it again
    cost = exact - clean_accuracy(network, recipe, held_out)
    is_half = abs(cost) <= HALF_MAY_COST
    if not is_half:
        network.load_state_dict(full)
    content = save(half if is_half else full)
    card: dict[str, Any] = {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "weights": {"dtype": "float16" if is_half else "float32", "half_precision_costs": round(cost, 6)},
        "recipe": fields_of(recipe),
        **_note(name),
        "results": measure(network, recipe, test),
        **({} if sampling is None else {"sampling": sampling}),
        "training": {
            "held_out": HELD_OUT,
            "history": [history[index] for index in evenly(len(history), HISTORY)],
            "train_fingerprint": train_fingerprint,
            "test_fingerprint": test.fingerprint,
            "start_sha256": None if recipe.start_from is None else models[recipe.start_from].card.get("sha256"),
            "torch": version("torch"),
            "date": datetime.now(UTC).date().isoformat(),
        },
    }
    path = (folder or WEIGHTS) / f"{name}.safetensors"
    write_whole(path, content)
    return _write_card(path, card)


def measure_again(entry: ZooEntry, recipe: Recipe, test: Split) -> Path:
    """Measure the weights there are and rewrite the results on their card; the path of the card.

    Raises ValueError where the card is of another recipe or of other test images.
    """
    card = entry.card
    if entry.weights is None or not card:
        raise ValueError(f"{entry.name} has no model card to rewrite; train it: python -m zoo.train {entry.name}")
    if (found := card["training"]["test_fingerprint"]) != test.fingerprint:
        here = test.fingerprint
        raise ValueError(f"{entry.name}: its card is about other test images ({found[:12]}…, here {here[:12]}…)")
    if recipe_of(card) != recipe:
        raise ValueError(f"{entry.name}: its card has another recipe than zoo/catalogue/recipes.py; train it again")
    card.pop("note", None)
    card["recipe"] = fields_of(recipe)
    return _write_card(entry.weights, {**card, **_note(entry.name), "results": measure(entry.build(), recipe, test)})


def fields_of(recipe: Recipe) -> dict[str, Any]:
    """A recipe as it stands on a card; its sampler's settings under the sampler's name."""
    fields = dataclasses.asdict(recipe)
    if recipe.sampler is not None:
        fields["sampler"] = {type(recipe.sampler).__name__.lower(): fields["sampler"]}
    return fields


def recipe_of(card: dict[str, Any]) -> Recipe:
    """The recipe on a card; options that came later have their defaults."""
    fields = dict(card["recipe"])
    if fields.get("adversarial") is not None:
        fields["adversarial"] = Adversarial(**fields["adversarial"])
    if fields.get("certified") is not None:
        fields["certified"] = Certified(**fields["certified"])
    if "hmc" in fields:  # as it was called when there was no other sampler
        settings = fields.pop("hmc")
        fields["sampler"] = None if settings is None else {"hmc": settings}
    if fields.get("sampler") is not None:
        ((name, settings),) = fields["sampler"].items()
        fields["sampler"] = named_samplers()[name](**settings)
    return Recipe(**fields)


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the indices below `count`, evenly spaced, the last among them."""
    rows = min(count, most)
    return [(i + 1) * count // rows - 1 for i in range(rows)]


def _note(name: str) -> dict[str, str]:
    return {"note": NOTES[name]} if name in NOTES else {}


def _write_card(weights: Path, card: dict[str, Any]) -> Path:
    path = weights.with_suffix(".json")
    write_whole(path, (json.dumps(card, indent=2) + "\n").encode())
    return path


def measure(network: nn.Module, recipe: Recipe, test: Split) -> dict[str, Any]:
    """Test accuracy with its Wilson interval, what shows that a posterior is one, robustness where trained for."""
    posterior = evident_posterior(network)
    seed = derive_seed("card", recipe.seed)
    card_draws = posterior.size or CARD_DRAWS  # what consists of so many networks is all of them
    prediction = ExpectedPrediction.of(network, card_draws, seed, posterior=posterior)
    labels = torch.from_numpy(test.labels.copy())
    log_p = _log_probabilities(network, posterior, seed, test)  # (S, N, K)
    results: dict[str, Any] = accuracy(answered(log_p[:card_draws].logsumexp(0), labels), labels)
    if posterior.kind is not Kind.POINT:
        results["draws"] = card_draws
        results["accuracy_by_draws"] = {
            str(n): int((answered(log_p[:n].logsumexp(0), labels) == labels).sum()) / len(labels)
            for n in draw_counts(posterior, MOST_DRAWS)
        }
        results["posterior"] = posterior_spread(network, log_p[:card_draws])
        results["gradient_norm_by_draws"] = gradient_norms(network, recipe, test)
    if recipe.adversarial is not None:
        results["pgd40"] = _under_pgd40(prediction, recipe.adversarial, test)
    if recipe.certified is not None:
        results["certified"] = _certified(network, posterior, recipe.certified, seed, test)
    return results


def _under_pgd40(prediction: ExpectedPrediction, settings: Adversarial, test: Split) -> dict[str, Any]:
    """Accuracy under PGD with 40 steps at the eps that was trained for."""
    step_size, labels = min(0.01, settings.eps / 4), torch.from_numpy(test.labels.copy())
    attack = dataclasses.replace(settings, steps=40, step_ratio=40 * step_size / settings.eps)
    broken = [
        adversarial_batch(prediction, x, y, attack, 1.0, derive_seed("card attack", part))
        for part, (x, y) in enumerate(zip(test.pixels().split(500), labels.split(500), strict=True))
    ]
    with torch.no_grad():
        predicted = answered(torch.cat([prediction(part) for part in broken]), labels)
    told = {"eps": settings.eps, "step_size": round(step_size, 6), "library": "torchattacks"}
    return told | accuracy(predicted, labels)


def _certified(network: nn.Module, posterior: Posterior, settings: Certified, seed: int, test: Split) -> dict[str, Any]:
    """Share of images that intervals certify at the eps that was trained for, of the average of a few draws."""
    draws = posterior.size or CERTIFIED_DRAWS
    x, y = test.sample(CERTIFIED_IMAGES, "card images")
    leads = certified(posterior.draws(draws, seed), x, y, settings.eps, "linf", method="interval")
    return {"eps": settings.eps, "bounds": "interval", "draws": draws} | accuracy(
        (leads > 0).long(), torch.ones_like(y)
    )


def draw_counts(posterior: Posterior, most: int) -> list[int]:
    """1, 2, 4, ... up to `most`, or up to all the networks of which a posterior consists."""
    last = posterior.size or most
    return [*(2**k for k in range(last.bit_length()) if 2**k < last), last]


def _log_probabilities(network: nn.Module, posterior: Posterior, seed: int, test: Split) -> Tensor:
    """(S, N, K) of the draws, so ordered that the first n are what n draws are; of members all, at random."""
    if posterior.size is None or posterior.size == 1:
        many = ExpectedPrediction.of(network, MOST_DRAWS, seed, posterior=posterior)
        return many.logits_in_batches(test.pixels()).log_softmax(-1)
    order = torch.randperm(posterior.size, generator=torch.Generator().manual_seed(seed))
    every = ExpectedPrediction.of(network, posterior.size, seed, posterior=posterior)
    return every.logits_in_batches(test.pixels()).log_softmax(-1)[order]


def gradient_norms(network: nn.Module, recipe: Recipe, test: Split) -> dict[str, float]:
    """Mean l2 norm, at clean test images, of the gradient of the draws' mean loss, by the number of draws.

    By convexity it cannot rise, in expectation; whether it goes to zero is the question: it does for an infinitely wide
    network with its true posterior (Carbone et al. 2020, "Robustness of Bayesian Neural Networks to Gradient-Based
    Attacks", theorem 1).
    """
    x, y = test.sample(GRADIENT_IMAGES, "card images")
    norms = {}
    for draws in draw_counts(evident_posterior(network), CARD_DRAWS):
        prediction = ExpectedPrediction.of(network, draws, derive_seed("card", recipe.seed), Gradient("mean-loss"))
        _, gradient = prediction.value_and_gradient(x, y)
        norms[str(draws)] = float(f"{gradient.flatten(1).norm(dim=1).mean():.4g}")
    return norms


def clean_accuracy(network: nn.Module, recipe: Recipe, split: Split) -> float:
    """Accuracy over a few of the card's draws, or over all networks of which there is a number."""
    seed, posterior = derive_seed("card", recipe.seed), evident_posterior(network)
    prediction = ExpectedPrediction.of(network, posterior.size or HALF_DRAWS, seed, posterior=posterior)
    log_p, labels = prediction.logits_in_batches(split.pixels()).log_softmax(-1), torch.from_numpy(split.labels.copy())
    return float((answered(log_p.logsumexp(0), labels) == labels).float().mean())


def accuracy(predicted: Tensor, labels: Tensor) -> dict[str, Any]:
    """Accuracy with its Wilson 95 % interval and the number of images."""
    hits, count = int((predicted == labels).sum()), len(labels)
    interval = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return {
        "accuracy": hits / count,
        "interval": [round(interval.low, 5), round(interval.high, 5)],
        "examples": count,
    }


def posterior_spread(network: nn.Module, log_p: Tensor) -> dict[str, Any]:
    """Evidence that the posterior is not a point: sigma / |mu| per layer, mean mutual information in nats.

    log_p: (S, N, K). Of M samples mu and sigma are their mean and standard deviation: a weight whose true mean is 0 has
    sigma / |mu| of about sqrt(pi M / 2), the most that so many samples can show, which is said beside them.
    Raises ValueError if the mutual information is below 1e-5 nats.
    """
    information = float(entropies(log_p).mutual_information.mean())
    if information < 1e-5:
        raise ValueError(f"the posterior has collapsed: mutual information {information:.1e} nats on test images")
    ratios = {part: round(float((sigma.mean() / mu.abs().mean()).detach()), 4) for part, mu, sigma in _moments(network)}
    spread = {"sigma_over_abs_mu": ratios, "mutual_information_nats": round(information, 6)}
    if isinstance(network, SampledNetwork):
        spread["sigma_over_abs_mu_of_mean_0"] = round(math.sqrt(math.pi * network.size / 2), 4)
    return spread


def _moments(network: nn.Module) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, mean and standard deviation of the weights of every layer that has a posterior."""
    if isinstance(network, SampledNetwork):
        for name, stack in network.state_dict().items():
            part, _, kind = name.rpartition(".")
            if kind == "weight":
                yield part, stack.mean(0), stack.std(0)
    for part, layer in network.named_modules():
        if layer in bayesian_layers(network):
            yield part, *next(layer.posterior())
