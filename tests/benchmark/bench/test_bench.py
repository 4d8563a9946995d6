"""What the benchmark computes from times, and the page it writes; the times themselves are nobody's to test."""

from __future__ import annotations

import sys
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

from benchmark.bench import audits, resnet
from benchmark.bench.__main__ import app
from benchmark.bench.bounds import bounds_table
from benchmark.bench.gradients import OURS, works
from benchmark.bench.peers import missing_peers, peer_kits
from benchmark.evaluation.loop import Run
from benchmark.measure import compared, ratio, side_by_side, spread
from benchmark.publications import PROJECT
from benchmark.records.store import Store
from benchmark.reports.performance import FILE, Measured, performance_page, read_measured, write_measured
from benchmark.timing import Timing
from zoo.networks import LayerKit


def test_rounds_take_turns_and_the_first_does_not_count() -> None:
    calls: list[str] = []
    times = side_by_side({name: lambda name=name: calls.append(name) for name in "abc"}, repeats=3)
    assert calls == [*"abc", *"bca", *"cab", *"abc"]
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3, "c": 3}


def test_ratios_are_taken_round_by_round() -> None:
    """A machine that is twice as slow in one round moves both times and not their ratio."""
    times = {"ours": [1.0, 2.0, 1.0, 4.0], "theirs": [3.0, 6.0, 3.0, 12.0]}
    rows = compared(times, "ours", "times ours")
    assert [row["times ours"] for row in rows] == ["1", "3 (3 to 3)"]
    assert rows[0]["median [ms]"] == "1500"
    assert ratio([1.0, 2.0], [2.0, 2.0]) == "0.75 (0.625 to 0.875)"
    assert spread([5.0]) == "5 to 5"
    assert spread([1234.5, 1234.5], digits=4) in ("1234 to 1234", "1235 to 1235")


def small(channels: int, classes: int, kit: LayerKit) -> nn.Sequential:
    return nn.Sequential(kit.conv(channels, 2, 3), kit.activation(), nn.Flatten(), kit.linear(2 * 30 * 30, classes))


def test_every_way_to_the_gradient_runs_on_a_small_network() -> None:
    made = works(small, (4, 1, 28, 28), 2)
    assert {OURS, f"{OURS}, bfloat16", "2 passes of one deterministic network"} <= made.keys()
    assert len(made) == 5 + 3 + 3 * len(peer_kits())
    for work in made.values():
        work()


def small_residual(num_classes: int) -> nn.Module:
    """With the name of a ResNet's last layer."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 2, 3), norm=nn.BatchNorm2d(2), flat=nn.Flatten(), fc=nn.Linear(2 * 30 * 30, num_classes)
        )
    )


def test_every_way_to_evaluate_a_residual_network_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"resnet18": small_residual, "DRAWS": 2, "JUDGE": 3, "IMAGES": (4,)}.items():
        monkeypatch.setattr(f"benchmark.bench.resnet.{name}", value)
    gradient, judged = resnet.resnet_tables(2).values()
    names = {row["what"] for row in gradient}
    assert {resnet.OURS, resnet.ONE_PASS, "2 passes of one deterministic network"} <= names
    assert ("bayesian-torch, reparameterisation" in names) == (find_spec("bayesian_torch") is not None)
    assert {"3 passes of one deterministic network"} == {row["what"] for row in judged} - names
    assert "#### ResNet-18" in performance_page({"resnet": Measured("a machine", {"ResNet-18": gradient})})


def test_a_library_that_is_not_installed_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("blitz", "blitz.modules", "bayesian_torch", "bayesian_torch.layers"):
        monkeypatch.setitem(sys.modules, module, None)
    assert "blitz" in missing_peers()
    assert "blitz" not in peer_kits()
    assert "activation sampling (Kingma et al.)" in peer_kits()


def test_the_page_holds_what_was_measured_and_nothing_else() -> None:
    rows = compared({"ours": [1.0], "theirs": [3.0]}, "ours", "times ours")
    page = performance_page({"gradients": Measured("a machine", {"lenet": rows})})
    assert page.startswith("# Performance")
    assert "a machine" in page
    assert "| theirs" in page
    assert "## (b)" not in page


def test_a_table_alone_is_kept_beside_those_measured_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.bench.gradients.CASES", {"small": (small, (4, 1, 28, 28), 2)})
    before = {"options": Measured("elsewhere", [{"option": "defaults"}]), "chunks": Measured("long ago", {})}
    write_measured(tmp_path / FILE, before)
    result = CliRunner().invoke(app, ["--table", "chunks", "--repeats", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "times the default" in result.output
    kept = read_measured(tmp_path / FILE)
    assert list(kept) == ["chunks", "options"]  # as on the page
    assert kept["options"] == before["options"]
    assert kept["chunks"].where.endswith("2 rounds.")
    assert "small" in kept["chunks"].tables
    refused = CliRunner().invoke(app, ["--table", "gradient"])
    assert refused.exit_code == 2
    assert "did you mean gradients" in refused.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ('{"chunks": {"tables": {}}}', "is damaged"),
        ('{"speed": {"where": "", "tables": 1}}', "speed"),
    ],
)
def test_a_damaged_file_is_refused_before_anything_is_measured(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_measured(tmp_path / FILE)
    result = CliRunner().invoke(app, ["--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "measuring" not in result.output


def test_the_committed_page_is_what_was_measured() -> None:
    """Of every table it says where and when, and no table is there that was not measured."""
    measured = read_measured(PROJECT / "studies" / FILE)
    page = (PROJECT / "performance.md").read_text()
    assert page == performance_page(measured)
    assert page.count("commit ") >= len(measured) > 5


def test_audits_are_put_beside_their_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the images cost what the first and the further ones took together."""
    asked = []

    def timed(entry: str, examples: int, _store: Store, workers: int | str, audited: int = 100) -> audits._Timed:
        asked.append((entry, examples, workers, audited))
        run = Run([], Timing({"judge": 1.0}), 4.0, 2)
        return audits._Timed(run, {("m", 7): 10.0, ("m", 70): 25.0}.get((entry, examples), 3.0))

    monkeypatch.setattr(audits, "_timed", timed)
    found = audits.audit_tables({"m": 60, "n": 120}, ["m"], [], images=7)
    first, second = found["cost"]
    assert (first["target [s]"], first["70 images, auto [s]"], first["times"]) == (60, "35.0", "3.50")
    assert first["judge [% of work]"] == "25.0"
    assert "times" not in second
    assert asked == [
        ("m", 7, 1, 100),
        ("m", 7, "auto", 100),
        ("m", 70, "auto", 100),
        *[("n", 7, w, 100) for w in (1, "auto")],
    ]


def test_bounds_are_measured_method_by_method() -> None:
    """The intervals' certificates are CROWN's, too, and cost less."""
    lines = bounds_table((("mnist/mlp-50", 0.01),), images=3)
    by_method = {line["method"]: line for line in lines}
    assert list(by_method) == ["crown", "crown-ibp", "interval"]
    found = {method: int(str(line["certified"]).split()[0]) for method, line in by_method.items()}
    assert found["interval"] <= found["crown-ibp"] <= found["crown"] == 3
    assert "## (i) Bounds" in performance_page({"bounds": Measured("a machine", lines)})
