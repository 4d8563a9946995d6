"""The density that samplers sample: that of a network's weights given labelled images, under a Gaussian prior."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

PASS = 1000  # images in a pass that needs no gradient


class LogPosterior:
    """log p(labels | images, w) + log p(w), up to a constant, of the weights of a network: see `samplers.hmc.Target`.

    network: images -> logits. images: (N, C, H, W) in [0, 1]. labels: (N,). prior: standard deviation of N(0, prior^2)
    on every weight and bias; infinite for none.
    Raises ValueError for a network whose state is not all parameters: running statistics have no posterior.
    """

    def __init__(self, network: nn.Module, images: Tensor, labels: Tensor, prior: float) -> None:
        self.network, self.images, self.labels, self.prior = network, images, labels, prior
        self.shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
        if further := [name for name in network.state_dict() if name not in self.shapes]:
            raise ValueError(
                f"{', '.join(further[:3])} of the network are no weights: a posterior is sampled of networks without "
                "batch normalisation or other running statistics"
            )

    @property
    def size(self) -> int:
        """D, how many weights there are."""
        return sum(shape.numel() for shape in self.shapes.values())

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """(C, D) -> (C,) float64, (C, D)."""
        log_density, gradients = [], []
        for position in positions:
            leaf = position.detach().requires_grad_()
            with torch.enable_grad():
                loss = self._loss(leaf, self.images, self.labels)
            (gradient,) = torch.autograd.grad(loss, leaf)
            log_density.append(self._log_prior(position) - loss.detach().double())
            gradients.append(-gradient - position / self.prior**2)
        return torch.stack(log_density), torch.stack(gradients)

    def of_batch(self, position: Tensor, index: Tensor) -> tuple[float, Tensor]:
        """Mean negative log-likelihood of the images `index` (n,), and a gradient (D,).

        The gradient is that of U / N, the energy U = -log density an image, with these n images in the place of all: it
        is right in expectation over a random choice of them.
        """
        leaf = position.detach().requires_grad_()
        with torch.enable_grad():
            loss = self._loss(leaf, self.images[index], self.labels[index]) / len(index)
        (gradient,) = torch.autograd.grad(loss, leaf)
        return float(loss.detach()), gradient + position / (self.prior**2 * len(self.labels))

    @torch.no_grad()
    def log_density(self, positions: Tensor) -> Tensor:
        """(..., D) -> (...) float64, without a gradient."""
        flat = positions.reshape(-1, positions.shape[-1])
        found = []
        for position in flat:
            parts = zip(self.images.split(PASS), self.labels.split(PASS), strict=True)
            losses = [self._loss(position, images, labels).double() for images, labels in parts]
            found.append(self._log_prior(position) - torch.stack(losses).sum())
        return torch.stack(found).reshape(positions.shape[:-1])

    def named(self, positions: Tensor) -> dict[str, Tensor]:
        """(..., D) -> parameters (..., *shape) by their names."""
        parts = positions.split([shape.numel() for shape in self.shapes.values()], -1)
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.unflatten(-1, shape) for (name, shape), part in named}

    def flat(self, network: nn.Module) -> Tensor:
        """(D,) weights of a network of this architecture. Raises ValueError for one of another."""
        own = {name: parameter.shape for name, parameter in network.named_parameters()}
        if own != self.shapes:
            raise ValueError("the network to begin at has other weights than the architecture that is sampled")
        return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])

    def _loss(self, position: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        logits = functional_call(self.network, self.named(position), (images,))
        return F.cross_entropy(logits, labels, reduction="sum")

    def _log_prior(self, position: Tensor) -> Tensor:
        if math.isinf(self.prior):
            return torch.zeros((), dtype=torch.float64)
        # in float64: the prior's sum over all weights is large, and what matters is how little it changes
        return -position.double().square().sum() / (2 * self.prior**2)
