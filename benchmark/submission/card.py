"""The model card of a submission: what it is, how accurate on the images of its records, and of which weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.records.record import Record
from benchmark.results.share import Share
from benchmark.submission.consistency import clean_share
from benchmark.submission.finding import Finding, RefusedError
from benchmark.submission.folder import CARD, WEIGHTS, Folder, strict_json
from benchmark.submission.registration import AboutNetwork


def results_of(records: Sequence[Record]) -> dict[str, object]:
    """Accuracy on the images of the records as they are, with its Wilson interval."""
    right = clean_share(records)
    share = Share(sum(right.values()), len(right))
    return {"accuracy": share.value, "interval": [round(end, 5) for end in share.interval], "examples": share.count}


def card_of(
    about: Mapping[str, Any], name: str, sha256: str, parameters: int, records: Sequence[Record]
) -> dict[str, Any]:
    """about: what else its author says of the network; a recipe, a source."""
    own = {"name": name, "sha256": sha256, "parameters": parameters, "results": results_of(records)}
    return {**about, **own}


def findings(folder: Folder, about: AboutNetwork, records: Sequence[Record]) -> Iterator[Finding]:
    """A card that says something else than the registration, the weights and the records."""
    try:
        card = strict_json(folder.text(CARD), CARD)
    except RefusedError as refused:
        yield Finding("card", refused.finding.says)
        return
    if not isinstance(card, dict):
        yield Finding("card", f"{CARD} is no object")
        return
    if card.get("name") != about.name:
        yield Finding("card", f"it is of {card.get('name')!r}, the submission of {about.name!r}")
    if card.get("sha256") != about.files.get(WEIGHTS):
        yield Finding("card", "it is of other weights than the submission's")
    if not clean_share(records):
        return
    if (found := card.get("results")) != (expected := results_of(records)):
        yield Finding("card", f"it says {found}; its records say {expected}")
