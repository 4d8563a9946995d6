"""What running again says, as Markdown: for the terminal, and as the comment that a workflow posts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmark.attacks.spec import format_eps
from benchmark.records.record import Record
from benchmark.reports.outside import outside_text
from benchmark.reports.shares import percent
from benchmark.reports.tables import compact, rank
from benchmark.results import Results
from benchmark.submission.again import Rerun
from benchmark.submission.compare import MARGIN, Difference
from benchmark.submission.outside import Judged
from benchmark.submission.schema import Checked
from benchmark.submission.summary import SHOWN, listed, title_of


def rerun_text(checked: Checked, rerun: Rerun, reference: Iterable[Record], command: str) -> str:
    """What the re-run found, and the row. reference: the leaderboards' records. command: which repeats the sample."""
    differences = [one for each in rerun.again for one in each.differences]
    parts = [f"## {title_of(checked)}: {'refused' if rerun.findings else 'accepted'}", *listed("Found", rerun.findings)]
    if rerun.again:
        parts += [_sample(rerun, command), *_differences(rerun, differences)]
    if not rerun.findings:
        parts.append(row_table(checked.records, reference))
    return "\n\n".join(parts) + "\n"


def images_text(checked: Checked, judged: Judged) -> str:
    """What a network's judge made of images, and how far its row falls."""
    parts = [
        f"## {title_of(checked)}: {'refused' if judged.findings else 'accepted'}",
        *listed("Found", judged.findings),
    ]
    if judged.record is not None:
        parts.append(outside_text([], judged.record, judged.effect).replace("\n", "  \n"))
    return "\n\n".join(parts) + "\n"


def row_table(records: Sequence[Record], reference: Iterable[Record]) -> str:
    """The rows of a submission, ranked beside the leaderboards' on the same images."""
    lines = []
    for board in Results(records, reference, protocol=True).boards:
        others = sum(row.reference for row in board.rows)
        lines += [
            {
                "entry": row.configuration.model,
                "threat model": f"{board.norm} {format_eps(board.eps)}",
                "clean": percent(row.clean),
                "white-box": percent(row.whitebox),
                "worst case [95 %]": percent(row.worst, interval=True),
                "images": row.worst.count,
                "rank": f"{rank(row)} of {others + 1}",
                "verdict": row.status,
            }
            for row in board.rows
            if not row.reference
        ]
    return compact(lines) if lines else "No row: the records have no complete set of columns under any threat model."


def _sample(rerun: Rerun, command: str) -> str:
    tenth = -(-rerun.cells // 10)
    escapes = [f"of one forged cell {_percent(rerun.escapes(1))}", f"of {tenth} {_percent(rerun.escapes(tenth))}"]
    if rerun.lifting is not None:
        fewest = _percent(rerun.escapes(rerun.lifting))
        escapes.append(f"of the {rerun.lifting} that at least have to be forged to save one image {fewest}")
    return (
        f"{len(rerun.again)} of {rerun.cells} cells were run again, drawn at random by the seed {rerun.seed}; "
        f"`{command}` repeats it. The probability that none is found: {', '.join(escapes)}."
    )


def _differences(rerun: Rerun, differences: Sequence[Difference]) -> Iterator[str]:
    count = sum(each.verdicts for each in rerun.again)
    if not differences:
        yield f"All {count:,} verdicts are equal."
        return
    rule = f"borderline is below {MARGIN:g}, or of an attack without gradients on what is broken anyway"
    yield f"{len(differences)} of {count:,} verdicts differ; {rule}:"
    yield compact(
        [
            {
                "cell": one.cell,
                "by": one.by,
                "image": one.image,
                "record": "survives" if one.survives else "broken",
                "here": "broken" if one.survives else "survives",
                "margin": f"{one.margin:.2g}",
                "borderline": "yes" if one.is_borderline else "no",
            }
            for one in differences[:SHOWN]
        ]
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
