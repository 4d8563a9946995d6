"""Images that were made elsewhere: judged as the harness judges its own, and they lower a row where they hurt more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn
from typer.testing import CliRunner, Result

from benchmark import Results, evaluate
from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.machine import Machine
from benchmark.evaluation.outside import judge_file
from benchmark.judge import app
from benchmark.protocol import example_order
from benchmark.records.image_files import read_images
from benchmark.records.store import Store
from benchmark.results.rows import Row
from zoo import models
from zoo.datasets import load_split
from zoo.seeding import derive_seed

COUNT, EPS = 20, 0.1
INDICES = np.array(example_order(10_000)[:COUNT])
ATTACK = {"attacks": ["fgsm"], "eps": {"linf": [EPS]}, "examples": COUNT, "progress": False}


def clean(indices: NDArray[np.int64] = INDICES) -> NDArray[np.float32]:
    return load_split("mnist", "test").images[indices].astype(np.float32) / np.float32(255)


def by_hand(model: str, draws: int = 1, steps: int = 1) -> NDArray[np.float32]:
    """FGSM, or several steps of it, against the draws of the harness's attacker, by autograd alone."""
    attacker = models[model].predictor(draws, derive_seed("attack", model, 0))
    x, y = torch.from_numpy(clean()), torch.from_numpy(load_split("mnist", "test").labels[INDICES])
    point = x
    for _ in range(steps):
        point = point.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(attacker(point), y, reduction="sum"), point)
        step = point + (EPS if steps == 1 else 2.5 * EPS / steps) * gradient.sign()
        point = (x + (step - x).clamp(-EPS, EPS)).clamp(0, 1)
    return point.detach().numpy()


def judge(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [str(argument) for argument in arguments])


def only_row(results: Results) -> Row:
    (row,) = results.entry().rows
    return row


@pytest.fixture
def no_leaderboards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.publications.PROJECT", tmp_path / "none")


def test_fgsm_by_hand_is_judged_as_the_harness_judges_its_own(tmp_path: Path) -> None:
    """A mean-field network: the attacker has eight draws, the judge 64 others."""
    (own,) = evaluate("mnist/bayesian-lenet", **ATTACK).records
    order = np.random.default_rng(0).permutation(COUNT)  # a file's order is its own
    np.savez(tmp_path / "fgsm.npz", images=by_hand("mnist/bayesian-lenet", draws=8)[order], indices=INDICES[order])
    with Store(None) as store:
        file, threat = read_images(tmp_path / "fgsm.npz"), ThreatModel("linf", EPS)
        record, _, outside = judge_file(file, models["mnist/bayesian-lenet"], threat, store, Machine())
    assert outside == []
    assert record is not None
    assert (record.examples, record.labels, record.clean) == (own.examples, own.labels, own.clean)
    found, expected = record.outcomes["outside"], own.outcomes["foolbox"]
    assert 0 < sum(expected.correct) < COUNT
    for field in ("correct", "predicted", "correct_attacker"):
        assert getattr(found, field) == getattr(expected, field), field
    assert found.log_p == pytest.approx(expected.log_p, rel=1e-3)  # four digits are kept


def test_kept_images_reproduce_the_worst_case_of_their_row(tmp_path: Path, no_leaderboards: None) -> None:
    found = evaluate("mnist/lenet", examples=COUNT, eps=[EPS], keep_images=True, progress=False)
    images = found.images("linf", EPS)
    images.save(tmp_path / "worst.safetensors")
    with Store(None) as store:
        file, entry = read_images(tmp_path / "worst.safetensors"), models["mnist/lenet"]
        record, _, _ = judge_file(file, entry, images.threat, store, Machine())
    assert record is not None
    row = next(row for row in found.entry().rows if row.threat == images.threat)
    alone = {
        e: right and e not in record.broken for e, right in zip(record.examples, record.clean.correct, strict=True)
    }
    assert alone == row.survivors
    predicted = dict(zip(record.examples, record.outcomes["outside"].predicted, strict=True))
    assert [predicted[example] for example in images.examples] == images.predicted


