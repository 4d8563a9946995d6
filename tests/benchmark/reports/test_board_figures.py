"""The figures of the boards: every network beside those of its architecture."""

from __future__ import annotations

from benchmark.reports.figures.boards import worst_case_curves
from benchmark.results import Results
from tests.benchmark.handmade import row

SURVIVING = {"mnist/lenet": 80, "mnist/mlp": 25, "mnist/hmc-mlp": 60, "mnist/toy:net": 50}


def test_curves_stand_by_architecture_with_all_others_behind() -> None:
    records = [one for name, count in SURVIVING.items() for one in row(name, [i < count for i in range(100)])]
    figure = worst_case_curves(Results(records).boards)
    assert [axis.get_ylabel() for axis in figure.axes] == ["lenet", "mlp", "other"]
    for axis, names in zip(figure.axes, (["lenet"], ["hmc-mlp", "mlp"], ["toy:net"]), strict=True):
        assert [text.get_text() for text in axis.get_legend().get_texts()] == names
        shares = {line.get_color() == "0.85": [] for line in axis.lines}
        for line in axis.lines:
            shares[line.get_color() == "0.85"].append(float(line.get_ydata()[-1]))
        own = [float(SURVIVING[f"mnist/{name}"]) for name in names]
        assert shares[False] == own, "the best of a board is the first"
        assert sorted(own + shares[True]) == sorted(map(float, SURVIVING.values()))


def test_a_single_architecture_needs_no_name() -> None:
    (axis,) = worst_case_curves(Results(row("mnist/lenet", [True] * 20)).boards).axes
    assert axis.get_ylabel() == ""
