"""The page about feed-forward uncertainty propagation: seed 001's experiments, and one pass in place of draws."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.pages import render_page
from benchmark.tables import markdown

FOLDER = "propagation"  # in the folder of studies
ENTRIES = "entries"  # in that: what `zoo.propagation` wrote
ACCURACY = ("AP1, mean", "AP2, mean", "AP2, sigma")
KL = ("AP1, KL", "AP2, KL", "AP2 simplified, KL")

# Seed 001, table 3: the error of the mean by AP1 and by AP2 and the factor of sigma, after the last convolution and
# after pooling, and the KL of the softmax by AP1, AP2 and the simplified softmax.
PUBLISHED = (
    ("LReLU, noisy input", "1.99 / 2.59", "1.14 / 1.43", "0.07 / 0.07", "4.42, 1.71, 1.71"),
    ("LReLU, dropout 0.2", "0.23 / 0.32", "0.10 / 0.15", "0.56 / 0.69", "0.05, 0.02, 0.02"),
    ("logistic Bernoulli", "0.27 / 0.47", "0.14 / 0.25", "0.74 / 0.99", "3.46, 0.21, 0.1"),
    ("logistic transform, noisy input", "1.86 / 2.55", "1.60 / 2.20", "0.01 / 0.01", "3.46, 2.68, 2.68"),
)


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
            dict(zip(("case", "AP1, mean", "AP2, mean", "AP2, sigma", "KL"), row, strict=True)) for row in PUBLISHED
        ),
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
    """A row for each case and measure, a column for each stage; the KLs in the last."""
    rows = []
    for case, part in frame.groupby("case", sort=False):
        by_stage = part.set_index("stage")
        for measure, kl in zip(ACCURACY, KL, strict=True):
            row = {"case": str(case), "measure": measure}
            row |= {str(stage): _text(value) for stage, value in by_stage[measure].items() if stage != "softmax"}
            rows.append(row | {"KL": _text(by_stage[kl]["softmax"])})
    return markdown(rows)


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
