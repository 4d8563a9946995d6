"""The expected prediction and its gradient against averages written out by hand and finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.networks import build_network
from zoo.posteriors import posterior_draws, posterior_mean
from zoo.prediction.expected import ExpectedPrediction, activation_bytes
from zoo.seeding import private_generator
from zoo.targets import GRADIENT_TARGETS, TARGETS, Gradient

DRAWS, SEED = 6, 11
LABELS = torch.tensor([0, 1, 2, 0, 1])


def loss_by_hand(net: nn.Module, target: str, x: Tensor) -> Tensor:
    """The quantity whose gradient each target promises, with nothing of ExpectedPrediction in it."""
    if target == "propagation":
        return propagated_by_hand(net, x)
    draws = posterior_draws(net, DRAWS, SEED)
    picked = [draw(x).softmax(-1)[torch.arange(len(x)), LABELS] for draw in draws]  # p_s(y | x)
    if target == "expected":
        return -(sum(picked) / DRAWS).log().sum()
    if target in ("single-draw", "resampled"):  # the latter's first gradient
        return -picked[0].log().sum()
    if target == "mean-loss":
        return sum(-p.log() for p in picked).sum() / DRAWS
    if target == "mean-logit":
        return F.cross_entropy(sum(draw(x) for draw in draws) / DRAWS, LABELS, reduction="sum")
    return F.cross_entropy(posterior_mean(net)(x), LABELS, reduction="sum")


def propagated_by_hand(net: nn.Module, x: Tensor) -> Tensor:
    """Two layers' moments, the softplus between them by quadrature, pairwise logistic softmax: written out."""
    flat = x.flatten(1)
    (mu1, s1), (b1, t1) = net[1].posterior()
    (mu2, s2), (b2, t2) = net[3].posterior()
    mean, variance = flat @ mu1.T + b1, flat**2 @ (s1**2).T + t1**2
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    values = torch.stack([F.softplus(mean + variance.sqrt() * node) for node in nodes])
    weights = torch.from_numpy(weights / weights.sum())[:, None, None]
    mean = (weights * values).sum(0)
    variance = (weights * (values - mean) ** 2).sum(0)
    variance = (mean**2 + variance) @ (s2**2).T + variance @ (mu2**2).T + t2**2
    mean = mean @ mu2.T + b2
    p = []
    for k in range(3):
        scales = [((variance[:, k] + variance[:, j]) / (math.pi**2 / 3) + 1).sqrt() for j in range(3)]
        others = sum((-(mean[:, k] - mean[:, j]) / scales[j]).exp() for j in range(3) if j != k)
        p.append(1 / (1 + others))
    p = torch.stack(p, 1)
    return -(p / p.sum(1, keepdim=True))[torch.arange(len(x)), LABELS].log().sum()


def loss_as_libraries_take_it(net: nn.Module, target: str, x: Tensor) -> Tensor:
    return F.cross_entropy(ExpectedPrediction.of(net, DRAWS, SEED, Gradient(target))(x), LABELS, reduction="sum")


