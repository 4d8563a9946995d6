"""Which boards a README shows: those with every entry, and those on most images."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmark.render import _headline
from benchmark.results.boards import Board


def _board(dataset: str, images: int, rows: int) -> Board:
    of = SimpleNamespace(images=(dataset, frozenset(range(images))))
    return Board(dataset, "linf", 0.1, [of] * rows)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("groups", "shown"),
    [
        ({100: 13}, [100]),
        ({100: 13, 500: 9, 1000: 8}, [100, 1000]),
        ({100: 13, 500: 13, 1000: 8}, [500, 1000]),
        ({100: 13, 500: 13, 1000: 13}, [1000]),
    ],
)
def test_the_boards_with_every_entry_and_those_on_most_images(groups: dict[int, int], shown: list[int]) -> None:
    boards = [_board("mnist", images, rows) for images, rows in groups.items()]
    assert [len(board.images[1]) for board in _headline([*boards, _board("svhn", 2000, 3)])] == shown
