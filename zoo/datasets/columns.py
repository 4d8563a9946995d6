"""A split of Hugging Face's `datasets` as pairs of image and label. The package itself is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Columns:
    """Items (image, label) of a split, which has `features` and gives rows as dictionaries.

    image, label: names of the columns; None takes the one whose feature is an Image or a ClassLabel.
    classes: their names, as the label's feature has them; None where it has none.
    Raises ValueError for several splits at once, one that is streamed, and a column that is not there or in doubt.
    """

    def __init__(self, split: Any, image: str | None = None, label: str | None = None) -> None:
        features = getattr(split, "features", None)
        if features is None and isinstance(split, Mapping):
            raise ValueError(f"{type(split).__name__} holds several splits; give one of them: {', '.join(split)}")
        if features is None or not hasattr(split, "__len__"):
            raise ValueError(f"{type(split).__name__} has no features or no length; load it without streaming=True")
        self.split = split
        self.image = _column(features, image, "Image", "image")
        self.label = _column(features, label, "ClassLabel", "label")
        names = getattr(features[self.label], "names", None)
        self.classes = None if names is None else tuple(names)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        row = self.split[index]
        return row[self.image], row[self.label]


def _column(features: Mapping[str, Any], named: str | None, kind: str, role: str) -> str:
    if named is not None:
        if named not in features:
            raise ValueError(f"no column {named!r} for {role}=; there are: {', '.join(features)}")
        return named
    found = [name for name, feature in features.items() if type(feature).__name__ == kind]
    if len(found) != 1:
        raise ValueError(f"{len(found)} columns hold {kind}; say {role}=, one of: {', '.join(features)}")
    return found[0]
