"""The page about the gradient-target matrix."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.attacks.spec import format_eps
from benchmark.protocol import ATTACK_DRAWS
from benchmark.reports.page import render_page
from benchmark.reports.tables import csv_text, markdown, percent, span, threat_title
from benchmark.results.gradient_targets import Masked
from zoo.targets import TARGETS

EVIDENT = 0.05  # p-values below it are bold


def masking_page(matrix: Sequence[Masked]) -> str:
    """The matrix as a table a data set, and its figure."""
    datasets = []
    for dataset in dict.fromkeys(masked.dataset for masked in matrix):
        rows: dict[tuple[str, str], dict[str, object]] = {}
        for masked in matrix:
            if masked.dataset == dataset:
                line = rows.setdefault(
                    (masked.model, masked.target), {"entry": masked.model, "gradient of": masked.target}
                )
                line[threat_title(masked.threat.norm, masked.threat.eps)] = _cell(masked)
        datasets.append({"name": dataset, "table": markdown(rows.values())})
    return render_page(
        "masking.md",
        datasets=datasets,
        images=span(masked.surviving.count for masked in matrix),
        targets=TARGETS.values(),
        draws=ATTACK_DRAWS,
    )


def _cell(masked: Masked) -> str:
    text = percent(masked.surviving)
    if masked.target == "expected":
        return text
    stars = "**" if masked.p < EVIDENT else ""
    return f"{text} ({stars}{100 * masked.overestimate:+.1f}{stars}, p {masked.p:.2g})"


def masking_table(matrix: Sequence[Masked]) -> str:
    """The matrix as CSV, shares between 0 and 1."""
    lines = []
    for masked in matrix:
        low, high = masked.surviving.interval
        lines.append(
            {
                "dataset": masked.dataset,
                "entry": masked.model,
                "norm": masked.threat.norm,
                "eps": format_eps(masked.threat.eps),
                "gradient": masked.target,
                "images": masked.surviving.count,
                "accuracy": masked.surviving.value,
                "low": low,
                "high": high,
                "only_this_gradient_stands": masked.only_target,
                "only_expected_stands": masked.only_expected,
                "invented": masked.overestimate,
                "p": masked.p,
            }
        )
    return csv_text(pd.DataFrame(lines))
