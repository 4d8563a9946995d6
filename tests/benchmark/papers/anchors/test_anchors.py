"""Our numbers beside published ones: of which records they are, and what the page says where there are none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from benchmark.papers.anchors.anchors import ANCHORS, TUTORIAL, compare_with_published
from benchmark.papers.anchors.page import report
from benchmark.papers.anchors.suite import ANCHOR_SUITE
from benchmark.plan.cells import Selection, Subject
from benchmark.records.record import Record
from benchmark.results import Results
from tests.benchmark.handmade import make, outcome

LENET = [Subject(name, "mnist", 10_000, deterministic=True) for name in ANCHOR_SUITE.models or ()]


def fgsm(eps: float, survived: list[bool]) -> Record:
    return make("mnist/lenet", "fgsm", eps, {"torchattacks": survived})


def test_the_suite_runs_what_every_anchor_asks_for() -> None:
    cells = ANCHOR_SUITE.cells(LENET, Selection(examples=200))
    run = {(cell.model, cell.attack.name, cell.attack.steps, cell.attack.threat.eps) for cell in cells}
    assert {(anchor.entry, anchor.name, anchor.steps, anchor.eps) for anchor in ANCHORS} <= run
    assert {cell.libraries for cell in cells if cell.start == 0} == {("torchattacks", "foolbox", "art")}
    assert {cell.libraries for cell in cells if cell.start > 0} == {("torchattacks",)}


def test_a_share_is_of_the_images_that_survive_and_were_right_as_they_are() -> None:
    record = dataclasses.replace(fgsm(0.1, [True, True, False, True]), clean=outcome([False, True, True, True]))
    found = {(anchor.source, anchor.eps): share for anchor, share in compare_with_published([record])}
    share = found[TUTORIAL, 0.1]
    assert share is not None
    assert (share.hits, share.count) == (2, 4)
    assert found[TUTORIAL, 0.2] is None


def test_the_page_says_what_was_not_measured_and_the_curve_is_of_what_was(tmp_path: Path) -> None:
    nothing = report(Results([]), tmp_path)
    assert nothing.texts[tmp_path / "anchors.md"].count("not measured") == len(ANCHORS)
    assert not nothing.figures
    some = report(Results([fgsm(0.1, [True, False]), fgsm(0.2, [False, False])]), tmp_path)
    assert some.texts[tmp_path / "anchors.md"].count("not measured") == len(ANCHORS) - 2
    (draw,) = some.figures.values()
    (axis,) = draw().axes
    published, ours = axis.lines
    assert len(published.get_xdata()) == 6
    assert ours.get_ydata().tolist() == [50.0, 0.0]
