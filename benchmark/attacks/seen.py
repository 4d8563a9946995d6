"""The best of the images that an attack looked at, by the attacker's prediction.

What a library returns is the image it ended with, or its own choice among them; of an attack that looks for the
nearest adversarial image, foolbox returns what was adversarial a step ago, or the image itself. Here every image that
the attack asked the prediction about is a candidate, as long as a whole batch was asked about.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.attacks.balls import ROUNDING, distances, in_box, within
from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel

CLEAR = 1e-5  # a margin of log-probabilities that is beyond rounding
BEYOND = (0.0, 1e-4, 1e-3, 1e-2)


class Spent(Exception):  # noqa: N818 - no error: an attack without gradients ends so
    """An attack has asked as often as it may."""


class NearestSeen(nn.Module):
    """A model that keeps, for each image, the nearest one of another label that it was asked about.

    model: images to log-probabilities. x, y: the images (B, C, H, W) and their labels (B,).
    queries: after so many batches it raises `Spent`; None for no end.
    images: (B, C, H, W), the image itself where nothing was found. distance: (B,), there infinite.
    """

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, norm: Norm, queries: int | None = None) -> None:
        super().__init__()
        self.model, self.x, self.y, self.norm, self.queries = model, x, y, norm, queries
        self.images, self.distance = x.clone(), x.new_full((len(x),), torch.inf, dtype=torch.float64)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        if self.queries is not None:
            if not self.queries:
                raise Spent
            self.queries -= 1
        output: Tensor = self.model(images)
        if len(images) == len(self.x):
            self._see(images.detach(), output.detach())
        return output

    def _see(self, images: Tensor, output: Tensor) -> None:
        distance = distances(self.x, images, self.norm)
        nearer = (output.argmax(1) != self.y) & (distance < self.distance) & in_box(images)
        if nearer.any():
            self.images[nearer], self.distance[nearer] = images[nearer].clamp(0, 1), distance[nearer]

    @torch.no_grad()
    def settle(self) -> None:
        """Move what was found off the boundary, by up to a hundredth of its distance.

        An attack that follows the boundary ends on it, where an image is of either label, by the rounding of a batch.
        """
        unclear, found, step = self.distance.isfinite(), self.images, self.images - self.x
        for beyond in BEYOND:
            if not unclear.any():
                break
            candidate = (self.x + (1 + beyond) * step).clamp(0, 1) if beyond else found
            output, label = self.model(candidate), self.y[:, None]
            margin = (output.scatter(1, label, -torch.inf).amax(1, keepdim=True) - output.gather(1, label))[:, 0]
            clear = unclear & (margin > CLEAR)
            self.images = torch.where(clear.view(-1, *[1] * (step.ndim - 1)), candidate, self.images)
            unclear = unclear & ~clear
        moved = self.distance.isfinite()
        self.distance[moved] = distances(self.x, self.images, self.norm)[moved]

    def inside(self, eps: float) -> Tensor:
        """(B, C, H, W): what was found, brought into the ball where it is farther away than `eps`.

        There it is adversarial no longer, or only to another judge: as near as the attack came.
        """
        far = (self.distance > eps).view(-1, *[1] * (self.x.ndim - 1))
        return torch.where(far, within(self.images, self.x, ThreatModel(self.norm, eps)), self.images)


class WorstSeen:
    """Keeps, for each image, the one that hurts the attacker's prediction most of those that lie in the ball and box.

    One that is misclassified hurts more than any that is not, and of two of a kind the one whose label has less
    probability; of equal ones the later. towards: whether the labels are those that the attack drives the images to, so
    that more probability is better. images: (B, C, H, W).
    """

    def __init__(self, x: Tensor, y: Tensor, threat: ThreatModel, towards: bool = False) -> None:
        self.x, self.y, self.threat, self.towards = x, y, threat, towards
        self.images = x.clone()
        self._broken = torch.zeros_like(y, dtype=torch.bool)
        self._gain = x.new_full((len(x),), -torch.inf)

    def see(self, images: Tensor, output: Tensor) -> None:
        """Take images (B, C, H, W) and their log-probabilities (B, K) into account."""
        gain = output.gather(1, self.y[:, None])[:, 0] * (1 if self.towards else -1)
        broken = (output.argmax(1) == self.y) == self.towards
        inside = distances(self.x, images, self.threat.norm) <= self.threat.eps + ROUNDING
        better = (broken & ~self._broken) | ((broken == self._broken) & (gain >= self._gain))
        better &= inside & in_box(images)
        self.images[better], self._gain[better] = images[better], gain[better].to(self._gain)
        self._broken |= better & broken
