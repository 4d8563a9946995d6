"""The examples against the tutorial's printed numbers, an exact posterior, and what a distribution is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from examples import digits, regression
from examples.one_weight import exact_posterior, learned_posterior, step
from zoo import models


def test_one_step_has_every_number_that_the_tutorial_prints() -> None:
    """epsilon is printed with five digits, so its numbers are known to four."""
    found = step()
    assert found.w == pytest.approx(4.5561, rel=1e-4)
    assert found.log_posterior == pytest.approx(-3.4920, rel=1e-4)
    assert found.log_prior == pytest.approx(-11.2981, rel=1e-4)
    assert found.log_likelihood == pytest.approx(-74.9450, rel=1e-4)
    assert found.loss == pytest.approx(82.7511, rel=1e-4)
    assert found.mu_gradient == pytest.approx(53.4541, rel=1e-4)
    assert found.rho_gradient == pytest.approx(89.3733, rel=1e-4)
    assert found.new_mu == pytest.approx(-0.0345, abs=1e-4)
    assert found.new_rho == pytest.approx(1.1063, abs=1e-4)


def test_the_steps_lead_to_the_exact_posterior() -> None:
    mean, std = exact_posterior()
    assert (mean, std) == pytest.approx((24 / 17, 17**-0.5))
    assert learned_posterior() == pytest.approx((mean, std), rel=0.02)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("regression")
    regression_app(out)
    return out


def regression_app(out: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(regression.run)
    result = CliRunner().invoke(app, ["--out", str(out)])
    assert result.exit_code == 0, result.output


def test_the_standard_network_fits_and_extrapolates_as_the_tutorials(fitted: Path) -> None:
    """It prints losses of 6.1 at first, 0.00074 after 20,000 and 0.00004 after 25,000 steps, and -13 at x = 100."""
    numbers = json.loads((fitted / "regression.json").read_text())
    losses = numbers["standard_losses_every_5000"]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.01
    assert numbers["standard_at_100"] == pytest.approx(-13, abs=3)


def test_the_bayesian_band_is_wide_outside_the_points_and_too_narrow_between_them(fitted: Path) -> None:
    numbers = json.loads((fitted / "regression.json").read_text())
    assert numbers["bayesian_loss_last"] == pytest.approx(278, rel=0.25)
    assert numbers["band_width_at_5"] > 2 * numbers["band_width_at_the_points"]
    low, high = numbers["band_at_0"]
    assert high - low < numbers["band_width_at_the_points"]
    assert not low < numbers["function_at_0"] < high
    assert (fitted / "regression.png").stat().st_size > 10_000


def test_the_band_of_draws_is_that_of_a_linear_network() -> None:
    """y = w x with w ~ N(0, s^2): the band ends at 1.96 s |x|."""
    layer = regression.BayesianLinear(1, 1, bias=False, mu=(0.0, 0.0), rho=0.5413)  # softplus(0.5413) = 1
    band = regression.predictive_band(layer, torch.tensor([[2.0], [-3.0]]), draws=20_000)
    assert band.high.tolist() == pytest.approx([3.92, 5.88], rel=0.04)
    assert band.low.tolist() == pytest.approx([-3.92, -5.88], rel=0.04)


def test_entropies_in_bits_of_a_distribution_and_of_none() -> None:
    """Two draws, certain of different classes: one bit. The tutorial's mean of logarithms: a product, nearly 0."""
    log_p = torch.tensor([[[0.5, 0.5]], [[0.5, 0.5]]]).log()
    assert digits.predictive_entropy(log_p) == pytest.approx(1)
    assert digits.tutorial_entropy(log_p) == pytest.approx(1)
    log_p = torch.tensor([[[0.98, 0.02]], [[0.02, 0.98]]]).log()
    assert digits.predictive_entropy(log_p) == pytest.approx(1)
    assert log_p.mean(0).exp().sum().item() == pytest.approx(0.28)
    assert digits.tutorial_entropy(log_p) == pytest.approx(0.28 * 2.836, rel=1e-3)


@pytest.mark.skipif("mnist/bayesian-mlp" not in models, reason="mnist/bayesian-mlp is not trained yet")
def test_the_tutorials_average_is_no_distribution(untouched_global_state: None) -> None:
    log_p = digits.log_probabilities("mnist/bayesian-mlp", digits.noise(100), draws=20)
    assert log_p.exp().mean(0).sum(-1).sub(1).abs().max() < 1e-5
    assert (log_p.mean(0).exp().sum(-1) < 1).all()


def test_a_mistake_is_one_line() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "examples.bayesian_cnn", "--data-root", "nowhere"], capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "error: cifar10-jpeg not found; looked for nowhere" in run.stderr
    assert "Traceback" not in run.stderr
