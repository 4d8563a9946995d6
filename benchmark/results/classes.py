"""Accuracy class by class, which a mean over all images hides."""

from __future__ import annotations

import pandas as pd

from benchmark.attacks.spec import format_eps
from benchmark.results.entries import Entry


def by_class(entry: Entry) -> pd.DataFrame:
    """A line per class: class, images, clean accuracy, and worst-case accuracy under each threat model, as `linf 0.1`.

    Over the images that every row of the entry has. An image that is misclassified as it is counts as broken.
    """
    common = set.intersection(*(set(row.survivors) for row in entry.rows))
    survives = {
        f"{row.threat.norm} {format_eps(row.threat.eps)}": {example: row.survivors[example] for example in common}
        for row in entry.rows
    }
    judged = [
        pair
        for record in entry.white_box
        for pair in zip(record.examples, record.labels, record.clean.correct, strict=True)
    ]
    labels = {example: label for example, label, _ in judged if example in common}
    clean = {example: correct for example, _, correct in judged if example in common}
    frame = pd.DataFrame({"class": labels, "images": 1, "clean": clean} | survives)
    counted = frame.groupby("class").agg({"images": "sum", **dict.fromkeys(("clean", *survives), "mean")})
    return counted.reset_index()
