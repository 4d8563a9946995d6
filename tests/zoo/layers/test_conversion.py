"""Networks made Bayesian: the same at their mean, a known spread around it, refusals where there is no such thing."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from zoo.layers import BayesianLinear, LogUniformPrior, bayesian_layers, kl_divergence, make_bayesian, use_generator
from zoo.networks import build_network
from zoo.posteriors import posterior_draws, posterior_mean
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import private_generator


def seeded(build: object, *arguments: object, **options: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.random.manual_seed(3)
        return build(*arguments, **options).double()


def layer_and_input(kind: str, groups: int, stride: int, dilation: int, mode: str, bias: bool):
    generator = private_generator("layer", kind)
    if kind == "linear":
        return seeded(nn.Linear, 6, 4, bias=bias), torch.randn(3, 6, generator=generator, dtype=torch.float64)
    dimensions = int(kind[-1])
    options = {"groups": groups, "stride": stride, "dilation": dilation, "padding": 1, "bias": bias}
    options |= {} if "transposed" in kind else {"padding_mode": mode}
    constructor = getattr(nn, f"Conv{'Transpose' if 'transposed' in kind else ''}{dimensions}d")
    x = torch.randn(2, 4, *[7] * dimensions, generator=generator, dtype=torch.float64)
    return seeded(constructor, 4, 6, 3, **options), x


kinds = st.sampled_from(["linear", "conv1", "conv2", "conv3", "transposed1", "transposed2", "transposed3"])
modes = st.sampled_from(["zeros", "circular", "reflect", "replicate"])


@given(kinds, st.sampled_from([1, 2]), st.sampled_from([1, 2]), st.sampled_from([1, 2]), modes, st.booleans())
@settings(max_examples=60)
def test_every_layer_is_itself_at_the_mean_and_has_the_moments_of_its_weights(
    kind: str, groups: int, stride: int, dilation: int, mode: str, bias: bool
) -> None:
    plain, x = layer_and_input(kind, groups, stride, dilation, mode, bias)
    twin = make_bayesian(plain, rho=-2.0)
    assert torch.equal(posterior_mean(twin)(x), plain(x))
    use_generator(twin, private_generator("moments"))
    sigma = F.softplus(torch.tensor(-2.0, dtype=torch.float64))
    # with equal sigmas the variance is sigma^2 times what the layer makes of x^2 with weights and bias of 1
    ones = copy.deepcopy(plain)
    for parameter in ones.parameters():
        nn.init.ones_(parameter)
    variance = (sigma**2 * ones(x**2)).detach()
    count = 400
    for sampling in ("weights", "activations"):
        twin.sampling = sampling
        with torch.no_grad():
            samples = torch.stack([twin(x) for _ in range(count)])
        assert (samples.mean(0) - plain(x)).abs().amax() < 6 * (variance.max() / count).sqrt(), sampling
        ratio = samples.var(0).mean() / variance.mean()
        assert ratio.item() == pytest.approx(1, abs=0.15), sampling


def test_a_network_of_others_becomes_bayesian_and_comes_back() -> None:
    network = seeded(torchvision.models.resnet18, num_classes=10).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    twin = make_bayesian(network, rho=-6.0)
    assert len(bayesian_layers(twin)) == sum(isinstance(m, nn.Conv2d | nn.Linear) for m in network.modules())
    assert not bayesian_layers(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    x = torch.rand(2, 3, 32, 32, generator=private_generator("resnet"), dtype=torch.float64)
    back = posterior_mean(twin)
    assert back.state_dict().keys() == network.state_dict().keys()
    assert torch.equal(back(x), network(x))
    first, second = posterior_draws(twin, 2, 0)
    assert not torch.equal(first(x), second(x))
    assert kl_divergence(twin).item() > 0
    assert ExpectedPrediction.of(twin, 3, 0)(x).exp().sum(1).allclose(torch.ones(2, dtype=x.dtype))


def test_the_zoos_own_twin_is_what_conversion_makes_of_it() -> None:
    plain, twin = seeded(build_network, "3conv3fc", "mnist"), seeded(build_network, "bayesian-3conv3fc", "mnist")
    made = make_bayesian(plain)
    assert {n: v.shape for n, v in made.state_dict().items()} == {n: v.shape for n, v in twin.state_dict().items()}
    made.load_state_dict(twin.state_dict())
    x = torch.rand(2, 1, 28, 28, generator=private_generator("own"), dtype=torch.float64)
    assert torch.equal(posterior_draws(made, 1, 5)[0](x), posterior_draws(twin, 1, 5)[0](x))


def test_the_last_layer_alone() -> None:
    plain = seeded(build_network, "lenet", "mnist")
    twin = make_bayesian(plain, ["fc3"])
    assert [type(part).__name__ for _, part in twin.named_children() if bayesian_layers(part)] == ["MeanFieldLayer"]
    x = torch.rand(2, 1, 28, 28, generator=private_generator("last"), dtype=torch.float64)
    assert torch.equal(posterior_mean(twin)(x), plain(x))


def test_random_means_have_the_distribution_asked_for() -> None:
    plain = seeded(nn.Linear, 300, 200)
    twin = make_bayesian(plain, from_weights=False, mu=(0.5, 0.1), rho=(-3.0, 0.2))
    for value, mean, std in ((twin.weight_mu, 0.5, 0.1), (twin.weight_rho, -3.0, 0.2)):
        assert value.mean().item() == pytest.approx(mean, abs=5 * std / math.sqrt(value.numel()))
        assert value.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * value.numel()))
    assert twin.bias_mu.mean().item() == pytest.approx(0.5, abs=0.05)


def test_the_mean_goes_on_training_and_what_was_frozen_stays_so() -> None:
    plain = seeded(build_network, "lenet", "mnist")
    plain.conv1.requires_grad_(False)
    twin = make_bayesian(plain)
    assert not any(parameter.requires_grad for parameter in twin.conv1.parameters())
    assert all(parameter.requires_grad for parameter in twin.fc3.parameters())
    back = posterior_mean(twin)
    assert not back.conv1.weight.requires_grad
    assert back.fc3.weight.requires_grad
    assert not posterior_draws(twin, 1, 0)[0].fc3.weight.requires_grad


def test_draws_of_a_network_in_training_are_in_evaluation_mode(untouched_global_state: None) -> None:
    network = nn.Sequential(seeded(nn.Linear, 6, 6), nn.BatchNorm1d(6).double(), nn.Dropout(0.5)).train()
    twin = make_bayesian(network)
    (draw,) = posterior_draws(twin, 1, 0)
    x = torch.ones(3, 6, dtype=torch.float64)
    assert torch.equal(draw(x), draw(x))
    assert twin.training


# --- variance alpha mu^2 --------------------------------------------------------------------------------------


def test_alpha_makes_sigma_proportional_to_the_mean_and_starts_at_the_sigma_asked_for() -> None:
    plain = seeded(nn.Conv2d, 3, 8, 3)
    twin = make_bayesian(plain, variance="alpha", rho=-3.0)
    mu, sigma = next(twin.posterior())
    ratio = sigma / mu.abs()
    assert torch.allclose(ratio, ratio.flatten()[0].expand_as(ratio))
    root_mean_square = sigma.square().mean().sqrt()
    assert root_mean_square.item() == pytest.approx(F.softplus(torch.tensor(-3.0)).item(), rel=1e-6)
    learned = [name for name, _ in twin.named_parameters()]
    assert learned == ["weight_mu", "weight_log_alpha", "bias_mu", "bias_rho"]


@given(st.floats(-6, 4), st.sampled_from(["weights", "activations"]))
@settings(max_examples=20)
def test_alpha_has_the_variance_it_names(log_alpha: float, sampling: str) -> None:
    layer = seeded(BayesianLinear, 5, 3, bias=False, variance="alpha", sampling=sampling)
    nn.init.constant_(layer.weight_log_alpha, log_alpha)
    x = torch.tensor([[1.0, -2.0, 0.5, 0.0, 3.0]], dtype=torch.float64)
    use_generator(layer, private_generator("alpha", sampling))
    with torch.no_grad():
        samples = torch.stack([layer(x) for _ in range(3000)])
    variance = math.exp(log_alpha) * (layer.weight_mu.square() @ x[0].square())
    assert ((samples.var(0)[0] / variance - 1).abs() < 6 * math.sqrt(2 / 3000)).all()


def test_kl_to_the_log_uniform_prior_depends_on_alpha_alone() -> None:
    layer = seeded(BayesianLinear, 5, 3, bias=False, variance="alpha", prior=LogUniformPrior())
    before = layer.kl()
    (gradient,) = torch.autograd.grad(before, layer.weight_mu, allow_unused=True)
    assert gradient is None or gradient.abs().max() < 1e-9
    with torch.no_grad():
        layer.weight_mu.mul_(-7)
    assert layer.kl().item() == pytest.approx(before.item(), rel=1e-9)


def test_kl_to_the_log_uniform_prior_does_not_pull_the_mean_in_float32() -> None:
    layer = seeded(BayesianLinear, 50, 40, bias=False, variance="alpha", prior=LogUniformPrior()).float()
    with torch.no_grad():
        layer.weight_mu.mul_(1e-4)
        layer.weight_mu[0] = 0
    layer.kl().backward()
    assert layer.kl().isfinite()
    assert layer.weight_mu.grad is None or layer.weight_mu.grad.abs().max() == 0
    assert layer.weight_log_alpha.grad.isfinite().all()


def test_alpha_cannot_begin_at_zero() -> None:
    plain = seeded(nn.Linear, 4, 3)
    nn.init.zeros_(plain.weight[0])
    with pytest.raises(ValueError, match=r"layer 0: .*exactly 0"):
        make_bayesian(nn.Sequential(plain), variance="alpha")


# --- refusals -------------------------------------------------------------------------------------------------


class Scaled(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        return super().forward(input).square()


def tied() -> nn.Module:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    return nn.Sequential(first, second)


def used_twice() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer)


def hooked() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: None)
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    ("network", "layers", "message"),
    [
        (lambda: nn.Sequential(nn.ReLU()), None, "no linear or convolutional layer"),
        (lambda: nn.Sequential(nn.Linear(2, 2)), ["fc"], r"no layer 'fc' .* 0"),
        (lambda: nn.Sequential(nn.Linear(2, 2)), "0", "layers takes names"),
        (lambda: nn.Sequential(nn.Linear(2, 2)), [], "layers takes names"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), ["1"], "layer 1 .* a BatchNorm1d: take it out"),
        (lambda: nn.Sequential(Scaled(2, 2)), None, "layer 0 .* a Scaled: leave it out"),
        (lambda: nn.MultiheadAttention(4, 2), None, "out_proj .* a NonDynamicallyQuantizableLinear"),
        (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))), None, "0 .* parametrized"),
        (lambda: nn.Sequential(nn.utils.weight_norm(nn.Linear(2, 2))), None, "layer 0 .*normalised or pruned"),
        (lambda: nn.Sequential(nn.utils.spectral_norm(nn.Linear(2, 2))), None, "layer 0 .*normalised or pruned"),
        (
            lambda: nn.Sequential(prune.l1_unstructured(nn.Linear(2, 2), "weight", 1)),
            None,
            "layer 0 .*normalised or pruned",
        ),
        (hooked, None, "layer 0 .* forward hooks"),
        (tied, None, "layers 0 and 1 share a weight"),
        (used_twice, None, "layers 0 and 2 share a weight"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning", "ignore:.*spectral_norm.*:FutureWarning")
def test_what_cannot_be_converted_is_refused_by_name(
    network: object, layers: list[str] | str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_bayesian(seeded(network), layers)


def test_a_bad_option_names_the_layer() -> None:
    with pytest.raises(ValueError, match=r"layer 0: rho .* nan"):
        make_bayesian(nn.Sequential(seeded(nn.Linear, 2, 2)), rho=math.nan)


def test_conversion_leaves_the_global_state_alone(untouched_global_state: None) -> None:
    plain = seeded(build_network, "lenet", "mnist")
    first, again, other = (make_bayesian(plain, from_weights=False, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.conv1.weight_mu, again.conv1.weight_mu)
    assert not torch.equal(first.conv1.weight_mu, other.conv1.weight_mu)