@pytest.mark.parametrize("target", GRADIENT_TARGETS)
def test_loss_and_gradient_are_those_written_out_by_hand(bayesian_net: nn.Module, images: Tensor, target: str) -> None:
    gradients = []
    for loss in (loss_by_hand, loss_as_libraries_take_it):
        x = images.clone().requires_grad_()
        value = loss(bayesian_net, target, x)
        value.backward()
        gradients.append((value.item(), x.grad))
    (by_hand, gradient_by_hand), (ours, our_gradient) = gradients
    assert ours == pytest.approx(by_hand, rel=1e-12)
    assert torch.allclose(our_gradient, gradient_by_hand, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("target", GRADIENT_TARGETS)
def test_gradient_passes_finite_differences_in_float64(bayesian_net: nn.Module, images: Tensor, target: str) -> None:
    assert torch.autograd.gradcheck(
        lambda x: loss_as_libraries_take_it(bayesian_net, target, x), images[:, :, :, :].requires_grad_()
    )


@pytest.mark.parametrize("target", GRADIENT_TARGETS)
def test_outputs_are_normalised_log_probabilities(bayesian_net: nn.Module, images: Tensor, target: str) -> None:
    out = ExpectedPrediction.of(bayesian_net, DRAWS, SEED, Gradient(target))(images)
    assert out.shape == (5, 4 if target == "mean-loss" else 3)
    assert torch.allclose(out.logsumexp(-1), torch.zeros(5, dtype=out.dtype), atol=1e-12)


def test_it_is_the_plain_average_of_softmaxes(bayesian_net: nn.Module, images: Tensor) -> None:
    draws = posterior_draws(bayesian_net, DRAWS, SEED)
    average = sum(draw(images).softmax(-1) for draw in draws) / DRAWS
    prediction = ExpectedPrediction.of(bayesian_net, DRAWS, SEED)
    assert torch.allclose(prediction.probabilities(images), average, rtol=1e-12)
    assert torch.allclose(prediction(images).softmax(-1), average, rtol=1e-12)


def test_one_draw_or_equal_draws_make_every_target_the_same(images: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).double()
    gradients = []
    for target in GRADIENT_TARGETS:
        x = images.clone().requires_grad_()
        prediction = ExpectedPrediction([net, net], Gradient(target))
        F.cross_entropy(prediction(x), LABELS, reduction="sum").backward()
        gradients.append(x.grad)
    for gradient in gradients[1:]:
        assert torch.allclose(gradient, gradients[0], rtol=1e-9, atol=1e-14)


def test_nothing_a_library_does_changes_it(
    bayesian_net: nn.Module, images: Tensor, untouched_global_state: None
) -> None:
    prediction = ExpectedPrediction.of(bayesian_net, DRAWS, SEED)
    first = prediction(images)
    with torch.random.fork_rng():
        torch.random.manual_seed(123)
        for change in (prediction.train, prediction.eval, lambda: prediction.train(mode=False), prediction.zero_grad):
            change()
            assert torch.equal(prediction(images), first)
    for _ in range(3):
        prediction(images)
    assert torch.equal(prediction(images), first)
    assert torch.equal(ExpectedPrediction.of(bayesian_net, DRAWS, SEED)(images), first)
    assert not torch.equal(ExpectedPrediction.of(bayesian_net, DRAWS, SEED + 1)(images), first)
    assert not prediction.training
    assert not any(parameter.requires_grad for parameter in prediction.parameters())


def test_networks_are_measured_one_by_one(bayesian_net: nn.Module, images: Tensor) -> None:
    """All at once would need the memory that the measurement is to bound."""
    looped = ExpectedPrediction.of(bayesian_net, DRAWS, SEED, stack=False).forward_draws
    sizes: list[int] = []
    looped.networks[0].register_forward_hook(lambda *_: sizes.append(1))
    looped.register_forward_hook(lambda *_: sizes.append(DRAWS))
    assert activation_bytes(looped, images[:1]) == (DRAWS * 8 * 8, 8 * 8)
    assert sizes == [1, 1]


@pytest.mark.parametrize("target", GRADIENT_TARGETS)
def test_chunking_bounds_the_batch_and_changes_nothing(bayesian_net: nn.Module, images: Tensor, target: str) -> None:
    whole = ExpectedPrediction.of(bayesian_net, DRAWS, SEED, Gradient(target))
    kept, largest = activation_bytes(whole.forward_draws, images[:1])
    if target != "propagation":  # which keeps what its rules are made of
        # the softplus keeps its 8 float64 inputs, of all draws in one tensor; frozen layers keep nothing
        assert kept == largest == whole.draws * 8 * 8
    chunked = ExpectedPrediction.of(bayesian_net, DRAWS, SEED, Gradient(target), max_bytes=2 * kept)
    sizes: list[int] = []
    chunked.forward_draws.register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    results = []
    for prediction in (whole, chunked):
        x = images.clone().requires_grad_()
        out = prediction(x)
        F.cross_entropy(out, LABELS, reduction="sum").backward()
        results.append((out, x.grad))
    assert max(sizes) == 2
    assert torch.allclose(results[0][0], results[1][0], rtol=1e-12)
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-12)
    with torch.no_grad():
        assert torch.allclose(chunked(images), results[0][0], rtol=1e-12)


def test_dropout_network_is_averaged_over_seeded_passes(images: Tensor, untouched_global_state: None) -> None:
    with torch.random.fork_rng():
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.Dropout(0.5), nn.Linear(32, 3)).double()
    prediction = ExpectedPrediction.of(net, 4, 0)
    first = prediction(images)
    assert torch.equal(prediction.train()(images), first)
    assert torch.equal(prediction.eval()(images), first)
    per_draw = prediction.logits(images)
    assert not torch.equal(per_draw[0], per_draw[1])


def test_bad_arguments_are_named(bayesian_net: nn.Module) -> None:
    with pytest.raises(ValueError, match="mean_loss"):
        Gradient("mean_loss")
    with pytest.raises(ValueError, match="at least one"):
        ExpectedPrediction.of(bayesian_net, 0, 0)
    with pytest.raises(ValueError, match="at least one network"):
        ExpectedPrediction([])
    with pytest.raises(ValueError, match="posterior mean"):
        ExpectedPrediction.of(nn.Dropout(), 2, 0, Gradient("mean-weights"))


