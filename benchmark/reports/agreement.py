"""Whether the libraries agree: a matrix an attack, the exceptions, and everything else as CSV."""

from __future__ import annotations

import itertools

import pandas as pd

from benchmark.attacks.spec import format_eps
from benchmark.protocol import ATTACKS, LIBRARIES, PIXEL_TOLERANCE, required_agreement
from benchmark.records.agreement import Comparison, meets, weakest
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.reports.page import render_page
from benchmark.reports.tables import csv_text, markdown
from benchmark.results import Results
from benchmark.results.configuration import merged_agreement
from zoo.targets import Schedule


def agreement_page(results: Results) -> str:
    """Library by library over all records; below it the exceptions among the boards' records and their images."""
    attacks = []
    for schedule, attack in itertools.product(Schedule, ATTACKS):
        pairs = [
            pair
            for (_, spec), found in results.agreement.items()
            if (spec.name, spec.gradient.schedule) == (attack, schedule)
            for pair in found
        ]
        if pairs:
            title = attack if schedule is Schedule.FROZEN else f"{attack}, fresh draws at each step"
            attacks.append({"name": title, "matrix": markdown(_matrix(pairs))})
    on_boards = [record for record in results.records if record.role.board]
    return render_page(
        "agreement.md",
        tolerance=f"{PIXEL_TOLERANCE:g}",
        attacks=attacks,
        below=markdown(_below(on_boards)),
        examples=markdown(_differing_images(on_boards)),
    )


def agreement_table(results: Results) -> str:
    """Every comparison of two libraries on the boards' attacks, as CSV; empty where there is none."""
    on_boards = [record for record in results.records if record.role.board]
    lines = [
        {
            "entry": config.model,
            "attack_draws": config.attack_draws,
            "judge_draws": config.judge_draws,
            "seed": config.seed,
            "attack": spec.name,
            "steps": spec.steps,
            "gradient": spec.target,
            "draws": str(spec.gradient.schedule),
            "eps": format_eps(spec.threat.eps),
            "first": pair.first,
            "second": pair.second,
            "level": pair.level,
            "pixels": pair.pixels,
            "pixels_alike": pair.close,
            "largest_difference": pair.max_difference,
            "images": pair.examples,
            "only_first_survives": len(pair.only_first),
            "only_second_survives": len(pair.only_second),
        }
        for (config, spec), pairs in merged_agreement(on_boards).items()
        for pair in pairs
    ]
    return csv_text(pd.DataFrame(lines)) if lines else ""


def _matrix(pairs: list[Comparison]) -> list[dict[str, object]]:
    """Library by library: the weakest level above the diagonal, the sums below it."""
    rows = []
    for down in LIBRARIES:
        row: dict[str, object] = {"": f"**{down}**"}
        for across in LIBRARIES:
            upper = [pair for pair in pairs if (pair.first, pair.second) == (down, across)]
            lower = [pair for pair in pairs if (pair.first, pair.second) == (across, down)]
            row[across] = weakest(pair.level for pair in upper) if upper else _numbers(lower) if lower else ""
        rows.append(row)
    return rows


def _numbers(pairs: list[Comparison]) -> str:
    close, pixels = sum(pair.close for pair in pairs), sum(pair.pixels for pair in pairs)
    examples = sum(pair.examples for pair in pairs)
    same = examples - sum(len(pair.only_first) + len(pair.only_second) for pair in pairs)
    return f"{100 * close / pixels:.2f} % of pixels, {same} of {examples} verdicts"


def _below(records: list[Record]) -> list[dict[str, object]]:
    """The comparisons that miss the level that the protocol asks for."""
    return [
        {
            "entry": config.model,
            "attack": spec.label,
            "eps": format_eps(spec.threat.eps),
            "libraries": f"{pair.first} / {pair.second}",
            "level": pair.level,
            "required": required_agreement(spec),
            "figures": _numbers([pair]),
            "largest difference of a pixel": f"{pair.max_difference:.2g}",
        }
        for (config, spec), pairs in merged_agreement(records).items()
        for pair in pairs
        if not meets(pair.level, required_agreement(spec))
    ]


def _differing_images(records: list[Record]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for record in records:
        differing = sorted({e for pair in record.agreement for e in (*pair.only_first, *pair.only_second)})
        for example in differing:
            at = record.examples.index(example)
            rows.append(
                {
                    "entry": record.cell.model,
                    "attack": record.cell.attack.name,
                    "gradient of": record.cell.attack.target,
                    "eps": format_eps(record.cell.attack.threat.eps),
                    "image": example,
                    "label": record.labels[at],
                    **{
                        library: _outcome(record.outcomes[library], at)
                        for library in LIBRARIES
                        if library in record.outcomes
                    },
                }
            )
    return rows


def _outcome(outcome: Outcome, at: int) -> str:
    return f"{outcome.predicted[at]} ({outcome.log_p[at]:.3f})" if outcome.error is None else "error"
