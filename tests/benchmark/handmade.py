"""Records made by hand, for tests of what is computed from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

from benchmark.papers.robustness_of_bayesian_approach.curves import GRID
from benchmark.papers.robustness_of_bayesian_approach.suite import MODELS
from benchmark.plan.cells import Cell
from benchmark.protocol import ATTACKS, LIBRARIES, NORMS, PROTOCOL_VERSION, eps_grid, standard_attack
from benchmark.records.agreement import Comparison
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.results.checks import verdicts
from benchmark.results.evidence import Evidence
from zoo import models
from zoo.targets import Gradient


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
    found = {verdict.check: verdict for verdict in verdicts(Evidence(records))}
    assert found[check].evidence
    return found[check].status


N = 60  # images of the records below


def attacked(
    model: str,
    attack: str,
    eps: float,
    libraries: dict[str, list[bool]],
    *,
    target: str = "expected",
    family: str = "frequentist",
    start: int = 0,
) -> Record:
    """A record of `make` with another gradient, and Bayesian draws for a Bayesian family."""
    record = make(model, attack, eps, libraries, start, key=f"{model}{attack}{eps}{start}{target}{sorted(libraries)}")
    draws = (8, 64) if family == "bayesian" else (1, 1)
    cell = dataclasses.replace(
        record.cell,
        dataset=model.split("/", maxsplit=1)[0],
        attack=dataclasses.replace(record.cell.attack, gradient=Gradient(target)),
        attack_draws=draws[0],
        judge_draws=draws[1],
    )
    return dataclasses.replace(
        record, cell=cell, family=family, provenance={**record.provenance, "seconds": 1.5, "device": "x"}
    )


def walk(model: str, broken_from: float, *, target: str = "expected", family: str = "frequentist") -> list[Record]:
    """All four attacks over the grid; every image stands below `broken_from`, none from there on."""
    return [
        attacked(model, attack, eps, {"torchattacks": [eps < broken_from] * N}, target=target, family=family)
        for attack in ATTACKS
        for eps in GRID[1:]
    ]


def paper_records(broken_from: dict[str, float] | None = None, clean: dict[str, int] | None = None) -> list[Record]:
    """Every entry of the paper suite. Bayesian ones look far stronger to resampled gradients than they are.

    broken_from: eps from which on nothing stands, 0.1 by default. clean: right clean images, all by default.
    """
    records = []
    for model in MODELS:
        eps = (broken_from or {}).get(model, 0.1)
        if "bayesian" in model:
            own = walk(model, eps, family="bayesian")
            own += walk(model, max(eps, 0.45), target="resampled", family="bayesian")
        else:
            own = walk(model, eps)
        right = outcome([i < (clean or {}).get(model, N) for i in range(N)])
        records += [dataclasses.replace(record, clean=right) for record in own]
    return records


def masking_records(only_expected: int, only_target: int) -> list[Record]:
    """Of all images, some stand only under the expected gradient, some only under the mean loss."""
    expected = [i < only_expected for i in range(N)]
    target = [N - 1 - i < only_target for i in range(N)]
    return [
        attacked("mnist/b", attack, eps, dict.fromkeys(LIBRARIES, stands), target=name, family="bayesian")
        for name, stands in (("expected", expected), ("mean-loss", target))
        for attack in ATTACKS
        for eps in eps_grid("mnist")[NORMS[attack]]
    ]


def row(model: str, survived: Sequence[bool], fingerprint: str | None = None, **changes: object) -> list[Record]:
    """The records of a row in linf, in shards of a hundred; of a zoo entry with its fingerprint."""
    found = fingerprint or (models[model].fingerprint if model in models else model)
    records = []
    for attack in ("fgsm", "bim", "pgd-linf"):
        for start in range(0, len(survived), 100):
            outcomes = {library: list(survived[start : start + 100]) for library in LIBRARIES}
            one = make(model, attack, 0.1, outcomes, start, fingerprints={"model": found, "data": "d"}, **changes)
            key = f"{model} {found} {attack} {start} {len(survived)}"
            records.append(dataclasses.replace(one, key=key, provenance={**one.provenance, "seconds": 1.0}))
    return records
