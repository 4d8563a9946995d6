"""The page about gradient targets: by how much each overestimates robustness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from benchmark.attacks.spec import format_eps
from benchmark.protocol import ATTACK_DRAWS
from benchmark.reports.page import render_page
from benchmark.reports.readings import draws_rows
from benchmark.reports.shares import percent
from benchmark.reports.tables import csv_text, markdown, span, threat_title
from benchmark.results.draws import ByDraws
from benchmark.results.gradient_targets import TargetComparison
from zoo.targets import TARGETS

EVIDENT = 0.05  # p-values below it are bold


def masking_page(matrix: Sequence[TargetComparison], by_draws: Sequence[ByDraws] = ()) -> str:
    """The matrix as a table a data set, and its figure; and what more draws, frozen or fresh, do."""
    datasets = []
    for dataset in dict.fromkeys(compared.dataset for compared in matrix):
        rows = target_rows([compared for compared in matrix if compared.dataset == dataset])
        found = [one for one in by_draws if one.dataset == dataset]
        datasets.append({"name": dataset, "table": markdown(rows), "draws": markdown(draws_rows(found))})
    return render_page(
        "masking.md",
        datasets=datasets,
        images=span(compared.surviving.count for compared in matrix),
        targets=TARGETS.values(),
        draws=ATTACK_DRAWS,
    )


def target_rows(matrix: Iterable[TargetComparison]) -> list[dict[str, object]]:
    """The matrix of one data set: entries and gradients down, threat models across."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for compared in matrix:
        of = {"entry": compared.model, "gradient of": compared.target}
        line = rows.setdefault((compared.model, compared.target), dict[str, object](of))
        line[threat_title(compared.threat.norm, compared.threat.eps)] = _cell(compared)
    return [*rows.values()]


def _cell(line: TargetComparison) -> str:
    text = percent(line.surviving)
    if line.target == "expected":
        return text
    stars = "**" if line.p < EVIDENT else ""
    return f"{text} ({stars}{100 * line.overestimate:+.1f}{stars}, p {line.p:.2g})"


def masking_table(matrix: Sequence[TargetComparison]) -> str:
    """The matrix as CSV, shares between 0 and 1."""
    lines = []
    for compared in matrix:
        low, high = compared.surviving.interval
        lines.append(
            {
                "dataset": compared.dataset,
                "entry": compared.model,
                "norm": compared.threat.norm,
                "eps": format_eps(compared.threat.eps),
                "gradient": compared.target,
                "images": compared.surviving.count,
                "accuracy": compared.surviving.value,
                "low": low,
                "high": high,
                "only_this_gradient_survives": compared.only_target,
                "only_expected_survives": compared.only_expected,
                "overestimate": compared.overestimate,
                "p": compared.p,
            }
        )
    return csv_text(pd.DataFrame(lines))
