"""Every kind of statement confirms, refutes and leaves undecided as its tables say, and is silent without them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.judging import Claim
from benchmark.papers.posterior_claims.claims import CLAIMS, VARIATIONAL
from benchmark.papers.posterior_claims.evidence import FEW_DRAWS, ONE_DRAW, OWN, UNKNOWN, Evidence, View
from benchmark.papers.posterior_claims.queries import Queried
from benchmark.papers.posterior_claims.statements import (
    Statement,
    fewer_errors_on_spheres,
    gradient_below,
    gradient_falls_with_width,
    more_robust_than_the_maximum,
    noticed,
    overestimates,
    rise_together,
    robust,
    susceptible,
    withstands_queries,
)
from benchmark.papers.posteriors.grid import EXACT, MAP, PROBLEMS
from benchmark.papers.posteriors.suite import Attacker
from benchmark.plan.cells import Reading
from benchmark.results.detection import Detection, Level
from tests.benchmark.papers.posterior_claims.worlds import WORLD, Kind, World, alike, findings_of, maximum

AT = ThreatModel("linf", 0.1)
LEVEL = Level(accuracy=0.9, nll=0.3, entropy=0.4, mutual_information=0.2, ece=0.05)


def study(view: View = UNKNOWN, **kinds: Kind) -> Evidence:
    return Evidence(view, AT, findings_of({**WORLD, **{name.replace("_", "-"): kind for name, kind in kinds.items()}}))


def ranked(robustness: list[float]) -> Evidence:
    """Kinds of rising accuracy, and how robust each is."""
    names = [name for name in PROBLEMS["mlp"].posteriors if name != MAP]
    kinds: World = {
        name: alike(share, accuracy=0.8 + place / 100)
        for place, (name, share) in enumerate(zip(names, robustness, strict=False))
    }
    return Evidence(UNKNOWN, AT, findings_of({MAP: maximum(0.5), **kinds}))


def detected(unnoticed: float, attacker: str = "aware") -> Evidence:
    """Of 100 images 90 are right, of which 90 are made wrong."""
    one = Detection("m", "d", AT, attacker, 100, 90, LEVEL, LEVEL, {}, {"mutual information": unnoticed})
    return Evidence(OWN, AT, detections=[one])


def asked(broken: int) -> Evidence:
    """Square with a thousand queries on a hundred images, of which 95 are right."""
    return Evidence(OWN, AT, queries={("m", AT, Reading.HEADLINE): Queried(1000, 100, 95, broken)})


def on_spheres(share: float) -> Evidence:
    """Of a hundred points half survive at the maximum, and a share under HMC."""
    survive = {kind: np.arange(100) < 100 * of + np.arange(3)[:, None] for kind, of in (("map", 0.5), ("hmc", share))}
    return Evidence(OWN, AT, spheres={(kind, True, AT): of for kind, of in survive.items()})


def seems(single: float) -> Kind:
    """Half of the images survive, and to one draw's gradient more seem to."""
    return Kind({Attacker.SINGLE: single, Attacker.ALL: 0.5})


def moons(*norms: float) -> Evidence:
    return Evidence(moons=dict(zip((4, 16, 64, 256), norms, strict=False)))


