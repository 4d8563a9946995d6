"""The tables at the end of a run: in any width every number, rank and verdict is whole."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from benchmark.papers.robustness_of_bayesian_approach.curves import GRID
from benchmark.protocol import ATTACKS, JUDGE_DRAWS, LIBRARIES, NORMS, eps_grid
from benchmark.records.record import Record
from benchmark.reports import console
from benchmark.reports.console import print_boards, print_gradients, ranking_text
from benchmark.reports.shares import percent
from benchmark.reports.standings import shortened
from benchmark.reports.tables import rank
from benchmark.results import Results
from tests.benchmark.handmade import make, masking_records, outcome

LONG = "mnist/my_package.models.deep:bayesian_resnet_factory"


def attacked(
    model: str, stands: int, draws: int = 1, grid: dict[str, tuple[float, ...]] | None = None
) -> Iterator[Record]:
    """The white-box records of an entry of which that many of a thousand images stand."""
    grid = grid or eps_grid("mnist")
    for attack in ATTACKS:
        for eps in grid[NORMS[attack]]:
            survivors = [i < stands for i in range(1000)]
            record = make(model, attack, eps, dict.fromkeys(LIBRARIES, survivors))
            cell = dataclasses.replace(record.cell, attack_draws=min(draws, 8), judge_draws=draws)
            yield dataclasses.replace(record, cell=cell, family="frequentist" if draws == 1 else "bayesian")


def networks(count: int) -> list[Record]:
    names = [LONG, f"{LONG}_2", *(f"mnist/network-{number}" for number in range(16))]
    return [
        record
        for place, name in enumerate(names[:count])
        for record in attacked(name, 1000 - 50 * place, JUDGE_DRAWS if place % 2 else 1)
    ]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("count", [1, 2, 18])
def test_every_number_rank_and_verdict_is_whole_at_any_width(count: int, width: int) -> None:
    records = networks(count)
    text = ranking_text(Results(records), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    boards = Results(records).boards
    words = re.sub(r"\[[^]]*\]", "", text).split()
    for row in (row for board in boards for row in board.rows):
        assert percent(row.worst) in words
        assert f"({rank(row)})" in words
        assert row.status in words
        assert row.family in words
    for word in words:  # what is cut is in the middle of a name, with both ends there
        assert "…" not in word or re.fullmatch(r"\w[\w.:-]*…[\w.:-]+", word)
    rows = [line for line in lines if "frequentist" in line or "bayesian " in line]
    assert len(rows) == count * (2 if width == 60 else 1)  # one line a network; in 60 columns a table for each norm


def test_names_are_whole_where_there_is_room_and_lose_their_middle_where_there_is_none() -> None:
    records = networks(2)
    assert "my_package.models.deep:bayesian_resnet_factory_2" in ranking_text(Results(records), 160)
    narrow = ranking_text(Results(records), 80)
    names = [line.split()[0] for line in narrow.splitlines() if "…" in line]
    assert len(set(names)) == 2
    for name in names:
        head, tail = name.split("…")
        assert "my_package.models.deep:bayesian_resnet_factory_2".startswith(head)
        assert "my_package.models.deep:bayesian_resnet_factory_2".removesuffix("_2" * (tail[-2:] != "_2")).endswith(
            tail
        )


@given(st.lists(st.text("abc-/", min_size=1, max_size=60), min_size=1, max_size=5, unique=True), st.integers(5, 70))
def test_shortened_names_fit_and_short_ones_are_left_alone(names: list[str], width: int) -> None:
    for name, short in zip(names, shortened(names, width), strict=True):
        assert len(short) == min(len(name), width)
        assert (short == name) == (len(name) <= width)


def test_intervals_are_shown_where_there_is_room() -> None:
    records = networks(2)
    interval = percent(Results(records).boards[0].rows[0].worst, interval=True)
    assert interval in ranking_text(Results(records), 180)
    assert "[" not in ranking_text(Results(records), 80)


def test_what_is_shown_is_explained_and_nothing_else_is_spoken_of() -> None:
    without_draws = ranking_text(Results(attacked("mnist/a", 500)), 100)
    assert "draws" not in without_draws
    assert "(rank): one more than" in without_draws
    assert "OPEN: not all checks ran: --suite adaptive at two eps runs the rest" in without_draws
    for status in ("FLAG", "FAIL", "ERROR"):
        assert f"{status}:" not in without_draws
    assert "not ranked" not in without_draws
    assert "by up to 64 posterior draws" in ranking_text(Results(attacked("mnist/a", 500, JUDGE_DRAWS)), 200)


def test_a_network_whose_attack_failed_has_a_dash_and_a_reason() -> None:
    records = list(attacked("mnist/a", 500))
    failed = {**records[0].outcomes, "art": dataclasses.replace(records[0].outcomes["art"], error="no", correct=[])}
    records[0] = dataclasses.replace(records[0], outcomes=failed)
    text = ranking_text(Results(records), 200)
    assert "(–)" in text
    assert "–: not ranked, for its verdict" in text
    assert "ERROR: an attack did not run" in text


def test_a_long_grid_is_broken_into_tables_that_fit() -> None:
    grid = {norm: tuple(GRID[1:]) for norm in ("linf", "l2")}
    records = list(attacked("mnist/a", 500, grid=grid))
    text = ranking_text(Results(records), 80)
    assert max(map(len, text.splitlines())) <= 80
    heads = [line.split() for line in text.splitlines() if line.startswith("network")]
    assert [eps for head in heads for eps in head[1:]] == 2 * [f"{eps:g}" for eps in GRID[1:]]
    assert len(heads) < len(GRID)


def test_networks_on_other_images_stand_in_a_table_of_their_own() -> None:
    some = [make("mnist/b", attack, 0.1, dict.fromkeys(LIBRARIES, [True] * 20), start=5000) for attack in ATTACKS[:3]]
    text = ranking_text(Results([*attacked("mnist/a", 500), *some]), 100)
    assert "mnist: 1,000 images" in text
    assert "mnist: 20 images" in text


def test_a_pipe_gets_what_a_terminal_of_80_columns_gets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "console", Console(width=80))
    print_boards(Results(networks(3)))
    assert capsys.readouterr().out == ranking_text(Results(networks(3)), 80)


def test_what_each_gradient_left_is_printed_whole_where_several_were_followed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "console", Console(width=40))
    print_gradients(Results(networks(1)))
    assert capsys.readouterr().out == ""
    print_gradients(Results(masking_records(3, 17)))
    lines = capsys.readouterr().out.splitlines()
    (wrong,) = (line for line in lines if " mean-loss " in line)
    assert wrong.count("(+23.3, p 0.0026)") == 4
    assert not any("…" in line or "**" in line for line in lines)


def test_a_network_that_is_no_better_than_chance_is_said_to_guess() -> None:
    """As one that was trained on other pixels than it is given."""
    guesses = make("mnist/a", "fgsm", 0.1, {"foolbox": [False] * 40})
    guesses = dataclasses.replace(guesses, clean=outcome([i % 10 == 0 for i in range(40)]))
    text = ranking_text(Results([guesses, make("mnist/b", "fgsm", 0.1, {"foolbox": [True] * 40})]))
    said = " ".join(text.split())
    assert "mnist/a may be guessing: 10.0 % of clean images are right, of 10 classes" in said
    assert "normalize=" in said
    assert "mnist/b may be guessing" not in said


def test_boards_and_rows_print_as_lines() -> None:
    (board,) = Results([make("mnist/b", "fgsm", 0.1, {"foolbox": [True] * 40})]).boards
    assert repr(board).splitlines() == [
        "Board(mnist, linf, eps 0.1, 40 images)",
        f"  Row(mnist/b: worst case 100.0 % [91.2, 100.0], clean 100.0 %, rank 1, {board.rows[0].status})",
    ]
