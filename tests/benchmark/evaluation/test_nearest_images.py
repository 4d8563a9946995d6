"""A linear network, of which every image's critical eps is known: one run at no eps gives the row at each.

No other attack does anything here, so that whatever falls, falls to the nearest images.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark import Data, Results, evaluate
from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.spec import AttackSpec, ThreatModel
from benchmark.plan.cascade import PROBE
from benchmark.protocol import LIBRARIES, REFEREE
from benchmark.reports.boards import dataset_page
from benchmark.reports.figures.boards import worst_case_curves
from benchmark.reports.tables import csv_table
from benchmark.results.rows import Row
from zoo.seeding import private_generator

COUNT, BEYOND = 60, 1.001  # images; a little further than the decision boundary
EPS = {"linf": (0.02, 0.05, 0.08), "l2": (0.1, 0.3)}


def network() -> nn.Module:
    """Of two classes that may win, and two that never do."""
    linear = nn.utils.skip_init(nn.Linear, 64, 4)
    with torch.no_grad():
        linear.weight.copy_(0.05 * torch.randn(4, 64, generator=private_generator("nearest images")))
        linear.weight[2:] = 0
        linear.bias.copy_(torch.tensor([0.0, 0.0, -1000.0, -1000.0]))
    return nn.Sequential(nn.Flatten(), linear)


def critical(net: nn.Module, x: Tensor, norm: str) -> Tensor:
    """(B,) distances of the decision boundary; the box is further away."""
    weight = net[1].weight[1] - net[1].weight[0]  # type: ignore[index]
    length = weight.abs().sum() if norm == "linf" else weight.norm()
    margin = net(x)[:, 0] - net(x)[:, 1]
    return (margin.abs() / length).detach()


def images() -> tuple[Tensor, Tensor]:
    x = 0.3 + 0.4 * torch.rand(COUNT, 1, 8, 8, generator=private_generator("nearest images", "x"))
    return x, network()(x).argmax(1)


def nearest(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    """The exact nearest adversarial image for DDN and FMN, and for every other attack the image itself."""
    if spec.method.name not in ("ddn", "fmn"):
        return x
    net = network()
    weight = (net[1].weight[1] - net[1].weight[0]).detach()  # type: ignore[index]
    direction = weight.sign() if spec.threat.norm == "linf" else weight / weight.norm()
    far = BEYOND * critical(net, x, spec.threat.norm)[:, None] * (1 - 2 * y[:, None])
    moved: Tensor = x + (far * direction).view_as(x)
    return moved


def evaluated(suite: str) -> Results:
    x, y = images()
    data = Data.from_arrays(x.numpy(), y.numpy(), name="boundary", classes=4)
    adapters = dict.fromkeys((*LIBRARIES, REFEREE), nearest)
    options = {"eps": EPS, "adapters": adapters, "threads": 1, "keep_images": True, "progress": False}
    return evaluate(network(), data, suite=suite, name="linear", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> Results:
    return evaluated("adaptive")


def rows(found: Results) -> dict[ThreatModel, Row]:
    return {row.threat: row for row in found.entry().rows}


def test_one_run_breaks_at_every_eps_what_is_nearer(found: Results) -> None:
    x, _ = images()
    assert {threat.eps for threat in rows(found)} == {*EPS["linf"], *EPS["l2"]}
    for threat, row in rows(found).items():
        far = (BEYOND * critical(network(), x, threat.norm)).numpy()
        assert (abs(far / threat.eps - 1) > 2e-3).all()  # none is so near that rounding decides
        assert 0 < (far > threat.eps).sum() < COUNT
        assert row.worst.hits == (far > threat.eps).sum()
        assert row.whitebox.hits == COUNT
        assert row.adaptive["fmn"] == COUNT - row.worst.hits
        assert row.distances is not None
        assert row.distances.median == pytest.approx(float(np.median(far)), rel=1e-3)


def test_the_curve_is_the_share_that_is_further_away(found: Results) -> None:
    x, _ = images()
    row = rows(found)[ThreatModel("linf", 0.05)]
    far = np.sort((BEYOND * critical(network(), x, "linf")).numpy())
    assert row.distances is not None
    eps, left = zip(*row.distances.curve, strict=True)
    assert eps[0] == 0
    assert eps[1:] == pytest.approx(far.tolist(), rel=1.2e-3)  # of four digits, rounded up
    assert left == pytest.approx([1 - place / COUNT for place in range(COUNT + 1)])


def test_its_own_curve_has_a_point_at_each_distance(found: Results) -> None:
    row = rows(found)[ThreatModel("l2", 0.3)]
    frame = found.curve("ddn").frame
    assert row.distances is not None
    eps, left = zip(*row.distances.curve, strict=True)
    assert frame["eps"].tolist() == list(eps)
    assert frame["accuracy"].tolist() == pytest.approx(list(left))
    assert frame["eps"].max() < 1000
    assert set(frame["images"]) == {COUNT}


def test_no_row_column_or_grid_point_is_made_of_it(found: Results) -> None:
    for row in rows(found).values():
        assert set(row.attacks) <= {"fgsm", "bim", "pgd-linf", "pgd-l2"}
    for record in found.records:
        if record.role.every_eps:
            assert record.cell.attack.threat.eps in (1.0, 1000.0)
    assert not {(board.norm, board.eps) for board in found.boards} & {("linf", 1.0), ("l2", 1000.0)}


def test_strong_attacks_meet_what_the_nearest_images_left(found: Results) -> None:
    by_threat = rows(found)
    tried = 0
    for record in found.records:
        adaptive = record.role.adaptive
        if adaptive is not None and adaptive.on == "strong" and not adaptive.is_nearest:
            alive = {image for image, right in by_threat[record.cell.attack.threat].survivors.items() if right}
            assert set(record.examples) <= alive
            assert len(record.examples) == min(PROBE, len(alive))
            tried += 1
    assert tried == len(EPS)  # under one eps of each norm


def test_the_checks_say_which_attacks_were_weak(found: Results) -> None:
    for norm, audit in found.entry().audits.items():
        said = {verdict.check: verdict for verdict in audit.verdicts}
        assert said["V25"].status == "FLAG"
        assert re.search(rf"{norm} eps \S+, (ddn|fmn): \d+ more of {COUNT} broken", said["V25"].evidence)
        assert said["V26"].status == said["V22"].status == "PASS"
        assert said["V11"].status == "PASS"


def test_the_name_autoattack_needs_every_image(found: Results) -> None:
    assert {row.autoattack for row in rows(found).values() if row.worst.hits > PROBE} == {None}
    for row in rows(evaluated("thorough")).values():
        assert row.autoattack is not None
        assert (row.autoattack.hits, row.autoattack.count) == (COUNT, COUNT)  # they do nothing here
        assert row.worst.hits < COUNT


def test_the_images_of_a_row_are_within_its_ball(found: Results) -> None:
    for threat, row in rows(found).items():
        harmful = found.images(threat.norm, threat.eps)
        assert sum(harmful.survives) == row.worst.hits
        moved = torch.from_numpy(harmful.adversarial - harmful.clean).flatten(1)
        far = moved.abs().amax(1) if threat.norm == "linf" else moved.norm(dim=1)
        assert (far <= threat.eps + 1e-6).all()
        assert (far > 0).sum() == COUNT - row.worst.hits


def test_pages_show_it(found: Results) -> None:
    audit = str(found.audit())
    assert "median distance" in audit
    assert "autoattack" not in audit
    assert "FMN, 100 steps: the nearest adversarial image" in audit
    page = dataset_page("boundary", found.boards)
    assert "**Median distance**" in page
    assert "**Autoattack**" not in page
    header, first, *_ = csv_table(found.boards).splitlines()
    line = dict(zip(header.split(","), first.split(","), strict=True))
    row = found.boards[0].rows[0]
    assert row.distances is not None
    assert float(line["median_distance"]) == pytest.approx(row.distances.median, rel=1e-4)
    assert "autoattack" not in line


def test_the_curve_is_drawn_as_thin_steps_and_named(found: Results) -> None:
    figure = worst_case_curves(found.boards)
    for axis, norm in zip(figure.axes, ("linf", "l2"), strict=True):
        (steps,) = [line for line in axis.lines if line.get_drawstyle() == "steps-post"]
        eps, left = steps.get_data()
        assert (eps[0], left[0]) == (0, 100)
        assert eps[-1] == EPS[norm][-1]
        (points,) = [line for line in axis.lines if line.get_drawstyle() == "default"]
        for radius, worst in zip(*points.get_data(), strict=True):  # no other attack broke anything
            assert worst == pytest.approx(left[eps <= radius][-1])
    assert "nearest images found" in {text.get_text() for text in figure.axes[-1].get_legend().get_texts()}


def test_without_it_nothing_of_it_is_shown() -> None:
    x, y = images()
    data = Data.from_arrays(x.numpy(), y.numpy(), name="boundary", classes=4)
    adapters = dict.fromkeys((*LIBRARIES, REFEREE), nearest)
    plain = evaluate(network(), data, eps=EPS, adapters=adapters, name="linear", threads=1, progress=False)
    assert "median distance" not in str(plain.audit())
    assert "edian distance" not in dataset_page("boundary", plain.boards)
    assert "median_distance" not in csv_table(plain.boards)
    figure = worst_case_curves(plain.boards)
    assert not [line for axis in figure.axes for line in axis.lines if line.get_drawstyle() == "steps-post"]
