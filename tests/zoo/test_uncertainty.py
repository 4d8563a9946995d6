"""Uncertainties against SciPy, the published formulas written out, and pairs counted one by one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy
from torch import Tensor
from typer.testing import CliRunner

from zoo import models
from zoo.datasets import DATASETS, DataNotFoundError, load_split
from zoo.studies.strange_images import strange_images
from zoo.studies.uncertainty import auroc, uncertainties, uncertainty_study
from zoo.uncertainty import entropies, probabilities, variances
from zoo.uncertainty.__main__ import app

logit_tensors = st.integers(2, 5).flatmap(
    lambda draws: st.lists(st.floats(-300, 300, width=32), min_size=draws * 6, max_size=draws * 6).map(
        lambda values: torch.tensor(values).view(draws, 2, 3)
    )
)


@given(logit_tensors)
def test_entropies_are_scipys(logits: Tensor) -> None:
    found = entropies(logits.log_softmax(-1))
    p = softmax(logits.double().numpy(), axis=-1)
    predictive, expected = entropy(p.mean(0), axis=-1), entropy(p, axis=-1).mean(0)
    assert np.allclose(found.predictive, predictive, atol=2e-5)
    assert np.allclose(found.expected, expected, atol=2e-5)
    assert np.allclose(found.mutual_information, predictive - expected, atol=4e-5)
    assert (found.mutual_information >= 0).all()
    assert (found.mutual_information <= math.log(len(logits)) + 1e-5).all()


def test_what_a_sure_network_is_unsure_of_is_not_rounded_away() -> None:
    """Margins of 5 to 20: the mutual information is far below what float32 rounds an entropy by."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(32, 200, 10, generator=generator)
    logits[..., 3] += torch.linspace(5, 20, 200)
    exact = uncertainties(logits.double())
    for log_p in (logits.log_softmax(-1), logits.double().log_softmax(-1)):
        found = entropies(log_p).mutual_information
        assert (found / exact["mutual information"] - 1).abs().max() < 0.01
    p = softmax(logits.double().numpy(), axis=-1).mean(0)
    assert np.allclose(uncertainties(logits)["1 - confidence"], np.delete(p, 3, axis=1).sum(1), rtol=1e-6)
    assert exact["mutual information"].min() < 1e-7


def test_draws_that_are_certain_of_different_classes_know_nothing() -> None:
    certain = torch.tensor([[[200.0, 0.0]], [[0.0, 200.0]]])
    found = entropies(certain.log_softmax(-1))
    assert found.predictive.item() == pytest.approx(math.log(2))
    assert found.expected.item() == pytest.approx(0, abs=1e-30)
    assert found.mutual_information.item() == pytest.approx(math.log(2))
    assert torch.allclose(variances(certain).epistemic, torch.full((1, 2), 0.25).double())


