"""What every kind of posterior promises, whatever it is made of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.zoo.networks import X
from zoo.posteriors import Kind, Posterior, posterior_mean
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import forked_random_state


class PosteriorContract:
    """A new kind's test class inherits it and gives a fixture `posterior`, of a network for images like X."""

    @pytest.fixture
    def posterior(self) -> Posterior:
        raise NotImplementedError("say which posterior is tested")

    def test_its_kind_fits_how_many_networks_it_has(self, posterior: Posterior) -> None:
        size = posterior.size
        fits = {Kind.POINT: size == 1, Kind.FINITE: size is not None and size > 1, Kind.CONTINUOUS: size is None}
        assert fits[posterior.kind]

    def test_it_gives_as_many_draws_as_are_asked_for_and_none_twice(self, posterior: Posterior) -> None:
        draws = posterior.draws(9, 7)
        assert len({id(draw) for draw in draws}) == len(draws)
        if posterior.size is None:
            assert len(draws) == 9
        else:  # a draw may answer for several members
            assert 1 <= len(posterior.draws(posterior.size + 4, 7)) == len(draws) <= posterior.size <= 9

    def test_draws_are_those_of_their_seed(self, posterior: Posterior) -> None:
        draws = outputs(posterior, 3, 7)
        assert torch.equal(draws, outputs(posterior, 3, 7))
        if posterior.kind is Kind.CONTINUOUS:
            assert not torch.equal(draws, outputs(posterior, 3, 8))
            assert not torch.equal(draws[0], draws[1])

    def test_the_first_draws_do_not_depend_on_their_number(self, posterior: Posterior) -> None:
        most = 6 if posterior.size is None else max(1, posterior.size - 1)  # of all, there is nothing to choose
        few = outputs(posterior, min(2, most), 7)
        assert torch.equal(few, outputs(posterior, most, 7)[: len(few)])

    def test_the_global_random_state_is_not_touched(self, posterior: Posterior, untouched_global_state: None) -> None:
        outputs(posterior, 2, 7)

    @pytest.mark.parametrize("count", [0, -1])
    def test_less_than_one_draw_is_refused(self, posterior: Posterior, count: int) -> None:
        with pytest.raises(ValueError, match=f"at least one posterior draw is needed, not {count}"):
            posterior.draws(count, 7)

    def test_a_draw_is_frozen_whatever_the_random_state_and_the_mode(self, posterior: Posterior) -> None:
        for draw in posterior.draws(2, 7):
            first = draw.eval()(X)
            prediction = ExpectedPrediction([draw], stack=False)
            for seed, change in enumerate((prediction.train, prediction.eval)):
                with forked_random_state(seed):
                    assert torch.equal(draw(X), first)
                    assert torch.equal(change().logits(X)[0], first)

    def test_it_says_what_is_random(self, posterior: Posterior) -> None:
        assert posterior.what.strip() == posterior.what != ""
        assert not posterior.what.endswith(".")

    def test_its_mean_is_a_network_or_is_refused_with_the_remedy(self, posterior: Posterior) -> None:
        if posterior.mean is None:
            with pytest.raises(ValueError, match=r"Identity has no posterior mean: give it a method mean\(\)"):
                posterior_mean(nn.Identity(), posterior)
        else:
            mean = posterior_mean(nn.Identity(), posterior).eval()(X)
            assert mean.shape == outputs(posterior, 1, 7)[0].shape


def outputs(posterior: Posterior, count: int, seed: int) -> Tensor:
    """(S, B, K) of the draws, as they are used."""
    with torch.no_grad():
        return torch.stack([draw.eval()(X) for draw in posterior.draws(count, seed)])