def test_stronger_images_lower_the_row_from_then_on(tmp_path: Path, no_leaderboards: None) -> None:
    store = tmp_path / "r.sqlite"
    before = only_row(evaluate("mnist/lenet", store=store, **ATTACK))
    stronger, half = by_hand("mnist/lenet", steps=20), COUNT // 2
    for part, place in ((slice(None, half), "first"), (slice(half, None), "second")):
        np.savez(tmp_path / f"{place}.npz", images=stronger[part], indices=INDICES[part])
    dry = judge("mnist/lenet", tmp_path / "first.npz", "--eps", EPS)
    assert "so there is no row to lower" in dry.output
    said = [judge("mnist/lenet", tmp_path / f"{p}.npz", "--eps", EPS, "--store", store) for p in ("first", "second")]
    assert [result.exit_code for result in said] == [0, 0]
    after = only_row(evaluate("mnist/lenet", store=store, **ATTACK))
    predicted = models["mnist/lenet"].predictor(1, 0)(torch.from_numpy(stronger)).argmax(1).numpy()
    broken = set(INDICES[predicted != load_split("mnist", "test").labels[INDICES]].tolist())
    assert after.survivors == {example: alive and example not in broken for example, alive in before.survivors.items()}
    assert after.worst.hits < before.worst.hits
    assert f"worst case: {before.worst.hits} of {COUNT}" in said[0].output
    assert f"becomes {after.worst.hits} of {COUNT}" in said[1].output
    assert after.status == before.status
    # a weaker file of the same images and name takes nothing back
    np.savez(tmp_path / "weak.npz", images=clean(), indices=INDICES)
    judge("mnist/lenet", tmp_path / "weak.npz", "--eps", EPS, "--store", store)
    assert only_row(evaluate("mnist/lenet", store=store, **ATTACK)).survivors == after.survivors
    kept = evaluate("mnist/lenet", store=store, keep_images=True, **ATTACK).images("linf", EPS)
    assert dict(zip(kept.examples, kept.survives, strict=True)) == after.survivors
    assert "outside" in kept.library


def test_what_is_outside_ball_or_box_is_named_and_does_not_count(tmp_path: Path, no_leaderboards: None) -> None:
    """Black images are taken for one class only, so nearly all of them would be judged wrong."""
    store = tmp_path / "r.sqlite"
    before = only_row(evaluate("mnist/lenet", store=store, **ATTACK))
    images = np.zeros_like(clean())
    images[:3] = clean()[:3]
    images[1, 0, 0, 0] = -0.01
    images[2, 0, 0, 0] = EPS + 1e-5
    np.savez(tmp_path / "far.npz", images=images, indices=INDICES)
    said = judge("mnist/lenet", tmp_path / "far.npz", "--eps", EPS, "--store", store)
    assert said.exit_code == 0
    named = ", ".join(map(str, sorted(INDICES[1:].tolist())))
    assert f"not counted: {COUNT - 1} ({named})" in said.output
    assert "judged wrong: 0 of 1" in said.output
    after = only_row(evaluate("mnist/lenet", store=store, **ATTACK))
    assert (after.survivors, after.status) == (before.survivors, before.status)


def test_only_images_of_another_ball_are_recorded_nowhere(tmp_path: Path) -> None:
    np.savez(tmp_path / "far.npz", images=1 - clean(), indices=INDICES)
    said = judge("mnist/lenet", tmp_path / "far.npz", "--eps", EPS, "--store", tmp_path / "r.sqlite")
    assert f"not counted: {COUNT}" in said.output
    assert "recorded" not in said.output
    with Store(tmp_path / "r.sqlite") as store:
        assert list(store.records()) == []


