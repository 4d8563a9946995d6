"""Own attacks and other settings end to end: judged as ours are, counted in the worst case, and never ranked."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from benchmark import PGD, Results, evaluate
from benchmark.attacks.own import OwnAttack, own_attack
from benchmark.attacks.spec import ThreatModel
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.machine import Machine
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.suites import SUITES
from benchmark.protocol import LIBRARIES
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.results.rows import Row
from benchmark.results.selection import split
from benchmark.run import app
from tests.benchmark.attacks.test_own_attacks import FILE, step
from tests.benchmark.handmade import make
from zoo.targets import Gradient

HERE = "tests.benchmark.test_own_attacks"
SMALL = {"suite": "smoke", "examples": 12, "eps": {"linf": [0.1], "l2": [1.0]}}


def far(model: nn.Module, x: Tensor, y: Tensor, *, norm: str, eps: float, generator: torch.Generator) -> Tensor:
    """Leaves the ball on all images but the first, which stays as it is."""
    return torch.cat([x[:1], 1 - x[1:]])


def failing(model: nn.Module, x: Tensor, y: Tensor, *, norm: str, eps: float, generator: torch.Generator) -> Tensor:
    raise RuntimeError("no attack today")


far.norms = failing.norms = ("linf",)  # type: ignore[attr-defined]


def row_in(results: Results, norm: str = "linf") -> Row:
    (board,) = [board for board in results.boards if board.norm == norm]
    (row,) = board.rows
    return row


def share_of(results: Results, attack: str) -> float:
    """Of the data frame: how many images are right, as they are and attacked."""
    frame = results.df[results.df["attack"] == attack]
    return float((frame["correct"] & frame["clean_correct"]).mean())


def test_an_own_fgsm_breaks_what_ours_breaks_and_is_no_column() -> None:
    results = evaluate("mnist/lenet", attacks=["fgsm", step], libraries=["foolbox"], **SMALL)
    own = "tests.benchmark.attacks.test_own_attacks:step-linf"
    frame = results.df[results.df["norm"] == "linf"].set_index("image")
    ours, theirs = (frame[frame["attack"] == attack]["correct"].sort_index() for attack in ("fgsm", own))
    assert (ours == theirs).all()
    assert not ours.all()
    (record,) = [record for record in results.records if record.cell.attack.name == own]
    assert record.cell.libraries == ("own",)
    assert set(record.fingerprints) == {"model", "data", "attack"}
    row = row_in(results)
    assert (row.rank, list(row.attacks), row.further) == (1, ["fgsm"], [own])
    assert (row.worst, row.adaptive) == (row.whitebox, {own: 0})
    assert f"In the worst case, and no part of the protocol: {own}" in " ".join(repr(results).split())
    curve = results.curve(own).frame
    assert curve["accuracy"].tolist() == [1.0, share_of(results, own)]


def test_a_network_that_own_attacks_and_other_settings_alone_attacked_has_rows_without_rank() -> None:
    results = evaluate("mnist/lenet", attacks=[step, PGD("linf", steps=30)], libraries=["foolbox"], **SMALL)
    for norm in ("linf", "l2"):
        row = row_in(results, norm)
        assert (row.rank, dict(row.attacks), row.status == "FAIL") == (None, {}, False)
    assert row_in(results, "l2").worst.value == share_of(results, "tests.benchmark.attacks.test_own_attacks:step-l2")
    assert 0 < row_in(results).worst.value <= share_of(results, "pgd-linf, 30 steps") < 1
    said = " ".join(repr(results).split())
    assert "–: not ranked, where no attack of the protocol was run" in said
    assert "for its verdict" not in said
    assert "no attack of the protocol was run" in results.audit()
    assert "(under pgd-linf, 30 steps; tests.benchmark.attacks.test_own_attacks:step-linf alone)" in results.quote()


def test_settings_that_are_those_of_an_adaptive_attack_go_by_its_name() -> None:
    results = evaluate("mnist/lenet", attacks=[PGD("linf", steps=40)], libraries=["foolbox"], **SMALL)
    row = row_in(results)
    assert (row.rank, row.further) == (None, ["doubled steps"])
    assert row.worst.value == share_of(results, "pgd-linf, 40 steps")


def test_other_settings_count_in_the_worst_case_under_their_own_label() -> None:
    results = evaluate("mnist/lenet", attacks=["fgsm", PGD("linf", steps=30, restarts=2)], **SMALL)
    row, label = row_in(results), "pgd-linf, 30 steps, 2 starts"
    assert (row.rank, list(row.attacks), row.further) == (1, ["fgsm"], [label])
    assert row.adaptive[label] > 0
    assert row.worst.hits == row.whitebox.hits - row.adaptive[label]
    assert row.worst.value == results.curve(label).frame["accuracy"].min()
    assert label in results.audit()


def test_what_leaves_the_ball_does_not_count_and_is_named() -> None:
    results = evaluate("mnist/lenet", attacks=["fgsm", far], libraries=["foolbox"], **SMALL)
    row = row_in(results)
    assert row.worst == row.whitebox
    assert row.rank == 1  # it says nothing of the network
    assert row.audit.evidence.outside(row.threat) == {f"{HERE}:far-linf": 11}
    assert f"{HERE}:far-linf left 11 images of mnist/lenet outside" in " ".join(repr(results).split())
    assert "far-linf eps 0.1" in next(verdict.evidence for verdict in row.verdicts if verdict.check == "V2")


def test_one_that_raises_is_an_error_and_never_a_score() -> None:
    results = evaluate("mnist/lenet", attacks=["fgsm", failing], libraries=["foolbox"], **SMALL)
    (said,) = results.errors.values()
    assert said == "RuntimeError: no attack today"
    assert (row_in(results).status, row_in(results).rank) == ("ERROR", None)
    assert f"{HERE}:failing-linf" not in set(results.df["attack"])


def cell_of(attack: OwnAttack) -> Cell:
    spec = attack.spec(ThreatModel("linf", 0.1), Gradient())
    return Cell("mnist/lenet", "mnist", spec, 0, 5, attack.libraries, 1, 1)


def test_the_key_follows_the_source(tmp_path: Path, importable: None) -> None:
    file, keys = tmp_path / "attack_with_a_key.py", []
    for strength in (1, 1, 2):
        file.write_text(FILE.format(strength=strength))
        attack = own_attack(f"{file}:attack")
        keys.append(Evaluator(Machine(attacks=(attack,))).key(cell_of(attack)))
    assert keys[0] == keys[1] != keys[2]
    with pytest.raises(ValueError, match="was not handed over"):
        Evaluator().key(cell_of(attack))


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Folders that references add to the search path are forgotten again."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    return


def test_the_command_line_has_the_keys_of_the_call_and_worker_processes_its_records(
    tmp_path: Path, importable: None
) -> None:
    file, store = tmp_path / "attack_on_the_command_line.py", tmp_path / "r.sqlite"
    file.write_text(FILE.format(strength=1))
    here = evaluate("mnist/lenet", suite="smoke", examples=5, eps=[0.1], attacks=[f"{file}:attack"], threads=1)
    arguments = ["--suite", "smoke", "--model", "mnist/lenet", "--examples", "5", "--eps", "0.1", "--threads", "1"]
    command = [*arguments, "--attack", f"{file}:attack", "--workers", "2", "--store", str(store)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    with Store(store) as opened:
        assert {r.key: r.outcome for r in opened.records()} == {r.key: r.outcome for r in here.records}
    assert len(here.records) == 2


def test_what_cannot_be_sent_to_worker_processes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"<lambda> cannot be sent to worker processes .*leave out workers"):
        evaluate("mnist/lenet", attacks=[lambda model, x, y, *, norm, eps, generator: x], workers=2, **SMALL)


def test_a_wrong_signature_is_refused_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Evaluator, "evaluate", lambda *_: pytest.fail("a cell was evaluated"))
    with pytest.raises(ValueError, match="an attack is called as"):
        evaluate("mnist/lenet", attacks=["fgsm", lambda model, x, y: x], **SMALL)


def own_record(breaks: bool) -> Record:
    """Of an own attack on 100 images of an entry of the zoo."""
    record = make("mnist/lenet", "fgsm", 0.1, {"own": [not breaks] * 100})
    spec = own_attack(step).spec(ThreatModel("linf", 0.1), Gradient())
    cell = dataclasses.replace(record.cell, attack=spec, libraries=("own",), attack_draws=1, judge_draws=1)
    return dataclasses.replace(record, key="own", cell=cell)


def test_the_adaptive_suite_attacks_the_same_images_with_own_attacks_and_without() -> None:
    subject = Subject("mnist/lenet", "mnist", 10_000, deterministic=True)
    ours = make("mnist/lenet", "fgsm", 0.1, dict.fromkeys(LIBRARIES, [True] * 100))
    ours = dataclasses.replace(ours, cell=dataclasses.replace(ours.cell, attack_draws=1, judge_draws=1))
    follow_up = SUITES["adaptive"].follow_up
    without = follow_up([ours], [subject], Selection())
    assert without
    assert follow_up([ours, own_record(breaks=True)], [subject], Selection()) == without


def test_own_attacks_stay_out_of_the_projects_leaderboards() -> None:
    parts = split([own_record(breaks=False)], ())
    assert parts.project == []
    assert "attacked by tests.benchmark.attacks.test_own_attacks:step-linf" in parts.reasons["mnist/lenet"]