def test_the_average_of_many_draws_approaches_the_integral() -> None:
    """One weight w ~ N(mu, s^2), two classes with logits (w x, 0): E[sigmoid(w x)] by Gauss-Hermite quadrature."""
    import numpy as np

    from zoo.layers import BayesianLinear

    layer = BayesianLinear(1, 2, bias=False, rho=0.0).double()
    with torch.no_grad():
        layer.weight_mu.copy_(torch.tensor([[0.7], [0.0]]))
        layer.weight_rho.copy_(torch.tensor([[1.0], [-40.0]]))
    sigma = math.log1p(math.e)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    x = 1.3
    integral = float((weights / weights.sum()) @ (1 / (1 + np.exp(-(0.7 + sigma * nodes) * x))))
    ours = ExpectedPrediction.of(layer, 4096, 0).probabilities(torch.tensor([[x]], dtype=torch.float64))[0, 0]
    assert ours.item() == pytest.approx(integral, abs=5 * 0.35 / 64)  # 5 standard errors; sd of the sigmoid < 0.35


def make_private_draws() -> Callable[[torch.Generator], nn.Module]:
    def draw(generator: torch.Generator) -> nn.Module:
        layer = nn.utils.skip_init(nn.Linear, 16, 3)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(3, 16, generator=generator))
            layer.bias.zero_()
        return nn.Sequential(nn.Flatten(), layer)

    return draw


def test_a_network_with_its_own_draw_method_takes_part(images: Tensor, untouched_global_state: None) -> None:
    class Own(nn.Module):
        draw = staticmethod(make_private_draws())

    x = images.float()
    prediction = ExpectedPrediction.of(Own(), 3, 5)
    generator = torch.Generator().manual_seed(5)
    by_hand = torch.stack([make_private_draws()(generator)(x).softmax(-1) for _ in range(3)]).mean(0)
    assert torch.allclose(prediction.probabilities(x), by_hand, atol=1e-6)


@pytest.mark.parametrize("target", GRADIENT_TARGETS)
def test_value_and_gradient_are_those_of_autograd_chunk_by_chunk(
    bayesian_net: nn.Module, images: Tensor, target: str
) -> None:
    x = images.clone().requires_grad_()
    out = ExpectedPrediction.of(bayesian_net, DRAWS, SEED, Gradient(target))(x)
    F.cross_entropy(out, LABELS, reduction="sum").backward()
    for largest, sizes in ((1 << 20, [5]), (2 * 8 * 8 * DRAWS, [2, 2, 1]), (1, [1] * 5)):
        prediction = ExpectedPrediction.of(bayesian_net, DRAWS, SEED, Gradient(target), largest_tensor=largest)
        seen: list[int] = []
        prediction.chunk_size(images)  # measures
        prediction.forward_draws.register_forward_hook(lambda _m, inputs, _o, seen=seen: seen.append(len(inputs[0])))
        value, gradient = prediction.value_and_gradient(images, LABELS)
        if not TARGETS[target].of_one_network:  # of one network, whose activations are smaller
            assert seen == sizes
        assert torch.allclose(value, out, rtol=1e-12)
        assert torch.allclose(gradient, x.grad, rtol=1e-12, atol=1e-15)


def test_bfloat16_is_close_and_combined_in_float32() -> None:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        network = build_network("bayesian-lenet", "mnist")
    x = torch.rand(8, 1, 28, 28, generator=private_generator("bfloat16"))
    y = torch.arange(8) % 10
    exact = ExpectedPrediction.of(network, 8, SEED)
    for stack in (True, False):
        rough = ExpectedPrediction.of(network, 8, SEED, Gradient(precision="bfloat16"), stack=stack)
        value, gradient = rough.value_and_gradient(x, y)
        expected_value, expected_gradient = exact.value_and_gradient(x, y)
        assert value.dtype == gradient.dtype == torch.float32
        assert torch.allclose(value.exp().sum(1), torch.ones(8), atol=1e-5)  # normalised in float32
        assert not torch.equal(value, expected_value)
        assert torch.allclose(value, expected_value, atol=0.1)
        cosine = F.cosine_similarity(gradient.flatten(1), expected_gradient.flatten(1))
        assert cosine.min() > 0.99
    with pytest.raises(ValueError, match="no precision 'float16'; there are: float32, bfloat16"):
        Gradient(precision="float16")
