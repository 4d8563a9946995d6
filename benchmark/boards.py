"""From records to ranked rows: everything a leaderboard shows is computed here, from per-example outcomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from benchmark.attacks.methods import Norm
from benchmark.cells import Cell
from benchmark.comparison import ranked
from benchmark.outcomes import (
    Configuration,
    configuration,
    is_ruled,
    is_standard,
    outcome_frame,
    same_judge,
    without_subsumed,
)
from benchmark.protocol import attacks_in
from benchmark.record import Record
from benchmark.rows import Row, measured_row
from benchmark.trials import UNBOUNDED, trial_of
from benchmark.validity import Evidence, verdicts

Images = tuple[str, frozenset[int]]  # fingerprint of the data, indices into the test split


@dataclass(frozen=True)
class Board:
    """Rows of one data set and threat model on the very same images, best first, unranked ones last."""

    dataset: str
    norm: str
    eps: float
    rows: list[Row]

    @property
    def images(self) -> Images:
        """What all its rows are on."""
        return self.rows[0].images


class Measured(NamedTuple):
    """A row on all its images, and the same row restricted to some of them."""

    dataset: str
    row: Row
    on: Callable[[Set[int]], Row | None]


def rows_of(boards: Iterable[Board]) -> dict[Configuration, list[tuple[Board, Row]]]:
    """Configuration -> its rows on all their images, with the boards that they are on. Reference rows are left out."""
    found: dict[Configuration, list[tuple[Board, Row]]] = {}
    for board in boards:
        for row in board.rows:
            if row.is_whole and not row.reference:
                found.setdefault(row.configuration, []).append((board, row))
    return found


def by_images(boards: Iterable[Board]) -> dict[str, dict[str, list[Board]]]:
    """Data set -> label -> its boards on the same images.

    The label is empty where all of a data set's boards are on the same images, and `20 images` or the like elsewhere.
    """
    found: dict[str, dict[Images, list[Board]]] = {}
    for board in boards:
        found.setdefault(board.dataset, {}).setdefault(board.images, []).append(board)
    return {
        dataset: {_label(images, list(groups)): group for images, group in groups.items()}
        for dataset, groups in found.items()
    }


def _label(images: Images, others: Sequence[Images]) -> str:
    if len(others) == 1:
        return ""
    alike = [other for other in others if len(other[1]) == len(images[1])]
    text = f"{len(images[1]):,} images"
    return text if len(alike) == 1 else f"{text}, {alike.index(images) + 1} of {len(alike)} such sets"


def build_boards(records: Iterable[Record], others: Iterable[Record] = ()) -> list[Board]:
    """Boards for every data set, norm and eps > 0 among the records with standard attacks on all their images.

    others: what else is known of the same networks; with what is no such attack among `records`, it is evidence.
    """
    return _assembled(_measured(records, others))


def ranked_boards(records: Iterable[Record], reference: Iterable[Record] = ()) -> list[Board]:
    """The boards of the protocol: its eps, draws and seed, and rows that met all its attacks in that norm.

    Whatever else was tried within those threat models, or at eps = 0, counts too.
    reference: records of networks to rank beside the others, on the same images.
    """
    return _assembled([*_ruled(records), *_ruled(reference, reference=True)])


def is_evidence(cell: Cell) -> bool:
    """Whether a cell is no attack of a table's column, but one that says what the columns are worth."""
    return cell.attack.threat.eps == 0 or (len(cell.libraries) == 1 and trial_of(cell) is not None)


def _ruled(records: Iterable[Record], reference: bool = False) -> list[Measured]:
    of_rows, others = [], []
    for record in records:
        if is_ruled(record.cell) and is_standard(record.cell.attack):
            of_rows.append(record)
        elif is_evidence(record.cell) or not is_standard(record.cell.attack):
            others.append(record)
    measured = _measured(of_rows, others, reference)
    return [one for one in measured if set(one.row.attacks) == set(attacks_in(one.row.threat.norm))]


