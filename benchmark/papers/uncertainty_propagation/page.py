"""The page about feed-forward uncertainty propagation: the paper's experiments, and one pass in place of draws."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.papers.uncertainty_propagation.published import COLUMNS, ERRORS, KL, TABLE_3
from benchmark.reports.general import STUDIES
from benchmark.reports.page import render_page
from benchmark.reports.publish import Generated
from benchmark.reports.tables import markdown
from benchmark.results import Results

FOLDER = "propagation"  # in the folder of studies
ENTRIES = "entries"  # in that: what `zoo.propagation` wrote


def report(_results: Results, folder: Path) -> Generated:
    """The page; none where nothing was measured."""
    if not (folder / STUDIES).is_dir():
        return Generated({})
    link = "[uncertainty propagated in one pass](propagation.md) in place of draws, its experiments repeated"
    return Generated({folder / "propagation.md": propagation_page(folder / STUDIES)}, links=(link,))


def propagation_page(studies: Path) -> str:
    """studies: the folder that the measurements here and `zoo.propagation` write into `propagation` of."""
    folder = studies / FOLDER
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}
    return render_page(
        "propagation.md",
        __package__,
        entries=[
            {"name": f"{path.parent.name}/{path.stem}", "table": _rounded(pd.read_csv(path))}
            for path in sorted((folder / ENTRIES).glob("*/*.csv"))
        ],
        gate=_rounded(tables["and-gate"]) if "and-gate" in tables else "",
        accuracy={
            name.removeprefix("accuracy-"): _by_stage(table)
            for name, table in tables.items()
            if name.startswith("accuracy-")
        },
        published=markdown(
            {"case": case, "measure": measure} | dict(zip(COLUMNS, values.split(), strict=True))
            for case, lines in TABLE_3.items()
            for measure, values in zip(ERRORS, lines, strict=True)
        ),
        cost=_rounded(tables["cost"]) if "cost" in tables else "",
        dropout=_last_epoch(tables["dropout"]) if "dropout" in tables else "",
        normalisation=_normalisation(tables["normalisation"]) if "normalisation" in tables else "",
        figures={path.stem for path in folder.glob("*.png")},
    )


def _rounded(frame: pd.DataFrame) -> str:
    return markdown({str(key): _text(value) for key, value in row.items()} for _, row in frame.iterrows())


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}"
    return str(value)


def _by_stage(frame: pd.DataFrame) -> str:
    """A row for each case and measure, a column for each stage, to the digits of the paper; the KLs in the last."""
    rows = []
    for case, part in frame.groupby("case", sort=False):
        by_stage = part.set_index("stage")
        for measure, kl in zip(ERRORS, KL, strict=True):
            row = {"case": str(case), "measure": measure}
            errors = by_stage[measure].drop("softmax")
            row |= {str(stage): "" if pd.isna(value) else f"{value:.2f}" for stage, value in errors.items()}
            rows.append(row | {"KL": _text(by_stage[kl]["softmax"])})
    return markdown(rows)


def _last_epoch(frame: pd.DataFrame) -> str:
    """A row for each way of training, where it ended."""
    last = frame[frame["epoch"] == frame["epoch"].max()]
    return markdown(
        {"trained with": row["run"], "training loss": f"{row['loss']:.3f}"}
        | {f"{kind}accuracy": f"{100 * row[f'{kind}accuracy']:.1f} %" for kind in ("", "validation ")}
        for _, row in last.iterrows()
    )


def _normalisation(frame: pd.DataFrame) -> str:
    """Over the layers with weights, the worst first: a row for each network and start."""
    rows = []
    for (network, start), part in frame.groupby(["network", "start"], sort=False):
        linear = part[part["stage"].str.match("[CF]")]
        rows.append(
            {
                "network": str(network),
                "start": str(start),
                "error of mean": _span(linear["error of mean"]),
                "factor of sigma": _span(linear["factor of sigma"]),
                "mean, measured": _span(linear["|mean|, measured"]),
                "sigma, measured": _span(linear["sigma, measured"]),
            }
        )
    return markdown(rows)


def _span(values: pd.Series[float]) -> str:
    return f"{values.min():.2f} to {values.max():.2f}"
