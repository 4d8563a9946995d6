"""Tables of boards: what a row shows and how a number is written. Pages and the terminal both use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.reports.shares import of_audit, percent
from benchmark.reports.strongest import strongest, strongest_columns, strongest_values
from benchmark.results.boards import Board, by_images
from benchmark.results.rows import Row

SUBMITTED = "submitted, re-run by CI"


def span(counts: Iterable[int]) -> str:
    """`100`, or `100 to 500` where numbers differ."""
    distinct = sorted(set(counts))
    return " to ".join(map(str, dict.fromkeys((distinct[0], distinct[-1]))))


def threat_title(norm: str, eps: float) -> str:
    """`linf, eps 8/255`."""
    return f"{norm}, eps {format_eps(eps)}"


def markdown(rows: Iterable[Mapping[str, object]]) -> str:
    """A Markdown table of dictionaries, empty where a row lacks a key; nothing for no rows."""
    # a bar would end the cell, and the rest of it would be lost
    cells = [{key: str(value).replace("|", "\\|") for key, value in row.items()} for row in rows]
    frame = pd.DataFrame(cells).fillna("")
    return str(frame.to_markdown(index=False, disable_numparse=True)) if len(frame) else ""


def ranking(board: Board, link: str | None = None) -> list[dict[str, object]]:
    """The main table of a board, one dictionary a row. link: path to the leaderboards, for links to the audits.

    A reference row has no link: its audit lies in the project's leaderboards. Columns that are empty in every row are
    left out.
    """
    planted = any(row.detection for row in board.rows)
    bounded = any(row.certified for row in board.rows)
    columns = strongest_columns(board.rows)
    return [
        {
            "": number,
            "rank": rank(row),
            "entry": labelled(row),
            "family": row.family,
            "clean": percent(row.clean),
            **{attack: percent(share) for attack, share in row.attacks.items()},
            "white-box": percent(row.whitebox),
            **strongest(row, columns),
            **({"certified": of_audit(row.certified, row)} if bounded else {}),
            "worst case [95 %]": percent(row.worst, interval=True),
            "judge's own draws": of_audit(row.readings.deterministic, row),
            **({"detection": "" if row.detection is None else percent(row.detection)} if planted else {}),
            "images": row.worst.count,
            "libraries": ", ".join(dict.fromkeys(row.agreement.values())),
            "attacks": row.attack_count,
            "passes x draws": f"{row.passes[0]:,} + {row.passes[1]:,}",
            "verdict": linked_status(row, link),
        }
        for number, row in enumerate(board.rows, 1)
    ]


def audit_file(model: str) -> str:
    """Where an entry's audit lies, below the leaderboards."""
    return f"audits/{audit_name(model)}.md"


def audit_name(model: str) -> str:
    """An entry's name as that of a file."""
    return model.replace("/", "-").replace(":", "-")


def figure_name(dataset: str, kind: str, label: str) -> str:
    """The name of a figure about a data set's boards on the same images. label: of `by_images`."""
    return "-".join([dataset, kind, *label.replace(",", "").split()])


def linked_status(row: Row, link: str | None = None) -> str:
    """The worst verdict, with a link to the audit. link: the path to the leaderboards."""
    return row.status if link is None else _linked(row.status, row, link)


def _linked(text: str, row: Row, link: str) -> str:
    return text if row.reference else f"[{text}]({link}{audit_file(row.configuration.model)})"


def statuses(by_norm: Mapping[Norm, str]) -> str:
    """`PASS`, or `linf PASS, l2 FAIL` where they differ. by_norm: norm -> the worst verdict there."""
    first, *others = dict.fromkeys(by_norm.values())
    return first if not others else ", ".join(f"{norm} {status}" for norm, status in by_norm.items())


def details(board: Board) -> list[dict[str, object]]:
    """Uncertainty, draws and cost of a board's rows."""
    return [
        {
            "entry": labelled(row),
            "NLL": _arrow(row.clean_uncertainty.nll, row.uncertainty.nll),
            "entropy": _arrow(row.clean_uncertainty.entropy, row.uncertainty.entropy),
            "ECE": _arrow(row.clean_uncertainty.ece, row.uncertainty.ece),
            "draws attack / judge": _draws(row),
            "white-box on the attacker's draws": percent(row.attacker),
        }
        for row in board.rows
    ]


