"""Linear and convolutional layers with a mean-field Gaussian over every weight and bias.

The posterior is N(mu, softplus(rho)^2) per weight (Blundell et al. 2015, "Weight Uncertainty in Neural
Networks", section 3.2). A layer can be used in three ways:

* `forward(x)` samples: once for the batch (`sampling="weights"`) or once per example and location
  (`sampling="activations"`, the local reparameterisation of Kingma et al. 2015);
* `draw(generator)` returns an ordinary `nn.Linear` or `nn.Conv2d` holding one frozen draw;
* `mean()` returns the same with the posterior mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.layers.convolution import Conv2d, convolution

Sampling = Literal["weights", "activations"]


def gaussian_kl(mu_q: Tensor, sigma_q: Tensor, mu_p: float, sigma_p: float) -> Tensor:
    """KL(q || p) of independent Gaussians in closed form, summed over all elements: a scalar in nats.

    1/2 sum[2 log(sigma_p / sigma_q) - 1 + (sigma_q / sigma_p)^2 + ((mu_q - mu_p) / sigma_p)^2]
    """
    ratio = sigma_q / sigma_p
    return 0.5 * (-2 * ratio.log() - 1 + ratio.square() + ((mu_q - mu_p) / sigma_p).square()).sum()


class MeanFieldLayer(nn.Module, ABC):
    """What the linear and the convolutional layer share; `weight_shape` is that of the plain layer.

    prior_sigma: standard deviation of the zero-mean Gaussian prior.
    rho: initial value of rho, so that the initial sigma is softplus(rho).
    Raises ValueError for a sampling kind that does not exist or a prior that is not positive.
    """

    def __init__(
        self,
        weight_shape: tuple[int, ...],
        *,
        bias: bool = True,
        prior_sigma: float = 0.1,
        rho: float = -5.0,
        sampling: Sampling = "weights",
    ) -> None:
        super().__init__()
        if sampling not in ("weights", "activations"):
            raise ValueError(f"sampling is 'weights' or 'activations', not {sampling!r}")
        if not prior_sigma > 0:
            raise ValueError(f"prior_sigma must be positive, not {prior_sigma}")
        self.prior_sigma = prior_sigma
        self.sampling: Sampling = sampling
        self.generator: torch.Generator | None = None
        self.weight_mu = nn.Parameter(torch.empty(weight_shape))
        self.weight_rho = nn.Parameter(torch.full(weight_shape, float(rho)))
        self.bias_mu = nn.Parameter(torch.zeros(weight_shape[0])) if bias else None
        self.bias_rho = nn.Parameter(torch.full((weight_shape[0],), float(rho))) if bias else None
        nn.init.kaiming_normal_(self.weight_mu)

    @abstractmethod
    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's linear map with the given weights."""

    @abstractmethod
    def empty_plain(self) -> nn.Linear | nn.Conv2d:
        """The standard layer of the same shape with uninitialised weights."""

    def posterior(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(mu, sigma) of the weight and, where there is one, of the bias."""
        yield self.weight_mu, F.softplus(self.weight_rho)
        if self.bias_mu is not None and self.bias_rho is not None:
            yield self.bias_mu, F.softplus(self.bias_rho)

    def kl(self) -> Tensor:
        """KL(posterior || prior) of all weights and biases, exact, in nats (a scalar)."""
        return torch.stack([gaussian_kl(mu, sigma, 0.0, self.prior_sigma) for mu, sigma in self.posterior()]).sum()

    def forward(self, x: Tensor) -> Tensor:
        if self.sampling == "weights":
            return self.affine(x, *self._pair([mu + sigma * self._noise(mu) for mu, sigma in self.posterior()]))
        mean = self.affine(x, self.weight_mu, self.bias_mu)
        variance = self.affine(x.square(), *self._pair([sigma.square() for _, sigma in self.posterior()]))
        # The floor only matters without a bias, where an all-zero patch has variance 0 and sqrt' is infinite.
        return mean + variance.clamp_min(1e-16).sqrt() * self._noise(mean)

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> nn.Linear | nn.Conv2d:
        """One posterior draw as a plain layer; `generator` is a CPU generator and advances."""
        noise = [torch.randn(mu.shape, generator=generator, dtype=mu.dtype) for mu, _ in self.posterior()]
        drawn = [mu + sigma * e.to(mu.device) for (mu, sigma), e in zip(self.posterior(), noise, strict=True)]
        return self._plain(drawn)

    @torch.no_grad()
    def mean(self) -> nn.Linear | nn.Conv2d:
        """The plain layer with the posterior mean as its weights."""
        return self._plain([mu.clone() for mu, _ in self.posterior()])

    def _plain(self, values: list[Tensor]) -> nn.Linear | nn.Conv2d:
        layer = self.empty_plain().to(dtype=self.weight_mu.dtype)
        weight, bias = self._pair(values)
        layer.weight = nn.Parameter(weight, requires_grad=False)
        layer.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        return layer

    @staticmethod
    def _pair(values: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        return values[0], values[1] if len(values) > 1 else None

    def _noise(self, like: Tensor) -> Tensor:
        if self.generator is None:
            raise RuntimeError(
                f"{type(self).__name__} samples from a private generator and has none: call "
                "zoo.layers.use_generator(network, generator) before a stochastic forward pass"
            )
        noise = torch.randn(like.shape, generator=self.generator, dtype=like.dtype, device=self.generator.device)
        return noise.to(like.device)


class BayesianLinear(MeanFieldLayer):
    """Mean-field `nn.Linear`: (..., in_features) -> (..., out_features). Options of `MeanFieldLayer`."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        prior_sigma: float = 0.1,
        rho: float = -5.0,
        sampling: Sampling = "weights",
    ) -> None:
        super().__init__((out_features, in_features), bias=bias, prior_sigma=prior_sigma, rho=rho, sampling=sampling)
        self.in_features, self.out_features = in_features, out_features

    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias)

    def empty_plain(self) -> nn.Linear:
        # skip_init: the standard constructor would draw from the global random state
        layer: nn.Linear = nn.utils.skip_init(nn.Linear, self.in_features, self.out_features)
        return layer

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, prior_sigma={self.prior_sigma}, sampling={self.sampling}"


