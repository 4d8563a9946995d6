"""Pages of the leaderboards: front page, data sets, agreement, performance."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.agreement import Comparison, weakest
from benchmark.attacks.spec import format_eps
from benchmark.boards import Board, by_images
from benchmark.outcomes import merged_agreement
from benchmark.pages import render_page
from benchmark.pages.audit import reason
from benchmark.protocol import ATTACKS, ECE_BINS, LIBRARIES, PIXEL_TOLERANCE
from benchmark.record import Outcome, Record
from benchmark.tables import details, headline, labelled, markdown, paired, ranking, threat_title


def dataset_page(dataset: str, boards: list[Board]) -> str:
    """Everything about one data set. boards: its own, those on the same images together."""
    labelled_boards = [(label, board) for label, group in by_images(boards)[dataset].items() for board in group]
    return render_page(
        "dataset.md",
        dataset=dataset,
        bins=ECE_BINS,
        references=any(row.reference for board in boards for row in board.rows),
        boards=[
            {
                "title": ", ".join(filter(None, (threat_title(board.norm, board.eps), label))),
                "images": f"{len(board.images[1]):,}",
                "restricted": [f"{labelled(row)} ({row.attacked:,})" for row in board.rows if not row.is_whole],
                "ranking": markdown(ranking(board, link="")),
                "unranked": [{"entry": labelled(row), "reason": reason(row)} for row in board.rows if row.rank is None],
                "details": markdown(details(board)),
                "tests": markdown(paired(board)),
            }
            for label, board in labelled_boards
        ],
    )


def agreement_page(records: list[Record], on_boards: list[Record]) -> str:
    """Matrices library by library, and the examples on which they differ.

    The matrices are over all records, the rest over the boards' alone: a paper's grids would add a thousand rows.
    """
    merged = merged_agreement(records)
    attacks = []
    for attack in ATTACKS:
        pairs = [pair for (_, spec), found in merged.items() if spec.name == attack for pair in found]
        if pairs:
            attacks.append({"name": attack, "matrix": markdown(_matrix(pairs))})
    return render_page(
        "agreement.md",
        tolerance=f"{PIXEL_TOLERANCE:g}",
        attacks=attacks,
        entries=markdown(_agreement_rows(on_boards)),
        examples=markdown(_differing_examples(on_boards)),
    )


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


def _agreement_rows(records: list[Record]) -> list[dict[str, object]]:
    return [
        {
            "entry": config.model,
            "draws": f"{config.attack_draws} / {config.judge_draws}",
            "seed": config.seed,
            "attack (steps)": f"{spec.name} ({spec.steps})",
            "gradient of": spec.target,
            "eps": format_eps(spec.threat.eps),
            "libraries": f"{pair.first} / {pair.second}",
            "level": pair.level,
            "figures": _numbers([pair]),
            "largest difference of a pixel": f"{pair.max_difference:.2g}",
        }
        for (config, spec), pairs in merged_agreement(records).items()
        for pair in pairs
    ]


def _differing_examples(records: list[Record]) -> list[dict[str, object]]:
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


def index_page(boards: list[Board], links: Sequence[str]) -> str:
    """The front page of `leaderboards/`. links: a line for each report."""
    return render_page("index.md", headline=headline(boards), links=links)


def own_index_page(boards: list[Board], links: Sequence[str], figures: list[str]) -> str:
    """The front page of a user's own folder. links: a line for each report."""
    references = any(row.reference for board in boards for row in board.rows)
    return render_page("own-index.md", headline=headline(boards), references=references, links=links, figures=figures)


def performance_page(measured: dict[str, object], machine: str, repeats: int) -> str:
    """What `benchmark.bench` measured, by table; a table that was not measured is left out."""
    tables = dict.fromkeys(("gradients", "chunks", "libraries", "overhead", "growth", "options", "forecast")) | measured
    return render_page("performance.md", machine=machine, repeats=repeats, **tables)
