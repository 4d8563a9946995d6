"""Per-example outcomes as data frames: everything is computed from them, and users can go on from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.attacks.methods import METHOD_OF
from benchmark.plan.nearest import rounded_up
from benchmark.protocol import EVERYWHERE, label_of
from benchmark.records.outcome import joined
from benchmark.records.record import Record
from benchmark.statistics import wilson
from zoo.lookup import lookup


def _attack(record: Record) -> str:
    """The attack's name with the settings that are not the protocol's, but for the target, which has a column."""
    spec = record.cell.attack
    return label_of(spec) if spec.target == "expected" else spec.name


_OF_RECORD: dict[str, Callable[[Record], object]] = {
    "model": lambda record: record.cell.model,
    "family": lambda record: record.family,
    "dataset": lambda record: record.cell.dataset,
    "attack": _attack,
    "norm": lambda record: record.cell.attack.threat.norm,
    "eps": lambda record: record.cell.attack.threat.eps,
    "target": lambda record: record.cell.attack.target,
    "attack_draws": lambda record: record.cell.attack_draws,
    "judge_draws": lambda record: record.cell.judge_draws,
    "seed": lambda record: record.cell.seed,
}
_OF_IMAGE: dict[str, Callable[[Record], NDArray[Any]]] = {
    "image": lambda record: np.array(record.examples, int),
    "label": lambda record: np.array(record.labels, int),
    "clean_correct": lambda record: record.clean.array("correct"),
    "clean_correct_attacker": lambda record: record.clean.array("correct_attacker"),
    "clean_log_p": lambda record: record.clean.array("log_p"),
    "clean_entropy": lambda record: record.clean.array("entropy"),
    "clean_confidence": lambda record: record.clean.array("confidence"),
}
_OF_OUTCOME = ("correct", "predicted", "log_p", "entropy", "confidence", "distance", "correct_attacker")
COLUMNS = (*_OF_RECORD, "library", *_OF_IMAGE, *_OF_OUTCOME)
IDENTITY = ("attack", "norm", "eps", "library", "image")  # of a line, among records of one configuration


def tidy(records: Iterable[Record], columns: Sequence[str] = COLUMNS, categories: bool = False) -> pd.DataFrame:
    """A line per network, attack, eps, library and image. columns: which, of `COLUMNS`.

    categories: whether the columns of text are categories in the order of the alphabet: millions are sorted faster.
    target: what the gradient is of. image: index into the test split. correct, predicted, log_p (of the label, nats),
    entropy (nats), confidence: under the judge; correct_attacker: under the attacker's draws; clean_*: the same of the
    image as it is. distance: in the norm.
    An image that is misclassified as it is counts as broken by every attack: `clean_correct & correct`.
    """
    ran = [
        (record, [library for library, outcome in record.outcomes.items() if outcome.error is None])
        for record in records
    ]
    lines = [(record, library) for record, libraries in ran for library in libraries]
    counts = np.array([len(record.examples) for record, _ in lines], int)

    def values(name: str) -> object:
        if name in _OF_IMAGE:
            of_images = [of for record, libraries in ran for of in [_OF_IMAGE[name](record)] * len(libraries)]
            return np.concatenate(of_images) if of_images else []
        if name in _OF_OUTCOME:
            return joined((record.outcomes[library] for record, library in lines), name)
        of_lines = [library if name == "library" else _OF_RECORD[name](record) for record, library in lines]
        if not any(isinstance(value, str) for value in of_lines):
            return np.repeat(np.array(of_lines), counts)
        texts, codes = np.unique(np.array(of_lines), return_inverse=True)
        codes = np.repeat(codes, counts)
        return pd.Categorical.from_codes(codes, pd.Index(texts)) if categories else texts.astype(object)[codes]

    return pd.DataFrame({name: values(name) for name in columns})


def latest(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The last of several lines of one configuration on the same attack, library and image.

    The lines are sorted, so that sums and ties come out the same whatever order the records were read in.
    """
    columns = list(IDENTITY)
    return outcomes.drop_duplicates(columns, keep="last").sort_values(columns, ignore_index=True)


def surviving(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The outcomes with `correct` and `correct_attacker` true only where the clean image is right, too."""
    return outcomes.assign(
        correct=outcomes["correct"] & outcomes["clean_correct"],
        correct_attacker=outcomes["correct_attacker"] & outcomes["clean_correct_attacker"],
    )


def worst_by_image(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The worst of all libraries, a line per attack, eps and image.

    correct: under the judge. survives, survives_attacker: under the judge and on the attacker's draws, where the image
    is right as it is, too.
    """
    both = surviving(outcomes)
    worst = {
        "correct": outcomes["correct"],
        "survives": both["correct"],
        "survives_attacker": both["correct_attacker"],
    }
    of_images = [outcomes["attack"], outcomes["eps"], outcomes["image"]]
    return pd.DataFrame(worst).groupby(of_images, observed=True).all().reset_index().astype({"attack": str})


def accuracy_by_eps(outcomes: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Robust accuracy of every network under one attack: the worst case over libraries, per image.

    outcomes: of `tidy`. Columns: model, eps, accuracy, low, high (Wilson, 95 %), images. At eps = 0 it is the accuracy
    on clean images. An attack that looks for the nearest adversarial images has a line at each of their distances.
    Raises KeyError for an attack that was not run.
    """
    lookup(dict.fromkeys(outcomes["attack"]), attack, "attack among the results")
    of_attack = outcomes[outcomes["attack"] == attack]
    lines = []
    for model, of_model in of_attack.groupby("model", sort=False):
        clean = of_model.drop_duplicates("image")["clean_correct"]
        shares = {0.0: (int(clean.sum()), len(clean))}
        for eps, frame in of_model[of_model["eps"] > 0].groupby("eps"):
            survived = (frame["correct"] & frame["clean_correct"]).groupby(frame["image"]).all()
            if _finds_nearest(frame):
                shares |= _by_distance(frame)
            else:
                shares[float(eps)] = int(survived.sum()), len(survived)  # type: ignore[arg-type]
        for eps, (hits, count) in sorted(shares.items()):
            low, high = wilson(hits, count)
            share = {"accuracy": hits / count, "low": low, "high": high, "images": count}
            lines.append({"model": model, "eps": eps, **share})
    return pd.DataFrame(lines)


def _finds_nearest(frame: pd.DataFrame) -> bool:
    """Whether no eps bounds the attack, whose outcomes in one norm at one eps these are."""
    name, norm, eps = frame.iloc[0][["attack", "norm", "eps"]]
    return name in METHOD_OF and METHOD_OF[name].nearest and eps == EVERYWHERE[norm]


def _by_distance(frame: pd.DataFrame) -> dict[float, tuple[int, int]]:
    """Distance -> how many images have no adversarial image up to there, of how many."""
    right = frame[frame["clean_correct"]]
    found = right[~right["correct"]].groupby("image")["distance"].min().map(rounded_up).sort_values()
    left = right["image"].nunique()
    return {eps: (left - place, frame["image"].nunique()) for place, eps in enumerate(found, 1)}
