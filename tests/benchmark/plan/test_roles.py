"""Every kind of cell that suites make has one role, and the committed records fall into these kinds and no other."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attack import On
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, UNBOUNDED, UNBOUNDED_ATTACK, planned, unbounded
from benchmark.plan.cells import Cell, Reading, Subject
from benchmark.plan.roles import role_of
from benchmark.protocol import standard_attack
from benchmark.records.archive import read_records
from zoo.targets import Gradient

ROOT = Path(__file__).resolve().parents[3]
WHITE_BOX = Cell("mnist/b", "mnist", standard_attack("pgd-linf", 0.1), 0, 100)
SUBJECT = Subject("mnist/b", "mnist", 10_000, deterministic=False, others=(("mnist/f", True), ("mnist/c", False)))


def test_the_protocols_attack_is_a_column_and_on_the_boards() -> None:
    role = role_of(WHITE_BOX)
    assert (role.target, role.adaptive) == ("expected", None)
    assert role.is_column
    assert role.is_white_box
    assert role.board
    assert role.on_leaderboards
    assert not role.is_evidence


@pytest.mark.parametrize(
    ("change", "column", "board", "leaderboards"),
    [
        ({"seed": 1}, True, False, False),
        ({"attack_draws": 4}, True, False, False),
        ({"libraries": ("foolbox",)}, True, False, False),
        ({"only": (3, 5)}, False, False, False),
        ({"attack": standard_attack("pgd-linf", 0.05)}, True, False, False),
        ({"attack": standard_attack("pgd-linf", 0.0)}, False, False, True),
        ({"attack": standard_attack("pgd-linf", 0.1, Gradient("mean-loss"))}, False, True, True),
        ({"attack": replace(standard_attack("pgd-linf", 0.1), steps=7)}, False, True, True),
        ({"attack_draws": 1, "judge_draws": 1}, True, True, True),
        ({"attack_draws": 64, "reading": Reading.DETERMINISTIC}, False, False, False),
        ({"attack_draws": 25, "judge_draws": 26, "reading": Reading.SAMPLE, "finite": True}, False, False, False),
    ],
)
def test_what_differs_from_it_has_another_role(
    change: dict[str, object], column: bool, board: bool, leaderboards: bool
) -> None:
    role = role_of(replace(WHITE_BOX, **change))
    assert (role.is_column, role.board, role.on_leaderboards) == (column, board, leaderboards)


def test_every_adaptive_attack_is_known_by_its_settings_and_is_evidence() -> None:
    for on in get_args(On):
        for adaptive, attack in planned(SUBJECT, [ThreatModel("linf", 0.1), ThreatModel("l2", 1.0)], on):
            for draws in adaptive.draws(8):
                cell = replace(
                    WHITE_BOX,
                    attack=attack,
                    attack_draws=draws,
                    libraries=(adaptive.library,),
                    only=(1, 2) if on == "surviving" else None,
                    reading=adaptive.reading,
                )
                assert role_of(cell).adaptive is adaptive
                assert role_of(cell).is_evidence
                assert not role_of(cell).is_white_box
                assert role_of(cell).headline is (adaptive.reading is Reading.HEADLINE)
    assert role_of(replace(WHITE_BOX, attack=unbounded(UNBOUNDED))).adaptive is UNBOUNDED_ATTACK
    assert role_of(replace(WHITE_BOX, attack_draws=1)).adaptive is ADAPTIVE_ATTACKS["one draw"]


def test_the_committed_records_have_the_roles_that_their_suites_gave_them() -> None:
    """Of every shard the white-box attacks at two eps in two norms, each at eps 0, and nothing that is of no use."""
    roles = Counter[tuple[str, str, int]]()
    for record in read_records(ROOT / "leaderboards" / "records").values():
        role, cell = record.role, record.cell
        assert role.usual or role.adaptive is not None or role.target is None
        kind = "column" if role.is_column and role.board else "eps 0" if not role.budget else "other"
        roles[kind if role.adaptive is None else "adaptive", cell.model, cell.start] += 1
    assert {count for (kind, *_), count in roles.items() if kind == "column"} == {8}
    assert {count for (kind, *_), count in roles.items() if kind == "eps 0"} == {4}
    audits = [count for (kind, _, start), count in roles.items() if kind == "adaptive" and start == 0]
    assert len(audits) == 27
    assert sum(audits) > 20 * 40
