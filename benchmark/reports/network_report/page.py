"""What the report of one network shows, section by section; the template holds words and layout alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

import benchmark
from benchmark.attacks.methods import METHOD_OF, Norm
from benchmark.attacks.spec import format_eps
from benchmark.plan.cells import Reading
from benchmark.protocol import eps_grid
from benchmark.reports.audits import adaptive_attacks, conclusion, detected
from benchmark.reports.network_report import made
from benchmark.reports.network_report.charts import STYLES, Chart, Series, chart
from benchmark.reports.network_report.pictures import AMPLIFIED, gallery
from benchmark.reports.network_report.tables import robust_accuracy, table
from benchmark.reports.page import render_page
from benchmark.reports.readings import has_draws, ladders, readings
from benchmark.reports.tables import span, threat_title
from benchmark.results import Results
from benchmark.results.checks import ALL, Status
from benchmark.results.draws import ByDraws
from benchmark.results.entries import Entry
from benchmark.results.images import AttackedImages
from benchmark.results.rows import Row
from benchmark.results.share import Share
from zoo.kind import Kind

MANY = 8  # rows that are all shown
PLACES = 24  # between which a curve of distances is drawn
ASKING: tuple[Status, ...] = ("FLAG", "FAIL", "ERROR")  # verdicts that are shown with their evidence


def report_page(results: Results, model: str | None = None, images: Iterable[AttackedImages] = ()) -> str:
    """The page about a network of that name, None for the only one. images: attacked ones, to be looked at.

    Raises KeyError and ValueError as `Results.entry` does.
    """
    return render_page("report.html", None, **sections(results, results.entry(model), images))


def sections(results: Results, entry: Entry, images: Iterable[AttackedImages] = ()) -> dict[str, object]:
    """What `report_sections.html` shows of an entry."""
    main, further = _rows(entry)
    shown = Entry(main)
    checks = _checks(shown)
    return {
        "network": shown.name,
        "facts": _facts(shown),
        "statuses": shown.statuses,
        "quote": conclusion(shown).split("\n\n"),
        "passed": _passed(shown),
        "accuracy": robust_accuracy(main),
        "further": robust_accuracy(further) if further else None,
        "curves": _curves(entry.rows, main),
        "nearest": _nearest(main),
        "draws": _draws(shown, results.draws) if has_draws(shown) else None,
        "asking": [check for check in checks if check["status"] in ASKING],
        "others": [check for check in checks if check["status"] not in ASKING],
        "adaptive": table(_numbers_first(adaptive_attacks(shown)), "Images broken beyond the white-box attacks"),
        "planted": detected(shown),
        "galleries": [gallery(of_threat) for of_threat in images],
        "amplified": AMPLIFIED,
        "passes": table(made.passes(shown), "Passes for an image, over all attacks"),
        "times": table(made.times(shown), "Wall time, one cell after the other"),
        "provenance": made.provenance(shown),
        "command": made.command(entry),
        "citation": made.citation(shown),
        "papers": made.papers(shown),
    }


def _rows(entry: Entry) -> tuple[list[Row], list[Row]]:
    """The rows that are shown, and those of a long curve, which are folded: at no eps of the leaderboards."""
    grid = eps_grid(entry.dataset)
    usual = {row.threat for row in entry.rows if row.threat.eps in grid[row.threat.norm]}
    curved = {threat.norm for threat in usual} if len(entry.rows) > MANY else set[Norm]()
    folded = [row for row in entry.rows if row.threat.norm in curved and row.threat not in usual]
    threats = {row.threat for row in folded}
    return [row for row in entry.rows if row.threat not in threats], folded


def _facts(entry: Entry) -> list[tuple[str, str]]:
    row = entry.rows[0]
    return [
        ("data set", entry.dataset),
        ("images", span(row.worst.count for row in entry.rows)),
        ("family", row.family),
        ("posterior", posterior(row)),
        ("attacked", made.finished(entry)),
        ("version", f"{benchmark.__version__}, protocol {entry.configuration.protocol}"),
    ]


def posterior(row: Row) -> str:
    """`one network`, `100 members` or `continuous, judged by 64 draws`."""
    match row.audit.evidence.kind:
        case Kind.POINT:
            return "one network"
        case Kind.FINITE:
            return f"{row.configuration.judge_draws} members"
        case Kind.CONTINUOUS:
            return f"continuous, judged by {row.configuration.judge_draws} draws"


def _passed(entry: Entry) -> list[dict[str, object]]:
    """Norm by norm, how many checks passed, and whether the network may be ranked."""
    return [
        {
            "norm": norm,
            "passed": sum(verdict.status == "PASS" for verdict in audit.verdicts),
            "checks": len(audit.verdicts),
            "ranked": all(row.rank is not None for row in entry.rows if row.threat.norm == norm),
        }
        for norm, audit in entry.audits.items()
    ]


def _checks(entry: Entry) -> list[dict[str, object]]:
    """Every check with its worst verdict, and the evidence norm by norm."""
    return [
        {
            "name": name,
            "title": ALL[name].title,
            "consequence": ALL[name].consequence,
            "status": worst.status,
            "findings": [
                (norm, verdict.status, verdict.evidence)
                for norm, audit in entry.audits.items()
                for verdict in audit.verdicts
                if verdict.check == name
            ],
        }
        for name, worst in entry.verdicts.items()
    ]


def _numbers_first(lines: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """On a narrow screen the words are what is out of sight."""
    return [{name: line[name] for name in sorted(line, key="what it is".__eq__)} for line in lines]


def _curves(rows: Sequence[Row], main: Sequence[Row]) -> list[Chart]:
    """Accuracy against eps, a chart a norm that was attacked at several eps; at eps 0 it is that on clean images."""
    charts = []
    for norm in dict.fromkeys(row.threat.norm for row in rows):
        by_eps = {row.threat.eps: row for row in rows if row.threat.norm == norm}
        if len(by_eps) > 1:
            marked = [row.threat.eps for row in main if row.threat.norm == norm]
            charts.append(chart(f"Accuracy in {norm}", f"eps ({norm})", _against_eps(by_eps), format_eps, marked))
    return charts


def _against_eps(by_eps: dict[float, Row]) -> list[Series]:
    rows = dict(sorted(by_eps.items()))
    start = {0.0: next(iter(rows.values())).clean}
    attacks = dict.fromkeys(attack for row in rows.values() for attack in row.attacks)
    return [
        Series("worst case", start | {eps: row.worst for eps, row in rows.items()}, 0, band=True),
        *(
            Series(
                METHOD_OF[attack].name,
                start | {eps: row.attacks[attack] for eps, row in rows.items() if attack in row.attacks},
                style,
            )
            for style, attack in enumerate(attacks, 1)
        ),
    ]


def _nearest(rows: Sequence[Row]) -> list[Chart]:
    """How many images have no adversarial one as near as that, a chart a norm whose nearest images were looked for.

    Up to twice the largest eps, or to the last of them.
    """
    charts = []
    for norm in dict.fromkeys(row.threat.norm for row in rows):
        of_norm = [row for row in rows if row.threat.norm == norm]
        distances = next((row.distances for row in of_norm if row.distances is not None), None)
        if distances is None:
            continue
        last = max(filter(math.isfinite, distances.of.values()), default=math.inf)
        end = min(last, 2 * max(row.threat.eps for row in of_norm))
        places = [end * step / PLACES for step in range(PLACES + 1)] if end else [0.0]
        left = {eps: Share(sum(far > eps for far in distances.of.values()), len(distances.of)) for eps in places}
        median = f"median distance {distances.median:.3g}"
        series = [Series("no adversarial image as near", left, 0, band=True)]
        charts.append(chart(f"Nearest images in {norm}: {median}", f"distance ({norm})", series, "{:.2g}".format))
    return charts


def _draws(entry: Entry, found: Sequence[ByDraws]) -> dict[str, object]:
    """Readings of a network with draws, and accuracy against how many of them its attacker has."""
    against = partial(chart, axis="draws", number="{:g}".format, doubling=True)
    of_entry = [one for one in found if one.model == entry.name]
    ways = [[one for one in of_entry if one.threat == row.threat] for row in entry.rows]
    climbed = _climbed(entry)
    return {
        "readings": table(readings(entry), "Surviving images in %"),
        "ladders": table(ladders(entry), "Surviving images in %, fresh draws at each step"),
        "climbed": against("Accuracy against fresh draws at each step", series=climbed) if climbed else None,
        "ways": [against(_title(used[0]), series=_ways(used)) for used in ways if used],
    }


def _climbed(entry: Entry) -> list[Series]:
    return [
        Series(
            threat_title(threat.norm, threat.eps),
            {draws: Share(left, ladder.count) for draws, left in ladder.survivors.items()},
            style % STYLES,
        )
        for style, (threat, ladder) in enumerate(entry.ladders.items())
    ]


def _title(one: ByDraws) -> str:
    half = ", half the samples" if one.reading is Reading.SAMPLE else ""
    return f"{threat_title(one.threat.norm, one.threat.eps)}{half}"


def _ways(found: Sequence[ByDraws]) -> list[Series]:
    """A line for each way of using draws."""
    return [
        Series(
            f"{one.way.attack}, {one.way.target}, {one.way.schedule}",
            {float(draws): share for draws, share in one.surviving.items()},
            style % STYLES,
        )
        for style, one in enumerate(found)
    ]
