"""The command: what it prints, what it refuses, how it exits."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from benchmark.evaluation import evaluator
from benchmark.records.store import Store
from benchmark.reports import console
from benchmark.run import app

FAST = ["--suite", "smoke", "--model", "mnist/lenet", "--attack", "fgsm"]


def invoke(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [str(argument) for argument in arguments])


def store_in(folder: Path) -> list[object]:
    return ["--store", folder / "r.sqlite"]


def test_a_run_prints_a_ranking_and_the_second_computes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "benchmark.run", *FAST, "--store", str(tmp_path / "r.sqlite")]
    env = {**os.environ, "COLUMNS": "200"}
    first = subprocess.run(command, capture_output=True, text=True, env=env)
    assert first.returncode == 0, first.stderr
    assert "closed form: " in first.stdout
    assert "mnist: 20 images" in first.stdout
    assert "mnist/lenet" in first.stdout
    second = subprocess.run(command, capture_output=True, text=True, env=env)
    assert second.returncode == 0
    assert "1 of 1 cells are stored already" in second.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--eps", "-0.1"], "eps must be a number >= 0, not -0.1"),
        (["--eps", "nan"], "not nan"),
        (["--eps", "eight"], "'eight' is not a number"),
        (["--eps", "8/0"], "'8/0' is not a number"),
        (["--eps", "0.1", "--eps", "l2=1"], "name the norm of each"),
        (["--eps", "l1=1"], "no norm 'l1'; there are: linf, l2"),
        (["--eps", "linf=-1"], "eps must be a number >= 0, not -1"),
        (["--attack", "apgd-ce-linf"], "apgd-ce-linf is none of them; --suite adaptive has more"),
        (["--attack", "apgd"], "beyond the protocol's mifgsm-linf"),
        (["--model", "nets/mine.py:make"], "write nets.mine:make"),
        (["--suite", "whitbox"], "did you mean whitebox"),
        (
            ["--randomness", "dropout"],
            "mnist/lenet is registered with randomness 'auto': leave out randomness 'dropout'",
        ),
        (["--outputs", "probabilities"], "mnist/lenet is registered with outputs 'logits': leave out outputs"),
        (["--model", "mnist/lennet"], "did you mean"),
        (["--model", "no_such_module:f"], "cannot import"),
        (["--dataset", "mnits"], "did you mean"),
        (["--library", "cleverhans"], "torchattacks, foolbox, art"),
        (["--attack", "pgd"], "pgd-linf"),
        (["--examples", "0"], "examples must be at least 1"),
        (["--examples", "20000"], "10000 test examples"),
        (["--target", "mean"], "single-draw"),
        (["--precision", "float16"], "float32, bfloat16"),
        (["--executor", "slurm"], "local, ray"),
        (["--threads", "0"], "--threads must be at least 1"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--ray-address", "auto"], "needs --executor ray"),
        (["--device", "meta"], "--device meta is not available"),
        (["--draws", "0"], "draws must be at least 1"),
        (["--device", "cuda:77"], "--device cuda:77 is not available"),
        (["--dataset", "cifar100"], "no zoo entry for suite"),
        (["--suite", "anchors", "--eps", "0.07"], "nothing to run"),
        (["--attack", "no_such_module:attack"], "cannot import 'no_such_module:attack'"),
        (["--attack", "fgsm", "--steps", "9"], "--steps: no attack that was asked for has it"),
        (["--step-size", "2/255"], "is a length in one norm: name the attacks, as in --attack pgd-linf"),
    ],
)
def test_a_mistake_is_one_clear_line_and_no_work_is_done(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = invoke(*arguments, *store_in(tmp_path))
    assert result.exit_code == 2
    assert message in result.stderr
    # entries whose data are not at hand are named first
    assert len([line for line in result.stderr.strip().splitlines() if not line.startswith("skipping")]) == 1
    assert "Traceback" not in result.output


def test_a_radius_beyond_the_range_of_pixels_is_warned_of_in_linf_alone(tmp_path: Path) -> None:
    large = invoke(*FAST, "--eps", "8", *store_in(tmp_path))
    assert large.exit_code == 0
    assert "warning: eps 8 in linf" in large.stderr
    assert "8/255 meant?" in large.stderr
    assert "warning" not in invoke(*FAST, "--eps", "linf=8/255", "--eps", "l2=8", *store_in(tmp_path)).stderr


def test_an_unwritable_store_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    for path in (blocked / "r.sqlite", tmp_path):
        result = invoke(*FAST, "--store", path)
        assert result.exit_code == 2
        assert str(path) in result.stderr
        assert result.stderr.strip().count("\n") == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    result = invoke(*FAST, *store_in(tmp_path))
    assert result.exit_code == 2
    assert str(tmp_path) in result.stderr


def test_a_full_disk_in_the_middle_is_one_line_and_keeps_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put

    def limited(self: Store, *cell: object) -> None:
        put(self, *cell)
        pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
        self._connection.execute(f"PRAGMA max_page_count = {pages}")

    monkeypatch.setattr(Store, "put", limited)
    grid = ",".join(f"{0.01 * k:.2f}" for k in range(1, 9))
    result = invoke(*FAST, "--library", "foolbox", "--eps", grid, *store_in(tmp_path))
    assert result.exit_code == 2
    assert "full" in result.stderr
    assert result.stderr.strip().count("\n") == 0
    with Store(tmp_path / "r.sqlite") as store:
        assert len(list(store.records())) >= 1


def test_ctrl_c_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine, calls = evaluator.Evaluator.evaluate, []

    def interrupted(self: evaluator.Evaluator, *cell: object) -> object:
        calls.append(cell)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return genuine(self, *cell)

    monkeypatch.setattr(evaluator.Evaluator, "evaluate", interrupted)
    result = invoke(*FAST, "--eps", "0.1,0.2,0.3", *store_in(tmp_path))
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr
    with Store(tmp_path / "r.sqlite") as store:
        assert len(list(store.records())) == 1
    assert invoke(*FAST, "--eps", "0.1,0.2,0.3", *store_in(tmp_path)).exit_code == 0


def test_a_failing_library_makes_the_exit_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(library: str, *_: object) -> object:
        raise RuntimeError("no")

    monkeypatch.setattr(evaluator, "craft", broken)
    result = invoke(*FAST, *store_in(tmp_path))
    assert result.exit_code == 1
    assert "failed on mnist/lenet fgsm" in result.stderr
    monkeypatch.undo()
    assert invoke(*FAST, *store_in(tmp_path)).exit_code == 0  # tried again


def test_entries_without_data_are_skipped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo import ZooEntry, models

    lenet = models["mnist/lenet"]
    monkeypatch.setattr(models, "_entries", {lenet.name: lenet})
    models.add(ZooEntry("cifar10/absent", "cifar10", "frequentist", lenet.factory, lenet.weights, lenet.source))
    result = invoke("--suite", "smoke", "--attack", "fgsm", "--library", "foolbox", *store_in(tmp_path))
    assert result.exit_code == 0
    assert "skipping cifar10/absent" in result.stderr
    explicit = invoke("--model", "cifar10/absent", *store_in(tmp_path))
    assert explicit.exit_code == 2
    assert "--data-root" in explicit.stderr


def test_list_shows_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "console", Console(width=80))  # names are whole even there
    result = invoke("--list")
    assert result.exit_code == 0
    for word in ("whitebox", "cifar10-jpeg/bayesian-3conv3fc", "99.04 %", "missing", "at hand", "pgd-l2", "foolbox"):
        assert word in result.output


def test_help_teaches() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for word in ("--suite whitebox", "8/255", "Exit status", "package.module:factory"):
        assert word in result.output
