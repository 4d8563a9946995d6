"""Pages about seed 000's experiment: its curves, the verdicts on its claims, and the gradient-target matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd

from benchmark import claims
from benchmark.attacks.spec import format_eps
from benchmark.curves import Curve, points
from benchmark.masking import Masked
from benchmark.pages import render_page
from benchmark.protocol import PAPER_GRIDS
from benchmark.record import Record
from benchmark.tables import markdown, percent, threat_title
from benchmark.timing import duration
from benchmark.zoo_page import cards


def paper_page(records: Iterable[Record], curves: Sequence[Curve]) -> str:
    """The figures, what they rest on, and what they took."""
    datasets = list(dict.fromkeys(curve.dataset for curve in curves))
    with_cards = {name.partition("/")[0] for name in cards()}
    return render_page("paper.md", datasets=datasets, with_cards=with_cards, cost=markdown(_cost(records, curves)))


def _cost(records: Iterable[Record], curves: Sequence[Curve]) -> list[dict[str, object]]:
    """Images and wall time per entry and gradient; cells of other suites that are part of a curve count, too."""
    images: dict[tuple[str, str], set[int]] = defaultdict(set)
    for curve in curves:
        images[curve.model, curve.target].add(len(curve.examples))
    cells: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        spec = record.cell.attack
        if (record.cell.model, spec.target) in images and spec.threat.eps in {
            e for g in PAPER_GRIDS.values() for e in g
        }:
            cells[record.cell.model, spec.target].append(record)
    rows: list[dict[str, object]] = []
    for (model, target), counts in images.items():
        own = cells[model, target]
        seconds = sum(record.provenance["seconds"] for record in own)
        rows.append(
            {
                "entry": model,
                "gradient of": target,
                "images": " to ".join(str(count) for count in sorted({min(counts), max(counts)})),
                "with three libraries": max(
                    (r.cell.stop for r in own if len(r.cell.libraries) == 3 and r.cell.attack.threat.norm == "linf"),
                    default=0,
                ),
                "cells": len(own),
                "wall time": duration(seconds),
            }
        )
    total = sum(record.provenance["seconds"] for own in cells.values() for record in own)
    count = sum(map(len, cells.values()))
    return [*rows, {**dict.fromkeys(rows[0], ""), "entry": "**all**", "cells": count, "wall time": duration(total)}]


def claims_page(curves: Sequence[Curve]) -> str:
    """Every claim under both protocols, with the tests that decide it."""
    judged = {words: claims.judge_claims(list(curves), target) for words, target in claims.PROTOCOLS.items()}
    summary, details = [], []
    for number, claim in enumerate(claims.CLAIMS, 1):
        verdicts = {words: found[number - 1][1] for words, found in judged.items()}
        summary.append({"": f"[{number}](#{number})", "claim": claim.text, "in the paper": claim.where, **verdicts})
        details.append(
            {
                "number": number,
                "text": claim.text,
                "where": claim.where,
                "figures": claim.figures,
                "needed": claim.needed,
                "protocols": [
                    {"words": words, "verdict": verdicts[words], "table": markdown(_findings(found[number - 1][2]))}
                    for words, found in judged.items()
                ],
            }
        )
    return render_page(
        "claims.md",
        summary=markdown(summary),
        claims=details,
        margin=f"{100 * claims.MARGIN:g}",
        almost_zero=f"{100 * claims.ALMOST_ZERO:g}",
        fails=f"{100 * claims.FAILS:g}",
        small=f"{PAPER_GRIDS['small'][-1]:g}",
        large=f"{PAPER_GRIDS['large'][-1]:g}",
    )


def _findings(findings: Sequence[claims.Finding]) -> list[dict[str, object]]:
    return [
        {
            "statement": finding.statement,
            "measured": finding.numbers,
            "p, were it false": f"{finding.p_true:.2g}",
            "p, were it true": f"{finding.p_false:.2g}",
        }
        for finding in findings
    ]


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
    counts = sorted({masked.standing.count for masked in matrix})
    return render_page("masking.md", datasets=datasets, images=" to ".join(map(str, counts)))


def _cell(masked: Masked) -> str:
    text = percent(masked.standing)
    if masked.target == "expected":
        return text
    stars = "**" if masked.p < claims.SIGNIFICANT else ""
    return f"{text} ({stars}{100 * masked.invented:+.1f}{stars}, p {masked.p:.2g})"


def masking_table(matrix: Sequence[Masked]) -> str:
    """The matrix as CSV, shares between 0 and 1."""
    lines = []
    for masked in matrix:
        low, high = masked.standing.interval
        lines.append(
            {
                "dataset": masked.dataset,
                "entry": masked.model,
                "norm": masked.threat.norm,
                "eps": format_eps(masked.threat.eps),
                "gradient": masked.target,
                "images": masked.standing.count,
                "accuracy": masked.standing.value,
                "low": low,
                "high": high,
                "only_this_gradient_stands": masked.only_target,
                "only_expected_stands": masked.only_expected,
                "invented": masked.invented,
                "p": masked.p,
            }
        )
    return _csv(pd.DataFrame(lines))


def curves_table(curves: Sequence[Curve]) -> str:
    """All points of all curves as CSV."""
    return _csv(points(curves))


def _csv(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False, float_format="%.5g", lineterminator="\n"))
