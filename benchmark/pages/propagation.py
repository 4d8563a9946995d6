"""The page about feed-forward uncertainty propagation: seed 001's experiments, and one pass in place of draws."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.pages import render_page
from benchmark.publish import Generated
from benchmark.reports import STUDIES
from benchmark.results import Results
from benchmark.tables import markdown

FOLDER = "propagation"  # in the folder of studies
ENTRIES = "entries"  # in that: what `zoo.propagation` wrote
ACCURACY = ("AP1, mean", "AP2, mean", "AP2, sigma")
KL = ("AP1, KL", "AP2, KL", "AP2 simplified, KL")

# Seed 001: stages C1, A1, ... C9, P and the KL, as there.
TABLE_3 = {
    "LReLU, noisy input": (
        "0.02 0.24 0.39 0.37 0.76 0.63 1.13 0.85 1.59 1.10 1.93 1.32 2.65 1.86 2.76 1.93 1.99 2.59 4.42",
        "0.02 0.02 0.03 0.19 0.49 0.36 0.55 0.42 0.73 0.55 0.96 0.68 1.26 0.97 1.27 1.01 1.14 1.43 1.71",
        "1.00 1.11 0.59 0.40 0.37 0.28 0.35 0.19 0.26 0.10 0.17 0.05 0.11 0.05 0.08 0.04 0.07 0.07 1.71",
    ),
    "LReLU, dropout 0.2": (
        "- 0.01 0.02 0.04 0.12 0.07 0.13 0.09 0.17 0.11 0.21 0.14 0.26 0.14 0.27 0.16 0.23 0.32 0.05",
        "- 0.01 0.02 0.01 0.02 0.02 0.03 0.02 0.04 0.03 0.05 0.04 0.08 0.05 0.08 0.07 0.10 0.15 0.02",
        "- 1.00 1.00 1.02 0.93 0.95 0.90 0.92 0.81 0.79 0.73 0.69 0.71 0.69 0.71 0.65 0.56 0.69 0.02",
    ),
    "logistic Bernoulli": (
        "- 0.02 0.02 0.04 0.12 0.10 0.18 0.15 0.29 0.21 0.37 0.25 0.48 0.31 0.44 0.33 0.27 0.47 3.46",
        "- 0.02 0.02 0.03 0.04 0.04 0.05 0.06 0.12 0.10 0.20 0.14 0.30 0.19 0.28 0.19 0.14 0.25 0.21",
        "- 1.12 1.00 1.02 0.92 0.99 0.78 0.97 0.59 0.95 0.56 0.94 0.61 0.94 0.73 0.96 0.74 0.99 0.1",
    ),
    "logistic transform, noisy input": (
        "0.02 0.17 0.17 0.28 0.49 0.53 0.98 0.96 1.47 1.39 1.62 1.52 2.13 2.06 2.36 2.31 1.86 2.55 3.46",
        "0.02 0.03 0.03 0.16 0.40 0.43 0.82 0.81 1.26 1.21 1.39 1.32 1.88 1.84 2.05 2.03 1.60 2.20 2.68",
        "1.00 1.01 0.40 0.41 0.28 0.29 0.23 0.23 0.12 0.11 0.05 0.05 0.02 0.02 0.01 0.01 0.01 0.01 2.68",
    ),
}
COLUMNS = (*(f"{kind}{place}" for place in range(1, 9) for kind in "CA"), "C9", "P", "KL")


def report(_results: Results, folder: Path) -> Generated:
    """Nothing where nothing was measured."""
    if not (folder / STUDIES).is_dir():
        return Generated({})
    title = "[Uncertainty propagated in one pass](propagation.md)"
    link = f"{title}: seed 001's experiments, one pass in place of posterior draws"
    return Generated({folder / "propagation.md": propagation_page(folder / STUDIES)}, links=(link,))


def propagation_page(studies: Path) -> str:
    """studies: the folder that `examples.propagation` and `zoo.propagation` write into `propagation` of."""
    folder = studies / FOLDER
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}
    return render_page(
        "propagation.md",
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
            for measure, values in zip(ACCURACY, lines, strict=True)
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
        for measure, kl in zip(ACCURACY, KL, strict=True):
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