def _measured(records: Iterable[Record], others: Iterable[Record], reference: bool = False) -> list[Measured]:
    """A row for every configuration and threat model."""
    grouped: dict[Configuration, list[Record]] = defaultdict(list)
    known: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    met = without_subsumed(records)
    plain = {same_judge(record) for record in met if _fits_a_row(record) and trial_of(record.cell) is None}
    for record in met:
        # with other draws it is a trial of the row that has the protocol's, unless it stands alone
        if _fits_a_row(record) and (trial_of(record.cell) is None or same_judge(record) not in plain):
            grouped[configuration(record)].append(record)
        else:
            known[same_judge(record)].append(record)
    for record in others:
        known[same_judge(record)].append(record)
    rows = []
    for config, group in grouped.items():
        for norm in {record.cell.attack.threat.norm for record in group}:
            evidence = _evidence(norm, group, known[same_judge(group[0])])
            found = verdicts(evidence)
            for dataset, threat in {(record.cell.dataset, record.cell.attack.threat) for record in evidence.records}:
                on = partial(measured_row, config, threat, evidence, found, reference)
                if (row := on()) is not None:
                    rows.append(Measured(dataset, row, on))
    return rows


def _evidence(norm: Norm, records: list[Record], others: list[Record]) -> Evidence:
    """What speaks of an entry in one norm: gradients that lead far in linf may lead nowhere in l2."""
    own = [record for record in records if record.cell.attack.threat.norm == norm]
    known = [record for record in others if record.cell.attack.threat.norm == norm or _is_of_every_norm(record)]
    return Evidence(own, outcome_frame(own), known)


def _is_of_every_norm(record: Record) -> bool:
    return record.cell.attack.threat.eps == 0 or record.cell.attack.threat == UNBOUNDED


def _fits_a_row(record: Record) -> bool:
    cell = record.cell
    return is_standard(cell.attack) and cell.attack.threat.eps > 0 and cell.only is None


def _assembled(measured: Iterable[Measured]) -> list[Board]:
    """Boards of rows on the same images: a row stands on every board whose images it has all."""
    by_threat: dict[tuple[str, str, float], list[Measured]] = defaultdict(list)
    for one in measured:
        by_threat[one.dataset, one.row.threat.norm, one.row.threat.eps].append(one)
    boards = []
    for key in sorted(by_threat, key=_board_order):
        sets = {images: _on(images, by_threat[key]) for images in _image_sets(by_threat[key])}
        boards += [Board(*key, ranked(sets[images])) for images in sorted(sets, key=lambda i: _set_order(i, sets[i]))]
    return boards


def _image_sets(measured: Sequence[Measured]) -> set[Images]:
    """The sets of images that rows are on, and what each has in common with a reference; none of references alone."""
    own = {one.row.images for one in measured if not one.row.reference}
    reference = {one.row.images for one in measured if one.row.reference}
    common = {(data, e & other) for data, e in own for of, other in reference if of == data and e & other}
    return own | common


def _on(images: Images, measured: Sequence[Measured]) -> list[Row]:
    """The rows that have all these images, restricted to them. A user's own row takes its reference's place."""
    data, examples = images
    having = [one for one in measured if one.row.images[0] == data and examples <= one.row.images[1]]
    own = {one.row.configuration.model for one in having if not one.row.reference}
    shown = [one for one in having if not one.row.reference or one.row.configuration.model not in own]
    rows = [one.row if one.row.images == images else one.on(examples) for one in shown]
    return [row for row in rows if row is not None]


def _set_order(images: Images, rows: Sequence[Row]) -> tuple[object, ...]:
    """What most rows have comes first, then what is more; the data and the first image settle the rest."""
    data, examples = images
    return -len(rows), -len(examples), data, min(examples)


def _board_order(key: tuple[str, str, float]) -> tuple[str, int, float]:
    dataset, norm, eps = key
    return dataset, ("linf", "l2").index(norm), eps
