"""What the check knows without the submission: the test images, and the zoo's other networks. No torch."""

from __future__ import annotations

import math
from pathlib import Path

from benchmark.submission.consistency import Images
from benchmark.submission.finding import RefusedError
from zoo import models
from zoo.catalogue.registry import for_the_same_images
from zoo.datasets import DATASETS, DataNotFoundError, dataset_spec, load_split


def images_of(dataset: str, root: Path | None, download: bool) -> Images:
    """The test images of a data set. Raises RefusedError for one that is not the benchmark's, or not at hand."""
    if dataset not in DATASETS:
        raise RefusedError("registration", f"no data set {dataset!r}; there are: {', '.join(DATASETS)}")
    spec = dataset_spec(dataset)
    try:
        split = load_split(dataset, "test", root, download)
    except DataNotFoundError as error:
        raise RefusedError("examples", f"labels cannot be compared: {error}") from None
    return Images(len(split), spec.classes, math.prod(spec.shape), split.labels.tolist(), split.fingerprint)


def others_of(name: str, dataset: str) -> tuple[tuple[str, bool], ...]:
    """Name, and whether it is deterministic, of the zoo's networks for the same images."""
    return for_the_same_images((entry for entry in models.values() if not entry.is_external), name, dataset)


def is_taken(name: str) -> bool:
    """Whether the zoo has an entry of that name."""
    return name in models and not models[name].is_external
