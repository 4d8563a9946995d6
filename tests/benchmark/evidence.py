"""Evidence on a Bayesian entry, made by hand: it passes every check, but for what a test gives."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Sequence

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS, UNBOUNDED, UNBOUNDED_ATTACK
from benchmark.plan.cells import Reading
from benchmark.plan.ladder import RUNGS
from benchmark.protocol import ATTACKS, LIBRARIES, NORMS, eps_grid
from benchmark.records.outcome import Outcome
from benchmark.records.parts import Health, Planting
from benchmark.records.record import Record
from benchmark.records.state import Passage, State
from benchmark.results.checks import verdicts
from benchmark.results.evidence import Evidence
from tests.benchmark.handmade import make
from zoo.targets import SURROGATE, Gradient

N = 100
HEALTHY = Health(N, 0.0, 1e-7, 0, 0, 0, 0.9, {"art fgsm": 1e-8}, [])
SAME = State({"adversarial images first": Passage(N, 0, 0, 1e-6, 1e-3)})
LINF = ThreatModel("linf", 0.1)
ALIKE = {"agreement": 0.96, "commonest": 0.15, "held_out": 200, "queries": 5800, "seconds": 9.0}  # a surrogate


def bayesian(record: Record, draws: int = 8) -> Record:
    cell = dataclasses.replace(record.cell, attack_draws=draws, judge_draws=64)
    return dataclasses.replace(record, cell=cell, family="bayesian")


def trial(name: str, threat: ThreatModel, stands: list[bool], draws: int | None = None, **changes: object) -> Record:
    """A record of a trial on a Bayesian entry."""
    one = UNBOUNDED_ATTACK if name == UNBOUNDED_ATTACK.name else ADAPTIVE_ATTACKS[name]
    attack = dataclasses.replace(one.attack(threat), **changes)
    base = make("mnist/a", "fgsm", 0.1, {one.library: stands})
    known = 64 if one.reading is Reading.DETERMINISTIC else one.draws(8)[0]
    cell = dataclasses.replace(
        base.cell,
        attack=attack,
        attack_draws=draws or known,
        judge_draws=64,
        libraries=(one.library,),
        reading=one.reading,
    )
    outcomes = {library: voted(outcome) for library, outcome in base.outcomes.items()}
    planting = Planting(base.examples, [], of_logits=False) if one.reading is Reading.PLANTED else None
    provenance = base.provenance | ({SURROGATE: ALIKE} if name == SURROGATE else {})
    found = dataclasses.replace(base, outcomes=outcomes, clean=voted(base.clean), planting=planting)
    return dataclasses.replace(found, cell=cell, family="bayesian", provenance=provenance)


def voted(one: Outcome, right: int = 48) -> Outcome:
    """An outcome of whose 64 judge's draws `right` are right where the verdict is, and none where it is not."""
    return dataclasses.replace(
        one,
        right_draws=[right if correct else 0 for correct in one.correct],
        majority=[0 if correct else 1 for correct in one.correct],
    )


def evidence(health: Health = HEALTHY, rungs: Sequence[int] = (0, 0, 0), **stands: list[bool]) -> Evidence:
    """Of a Bayesian entry that keeps 60 of 100 images and that passes every check, but for what is given.

    rungs: of the ladder of draws, how many more images each breaks.
    stands: by trial, with `_` for what a keyword cannot hold, which images stand.
    """
    libraries = {library: [i < 60 for i in range(N)] for library in LIBRARIES}
    grid = eps_grid("mnist")
    records = [bayesian(make("mnist/a", attack, eps, libraries)) for attack in ATTACKS for eps in grid[NORMS[attack]]]
    others = []
    for attack in ATTACKS:
        unchanged = bayesian(make("mnist/a", attack, 0.0, dict.fromkeys(libraries, [True] * N)))
        others.append(dataclasses.replace(unchanged, health=health if attack == "fgsm" else None))
    by_trial = {name.replace("_", " "): found for name, found in stands.items()}
    readings = []
    for name, one in ADAPTIVE_ATTACKS.items():
        for threat in (ThreatModel(norm, eps) for norm, radii in grid.items() for eps in radii):
            if threat.norm not in one.norms or (one.is_nearest and threat.eps != grid[threat.norm][0]):
                continue
            source = {"gradient": Gradient(source="mnist/other")} if name == "transfer" else {}
            found = by_trial.get(name, [i < 60 and one.reading is not Reading.PLANTED for i in range(N)])
            if name == "fresh draws" and name not in by_trial:
                left = list(itertools.accumulate(rungs, operator.sub, initial=60))[1:]
                climbed = zip(RUNGS, left, strict=False)
                others += [trial(name, threat, [i < n for i in range(N)], draws) for draws, n in climbed]
            elif one.reading is Reading.HEADLINE:
                others.append(trial(name, threat, found, **source))
            elif one.reading is not Reading.SAMPLE:
                state = SAME if one.reading is Reading.REBUILT else None
                readings.append(dataclasses.replace(trial(name, threat, found), state=state))
    others.append(trial("unbounded", UNBOUNDED, by_trial.get("unbounded", [False] * N)))
    return Evidence(records, others, readings)


def verdict(name: str, found: Evidence) -> tuple[str, str]:
    (one,) = [v for v in verdicts(found) if v.check == name]
    return one.status, one.evidence