CASES: dict[str, tuple[Statement, Evidence, Evidence, Evidence]] = {
    "robust": (robust(EXACT), study(hmc=alike(0.97)), study(hmc=alike(0.6)), study(hmc=alike(0.87))),
    "robust to one attacker": (
        robust(EXACT, (Attacker.TRANSFER,)),
        study(hmc=Kind({Attacker.TRANSFER: 0.97, Attacker.ALL: 0.1})),
        study(hmc=Kind({Attacker.TRANSFER: 0.6, Attacker.ALL: 0.97})),
        study(hmc=Kind({Attacker.TRANSFER: 0.87, Attacker.ALL: 0.1})),
    ),
    "susceptible": (susceptible(EXACT), study(hmc=alike(0.2)), study(hmc=alike(0.9)), study(hmc=alike(0.49))),
    "more robust": (
        more_robust_than_the_maximum(EXACT),
        study(hmc=alike(0.8)),
        study(hmc=alike(0.2)),
        study(hmc=alike(0.51)),
    ),
    "overestimates": (
        overestimates(EXACT, (Attacker.SINGLE,)),
        study(hmc=seems(0.9)),
        study(hmc=seems(0.52)),
        study(hmc=seems(0.61)),
    ),
    "vanishes": (
        gradient_below(EXACT, 0.1),
        study(hmc=alike(0.5, limit=0.01)),
        study(hmc=alike(0.5, limit=0.2)),
        study(hmc=alike(0.5, limit=0.05)),
    ),
    "smaller": (
        gradient_below(EXACT, 1),
        study(hmc=alike(0.5, limit=0.3)),
        study(hmc=alike(0.5, limit=0.9)),
        study(hmc=alike(0.5, limit=0.5)),
    ),
    "falls": (
        gradient_falls_with_width(),
        moons(0.9, 0.5, 0.2, 0.1),
        moons(0.1, 0.2, 0.5, 0.9),
        moons(0.1, 0.9, 0.2, 0.5),
    ),
    "rise together": (
        rise_together(),
        ranked([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        ranked([0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        ranked([0.1, 0.6, 0.2, 0.5, 0.3, 0.4]),
    ),
    "noticed": (noticed("aware"), detected(0.1), detected(0.9), detected(0.5)),
    "withstands queries": (withstands_queries("m"), asked(1), asked(60), asked(10)),
    "fewer errors": (fewer_errors_on_spheres("hmc"), on_spheres(0.8), on_spheres(0.2), on_spheres(0.5)),
    "not noticed": (noticed("aware", holds=False), detected(0.9), detected(0.1), detected(0.5)),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_statement_is_confirmed_refuted_or_undecided(kind: str) -> None:
    statement, *worlds = CASES[kind]
    claim = Claim("", "", (statement,))
    assert [claim.judge(world)[0] for world in worlds] == ["confirmed", "refuted", "undecided"]


def test_every_kind_of_statement_that_a_claim_makes_is_tested() -> None:
    tested = {statement.__qualname__ for statement, *_ in CASES.values()}
    assert {one.__qualname__ for cited in CLAIMS for one in cited.claim.statements} == tested


@pytest.mark.parametrize("kind", CASES)
def test_without_its_data_a_claim_is_not_measured(kind: str) -> None:
    claim = Claim("", "", (CASES[kind][0],))
    others = Evidence(UNKNOWN, AT, findings_of({MAP: maximum(0.5)}))
    for evidence in (
        Evidence(),
        others,
        detected(0.1, "neither"),
        moons(0.1),
        Evidence(UNKNOWN, AT, queries=asked(1).queries),
    ):
        assert claim.judge(evidence) == ("not measured", [])


def test_a_claim_is_not_measured_where_its_attacker_was_not() -> None:
    assert robust(EXACT, (Attacker.TRANSFER,))(study(hmc=seems(0.9))) is None
    assert robust(EXACT)(study(OWN, hmc=Kind({Attacker.ALL: 0.9}))) is None
    assert gradient_below(EXACT, 1)(study(hmc=alike(0.5, limit=None))) is None
    assert rise_together()(ranked([0.1, 0.2, 0.3, 0.4])) is None  # too few kinds for a rank correlation


def test_nothing_to_notice_is_not_measured() -> None:
    one = dataclasses.replace(detected(0.0).detections[0], succeeded=0)
    assert noticed("aware")(Evidence(OWN, AT, detections=[one])) is None


def test_a_view_sees_its_own_attackers_alone() -> None:
    shares = {Attacker.SINGLE: 0.97, Attacker.FROZEN: 0.87, Attacker.ALL: 0.6}
    kind = Kind(shares, own=0.4)
    found = {view: study(view, hmc=kind).survivors(EXACT) for view in (ONE_DRAW, FEW_DRAWS, UNKNOWN, OWN)}
    means = [round(float(of.mean()), 2) for of in found.values() if of is not None]
    assert means == [0.95, 0.85, 0.58, 0.38]  # two images fewer on average over three trainings
    judged = [Claim("", "", (robust(EXACT),)).judge(study(view, hmc=kind))[0] for view in found]
    assert judged == ["confirmed", "undecided", "refuted", "refuted"]


def test_the_maximum_has_its_own_gradient_where_others_have_few_draws() -> None:
    kinds = {MAP: Kind({Attacker.ALL: 0.7, Attacker.TRANSFER: 0.3}, limit=None)}
    for view, share in ((ONE_DRAW, 0.68), (FEW_DRAWS, 0.68), (UNKNOWN, 0.28), (OWN, 0.28)):
        survivors = study(view, **kinds).survivors(MAP)
        assert survivors is not None
        assert survivors.mean() == pytest.approx(share)


def test_numbers_are_those_of_the_table() -> None:
    decided = more_robust_than_the_maximum(EXACT)(study(hmc=alike(0.8)))
    assert decided is not None
    assert decided.numbers.startswith("78.0 against 48.0 %, difference +30.0 [")
    decided = robust(EXACT)(study(hmc=alike(0.6)))
    assert decided is not None
    assert decided.numbers.startswith("58.0 of 95.0 %, lost +37.0 [")
    noted = noticed("aware")(detected(0.5))
    assert noted is not None
    assert noted.numbers.startswith("45 of 90 missed")


def test_claims_name_posteriors_that_the_study_has() -> None:
    assert {VARIATIONAL, EXACT, MAP} <= PROBLEMS["mlp"].posteriors.keys()