class BayesianConv2d(MeanFieldLayer):
    """Mean-field `nn.Conv2d`: (B, C, H, W) -> (B, C', H', W'). Options of `MeanFieldLayer`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        *,
        prior_sigma: float = 0.1,
        rho: float = -5.0,
        sampling: Sampling = "weights",
    ) -> None:
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        super().__init__(shape, bias=bias, prior_sigma=prior_sigma, rho=rho, sampling=sampling)
        self.stride, self.padding = stride, padding

    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return convolution(x, weight, bias, (self.stride, self.stride), (self.padding, self.padding))

    def empty_plain(self) -> Conv2d:
        out_channels, in_channels, kernel_size, _ = self.weight_mu.shape
        layer: Conv2d = nn.utils.skip_init(
            Conv2d, in_channels, out_channels, kernel_size, stride=self.stride, padding=self.padding
        )
        return layer

    def extra_repr(self) -> str:
        shape = tuple(self.weight_mu.shape)
        return f"{shape}, stride={self.stride}, padding={self.padding}, sampling={self.sampling}"


def bayesian_layers(module: nn.Module) -> list[MeanFieldLayer]:
    """All mean-field layers of a network, in the order of `module.modules()`."""
    return [layer for layer in module.modules() if isinstance(layer, MeanFieldLayer)]


def kl_divergence(module: nn.Module) -> Tensor:
    """Sum of the layers' KL(posterior || prior) in nats. Raises ValueError if there is no such layer."""
    layers = bayesian_layers(module)
    if not layers:
        raise ValueError(f"{type(module).__name__} has no mean-field layer, so its KL is not defined")
    return torch.stack([layer.kl() for layer in layers]).sum()


def use_generator(module: nn.Module, generator: torch.Generator | None) -> None:
    """Let every mean-field layer of `module` sample its forward passes from `generator`."""
    for layer in bayesian_layers(module):
        layer.generator = generator
