"""Images and losses that a run keeps: what was judged, of the most harmful library, and no pass more for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark import evaluate
from benchmark.evaluation import evaluator as evaluators
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.kept import Kept
from benchmark.plan.cells import Cell
from benchmark.protocol import standard_attack
from benchmark.records.images import CellImages
from benchmark.records.record import Record
from benchmark.records.store import Store
from zoo import ZooEntry
from zoo.datasets import load_split
from zoo.seeding import derive_seed

CELL = Cell("mnist/small", "mnist", standard_attack("pgd-linf", 0.05), 3, 13, attack_draws=3, judge_draws=5, seed=4)
FAST = {"suite": "smoke", "examples": 6, "attacks": ["fgsm", "bim"], "progress": False}


def kept_of(cell: Cell, evaluator: Evaluator) -> tuple[Record, CellImages]:
    kept = Kept()
    record = evaluator.evaluate(cell, kept)
    packed = kept.packed(record)
    assert packed is not None
    return record, CellImages.unpacked(packed)


def test_what_is_kept_is_judged_again_as_it_was(small_entry: ZooEntry) -> None:
    record, images = kept_of(CELL, Evaluator())
    judge = small_entry.predictor(5, derive_seed("judge", "mnist/small", 4))
    expected = load_split("mnist", "test").images[record.examples].astype(np.float32) / np.float32(255)
    assert np.array_equal(images.clean, expected)
    assert np.abs(images.adversarial - images.clean).max() <= 0.05 + 1e-6
    p = judge.probabilities(torch.from_numpy(images.adversarial))
    for place, library in enumerate(images.library):
        outcome = record.outcomes[record.cell.libraries[library]]
        assert int(p[place].argmax()) == outcome.predicted[place]
        assert float(p[place].amax()) == pytest.approx(outcome.confidence[place], rel=6e-4)


def test_of_several_libraries_the_most_harmful_image_is_kept(small_entry: ZooEntry) -> None:
    """Two that do nothing, and one that attacks: it is by that one, but where nothing changes the first is kept."""

    def idle(_: nn.Module, x: Tensor, *rest: object) -> Tensor:
        return x

    record, images = kept_of(CELL, Evaluator(adapters={"torchattacks": idle, "art": idle}))
    assert {record.cell.libraries[place] for place in images.library} == {"foolbox"}
    _, unmoved = kept_of(CELL, Evaluator(adapters=dict.fromkeys(CELL.libraries, idle)))
    assert np.array_equal(unmoved.adversarial, unmoved.clean)
    assert set(unmoved.library) == {0}


def test_an_image_outside_the_ball_is_kept_as_the_original_that_it_counts_as(small_entry: ZooEntry) -> None:
    def jump(_: nn.Module, x: Tensor, *rest: object) -> Tensor:
        return 1 - x

    _, images = kept_of(CELL, Evaluator(adapters=dict.fromkeys(CELL.libraries, jump)))
    assert np.array_equal(images.adversarial, images.clean)


def test_losses_are_the_cross_entropies_along_the_way(small_entry: ZooEntry) -> None:
    """BIM by hand; every library's losses, also those of gradients that were computed for another one."""
    cell = Cell("mnist/small", "mnist", standard_attack("bim", 0.05), 0, 6, attack_draws=3, judge_draws=3)
    record, images = kept_of(cell, Evaluator())
    attacker = small_entry.predictor(3, derive_seed("attack", "mnist/small", 0))
    y, x = torch.tensor(record.labels), torch.from_numpy(images.clean)
    point, expected = x.clone(), []
    for _ in range(10):
        point.requires_grad_()
        loss = nn.functional.nll_loss(attacker(point), y, reduction="none")
        (gradient,) = torch.autograd.grad(loss.sum(), point)
        expected.append(loss.detach())
        step = point.detach() + cell.attack.step_size * gradient.sign()
        point = (x + (step - x).clamp(-0.05, 0.05)).clamp(0, 1)
    for library in cell.libraries:
        assert images.losses[library].shape == (10, 6)
        assert np.allclose(images.losses[library], torch.stack(expected), rtol=1e-4, atol=1e-6)


def test_keeping_costs_no_pass_and_changes_no_record(small_entry: ZooEntry) -> None:
    plain, keeping = Evaluator(), Evaluator()
    record, _ = kept_of(CELL, keeping)
    assert record.outcome == plain.evaluate(CELL).outcome  # passes are part of it
    assert [keeping.timing[kind] for kind in ("asked", "computed")] == [60, plain.timing["computed"]]


def counted(monkeypatch: pytest.MonkeyPatch, fail_at: int | None = None) -> list[Cell]:
    """The cells that are evaluated from now on; `KeyboardInterrupt` instead of the one of that number."""
    genuine, cells = evaluators.Evaluator.evaluate, []

    def evaluate_one(self: Evaluator, cell: Cell, kept: Kept | None = None) -> Record:
        cells.append(cell)
        if len(cells) == fail_at:
            raise KeyboardInterrupt
        return genuine(self, cell, kept)

    monkeypatch.setattr(evaluators.Evaluator, "evaluate", evaluate_one)
    return cells


def test_only_cells_without_images_are_run_again_for_them(
    small_entry: ZooEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "r.sqlite"
    options = {**FAST, "store": store, "attacks": ["fgsm"]}
    evaluate("mnist/small", eps=[0.0, 0.1], **options)
    evaluate("mnist/small", eps=[0.2], keep_images=True, **options)
    cells = counted(monkeypatch)
    found = evaluate("mnist/small", eps=[0.0, 0.1, 0.2], keep_images=True, **options)
    assert [cell.attack.threat.eps for cell in cells] == [0.1]  # of eps 0 there is nothing to keep
    assert len(found.images("linf", 0.1)) == len(found.images("linf", 0.2)) == 6
    with Store(store) as opened:
        opened._connection.execute("UPDATE images SET packed = x'00' WHERE rowid = 1")
        opened._connection.commit()
    evaluate("mnist/small", eps=[0.1, 0.2], **options)
    assert len(cells) == 1  # nobody asked for them
    evaluate("mnist/small", eps=[0.1, 0.2], keep_images=True, **options)
    assert len(cells) == 2


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_images(
    small_entry: ZooEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**FAST, "eps": [0.1, 0.2], "keep_images": True}
    whole = evaluate("mnist/small", **options)
    with monkeypatch.context() as patched:
        counted(patched, fail_at=3)
        with pytest.raises(KeyboardInterrupt):
            evaluate("mnist/small", store=tmp_path / "r.sqlite", **options)
    cells = counted(monkeypatch)
    resumed = evaluate("mnist/small", store=tmp_path / "r.sqlite", **options)
    assert len(cells) == 2
    for eps in (0.1, 0.2):
        assert np.array_equal(resumed.images("linf", eps).adversarial, whole.images("linf", eps).adversarial)


@pytest.mark.slow
def test_worker_processes_send_the_images_of_their_cells() -> None:
    options = {**FAST, "threads": 1, "libraries": ["foolbox"], "eps": [0.1], "keep_images": True}
    here, there = evaluate("mnist/logistic", **options), evaluate("mnist/logistic", workers=2, **options)
    assert np.array_equal(here.images("linf", 0.1).adversarial, there.images("linf", 0.1).adversarial)
    assert here.losses("bim").frame.equals(there.losses("bim").frame)
