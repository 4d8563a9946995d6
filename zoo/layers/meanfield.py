"""Linear and convolutional layers with a mean-field Gaussian over every weight and bias.

The posterior is N(mu, sigma^2) per weight, with sigma = softplus(rho) (Blundell et al. 2015, "Weight Uncertainty in
Neural Networks", section 3.2) or sigma^2 = alpha mu^2 (Kingma et al. 2015; Shridhar et al. 2019, "A Comprehensive
guide to Bayesian Convolutional Neural Network with Variational Inference", section 4). A layer can be used in three
ways:

* `forward(x)` samples: once for the batch (`sampling="weights"`) or once per example and location
  (`sampling="activations"`, the local reparameterisation of Kingma et al. 2015);
* `draw(generator)` returns the ordinary layer holding one frozen draw;
* `mean()` returns the same with the posterior mean.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.layers.convolution import Conv2d
from zoo.layers.priors import GaussianPrior, Prior

Sampling = Literal["weights", "activations"]
Variance = Literal["rho", "alpha"]
Normal = tuple[float, float]  # mean and standard deviation


class Options(TypedDict, total=False):
    """What a layer's prior, posterior and sampling are; all have defaults.

    prior: a `Prior`, or the standard deviation of a zero-mean Gaussian one (0.1).
    mu: mean and standard deviation of the normal distribution that the initial means come from; by default He's
        initialisation for weights and 0 for biases.
    rho: initial rho, sigma being softplus(rho), or the mean and standard deviation of its initial values (-5).
    variance: "rho": sigma is a parameter beside mu; "alpha": sigma^2 = alpha mu^2 for weights and alpha is one, which
        begins where sigma is, on average, what `rho` says. Biases keep a sigma of their own: they begin at 0.
    sampling: "weights" or "activations", of a forward pass.
    """

    prior: Prior | float
    mu: Normal | None
    rho: float | Normal
    variance: Variance
    sampling: Sampling


@dataclass(frozen=True)
class _Settings:
    """The options with their defaults, checked."""

    prior: Prior | float = 0.1
    mu: Normal | None = None
    rho: float | Normal = -5.0
    variance: Variance = "rho"
    sampling: Sampling = "weights"

    def __post_init__(self) -> None:
        for name, kinds in (("sampling", Sampling), ("variance", Variance)):
            if (value := getattr(self, name)) not in get_args(kinds):
                raise ValueError(f"{name} is {' or '.join(map(repr, get_args(kinds)))}, not {value!r}")
        if not isinstance(self.prior, Prior | float | int):
            raise ValueError(f"prior is a Prior or the standard deviation of a Gaussian one, not {self.prior!r}")
        if not (self.mu is None or _is_normal(self.mu)):
            raise ValueError(f"mu is None or a pair of mean and standard deviation, not {self.mu!r}")
        if not (_is_finite(self.rho) or _is_normal(self.rho)):
            raise ValueError(f"rho is a number or a pair of mean and standard deviation, not {self.rho!r}")

    @property
    def prior_distribution(self) -> Prior:
        return self.prior if isinstance(self.prior, Prior) else GaussianPrior(float(self.prior))

    @property
    def rho_distribution(self) -> Normal:
        return (self.rho, 0.0) if isinstance(self.rho, float | int) else self.rho


def _is_finite(value: object) -> bool:
    return isinstance(value, float | int) and math.isfinite(value)


def _is_normal(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_finite, value)) and value[1] >= 0


class MeanFieldLayer(nn.Module):
    """The mean-field twin of `plain`, whose output must be linear in its `weight` and `bias`.

    Only the shape of `plain` counts: the means begin as the options say, or at values given to `start_at`.
    In every forward pass a layer samples anew: one that a network uses twice is trained with two draws where a
    posterior draw has one.
    Raises TypeError for an option that does not exist, ValueError for a value without meaning.
    """

    generator: torch.Generator | None = None

    def __init__(self, plain: nn.Module, **options: Unpack[Options]) -> None:
        super().__init__()
        settings = _Settings(**options)
        self.prior, self.sampling, self.variance = settings.prior_distribution, settings.sampling, settings.variance
        # Held in a tuple, so that it is no submodule: it has a shape and a forward pass, but no weights.
        self._plain = (copy.deepcopy(plain).to("meta"),)
        weight, bias = plain.weight, plain.bias
        assert isinstance(weight, Tensor)
        self.weight_mu = nn.Parameter(torch.empty(weight.shape, dtype=weight.dtype))
        spread = nn.Parameter(torch.empty_like(self.weight_mu))
        self.weight_rho = spread if self.variance == "rho" else None
        self.weight_log_alpha = spread if self.variance == "alpha" else None
        self.bias_mu = self.bias_rho = None
        if isinstance(bias, Tensor):
            self.bias_mu = nn.Parameter(torch.zeros(bias.shape, dtype=bias.dtype))
            self.bias_rho = nn.Parameter(torch.empty_like(self.bias_mu))
        self._initialise(settings.mu, settings.rho_distribution)

    @torch.no_grad()
    def _initialise(self, mu: Normal | None, rho: Normal) -> None:
        if mu is None:
            nn.init.kaiming_normal_(self.weight_mu)
        for values, distribution in (((self.weight_mu, self.bias_mu), mu), ((self.weight_rho, self.bias_rho), rho)):
            for value in values:
                if value is not None and distribution is not None:
                    mean, std = distribution
                    # without a spread no random number is drawn
                    nn.init.normal_(value, mean, std) if std else nn.init.constant_(value, mean)
        self._start_alpha(F.softplus(torch.tensor(float(rho[0]))).item())

    def _start_alpha(self, sigma: float) -> None:
        """Set alpha, if there is one: the same for all weights, the root mean square of their sigmas being `sigma`."""
        if self.weight_log_alpha is not None:
            if not self.weight_mu.all():
                raise ValueError("variance='alpha' cannot begin at a weight of exactly 0: its sigma would stay 0")
            self.weight_log_alpha.fill_(2 * math.log(sigma) - float(self.weight_mu.square().mean().log()))

    @torch.no_grad()
    def start_at(self, plain: nn.Module) -> None:
        """Set the posterior means to the weights of a layer of the same shape; sigma stays what it was.

        With variance="alpha" the root mean square of sigma stays. Raises ValueError if the shapes differ.
        """
        means = [mu for mu, _ in self.posterior()]
        values = [v for v in (getattr(plain, name, None) for name in ("weight", "bias")) if isinstance(v, Tensor)]
        if [value.shape for value in values] != [mu.shape for mu in means]:
            raise ValueError(
                f"other weights than the layer's twin: {[tuple(value.shape) for value in values]} in place of "
                f"{[tuple(mu.shape) for mu in means]}"
            )
        _, sigma = next(self.posterior())
        root_mean_square = float(sigma.square().mean().sqrt())
        for mu, value in zip(means, values, strict=True):
            mu.copy_(value)
        self._start_alpha(root_mean_square)

    def posterior(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(mu, sigma) of the weight and, where there is one, of the bias."""
        if self.weight_rho is not None:
            yield self.weight_mu, F.softplus(self.weight_rho)
        elif self.weight_log_alpha is not None:
            yield self.weight_mu, (0.5 * self.weight_log_alpha).exp() * self.weight_mu.abs()
        if self.bias_mu is not None and self.bias_rho is not None:
            yield self.bias_mu, F.softplus(self.bias_rho)

    def kl(self) -> Tensor:
        """KL(posterior || prior) of all weights and biases, in nats (a scalar): exact or as the prior's class says."""
        terms = [
            self.prior.kl(mu, sigma, log_alpha, lambda mu=mu, sigma=sigma: mu + sigma * self._noise(mu))  # type: ignore[misc]
            for (mu, sigma), log_alpha in zip(self.posterior(), (self.weight_log_alpha, None), strict=False)
        ]
        return torch.stack(terms).sum()

    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The plain layer's output with the given weights."""
        weights = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        output: Tensor = torch.func.functional_call(self._plain[0], weights, (x,))
        return output

    def sampled(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias, if there is one, of a draw from its generator, with gradients to the posterior."""
        return _pair([mu + sigma * self._noise(mu) for mu, sigma in self.posterior()])

    def forward(self, x: Tensor) -> Tensor:
        if self.sampling == "weights":
            return self.affine(x, *self.sampled())
        mean = self.affine(x, self.weight_mu, self.bias_mu)
        variance = self.affine(x.square(), *_pair([sigma.square() for _, sigma in self.posterior()]))
        # The floor only matters without a bias, where an all-zero patch has variance 0 and sqrt' is infinite.
        return mean + variance.clamp_min(1e-16).sqrt() * self._noise(mean)

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> nn.Module:
        """One posterior draw as a plain layer; `generator` is a CPU generator and advances."""
        return self._filled([sample(mu, sigma, generator) for mu, sigma in self.posterior()])

    @torch.no_grad()
    def mean(self) -> nn.Module:
        """The plain layer with the posterior mean as its weights, trainable if the means are."""
        return self._filled([mu.clone() for mu, _ in self.posterior()], self.weight_mu.requires_grad)

    def _filled(self, values: list[Tensor], requires_grad: bool = False) -> nn.Module:
        layer = copy.deepcopy(self._plain[0])
        for name, value in zip(("weight", "bias"), values, strict=False):
            setattr(layer, name, nn.Parameter(value, requires_grad=requires_grad))
        return layer

    def _noise(self, like: Tensor) -> Tensor:
        if self.generator is None:
            raise RuntimeError(
                f"{type(self).__name__} samples from a private generator and has none: call "
                "zoo.layers.use_generator(network, generator) before a stochastic forward pass"
            )
        noise = torch.randn(like.shape, generator=self.generator, dtype=like.dtype, device=self.generator.device)
        return noise.to(like.device)

    def extra_repr(self) -> str:
        own = f"prior={self.prior}, variance={self.variance}, sampling={self.sampling}"
        return f"{self._plain[0].extra_repr()}, {own}"


class BayesianLinear(MeanFieldLayer):
    """Mean-field `nn.Linear`: (..., in_features) -> (..., out_features). See `Options` for the options."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True, **options: Unpack[Options]) -> None:
        super().__init__(nn.Linear(in_features, out_features, bias, device="meta"), **options)


class BayesianConv2d(MeanFieldLayer):
    """Mean-field `nn.Conv2d`: (B, C, H, W) -> (B, C', H', W'). See `Options` for the options.

    `make_bayesian` makes the twin of any other convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        **options: Unpack[Options],
    ) -> None:
        plain = Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=bias, device="meta")
        super().__init__(plain, **options)


def sample(mu: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """A draw mu + sigma x noise; `generator` is a CPU generator and advances."""
    # in place: fresh memory for each term costs more than the arithmetic
    return torch.randn(mu.shape, generator=generator, dtype=mu.dtype).to(mu.device).mul_(sigma).add_(mu)


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


def _pair(values: list[Tensor]) -> tuple[Tensor, Tensor | None]:
    return values[0], values[1] if len(values) > 1 else None
