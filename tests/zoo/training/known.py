"""Regressions whose posteriors are known, for samplers by gradients of minibatches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.seeding import private_generator

Z = 4.5  # standard errors: a quantity is beyond them once in 150,000


def randn(*shape: int, of: str) -> Tensor:
    return torch.randn(shape, generator=private_generator("known", of), dtype=torch.float64)


@dataclass
class Regression:
    """Many copies of one regression, side by side in one vector of weights: independent chains at the price of one.

    x: (N, d). y: (N,). noise: standard deviation of a linear regression's; None for a logistic one, y in {0, 1}.
    Each copy has the images in an order of its own, so that it meets minibatches of its own.
    """

    x: Tensor
    y: Tensor
    prior: float
    noise: float | None = None
    copies: int = 200

    def __post_init__(self) -> None:
        generator = private_generator("orders")
        self.orders = torch.stack([torch.randperm(len(self.y), generator=generator) for _ in range(self.copies)])

    def gradient(self, weights: Tensor, index: Tensor) -> tuple[float, Tensor]:
        """Of U / N for every copy, by the formula."""
        w = weights.reshape(self.copies, -1)
        x, y = self.x[self.orders[:, index]], self.y[self.orders[:, index]]  # (copies, n, d), (copies, n)
        logits = (x @ w[:, :, None])[:, :, 0]
        wrong = logits.sigmoid() - y if self.noise is None else (logits - y) / self.noise**2
        of_data = (x * wrong[:, :, None]).mean(1)
        return float(wrong.square().mean()), (of_data + w / (self.prior**2 * len(self.y))).flatten()

    def starts(self, chains: int = 2) -> Tensor:
        return self.prior * randn(chains, self.copies * self.x.shape[1], of="starts")

    @property
    def precision(self) -> Tensor:
        """(d, d) of a linear regression's posterior."""
        return self.x.T @ self.x / self.noise**2 + torch.eye(self.x.shape[1]).double() / self.prior**2

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the posterior: in closed form, or by quadrature in two dimensions."""
        if self.noise is not None:
            covariance = torch.linalg.inv(self.precision)
            return covariance @ self.x.T @ self.y / self.noise**2, covariance
        axis = torch.linspace(-9, 9, 601, dtype=torch.float64)
        grid = torch.cartesian_prod(axis, axis)
        logits = grid @ self.x.T
        losses = torch.nn.functional.softplus(logits) - self.y * logits
        p = (-losses.sum(-1) - grid.square().sum(-1) / (2 * self.prior**2)).softmax(0)
        mean = p @ grid
        return mean, torch.einsum("g,gi,gj->ij", p, grid - mean, grid - mean)

    def assert_sampled(self, positions: Tensor, mean: Tensor, covariance: Tensor, bias: float = 0.0) -> None:
        """positions: (C, N, copies d). Mean and covariance within `Z` standard errors, which copies tell, and `bias`.

        bias: the share of the covariance by which a sampler may miss it, as its step size says.
        """
        # (chains x copies, N, d): independent of each other
        values = positions.unflatten(-1, (self.copies, -1)).transpose(1, 2).flatten(0, 1)
        centred = values - mean
        products = torch.einsum("cni,cnj->cnij", centred, centred)
        scale = covariance.diagonal().sqrt()
        for found, true, unit in ((values, mean, scale), (products, covariance, torch.outer(scale, scale))):
            averages = found.mean(1)
            error = averages.std(0) / len(averages) ** 0.5
            assert ((averages.mean(0) - true).abs() < Z * error + bias * unit).all(), "of another posterior"
            assert (error < 0.04 * unit).all(), "too few samples to say anything"


def linear(copies: int = 200, images: int = 24) -> Regression:
    """Three weights under N(0, 0.5^2), noise 0.7; correlated inputs, so that the posterior is no sphere."""
    x = randn(images, 3, of="x") @ (torch.eye(3).double() + 0.6 * randn(3, 3, of="mixing"))
    y = x @ torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64) + 0.7 * randn(images, of="noise")
    return Regression(x, y, 0.5, 0.7, copies)


def logistic(copies: int = 200) -> Regression:
    """Few and nearly separable examples, so that the posterior is skewed and a Gaussian would miss."""
    x = randn(8, 2, of="logistic")
    return Regression(x, (x.sum(-1) > 0).double(), 1.5, None, copies)