def separations(board: Board) -> list[dict[str, object]]:
    """Every two rows of a board once: `>` where the row is certainly more robust than the column's, `<` where less.

    Elsewhere the number of images that a test would need to tell them apart; a dash where they do not differ at all.
    """
    numbers = {id(row): number for number, row in enumerate(board.rows, 1)}
    lines: dict[int, dict[str, object]] = {
        number: {"": str(number), "entry": labelled(row)} for number, row in enumerate(board.rows, 1)
    }
    for pair in board.pairs:
        if pair.better is None:
            sign = "–" if pair.needed is None else f"{pair.needed:,}"
        else:
            sign = "**>**" if pair.better is pair.first else "**<**"
        lines[numbers[id(pair.first)]][str(numbers[id(pair.second)])] = sign
    columns = ["", "entry", *(str(number) for number in range(2, len(board.rows) + 1))]
    return [{name: line.get(name, "") for name in columns} for line in list(lines.values())[:-1]]


def pairs_table(boards: Iterable[Board]) -> str:
    """Every two rows of every board on the images both have, with the test that says which is more robust, as CSV."""
    lines = [
        {
            "dataset": board.dataset,
            "norm": board.norm,
            "eps": board.eps,
            "first": labelled(pair.first),
            "second": labelled(pair.second),
            "images": pair.count,
            "only_first_survives": pair.only_first,
            "only_second_survives": pair.only_second,
            "p": pair.p,
            "corrected": pair.corrected,
            "more_robust": "" if pair.better is None else labelled(pair.better),
            "images_to_separate": pair.needed,
        }
        for board in boards
        for pair in board.pairs
    ]
    return csv_text(pd.DataFrame(lines)) if lines else ""


def headline(boards: Iterable[Board], link: str = "") -> str:
    """Per data set and set of images one table: networks down, threat models across, worst case, interval, rank.

    What is the same in every row is said above the table. link: the path to the leaderboards from where the table is.
    """
    tables, audits = [], dict[str, int]()
    for dataset, groups in by_images(boards).items():
        for label, group in groups.items():
            rows = [row for board in group for row in board.rows]
            images = label or f"{rows[0].worst.count:,} images"
            norms = "/".join(dict.fromkeys(board.norm for board in group))
            caption = (
                f"**{dataset}**, {images}: accuracy in % under the worst case of all attacks and libraries "
                f"[95 % interval] (rank),\nand whether it can be believed, {norms} where the two differ"
            )
            tables.append(f"{caption}\n\n{compact(_headline_rows(group, audits))}")
    links = [f"[{number}]: {link}{file}" for file, number in audits.items()]
    return "\n\n".join([*tables, "\n".join(links)] if links else tables)


def compact(rows: Sequence[Mapping[str, object]]) -> str:
    """A Markdown table whose source is as narrow as its cells. rows: at least one, all with the same keys."""
    lines = [[str(value).replace("|", "\\|") for value in row.values()] for row in rows]
    header = list(rows[0])
    return "\n".join("|" + "|".join(cells) + "|" for cells in (header, [":--"] * len(header), *lines))


def _headline_rows(boards: list[Board], audits: dict[str, int]) -> list[dict[str, object]]:
    """The most robust first, by the mean over the boards it is on. audits: file -> its number in links; added to."""
    by_entry: dict[tuple[object, bool], list[Row]] = {}
    for board in boards:
        for row in board.rows:
            by_entry.setdefault((row.configuration, row.reference), []).append(row)
    ordered = sorted(by_entry.values(), key=lambda rows: -sum(row.worst.value for row in rows) / len(rows))
    return [_headline_row(rows, boards, audits) for rows in ordered]