def as_published(logits: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Diagonals of the two covariance matrices of one image, (S, K) logits in float64: Kwon et al., equation 4."""
    positive = np.exp(logits) if method == "softmax" else np.logaddexp(0, logits)
    p = positive / positive.sum(1, keepdims=True)
    mean = p.mean(0)
    aleatoric = sum(np.diag(q) - np.outer(q, q) for q in p) / len(p)
    epistemic = sum(np.outer(q - mean, q - mean) for q in p) / len(p)
    return np.diag(aleatoric), np.diag(epistemic)


@given(logit_tensors, st.sampled_from(["softmax", "normalized"]))
def test_variances_are_the_published_ones_and_add_up(logits: Tensor, method: str) -> None:
    found = variances(logits, method)
    for image in range(2):
        aleatoric, epistemic = as_published(logits[:, image].double().numpy(), method)
        assert np.allclose(found.aleatoric[image], aleatoric, atol=1e-12)
        assert np.allclose(found.epistemic[image], epistemic, atol=1e-12)
    p = probabilities(logits.double(), method).mean(0)
    assert torch.allclose(found.aleatoric + found.epistemic, p * (1 - p), atol=1e-12)


@pytest.mark.parametrize("method", ["softmax", "normalized"])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_have_probabilities(method: str, size: float) -> None:
    p = probabilities(torch.tensor([size, size + 1, size - 3]), method)
    assert p.isfinite().all()
    assert p.sum().item() == pytest.approx(1)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="no method 'sigmoid'; there are: softmax, normalized"):
        variances(torch.zeros(2, 1, 3), "sigmoid")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_auroc_is_the_share_of_pairs_in_order(known: list[int], strange: list[int]) -> None:
    pairs = [(a < b) + 0.5 * (a == b) for a in known for b in strange]
    ours = auroc(torch.tensor(known, dtype=torch.float32), torch.tensor(strange, dtype=torch.float32))
    assert ours == pytest.approx(sum(pairs) / len(pairs))


def test_a_single_draw_has_nothing_that_comes_from_the_weights() -> None:
    assert not any("mutual" in name or "epistemic" in name for name in uncertainties(torch.zeros(1, 2, 3)))


def test_other_images(untouched_global_state: None) -> None:
    spec, own = DATASETS["mnist"], torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(strange_images("rotated-180", spec, own, None), own.flip(2, 3), atol=1e-5)
    assert torch.equal(strange_images("mnist", spec, own, None)[:, 0], pixels_of_mnist(6))
    normal, uniform = (
        strange_images(f"{kind}-noise", spec, own.repeat(50, 1, 1, 1), None) for kind in ("gaussian", "uniform")
    )
    assert normal.mean().item() == pytest.approx(0, abs=0.02)
    assert normal.std().item() == pytest.approx(1, abs=0.02)
    assert (uniform.min().item(), uniform.max().item()) == pytest.approx((0, 1), abs=1e-3)


def pixels_of_mnist(count: int) -> Tensor:
    return torch.from_numpy(load_split("mnist", "test").images[:count, 0].copy()).float() / 255


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("notmnis", "no images 'notmnis' .* notmnist, .*rotated-DEGREES"),
        ("cifar10", r"cifar10 has images of shape \(3, 32, 32\), mnist of shape \(1, 28, 28\)"),
        ("rotated-far", "'far' is not a number of degrees"),
        ("rotated-nan", "'nan' is not a number of degrees"),
    ],
)
def test_images_that_there_are_not_are_refused(kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strange_images(kind, DATASETS["mnist"], torch.zeros(1, 1, 28, 28), None)


def test_notmnist_is_told_from_mnist(shared_data: Path) -> None:
    split = load_split("notmnist", "test", shared_data)
    assert split.images.shape == (10_000, 1, 28, 28)
    assert np.bincount(split.labels).tolist() == [1000] * 10
    table = uncertainty_study(
        models["mnist/bayesian-lenet"], ["notmnist"], examples=300, draws=8, root=shared_data
    ).table
    assert table["AUROC mutual information"].iloc[1] > 0.9
    with pytest.raises(DataNotFoundError, match="no train images"):
        load_split("notmnist", "train", shared_data)


def test_notmnist_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="notMNIST-to-MNIST"):
        load_split("notmnist", "test", tmp_path, download=True)


def test_the_command_prints_and_writes_a_table_and_a_figure(tmp_path: Path) -> None:
    command = ["mnist/bayesian-lenet", "--against", "gaussian-noise,rotated-90", "--examples", "60", "--draws", "4"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "mnist" / "bayesian-lenet.csv")
    assert table["images"].tolist() == ["mnist", "gaussian-noise", "rotated-90"]
    assert f"{table['entropy'][1]:.4f}" in result.output
    assert table["accuracy"].isna().tolist() == [False, True, False]
    assert table["AUROC entropy"].isna().tolist() == [True, False, False]
    assert (tmp_path / "mnist" / "bayesian-lenet.png").stat().st_size > 10_000


def test_one_image_is_enough(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["mnist/lenet", "--examples", "1", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mnist" / "lenet.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mnist/lent"], "mnist/lenet"),
        (["mnist/lenet", "--against", "noise"], "no images 'noise'"),
        (["mnist/lenet", "--examples", "10001"], "10000 test images"),
        (["mnist/lenet", "--against", "mnist"], "hold it against other images"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "x")])
    assert result.exit_code == 2
    assert message in result.output.replace("\n", " ")
    assert not (tmp_path / "x").exists()
