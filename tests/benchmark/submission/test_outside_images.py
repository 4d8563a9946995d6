"""Adversarial images handed in against a network of the zoo: honest ones lower its row, forged ones are refused."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from benchmark import evaluate
from benchmark.protocol import example_order
from benchmark.records.record import Record
from benchmark.submission.schema import check
from tests.benchmark.submission.forging import Fields, about, broken, edit, make_right, reseal
from tests.benchmark.submission.stranger import submit
from zoo import models
from zoo.datasets import load_split

COUNT, EPS, MODEL = 12, 0.05, "mnist/mlp"
OPTIONS = ("--eps", EPS, "--licence", "CC0-1.0")


def attacked(steps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Images by PGD against the network itself, and their indices."""
    indices = np.array(example_order(10_000)[:COUNT])
    split, net = load_split("mnist", "test"), models[MODEL].predictor(1, 0)
    x, y = split.pixels(indices), torch.from_numpy(split.labels[indices])
    point = x
    for _ in range(steps):
        point = point.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(net(point), y, reduction="sum"), point)
        point = (x + (point + 0.1 * EPS * gradient.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)
    return point.detach().numpy(), indices


@pytest.fixture(scope="module")
def reference() -> list[Record]:
    """What is known of the network: FGSM alone, which leaves it a row to lower."""
    found = evaluate(MODEL, attacks=["fgsm"], eps={"linf": [EPS]}, examples=COUNT, progress=False, threads=1)
    return list(found.records)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("outsider")
    images, indices = attacked()
    np.savez(place / "images.npz", images=images, indices=indices)
    said = submit(MODEL, "--images", place / "images.npz", "--name", "walker", *OPTIONS, "--out", place / "walker")
    assert said.exit_code == 0, said.output
    return place / "walker"


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "walker")


def test_images_lower_a_row_and_the_check_says_how_far(
    folder: Path, reference: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {
        "submission.json", "images.safetensors", "mlp.json.xz"
    }  # fmt: skip
    said = submit("--check", folder)
    assert (said.exit_code, "schema check passed" in said.output) == (0, True)
    monkeypatch.setattr("benchmark.submit._reference_records", lambda dataset: reference)
    said = submit("--check", folder, "--run", "--threads", 1)
    assert said.exit_code == 0, said.output
    assert "Images of `walker` against `mnist/mlp`, linf 0.05: accepted" in said.output
    assert "worst case: " in said.output
    assert " becomes " in said.output
    monkeypatch.setattr("benchmark.submit._reference_records", lambda dataset: [])
    said = submit("--check", folder, "--run", "--threads", 1)
    assert said.exit_code == 1
    assert "no row of mnist/mlp" in said.output


def test_images_that_lower_nothing_are_refused(
    folder: Path, reference: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.records.archive import read_records

    mine = list(read_records(folder / "records").values())
    images = [record for record in reference if record.cell.attack.threat.eps == EPS]
    stronger = [replaced_outcomes(images[0], mine[0])]
    monkeypatch.setattr("benchmark.submit._reference_records", lambda dataset: stronger)
    said = submit("--check", folder, "--run", "--threads", 1)
    assert said.exit_code == 1
    assert "they lower no row" in said.output


def replaced_outcomes(record: Record, by: Record) -> Record:
    """The record of an attack that found what the images are."""
    (outcome,) = by.outcomes.values()
    return dataclasses.replace(record, outcomes=dict.fromkeys(record.outcomes, outcome))


def moved(folder: Path) -> None:
    path = folder / "images.safetensors"
    arrays = load_file(path)
    arrays["images"] = (arrays["images"] + 0.01).clip(0, 1)
    save_file(arrays, path)
    reseal(folder)


def beyond_the_box(folder: Path) -> None:
    path = folder / "images.safetensors"
    arrays = load_file(path)
    arrays["images"][0, 0, 0, 0] = -0.01
    save_file(arrays, path)
    reseal(folder)


def other_images(folder: Path) -> None:
    images, indices = attacked(steps=3)
    save_file({"images": images, "indices": indices}, folder / "images.safetensors")
    reseal(folder)


def pickled(folder: Path) -> None:
    (folder / "images.safetensors").write_bytes(pickle.dumps([0.0]))
    reseal(folder)


def other_index(folder: Path) -> None:
    path = folder / "images.safetensors"
    arrays = load_file(path)
    arrays["indices"][0] = 10_000
    save_file(arrays, path)
    reseal(folder)


def with_a_module(folder: Path) -> None:
    (folder / "source").mkdir()
    (folder / "source" / "a.py").write_text("")
    names = json.loads((folder / "submission.json").read_text())["files"]
    about(folder, files={**names, "source/a.py": "0" * 64})
    reseal(folder)


FORGERIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "images outside the ball": (moved, "ball"),
    "images outside the box": (beyond_the_box, "ball"),
    "images that the record is not of": (other_images, "records"),
    "a pickle called safetensors": (pickled, "images"),
    "an image that there is not": (other_index, "images"),
    "another eps": (lambda folder: about(folder, eps=0.3), "records"),
    "another network": (lambda folder: about(folder, model="mnist/lenet"), "records"),
    "modules": (with_a_module, "files"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_refused_and_nothing_is_run(forgery: str, folder: Path) -> None:
    forge, expected = FORGERIES[forgery]
    forge(folder)
    assert expected in [finding.check for finding in check(folder).findings]
    said = submit("--check", folder, "--run")
    assert said.exit_code == 1
    assert "schema check failed" in said.output


def test_a_verdict_that_the_judge_does_not_give_is_refused(
    folder: Path, reference: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forge(records: list[Fields]) -> None:
        (record,) = records
        place = broken(record, "walker")[0]
        make_right(record["outcomes"]["walker"], place, record["labels"][place])

    edit(folder, forge)
    assert check(folder).findings == []
    monkeypatch.setattr("benchmark.submit._reference_records", lambda dataset: reference)
    said = submit("--check", folder, "--run", "--threads", 1)
    assert said.exit_code == 1
    assert "**re-run**" in said.output


def test_the_whole_schema_check_imports_no_torch(folder: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from benchmark.submission.schema import check
from benchmark.submission.summary import schema_text
print(check(Path({str(folder)!r})).findings, [name for name in ("torch", "art") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[] []", done.stderr


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("mnist/mpl", (), "did you mean mnist/mlp"),
        (MODEL, ("--eps", 0.01), "outside the ball or the box"),
        (MODEL, ("--name", "foolbox"), "no library's name"),
        ("mnist/mlp", ("--norm", "l1"), "'linf' or 'l2'"),
    ],
)
def test_a_mistake_is_one_line(
    made: Path, tmp_path: Path, model: str, options: tuple[object, ...], message: str
) -> None:
    images, out = made / "images.safetensors", tmp_path / "out"
    said = submit(model, "--images", images, "--name", "walker", *OPTIONS, "--out", out, *options)
    assert said.exit_code == 2, said.output
    assert message in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1
    assert not out.exists()