def _headline_row(rows: list[Row], boards: list[Board], audits: dict[str, int]) -> dict[str, object]:
    by_threat = {row.threat: row for row in rows}
    first, digits = rows[0], 0 if rows[0].worst.count <= 100 else 1
    name = labelled(first).removeprefix(f"{first.dataset}/")
    # a name that says it, as the zoo's do, need not be told again
    kind = "" if first.family in ("frequentist", *name.split("-")) else f" ({first.family})"
    line: dict[str, object] = {"network": name + kind, "clean": percent(first.clean, digits=digits)}
    for board in boards:
        row = by_threat.get(ThreatModel(board.norm, board.eps))
        shown = "–" if row is None else f"{percent(row.worst, interval=True, digits=digits)} ({rank(row)})"
        line[f"{board.norm} {format_eps(board.eps)}"] = shown
    by_norm = list({row.threat.norm: row.status for row in rows}.values())
    status = by_norm[0] if len(set(by_norm)) == 1 else "/".join(by_norm)
    if not first.reference:
        status = f"[{status}][{audits.setdefault(audit_file(first.configuration.model), len(audits) + 1)}]"
    return {**line, "verdict": status}


def csv_table(boards: list[Board]) -> str:
    """All boards of a data set as one CSV table: a line per entry and threat model, shares between 0 and 1.

    Where there are reference rows, a column tells them from the others.
    """
    lines = []
    mixed = any(row.reference for board in boards for row in board.rows)
    planted = any(row.detection for board in boards for row in board.rows)
    bounded = any(row.certified for board in boards for row in board.rows)
    columns = strongest_columns([row for board in boards for row in board.rows])
    for board in boards:
        for row in board.rows:
            low, high = row.worst.interval
            lines.append(
                {
                    "dataset": board.dataset,
                    "norm": board.norm,
                    "eps": board.eps,
                    "rank": row.rank,
                    "entry": row.configuration.model,
                    **({"reference": row.reference} if mixed else {}),
                    "family": row.family,
                    "examples": row.worst.count,
                    "clean": row.clean.value,
                    **{attack: share.value for attack, share in row.attacks.items()},
                    "whitebox": row.whitebox.value,
                    **strongest_values(row, columns),
                    **({"certified": None if row.certified is None else row.certified.value} if bounded else {}),
                    "worst_case": row.worst.value,
                    "worst_case_low": low,
                    "worst_case_high": high,
                    "judges_own_draws": None if row.deterministic is None else row.deterministic.value,
                    "whitebox_attacker_draws": row.attacker.value,
                    **({"detection": None if row.detection is None else row.detection.value} if planted else {}),
                    "nll_clean": row.clean_uncertainty.nll,
                    "nll": row.uncertainty.nll,
                    "entropy_clean": row.clean_uncertainty.entropy,
                    "entropy": row.uncertainty.entropy,
                    "ece_clean": row.clean_uncertainty.ece,
                    "ece": row.uncertainty.ece,
                    **{f"agreement_{attack}": level for attack, level in row.agreement.items()},
                    "attack_draws": row.configuration.attack_draws,
                    "judge_draws": row.configuration.judge_draws,
                    "seed": row.configuration.seed,
                    "attacks": row.attack_count,
                    "forward_passes": row.passes[0],
                    "backward_passes": row.passes[1],
                    "verdict": row.status,
                    "fingerprint": row.configuration.fingerprint,
                    "data": row.configuration.data,
                    "protocol": row.configuration.protocol,
                }
            )
    return csv_text(pd.DataFrame(lines))


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, five digits a number."""
    return str(frame.to_csv(index=False, float_format="%.5g", lineterminator="\n"))


def rank(row: Row) -> str:
    """The rank, or a dash for a row that is kept out of the ranking."""
    return "–" if row.rank is None else str(row.rank)


def labelled(row: Row) -> str:
    """The entry's name, with the seed where it is not the protocol's 0, marked where it is a reference or submitted."""
    config = row.configuration
    name = config.model if config.seed == 0 else f"{config.model} (seed {config.seed})"
    if row.submitted:
        return f"{name} ({SUBMITTED})"
    return f"{name} (reference)" if row.reference else name


def _draws(row: Row) -> str:
    return f"{row.configuration.attack_draws} / {row.configuration.judge_draws}"


def _arrow(clean: float, attacked: float) -> str:
    return f"{clean:.3f} → {attacked:.3f}"
