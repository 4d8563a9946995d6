"""Does a network notice that it is attacked? Uncertainty on clean and on adversarial images, and what it catches.

Two attackers with the same steps: PGD, which asks for nothing but an error, and PGD towards the likeliest wrong label,
which goes on until the prediction is certain. A detector that is judged by the first alone is judged by an attacker who
does not know that it is there (Carlini and Wagner 2017, "Adversarial Examples Are Not Easily Detected").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from benchmark.attacks.spec import ThreatModel
from benchmark.records.outcome import Outcome, joined
from benchmark.records.record import Record
from benchmark.statistics import expected_calibration_error

ATTACKERS = {"doubled steps": "unaware", "confident": "aware"}  # adaptive attack -> what it knows of the detector
MEASURES = ("entropy", "mutual information", "1 - confidence")
FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class Level:
    """Means over images under the judge: NLL, predictive entropy, mutual information (nats), ECE, accuracy."""

    accuracy: float
    nll: float
    entropy: float
    mutual_information: float | None
    ece: float


@dataclass(frozen=True)
class Detection:
    """One entry under one attacker.

    images: how many were attacked. succeeded: those among them that were right and became wrong.
    clean, attacked: uncertainty on all images before and after.
    auroc: measure -> probability that it is larger on an image that an attack made wrong than on a clean one that is
        right; empty where no attack succeeded.
    unnoticed: measure -> share of the right clean images that an attack makes wrong while the measure stays below a
        threshold, at which 5 % of the right clean images raise a false alarm.
    """

    model: str
    dataset: str
    threat: ThreatModel
    attacker: str
    images: int
    succeeded: int
    clean: Level
    attacked: Level
    auroc: dict[str, float]
    unnoticed: dict[str, float]


def detections(model: str, dataset: str, adaptive: Mapping[str, list[Record]]) -> list[Detection]:
    """For every attacker and threat model. adaptive: adaptive attack -> its complete records, all of one network."""
    lines = []
    for name, attacker in ATTACKERS.items():
        by_threat: dict[ThreatModel, list[Record]] = {}
        for record in adaptive.get(name, []):
            by_threat.setdefault(record.cell.attack.threat, []).append(record)
        for threat, records in by_threat.items():
            clean = [record.clean for record in records]
            attacked = [record.outcomes[record.cell.libraries[0]] for record in records]
            lines.append(_detection(model, dataset, threat, attacker, clean, attacked))
    return sorted(lines, key=lambda one: (one.threat.norm == "l2", one.threat.eps, one.attacker != "unaware"))


def _detection(
    model: str, dataset: str, threat: ThreatModel, attacker: str, clean: list[Outcome], attacked: list[Outcome]
) -> Detection:
    right = joined(clean, "correct")
    wrong = right & ~joined(attacked, "correct")
    before, after = _measures(clean), _measures(attacked)
    auroc, unnoticed = {}, {}
    for name in before.keys() & after.keys() if right.any() else ():
        threshold = float(np.quantile(before[name][right], 1 - FALSE_ALARMS, method="higher"))
        unnoticed[name] = float((wrong & (after[name] <= threshold)).sum() / right.sum())
        if wrong.any():
            larger = mannwhitneyu(after[name][wrong], before[name][right], method="asymptotic").statistic
            auroc[name] = float(larger / (wrong.sum() * right.sum()))
    return Detection(
        model,
        dataset,
        threat,
        attacker,
        len(right),
        int(wrong.sum()),
        _level(clean),
        _level(attacked),
        auroc,
        unnoticed,
    )


def _measures(outcomes: Sequence[Outcome]) -> dict[str, NDArray[np.float64]]:
    """Name -> one value an image, larger for the less certain; no mutual information for a network without draws."""
    confidence = 1 - joined(outcomes, "confidence")
    measures = {"entropy": joined(outcomes, "entropy"), "1 - confidence": confidence}
    information = joined(outcomes, "mutual_information")
    return measures | ({"mutual information": information} if len(information) == len(confidence) else {})


def _level(outcomes: Sequence[Outcome]) -> Level:
    measures, correct = _measures(outcomes), joined(outcomes, "correct")
    information = measures.get("mutual information")
    return Level(
        accuracy=float(correct.mean()),
        nll=float(-joined(outcomes, "log_p").mean()),
        entropy=float(measures["entropy"].mean()),
        mutual_information=None if information is None else float(information.mean()),
        ece=expected_calibration_error(joined(outcomes, "confidence"), correct),
    )
