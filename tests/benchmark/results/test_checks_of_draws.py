"""The checks on networks with posterior draws, against evidence made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from tests.benchmark.evidence import HEALTHY, N, evidence, verdict


@pytest.mark.parametrize(
    ("rungs", "expected", "text"),
    [
        ((0, 1, 1), "PASS", "8 → 16 → 32 fresh draws a step leave 60, 59, 58 of 100"),
        ((20, 1, 1), "PASS", "leave 40, 39, 38 of 100"),  # what 8 draws miss says nothing against the row
        ((0, 5, 3, 1), "FLAG", "8 → 16 → 32 → 64 fresh draws a step leave 60, 55, 52, 51 of 100; the last doubling"),
        ((0, 2, 1, 1), "PASS", "leave 60, 58, 57, 56 of 100"),
        ((0, 1, 4), "OPEN", "not checked"),  # a rung is missing
        ((0, 0), "OPEN", "not checked"),
        ((30, 30), "PASS", "leave 30, 0 of 100"),
    ],
)
def test_draws_are_enough_when_two_doublings_in_a_row_gain_little(
    rungs: tuple[int, ...], expected: str, text: str
) -> None:
    status_, found = verdict("V14", evidence(rungs=rungs))
    assert (status_, text in found) == (expected, True), found


def test_few_frozen_draws_that_break_little_speak_against_no_row() -> None:
    far = evidence(dataclasses.replace(HEALTHY, cosine=0.1), doubled_draws=[i < 30 for i in range(N)])
    assert verdict("V14", far)[0] == "PASS"


@pytest.mark.parametrize(
    ("name", "trial_name"), [("V9", "doubled_steps"), ("V10", "restarts"), ("V13", "logits_x_0.1")]
)
def test_what_fresh_draws_break_too_says_nothing_of_steps_starts_or_rounding(name: str, trial_name: str) -> None:
    broken = {trial_name: [i < 50 for i in range(N)]}
    assert verdict(name, evidence(**broken))[0] == "FAIL"
    assert verdict(name, evidence(rungs=(10, 0, 0), **broken))[0] == "PASS"


def test_another_judge_may_reverse_five_verdicts_in_a_hundred_and_what_chance_adds() -> None:
    """With 5 % of 100 verdicts, 9 or more are reversed in 6 % of cases, 10 or more in 3 %."""
    for reversed_, expected in ((1, "PASS"), (9, "PASS"), (10, "FLAG"), (40, "FLAG")):
        status_, text = verdict("V19", evidence(other_judge=[i < 60 - reversed_ for i in range(N)]))
        assert status_ == expected
        assert f"{reversed_} of 100 verdicts reversed" in text


def test_who_knows_the_judges_draws_may_break_five_points_more() -> None:
    """Beyond the worst case, not beyond the white-box attacks; a flag says how to read it, and the row is ranked."""
    for more, expected in ((5, "PASS"), (6, "FLAG"), (60, "FLAG")):
        known = {"judge's_draws": [i < 60 - more for i in range(N)]}
        status_, text = verdict("V21", evidence(**known))
        assert status_ == expected
        assert f"{more} more of 100 broken" in text
        found = evidence(rungs=(more, 0, 0), **known)
        assert verdict("V21", found)[0] == "PASS"


def test_one_draw_a_query_is_an_expectation_over_the_judges_draws() -> None:
    """60 images, 48 of 64 draws right on each: 45 % in one query, .75 ** 10 of 60 % in ten."""
    status_, text = verdict("V20", evidence())
    assert status_ == "PASS"
    assert "45 % in 1, 3 % in 10, 0 % in 100; by majority: 60 %" in text


def test_one_draw_is_no_harder_to_break_than_all() -> None:
    """Four more by chance are one of sixteen outcomes of as many tosses, five one of thirty-two."""
    for stand, expected in ((40, "PASS"), (64, "PASS"), (65, "FLAG"), (90, "FAIL")):
        status_, text = verdict("V15", evidence(one_draw=[i < stand for i in range(N)]))
        assert status_ == expected
        assert f"{stand} of 100 survive on one draw, 60 on all" in text


def test_what_one_draw_withstands_and_breaks_elsewhere_is_a_toss_up() -> None:
    """Six more survive on one draw, and four that survived on all do not: two more, but ten tosses."""
    found = verdict("V15", evidence(one_draw=[4 <= i < 66 for i in range(N)]))
    assert (found[0], "62 of 100 survive on one draw, 60 on all" in found[1]) == ("PASS", True)