def test_the_committed_leaderboards_are_what_images_are_held_against(tmp_path: Path) -> None:
    images = np.round(by_hand("mnist/lenet") * 255).astype(np.uint8)  # 0.1 is 25.5 of 255: half of them too far
    np.savez(tmp_path / "eight-bit.npz", images=images, indices=INDICES)
    said = judge("mnist/lenet", tmp_path / "eight-bit.npz", "--eps", "26/255")
    assert "so there is no row to lower" in said.output
    np.savez(tmp_path / "fgsm.npz", images=by_hand("mnist/lenet"), indices=INDICES)
    said = judge("mnist/lenet", tmp_path / "fgsm.npz", "--eps", EPS)
    assert "survive every other attack: none" in said.output
    assert ", as before" in said.output


def npz(**arrays: object) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


X = np.zeros((2, 1, 28, 28), np.float32)
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "another shape": (npz(images=np.zeros((2, 28, 28, 1)), indices=[0, 1]), r"mnist has \(1, 28, 28\), channels first"),
    "no channels": (npz(images=X[:, 0], indices=[0, 1]), r"must be \(N, C, H, W\)"),
    "none": (npz(images=X[:0], indices=np.zeros(0, int)), "at least one"),
    "twice": (npz(images=X, indices=[4, 4]), "index 4 is there twice"),
    "too large": (npz(images=X, indices=[0, 10_000]), "index 10000; mnist has test images 0 to 9999"),
    "negative": (npz(images=X, indices=[-1, 0]), "index -1"),
    "not whole": (npz(images=X, indices=[0.0, 1.0]), "an integer for each of the 2 images"),
    "too few": (npz(images=X, indices=[0]), "an integer for each of the 2 images"),
    "no indices": (npz(images=X), "lacks indices"),
    "other names": (npz(x_adv=X, y=[0, 1]), "lacks images and indices"),
    "to 255": (npz(images=X + 255, indices=[0, 1]), r"from 255 to 255; they must be in \[0, 1\]"),
    "normalised": (npz(images=X - 1.2, indices=[0, 1]), "undo a normalisation"),
    "undefined": (npz(images=X * np.nan, indices=[0, 1]), "2 of 2 images hold NaN"),
    "whole pixels": (npz(images=X.astype(int), indices=[0, 1]), "or uint8"),
    "pickled": (npz(images=X.astype(object), indices=[0, 1]), "plain arrays: Object arrays"),
    "text": (lambda path: path.write_text("no images here"), "no readable safetensors or npz"),
    "cut short": (lambda path: path.write_bytes(b"PK\x03\x04"), "no readable safetensors or npz"),
    "nothing": (lambda path: None, "is no file"),
    "another entry": (
        lambda path: save_file({"images": X, "indices": np.arange(2)}, path, {"model": "mnist/mlp"}),
        "of the model mnist/mlp, not of mnist/lenet",
    ),
    "another data set": (
        lambda path: save_file({"images": X, "indices": np.arange(2)}, path, {"dataset": "fashion-mnist"}),
        "of the dataset fashion-mnist, not of mnist",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_clear_line(case: str, tmp_path: Path) -> None:
    write, message = BAD[case]
    path = tmp_path / "images.npz"
    write(path)
    said = judge("mnist/lenet", path, "--eps", EPS)
    assert said.exit_code == 2
    assert len(said.stderr.strip().splitlines()) == 1
    assert str(path) in said.stderr
    with pytest.raises(ValueError, match=message):
        raise ValueError(said.stderr)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--eps", "0"], "only the original"),
        (["--eps", "-1"], "eps must be a number >= 0"),
        (["--eps", "much"], "'much' is not a number"),
        (["--eps", "0.1", "--norm", "l1"], "'linf' or 'l2', not 'l1'"),
        (["--eps", "0.1", "--name", "foolbox"], "no library's name"),
        (["--eps", "0.1", "--name", "my attack"], "choose a word"),
    ],
)
def test_a_mistake_in_the_command_is_one_clear_line(options: list[str], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", images=X, indices=[0, 1])
    said = judge("mnist/lenet", tmp_path / "images.npz", *options)
    assert said.exit_code == 2
    assert message in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1
