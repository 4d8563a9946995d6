"""How near a propagated prediction is to the average over many posterior draws, and what it costs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.catalogue.entry import ZooEntry
from zoo.combine import answered
from zoo.datasets import load_split
from zoo.posteriors import posterior_draws
from zoo.prediction.expected import ExpectedPrediction
from zoo.propagation.moments import Moments, Sampled, log_softmax_logistic, log_softmax_normal, log_softmax_simplified
from zoo.propagation.network import PropagatedNetwork
from zoo.seeding import derive_seed
from zoo.targets import Gradient

AT_ONCE = 64  # draws
ROUNDS = 5
SOFTMAXES: dict[str, Callable[[Moments], Tensor]] = {
    "propagation, logistic softmax": log_softmax_logistic,
    "propagation, normal softmax": log_softmax_normal,
    "propagation, simplified softmax": log_softmax_simplified,
}


def propagation_study(
    entry: ZooEntry, examples: int = 200, draws: int = 4096, root: Path | None = None, download: bool = False
) -> pd.DataFrame:
    """A row for each way to the expected prediction, compared with the average over many draws on random test images.

    KL from the many draws' average in nats, accuracy, times beside those of one network (AP1); for propagation (AP2)
    also the logits' error, by the measures of Shekhovtsov and Flach 2018, tables 2 and 3: that of the mean in standard
    deviations, and of the standard deviation as a factor (geometric mean).

    Raises ValueError for a deterministic entry and for layers that no rule propagates moments through.
    """
    if entry.is_deterministic:
        raise ValueError(f"{entry.name} is one network: there is nothing to propagate")
    split = load_split(entry.dataset, "test", root, download)
    x, y = split.sample(examples, "propagation images")

    with torch.no_grad():
        of_moments = Moments(*(part.double() for part in PropagatedNetwork(entry.build()).logits(x)))
    sampled, log_p = _of_many_draws(entry, x, draws)
    predictions = {name: softmax(of_moments) for name, softmax in SOFTMAXES.items()}
    few = {"mean-weights": entry.predictor(1, 0, Gradient("mean-weights"))}
    few |= {f"{n} draws": entry.predictor(n, derive_seed("propagation few", entry.name)) for n in (1, 8, 16)}
    with torch.no_grad():
        predictions |= {name: prediction(x).double() for name, prediction in few.items()}
    predictions[f"{draws} draws"] = log_p
    costs = _times(
        {**few, "propagation, logistic softmax": entry.predictor(1, 0, Gradient("propagation"))}, x[:100], y[:100]
    )
    rows = [
        {
            "prediction": name,
            "KL, nats": float(F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)),
            "accuracy": float((answered(log_q, y) == y).float().mean()),
            **{kind: spent.get(name, math.nan) / spent["mean-weights"] for kind, spent in costs.items()},
        }
        for name, log_q in predictions.items()
    ]
    sigma = sampled.variance.sqrt()
    rows[0] |= {
        "error of logits' mean": float((of_moments.mean - sampled.mean).abs().mean() / sigma.mean()),
        "factor of their sigma": float((of_moments.variance.sqrt() / sigma).log().mean().exp()),
    }
    return pd.DataFrame(rows)


def _of_many_draws(entry: ZooEntry, x: Tensor, draws: int) -> tuple[Moments, Tensor]:
    """Moments of the logits, and the log of the averaged softmax, (N, K) in float64, over a stream of draws."""
    sampled, parts = Sampled(), []
    for prediction in _in_parts(entry, draws):
        with torch.no_grad():
            logits = prediction.logits(x).double()
        sampled.add(logits)
        parts.append(logits.log_softmax(-1).logsumexp(0))
    return sampled.moments(), torch.stack(parts).logsumexp(0) - math.log(draws)


def _in_parts(entry: ZooEntry, draws: int) -> Iterator[ExpectedPrediction]:
    network = entry.build()
    for start in range(0, draws, AT_ONCE):
        count = min(AT_ONCE, draws - start)
        networks = posterior_draws(network, count, derive_seed("propagation many", entry.name, start))
        yield ExpectedPrediction(networks)


def _times(predictions: dict[str, ExpectedPrediction], x: Tensor, y: Tensor) -> dict[str, dict[str, float]]:
    """Median seconds of a prediction and of a gradient at a batch, by what is timed and by prediction, in turns."""

    def predict(prediction: ExpectedPrediction) -> None:
        with torch.no_grad():
            prediction(x)

    def differentiate(prediction: ExpectedPrediction) -> None:
        prediction.value_and_gradient(x, y)

    medians = {}
    for kind, work in (("time of a prediction", predict), ("time of a gradient", differentiate)):
        spent: dict[str, list[float]] = {name: [] for name in predictions}
        for _ in range(ROUNDS + 1):
            for name, prediction in predictions.items():
                began = time.perf_counter()
                work(prediction)
                spent[name].append(time.perf_counter() - began)
        # the first is warming up
        medians[f"{kind}, one network = 1"] = {name: sorted(times[1:])[ROUNDS // 2] for name, times in spent.items()}
    return medians
