"""Boards: the rows of a data set and threat model on the very same images, ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmark.attacks.methods import Norm
from benchmark.attacks.spec import format_eps
from benchmark.results.audits import Audit
from benchmark.results.ranking import Paired, paired_tests, ranked
from benchmark.results.rows import Images, Row, row_of


@dataclass(frozen=True, repr=False)
class Board:
    """Rows of one data set and threat model on the very same images, best first, unranked ones last."""

    dataset: str
    norm: Norm
    eps: float
    rows: list[Row]

    def __repr__(self) -> str:
        title = f"Board({self.dataset}, {self.norm}, eps {format_eps(self.eps)}, {len(self.images[1]):,} images)"
        return "\n".join([title, *(f"  {row!r}" for row in self.rows)])

    @cached_property
    def pairs(self) -> list[Paired]:
        """Every two rows against each other."""
        return paired_tests(self.rows)

    @property
    def images(self) -> Images:
        """The images that all its rows are on."""
        return self.rows[0].images


def by_images(boards: Iterable[Board]) -> dict[str, dict[str, list[Board]]]:
    """Data set -> label -> its boards on the same images.

    The label is empty where all of a data set's boards are on the same images, and `20 images` or the like elsewhere.
    """
    by_dataset: dict[str, dict[Images, list[Board]]] = {}
    for board in boards:
        by_dataset.setdefault(board.dataset, {}).setdefault(board.images, []).append(board)
    return {
        dataset: {_label(images, list(groups)): group for images, group in groups.items()}
        for dataset, groups in by_dataset.items()
    }


def _label(images: Images, others: Sequence[Images]) -> str:
    if len(others) == 1:
        return ""
    alike = [other for other in others if len(other[1]) == len(images[1])]
    text = f"{len(images[1]):,} images"
    return text if len(alike) == 1 else f"{text}, {alike.index(images) + 1} of {len(alike)} such sets"


def boards_of(audits: Iterable[Audit], protocol: bool = False) -> list[Board]:
    """Boards of rows on the same images: a row is on every board all of whose images it has.

    protocol: only of rows that have the columns that leaderboards demand.
    """
    by_threat: dict[tuple[str, Norm, float], list[Row]] = defaultdict(list)
    for audit in audits:
        for threat in audit.threats:
            if (row := row_of(audit, threat)) is not None and (row.on_leaderboards or not protocol):
                by_threat[row.dataset, threat.norm, threat.eps].append(row)
    boards = []
    for key in sorted(by_threat, key=_board_order):
        sets = {images: _on(images, by_threat[key]) for images in _image_sets(by_threat[key])}
        boards += [Board(*key, ranked(sets[images])) for images in sorted(sets, key=lambda i: _set_order(i, sets[i]))]
    return boards


def _image_sets(rows: Sequence[Row]) -> set[Images]:
    """The sets of images that rows are on, and what each has in common with a reference; none of references alone."""
    own = {row.images for row in rows if not row.reference}
    reference = {row.images for row in rows if row.reference}
    common = {(data, e & other) for data, e in own for of, other in reference if of == data and e & other}
    return own | common


def _on(images: Images, rows: Sequence[Row]) -> list[Row]:
    """The rows that have all these images, restricted to them. A user's own row takes its reference's place."""
    data, examples = images
    having = [row for row in rows if row.images[0] == data and examples <= row.images[1]]
    own = {row.configuration.model for row in having if not row.reference}
    shown = [row for row in having if not row.reference or row.configuration.model not in own]
    on = [row if row.images == images else row_of(row.audit, row.threat, examples) for row in shown]
    return [row for row in on if row is not None]


def _set_order(images: Images, rows: Sequence[Row]) -> tuple[object, ...]:
    """The images that most rows have come first, then the larger set; data and first image break ties."""
    data, examples = images
    return -len(rows), -len(examples), data, min(examples)


def _board_order(key: tuple[str, Norm, float]) -> tuple[str, int, float]:
    dataset, norm, eps = key
    return dataset, ("linf", "l2").index(norm), eps
