"""The claims about Bayesian networks, read under a true posterior: what the study's tables say of HMC."""

from __future__ import annotations

import pytest

from benchmark.papers.posterior_claims.evidence import ONE_DRAW, OWN, UNKNOWN
from benchmark.papers.posterior_claims.statements import CLOSE
from benchmark.papers.posteriors.grid import EXACT, MAP
from benchmark.papers.posteriors.suite import Attacker
from benchmark.papers.robustness_of_bayesian_approach.claims import CLAIMS, DEFEND, more_robust
from benchmark.papers.robustness_of_bayesian_approach.curves import build_curves
from benchmark.papers.robustness_of_bayesian_approach.page import claims_page
from benchmark.papers.robustness_of_bayesian_approach.statements import MARGIN
from benchmark.papers.robustness_of_bayesian_approach.true_posteriors import (
    TRUE_POSTERIOR,
    short,
    under_true_posteriors,
)
from tests.benchmark.handmade import paper_records
from tests.benchmark.papers.posterior_claims.worlds import WORLD, Kind, alike, findings_of, maximum

AS_ALL = {MAP: maximum(0.5), EXACT: Kind({Attacker.SINGLE: 0.97, Attacker.ALL: 0.8}, own=0.2)}


def test_the_claims_of_its_last_section_are_read() -> None:
    of_section = {claim.text for claim in CLAIMS if claim.where == "section 5"}
    assert under_true_posteriors([findings_of(AS_ALL)]).keys() == of_section
    assert CLOSE == MARGIN  # both pages call the same thing robust


@pytest.mark.parametrize(
    ("hmc", "better", "defends"),
    [(0.97, "confirmed", "confirmed"), (0.2, "refuted", "refuted"), (0.5, "undecided", "refuted")],
)
def test_readings_follow_the_tables(hmc: float, better: str, defends: str) -> None:
    found = under_true_posteriors([findings_of({**WORLD, EXACT: alike(hmc)})])
    for text, judgement in ((more_robust("small"), better), (more_robust("large"), better), (DEFEND, defends)):
        (reading,) = found[text]
        assert {view: one.judgement for view, one in reading.by_view.items()} == dict.fromkeys(
            (ONE_DRAW, UNKNOWN, OWN), judgement
        )
        assert short([reading, reading]) == f"{judgement} / {judgement}; {judgement} / {judgement}"


def test_the_reading_hangs_on_who_attacks() -> None:
    found = under_true_posteriors([findings_of(AS_ALL)])[more_robust("small")][0]
    assert [found.by_view[view].judgement for view in (ONE_DRAW, UNKNOWN, OWN)] == ["confirmed", "confirmed", "refuted"]
    (decided,) = found.by_view[UNKNOWN].decided
    assert decided.statement.endswith("on average over linf 0.02, 0.05")  # of the study's eps those within the grid
    assert decided.numbers.startswith("78.0 against 48.0 %")
    (wide,) = under_true_posteriors([findings_of(AS_ALL)])[more_robust("large")][0].by_view[UNKNOWN].decided
    assert wide.statement.endswith("over linf 0.05, 0.1, 0.15, 0.2, 0.3 and l2 0.25, 0.5")


def test_more_draws_are_read_in_place_of_few() -> None:
    again = findings_of({**WORLD, EXACT: alike(0.97)})
    (reading,) = under_true_posteriors([findings_of(AS_ALL)], {"mlp": again})[DEFEND]
    assert reading.by_view[OWN].judgement == "confirmed"


def test_without_hmc_there_is_no_reading() -> None:
    assert under_true_posteriors([findings_of({MAP: maximum(0.5)})]) == {}
    assert under_true_posteriors([]) == {}


def test_the_page_shows_it_beside_the_papers_own() -> None:
    curves = build_curves(paper_records())
    without, found = claims_page(curves), under_true_posteriors([findings_of(AS_ALL)])
    assert "true posterior" not in without
    page = claims_page(curves, found)
    assert page.count("Under a true posterior") == 3
    (line,) = [line for line in page.splitlines() if line.startswith("|") and f"| {DEFEND} " in line]
    assert line.rstrip(" |").endswith("| refuted / refuted")
    (head,) = [line for line in page.splitlines() if TRUE_POSTERIOR in line]
    assert head.startswith("|")
    for part in without.split("\n\n"):  # what was there stays
        if not part.startswith("| "):
            assert part in page
