"""Pages about the experiment: its curves, and the judgements of its claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from benchmark.papers.judging import lines
from benchmark.papers.posterior_claims.judged import table
from benchmark.papers.posteriors.findings import read_repeats, read_studies
from benchmark.papers.robustness_of_bayesian_approach import claims, statements
from benchmark.papers.robustness_of_bayesian_approach.curves import Curve, build_curves, points
from benchmark.papers.robustness_of_bayesian_approach.figures import curve_figures
from benchmark.papers.robustness_of_bayesian_approach.suite import GRIDS
from benchmark.papers.robustness_of_bayesian_approach.true_posteriors import (
    TRUE_POSTERIOR,
    Reading,
    short,
    under_true_posteriors,
)
from benchmark.protocol import LIBRARIES
from benchmark.records.record import Record
from benchmark.reports.general import STUDIES
from benchmark.reports.page import render_page
from benchmark.reports.publish import Generated, in_folder
from benchmark.reports.tables import csv_text, markdown, span
from benchmark.results import Results
from benchmark.results.cards import cards
from benchmark.statistics import bootstrap_mean
from benchmark.timing import duration


def report(results: Results, folder: Path) -> Generated:
    """The experiment's figures, all points of their curves, and the claims."""
    if not (curves := build_curves(results.records)):
        return Generated({})
    figures, studies = curve_figures(curves), folder / STUDIES
    clean = {f"{name.split('/')[0]}-clean" for name in cards()}  # the zoo's, on the same data sets
    texts = {
        folder / "paper.md": paper_page(curves, figures.keys() | clean),
        folder / "curves.csv": curves_table(curves),
        folder / "claims.md": claims_page(curves, under_true_posteriors(read_studies(studies), read_repeats(studies))),
    }
    link = "[its claims](claims.md), judged one by one, and [its figures](paper.md)"
    return Generated(texts, in_folder(folder, figures), links=(link,))


def own_report(results: Results, folder: Path) -> Generated:
    """Curves alone: the claims are about the paper's networks, not a user's."""
    if not (curves := build_curves(results.records)):
        return Generated({})
    texts = {folder / "curves.csv": curves_table(curves)}
    return Generated(
        texts, in_folder(folder, curve_figures(curves)), links=("[accuracy against eps](curves.csv) on its grids",)
    )


def paper_page(curves: Sequence[Curve], figures: Iterable[str]) -> str:
    """The figures, the numbers of images behind them, and the time that these took."""
    datasets = list(dict.fromkeys(curve.dataset for curve in curves))
    areas = {dataset: markdown(_areas([c for c in curves if c.dataset == dataset])) for dataset in datasets}
    return render_page(
        "paper.md", __package__, datasets=datasets, figures=set(figures), areas=areas, cost=markdown(_cost(curves))
    )


def _areas(curves: Sequence[Curve]) -> list[dict[str, object]]:
    """Mean accuracy over each grid's eps > 0, per entry and attack, with its bootstrap interval over images."""
    rows: dict[tuple[str, str, str], dict[str, object]] = {}
    for curve in curves:
        for grid, radii in GRIDS.items():
            share = curve.count_over(radii) / sum(eps > 0 for eps in radii)
            low, high = bootstrap_mean(share)
            line = rows.setdefault(
                (curve.model, curve.target, grid), {"entry": curve.model, "gradient of": curve.target, "grid": grid}
            )
            line[curve.attack] = f"{100 * share.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    return list(rows.values())


def _cost(curves: Sequence[Curve]) -> list[dict[str, object]]:
    """Images, cells and wall time per entry and gradient."""
    rows: list[dict[str, object]] = []
    all_cells = {record.key: record for curve in curves for record in curve.records}
    for model, target in dict.fromkeys((curve.model, curve.target) for curve in curves):
        own = [curve for curve in curves if (curve.model, curve.target) == (model, target)]
        cells = {record.key: record for curve in own for record in curve.records}.values()
        compared = {e for record in cells if len(record.outcomes) == len(LIBRARIES) for e in record.examples}
        rows.append(
            {
                "entry": model,
                "gradient of": target,
                "images": span(len(curve.examples) for curve in own),
                "in three libraries": len(compared),
                "cells": len(cells),
                "wall time": _wall_time(cells),
            }
        )
    total = {"entry": "**all**", "cells": len(all_cells), "wall time": _wall_time(all_cells.values())}
    return [*rows, {**dict.fromkeys(rows[0], ""), **total}]


def _wall_time(records: Iterable[Record]) -> str:
    return duration(sum(record.provenance["seconds"] for record in records))


def curves_table(curves: Sequence[Curve]) -> str:
    """All points of all curves as CSV."""
    return csv_text(points(curves))


def claims_page(curves: Sequence[Curve], readings: Mapping[str, Sequence[Reading]] = MappingProxyType({})) -> str:
    """Every claim under both protocols, with the tests that decide it. readings: of some under true posteriors."""
    judged = {words: claims.judge_claims(list(curves), target) for words, target in claims.PROTOCOLS.items()}
    summary, details = [], []
    for number, claim in enumerate(claims.CLAIMS, 1):
        judgements = {words: found[number - 1][1] for words, found in judged.items()}
        line = {"": f"[{number}](#{number})", "claim": claim.text, "in the paper": claim.where, **judgements}
        summary.append(line | ({TRUE_POSTERIOR: short(readings.get(claim.text, ()))} if readings else {}))
        details.append(
            {
                "number": number,
                "text": claim.text,
                "where": claim.where,
                "figures": claim.figures,
                "needed": claim.needed,
                "readings": [
                    {"place": one.place, "table": markdown(table(one.by_view))} for one in readings.get(claim.text, ())
                ],
                "protocols": [
                    {"words": words, "judgement": judgements[words], "table": markdown(lines(found[number - 1][2]))}
                    for words, found in judged.items()
                ],
            }
        )
    return render_page(
        "claims.md",
        __package__,
        sum=claims.summed_up({words: [judgement for _, judgement, _ in found] for words, found in judged.items()}),
        summary=markdown(summary),
        claims=details,
        margin=f"{100 * statements.MARGIN:g}",
        almost_zero=f"{100 * statements.ALMOST_ZERO:g}",
        fails=f"{100 * statements.FAILS:g}",
        much=f"{100 * statements.MUCH:g}",
        small=f"{GRIDS['small'][-1]:g}",
        large=f"{GRIDS['large'][-1]:g}",
    )
