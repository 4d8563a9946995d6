"""Per-example outcomes as data frames, for whoever goes on computing with them."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from benchmark.record import Record
from benchmark.statistics import wilson
from zoo.lookup import lookup

COLUMNS = (
    *("model", "family", "dataset", "attack", "norm", "eps", "target", "attack_draws", "judge_draws", "seed"),
    *("library", "image", "label", "clean_correct", "correct", "predicted", "log_p", "entropy", "confidence"),
    *("distance", "correct_attacker"),
)


def tidy(records: Iterable[Record]) -> pd.DataFrame:
    """A line per network, attack, eps, library and image. Columns: `COLUMNS`.

    target: what the gradient is of. image: index into the test split. correct, predicted, log_p (of the label, nats),
    entropy (nats), confidence: under the judge; correct_attacker: under the attacker's draws. distance: in the norm.
    An image that is misclassified as it is counts as broken by every attack: `clean_correct & correct`.
    """
    parts = []
    for record in records:
        cell, spec = record.cell, record.cell.attack
        for library, outcome in record.outcomes.items():
            if outcome.error is None:
                columns = {
                    "model": cell.model,
                    "family": record.family,
                    "dataset": cell.dataset,
                    "attack": spec.label if spec.target == "expected" else spec.name,
                    "norm": spec.threat.norm,
                    "eps": spec.threat.eps,
                    "target": spec.target,
                    "attack_draws": cell.attack_draws,
                    "judge_draws": cell.judge_draws,
                    "seed": cell.seed,
                    "library": library,
                    "image": record.examples,
                    "label": record.labels,
                    "clean_correct": record.clean.correct,
                    "correct": outcome.correct,
                    "predicted": outcome.predicted,
                    "log_p": outcome.log_p,
                    "entropy": outcome.entropy,
                    "confidence": outcome.confidence,
                    "distance": outcome.distance,
                    "correct_attacker": outcome.correct_attacker,
                }
                parts.append(pd.DataFrame(columns))
    if not parts:
        return pd.DataFrame({name: [] for name in COLUMNS})
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def accuracy_by_eps(outcomes: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Robust accuracy of every network under one attack: the worst case over libraries, per image.

    outcomes: of `tidy`. Columns: model, eps, accuracy, low, high (Wilson, 95 %), images. At eps = 0 it is the accuracy
    on clean images. Raises KeyError for an attack that was not run.
    """
    lookup(dict.fromkeys(outcomes["attack"]), attack, "attack among the results")
    own = outcomes[outcomes["attack"] == attack]
    lines = []
    for model, of_model in own.groupby("model", sort=False):
        clean = of_model.drop_duplicates("image")["clean_correct"]
        shares = {0.0: (int(clean.sum()), len(clean))}
        for eps, frame in of_model[of_model["eps"] > 0].groupby("eps"):
            survived = (frame["correct"] & frame["clean_correct"]).groupby(frame["image"]).all()
            shares[float(eps)] = int(survived.sum()), len(survived)  # type: ignore[arg-type]
        for eps, (hits, count) in sorted(shares.items()):
            low, high = wilson(hits, count)
            share = {"accuracy": hits / count, "low": low, "high": high, "images": count}
            lines.append({"model": model, "eps": eps, **share})
    return pd.DataFrame(lines)
