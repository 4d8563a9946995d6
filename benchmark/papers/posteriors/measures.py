"""What a network of the study is without an attack: how good, how calibrated, how wide, and how large its gradients."""

from __future__ import annotations

from typing import NamedTuple

import torch

from benchmark.papers.posteriors.outcomes import NORM_OF
from benchmark.statistics import expected_calibration_error
from zoo import ZooEntry
from zoo.combine import answered, expected
from zoo.datasets import Split
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed
from zoo.uncertainty import entropies

GRADIENT_DRAWS = (1, 2, 4, 8, 16, 32, 64)
GRADIENT_IMAGES = 200


class Measures(NamedTuple):
    """On test images: shares, nats, nats; and by number of draws the mean l2 norm of the gradient of the loss.

    limit: that norm without what a finite number of draws adds to it: the root of the product of the gradients of both
        halves of the members, image by image. None for one network.
    """

    members: int
    accuracy: float
    negative_log_likelihood: float
    calibration_error: float
    mutual_information: float
    norms: dict[int, float]
    limit: float | None

    @property
    def fields(self) -> dict[str, float | None]:
        """Flat, for a table."""
        fields = self._asdict()
        return {**{f"{NORM_OF}{n}": norm for n, norm in fields.pop("norms").items()}, **fields}


def measures_of(entry: ZooEntry, test: Split) -> Measures:
    """Of a network and the test split of its data set."""
    _, posterior = entry.load()
    members = posterior.draws(posterior.size or 1, 0)
    prediction = ExpectedPrediction(members)
    images, labels = test.pixels(), torch.from_numpy(test.labels.copy())
    logits = prediction.logits_in_batches(images)
    log_p = expected(logits)
    right = answered(log_p, labels) == labels
    x, y = test.sample(GRADIENT_IMAGES, "gradients")
    counts = [draws for draws in GRADIENT_DRAWS if draws < len(members)] + [len(members)]
    # members of a chain that are neighbours are alike: of few draws those that are far apart
    order = torch.randperm(len(members), generator=torch.Generator().manual_seed(derive_seed("order"))).tolist()
    gradients = {n: _gradient([members[i] for i in order[:n]], x, y) for n in counts}
    halves = [_gradient(half, x, y) for half in (members[: len(members) // 2], members[len(members) // 2 :]) if half]
    product = None if len(halves) < 2 else (halves[0] * halves[1]).flatten(1).sum(1).clamp_min(0).sqrt().mean()
    return Measures(
        len(members),
        float(right.double().mean()),
        float(-log_p.gather(-1, labels[:, None]).double().mean()),
        expected_calibration_error(log_p.max(-1).values.exp().numpy(), right.numpy()),
        float(entropies(logits.log_softmax(-1)).mutual_information.mean()),
        {n: float(gradient.flatten(1).norm(dim=1).mean()) for n, gradient in gradients.items()},
        None if product is None else float(product),
    )


def _gradient(members: list[torch.nn.Module], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) of the loss of the members' average."""
    return ExpectedPrediction(members).value_and_gradient(x, y)[1]
