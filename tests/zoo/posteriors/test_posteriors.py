"""What is taken as random in a network, and that its expected prediction is the average over that."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.zoo.networks import After, Drawing, Factory, Noisy, Wrapper, X, entry, linear
from tests.zoo.posteriors.posterior_contract import PosteriorContract
from zoo.layers import BayesianLinear, bayesian_layers, make_bayesian
from zoo.posteriors import (
    DrawnPosterior,
    Ensemble,
    ForwardPosterior,
    Kind,
    MeanFieldPosterior,
    MemberPosterior,
    MixturePosterior,
    PointPosterior,
    Posterior,
    evident_posterior,
    posterior_draws,
    posterior_of,
)
from zoo.seeding import forked_random_state


def with_dropout(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), *layers)


class TestPoint(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        return PointPosterior(with_dropout(nn.Linear(784, 10)))


class TestMembers(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        networks = [linear(seed) for seed in range(5)]
        return MemberPosterior(lambda: networks)


class TestMembersWithAMean(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        networks = [linear(seed) for seed in range(2)]
        return MemberPosterior(lambda: networks, mean=linear)


class TestDrawn(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        return DrawnPosterior(lambda generator: linear(any_seed(generator)))


class TestMeanField(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        return MeanFieldPosterior(with_dropout(BayesianLinear(784, 10)))


class TestDropout(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        return ForwardPosterior(with_dropout(nn.Linear(784, 10)), dropout=True)


class TestNoise(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        return ForwardPosterior(After(lambda z: z, nn.Dropout(0.5), Noisy()), dropout=False)


class TestMixture(PosteriorContract):
    @pytest.fixture
    def posterior(self) -> Posterior:
        return MixturePosterior(Wrapper([linear(seed) for seed in range(3)]), 3)


# What is random


@pytest.mark.parametrize(
    ("factory", "found", "kind", "evident"),
    [
        (linear, "frequentist", Kind.POINT, Kind.POINT),
        (lambda: with_dropout(nn.Linear(784, 10)), "frequentist", Kind.POINT, Kind.POINT),
        (lambda: with_dropout(BayesianLinear(784, 10)), "bayesian", Kind.CONTINUOUS, Kind.CONTINUOUS),
        (lambda: Counted("draw"), "bayesian", Kind.CONTINUOUS, Kind.CONTINUOUS),
        (lambda: Counted("members"), "ensemble", Kind.FINITE, Kind.FINITE),
        (lambda: Wrapper([linear(0), linear(1)]), "ensemble", Kind.FINITE, Kind.POINT),
        (lambda: After(lambda z: z, Noisy()), "stochastic", Kind.CONTINUOUS, Kind.POINT),
        (lambda: After(nn.functional.dropout), "stochastic", Kind.CONTINUOUS, Kind.POINT),
    ],
)
def test_what_an_entry_loads_is_found(factory: Factory, found: str, kind: Kind, evident: Kind) -> None:
    """evident: by its structure alone, from which a forward pass that samples does not show."""
    network, posterior = entry(factory, None).load()
    assert posterior.kind is kind
    assert evident_posterior(network).kind is evident
    assert entry(factory, None).label == posterior.family == found
    assert entry(factory, None).is_deterministic is (kind is Kind.POINT)
    assert entry(factory, "another word" if kind is not Kind.POINT else found).load()[1].kind is kind


@pytest.mark.parametrize(
    ("factory", "said", "what", "found"),
    [
        (lambda: with_dropout(nn.Linear(784, 10)), "none", "nothing; it is one network", "frequentist"),
        (lambda: with_dropout(nn.Linear(784, 10)), "dropout", "dropout (Dropout)", "bayesian"),
        (lambda: After(lambda z: z, Noisy()), "forward", "its forward pass", "stochastic"),
        (lambda: Counted("members", "draw"), "members", "the members of an ensemble (2)", "ensemble"),
        (lambda: Counted("members", "draw"), "draw", "what its method draw(generator) gives", "bayesian"),
        (lambda: Wrapper([linear(0), linear(1)]), "members", "the members that one pass answers for (2)", "ensemble"),
        (lambda: make_bayesian(linear()), "draw", "the weights of its mean-field layers (1)", "bayesian"),
    ],
)
def test_what_is_said_to_be_random_is(factory: Factory, said: str, what: str, found: str) -> None:
    posterior = entry(factory, None, randomness=said).load()[1]
    assert (posterior.what, posterior.family) == (what, found)


@pytest.mark.parametrize(
    ("factory", "said", "message"),
    [
        (linear, "dropout", "no nn.Dropout layer"),
        (lambda: with_dropout(nn.Linear(784, 10)), "forward", "do not differ.*dropout in 1 .*randomness='dropout'"),
        (linear, "draw", r"no method draw\(generator\)"),
        (linear, "members", r"no method members\(\)"),
        (lambda: make_bayesian(linear()), "none", "has (MeanFieldLayer|BayesianLinear).*not the average"),
        (lambda: Counted("members"), "none", r"a method members\(\): one network would be attacked"),
        (lambda: After(lambda z: z, Noisy()), "none", "two passes differ.*randn_like"),
        (linear, "drop", "no randomness 'drop'; there are: auto, none, dropout, forward, draw, members"),
    ],
)
def test_what_is_said_to_be_random_and_is_not_is_refused(factory: Factory, said: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entry(factory, None, randomness=said).load()


def log_p(net: nn.Module, draws: int = 64, **options: object) -> Tensor:
    return entry(lambda: net, **options).predictor(draws, 0)(X)


def test_dropout_is_the_posterior_where_that_is_said() -> None:
    net = After(lambda z: z, nn.Dropout(0.5))
    per_draw = entry(lambda: net, randomness="dropout").predictor(8, 0).logits(X)
    assert (per_draw[0] - per_draw[1]).abs().max() > 0.01
    with pytest.raises(ValueError, match=r"nothing is random in it.*dropout in inner\.1.*randomness='dropout'"):
        entry(lambda: net, "bayesian").load()


def test_dropout_that_its_author_has_off_stays_off_where_something_else_samples() -> None:
    """The average over draws is that of the network without dropout, and not that with it."""
    net = After(lambda z: z, nn.Dropout(0.9), Noisy())
    without = After(lambda z: z, Noisy())
    without.inner[-1].load_state_dict(net.inner[-1].state_dict())
    assert torch.equal(log_p(net, name="mnist/a"), log_p(without, name="mnist/a"))
    assert "dropout (Dropout) is off" in entry(lambda: net).load()[1].what
    assert not torch.equal(log_p(net, name="mnist/a", randomness="dropout"), log_p(net, name="mnist/a"))


def test_mean_field_networks_run_without_their_dropout() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), BayesianLinear(784, 10))
    without = nn.Sequential(nn.Flatten(), nn.Identity(), copy.deepcopy(net[2]))
    assert torch.equal(log_p(net, name="mnist/a"), log_p(without, name="mnist/a"))


# Ensembles


@pytest.mark.parametrize("index", range(40))
def test_no_name_makes_an_honest_ensemble_look_degenerate(index: int) -> None:
    """A draw is one of two members: two draws are the same member half of the time."""
    pair = [linear(0), linear(1)]
    drawing = Drawing(lambda g: copy.deepcopy(pair[int(torch.randint(2, (), generator=g))]))
    entry(lambda: drawing, name=f"mnist/ensemble-{index}").predictor(2, 0)
    entry(lambda: Ensemble(pair), name=f"mnist/ensemble-{index}").predictor(2, 0)


def test_members_are_averaged_all_of_them_once() -> None:
    networks = [linear(seed) for seed in range(5)]

    class Own(nn.Module):
        def members(self) -> list[nn.Module]:
            return networks

    by_hand = sum(network(X).softmax(1) for network in networks) / 5
    for draws in (5, 8, 64):
        prediction = entry(Own, "ensemble").predictor(draws, draws)
        assert prediction.draws == 5
        assert torch.allclose(prediction.probabilities(X), by_hand, atol=1e-6)
    assert posterior_of(Own()).what == "the members of an ensemble (5)"


def test_a_wrapper_that_answers_for_all_its_members_is_their_mixture() -> None:
    networks = [linear(seed) for seed in range(3)]
    prediction = entry(lambda: Wrapper(networks), "ensemble").predictor(8, 0)
    by_hand = sum(network(X).softmax(1) for network in networks) / 3
    assert prediction.draws == 1  # nothing to draw: one pass is the average itself
    assert torch.allclose(prediction.probabilities(X), by_hand, atol=1e-6)
    with pytest.raises(ValueError, match=r"3 answers an image.*randomness='members'"):
        entry(lambda: Wrapper(networks), "frequentist").predictor(1, 0)
    with pytest.raises(ValueError, match="degenerate"):
        entry(lambda: Wrapper([networks[0]] * 3), "ensemble").predictor(1, 0)


def test_a_wrapper_of_passes_with_dropout_is_averaged_over_all_of_them() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    prediction = entry(lambda: Wrapper([net] * 4), "mc-dropout", randomness="dropout").predictor(3, 0)
    assert prediction.draws == 3
    draws = posterior_draws(Wrapper([net] * 4), 3, 0)
    by_hand = torch.cat([draw.every_member(X) for draw in draws]).softmax(-1).mean(0)
    assert torch.allclose(prediction.probabilities(X), by_hand, atol=1e-6)


def test_an_own_draw_around_mean_field_layers_has_no_mean() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), BayesianLinear(784, 10))

        def draw(self, generator: torch.Generator) -> nn.Module:
            return posterior_of(self.layers).draws(1, any_seed(generator))[0]

    assert bayesian_layers(Around())
    assert posterior_of(Around()).mean is None
    assert posterior_of(Around().layers).mean is not None
    entry(Around).predictor(2, 0)


def test_an_offset_of_all_logits_neither_hides_a_spread_nor_is_one() -> None:
    spread = nn.Sequential(nn.Flatten(), BayesianLinear(784, 10, rho=-5.0))
    shifted = Drawing(lambda g: nn.Sequential(*posterior_of(spread).draws(1, any_seed(g)), Shift(1e5)))
    entry(lambda: shifted).predictor(2, 0)
    only_shifted = Drawing(lambda g: nn.Sequential(linear(), Shift(float(torch.rand((), generator=g)))))
    with pytest.raises(ValueError, match="degenerate"):
        entry(lambda: only_shifted).predictor(2, 0)


def any_seed(generator: torch.Generator) -> int:
    return int(torch.randint(1000, (), generator=generator))


class Shift(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, logits: Tensor) -> Tensor:
        return logits + self.by


# Normalisation


class Counted(nn.Module):
    """Has members and draws, so that each must be normalised."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.nets = nn.ModuleList(linear(seed) for seed in range(2))
        if "members" in kinds:
            self.members = lambda: list(self.nets)
        if "draw" in kinds:
            self.draw = lambda g: copy.deepcopy(self.nets[int(torch.randint(2, (), generator=g))])


