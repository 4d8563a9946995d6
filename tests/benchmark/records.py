"""Records made by hand, for tests of what is computed from them."""

from __future__ import annotations

from itertools import pairwise

from benchmark.agreement import Comparison
from benchmark.outcomes import outcome_frame
from benchmark.protocol import PROTOCOL_VERSION, standard_attack
from benchmark.record import Outcome, Record
from benchmark.suites import Cell
from benchmark.validity import Evidence, verdicts


def outcome(correct: list[bool], log_p: list[float] | None = None) -> Outcome:
    count = len(correct)
    return Outcome(
        correct=correct,
        correct_attacker=correct,
        predicted=[0] * count,
        log_p=log_p or [-0.1 if c else -2.0 for c in correct],
        entropy=[0.5] * count,
        confidence=[0.8] * count,
        distance=[0.0] * count,
        forwards=8,
        backwards=8,
    )


def make(
    model: str,
    attack: str,
    eps: float,
    libraries: dict[str, list[bool]],
    start: int = 0,
    finished: str = "1",
    **changes: object,
) -> Record:
    """A record with the given survivors per library; clean images are all right."""
    count = len(next(iter(libraries.values())))
    cell = Cell(model, "mnist", standard_attack(attack, eps), start, start + count, tuple(libraries))
    names = list(libraries)
    agreement = [Comparison(a, b, 100, 100, 0.0, count, (), ()) for a, b in pairwise(names)]
    fields = {
        "key": f"{model}{attack}{eps}{start}{finished}{names}",
        "cell": cell,
        "family": "frequentist",
        "fingerprints": {"model": model, "data": "d"},
        "examples": list(range(start, start + count)),
        "labels": [0] * count,
        "clean": outcome([True] * count),
        "outcomes": {library: outcome(correct) for library, correct in libraries.items()},
        "agreement": agreement,
        "provenance": {"finished": finished, "protocol": PROTOCOL_VERSION},
    }
    return Record(**{**fields, **changes})


def status(check: str, records: list[Record]) -> str:
    found = {verdict.check: verdict for verdict in verdicts(Evidence(records, outcome_frame(records)))}
    assert found[check].evidence
    return found[check].status