@pytest.mark.parametrize(
    ("factory", "randomness"),
    [
        (linear, "none"),
        (lambda: After(lambda z: z), "auto"),
        (lambda: After(lambda z: z, nn.Dropout(0.3)), "dropout"),
        (lambda: make_bayesian(linear(), rho=-4.0), "auto"),
        (lambda: make_bayesian(After(lambda z: z), rho=-4.0), "draw"),
        (lambda: Counted("members"), "auto"),
        (lambda: Counted("draw"), "auto"),
    ],
)
def test_a_network_for_normalised_pixels_is_given_them(factory: Factory, randomness: str) -> None:
    """Its prediction at x is the network's own at (x - mean) / std, draw by draw."""
    with forked_random_state(3):
        net = factory()
    plain = entry(lambda: net, None, randomness=randomness).predictor(3, 5)
    given = entry(lambda: net, None, randomness=randomness, normalize=((0.1307,), (0.3081,))).predictor(3, 5)
    assert torch.allclose(given(X), plain((X - 0.1307) / 0.3081), atol=1e-5)
    assert not torch.allclose(given(X), plain(X), atol=1e-3)


def test_mean_field_draws_are_mu_plus_sigma_times_noise_and_share_what_is_not_random() -> None:
    """The noise comes draw by draw and layer by layer of one generator; the network itself shares nothing with them."""
    with forked_random_state(0):
        network = make_bayesian(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3)), rho=-2.0
        )
    draws, generator = posterior_draws(network, 3, 5), torch.Generator().manual_seed(5)
    for draw in draws:
        for layer, drawn in zip(bayesian_layers(network), (draw[0], draw[3]), strict=True):  # type: ignore[index]
            for (mu, sigma), value in zip(layer.posterior(), drawn.parameters(), strict=True):
                assert torch.equal(value, mu + sigma * torch.randn(mu.shape, generator=generator))
                assert not value.requires_grad
    norms = [draw[1] for draw in draws]  # type: ignore[index]
    assert all(norm.weight is norms[0].weight and norm.running_var is norms[0].running_var for norm in norms)
    mine, theirs = ({v.data_ptr() for v in one.state_dict().values()} for one in (network, draws[0]))
    assert not mine & theirs
