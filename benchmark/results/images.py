"""The most harmful image of every example of a row, from what its cells kept: what survives, and what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.plan.nearest import is_within
from benchmark.protocol import label_of
from benchmark.records.image_files import write_images
from benchmark.records.images import CellImages, harm
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.results.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REMEDY = (
    "keep them by evaluate(..., keep_images=True), or python -m benchmark.run --keep-images; of what is stored only "
    "cells without images are run again"
)


@dataclass(frozen=True, eq=False, repr=False)
class AttackedImages:
    """Of each of N examples the image that harms most: one that is judged wrong, then the least probable label.

    Over all attacks and libraries that count in the worst case of the threat model.
    examples: indices into the test split. clean, adversarial: (N, C, H, W) float32 in [0, 1], as they were judged.
    predicted, confidence: under the judge's draws, and the same of the clean image. attack, library: which made it.
    identity: fingerprints of network and data, draws of the judge, seed: with `model`, who is to judge them again.
    """

    threat: ThreatModel
    model: str
    dataset: str
    examples: list[int]
    clean: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    labels: list[int]
    predicted_clean: list[int]
    confidence_clean: list[float]
    predicted: list[int]
    confidence: list[float]
    attack: list[str]
    library: list[str]
    identity: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def survives(self) -> list[bool]:
        """Per example, whether it is right as it is and under every attack."""
        judged = zip(self.labels, self.predicted_clean, self.predicted, strict=True)
        return [label == clean == attacked for label, clean, attacked in judged]

    def figure(self, count: int = 8) -> Figure:
        """Clean, difference x 10 and attacked, with label, predictions and confidence; those that are broken first."""
        from benchmark.reports.figures.images import attacked_images

        return attacked_images(self, count)

    def save(self, path: str | Path) -> None:
        """Write safetensors with `images` and `indices`, which `python -m benchmark.judge` reads, and all else."""
        numbers = ("labels", "predicted_clean", "confidence_clean", "predicted", "confidence")
        arrays: dict[str, NDArray[Any]] = {
            "images": self.adversarial,
            "clean": self.clean,
            "indices": np.array(self.examples, np.int64),
        }
        about = {"model": self.model, "dataset": self.dataset, "norm": self.threat.norm, "eps": str(self.threat.eps)}
        about |= {"attack": json.dumps(self.attack), "library": json.dumps(self.library), **self.identity}
        write_images(Path(path), arrays | {name: np.array(getattr(self, name)) for name in numbers}, about)

    def __repr__(self) -> str:
        where = f"{self.threat.norm} eps {format_eps(self.threat.eps)}"
        return f"{self.model}, {where}: {sum(self.survives)} of {len(self)} images survive"

    def _repr_png_(self) -> bytes:
        from benchmark.reports.figures import as_png

        return as_png(self.figure())


def kept_whole(row: Row, packed: Mapping[str, bytes]) -> bool:
    """Whether every attack that counts in a row kept its images."""
    return all(record.key in packed for record in row.audit.evidence.counted(row.threat))


class _Found(NamedTuple):
    """The most harmful image of an example so far. place: of the example in the record."""

    record: Record
    library: str
    place: int
    clean: NDArray[np.float32]
    adversarial: NDArray[np.float32]

    @property
    def outcome(self) -> Outcome:
        return self.record.outcomes[self.library]

    @property
    def harm(self) -> tuple[bool, float]:
        return harm(self.outcome, self.place)


def images_of(row: Row, packed: Mapping[str, bytes]) -> AttackedImages:
    """The images of a row. packed: by key of a record, what its cell kept; see `benchmark.records.images`.

    Raises ValueError, with the remedy, where an attack that counts in the row kept none.
    """
    counted = row.audit.evidence.counted(row.threat)
    if missing := sum(record.key not in packed for record in counted):
        model, eps = row.configuration.model, format_eps(row.threat.eps)
        raise ValueError(
            f"no images of {missing} of {len(counted)} cells on {model}, {row.threat.norm} {eps}: {REMEDY}"
        )
    found: dict[int, _Found] = {}
    for record in counted:  # the images of one cell in memory at a time
        for example, one in _kept(record, CellImages.unpacked(packed[record.key])):
            counts = example in row.survivors and is_within(record, one.outcome, one.place, row.threat)
            if counts and (example not in found or one.harm < found[example].harm):
                found[example] = one._replace(clean=one.clean.copy(), adversarial=one.adversarial.copy())
    return _gathered(row, [found[example] for example in row.survivors])


def _kept(record: Record, images: CellImages) -> Iterator[tuple[int, _Found]]:
    libraries = [record.cell.libraries[position] for position in images.library]
    for place, (example, library) in enumerate(zip(record.examples, libraries, strict=True)):
        yield example, _Found(record, library, place, images.clean[place], images.adversarial[place])


def _gathered(row: Row, found: Sequence[_Found]) -> AttackedImages:
    of = row.configuration
    return AttackedImages(
        threat=row.threat,
        model=of.model,
        dataset=row.dataset,
        examples=list(row.survivors),
        clean=np.stack([one.clean for one in found]),
        adversarial=np.stack([one.adversarial for one in found]),
        labels=[one.record.labels[one.place] for one in found],
        predicted_clean=[one.record.clean.predicted[one.place] for one in found],
        confidence_clean=[one.record.clean.confidence[one.place] for one in found],
        predicted=[one.outcome.predicted[one.place] for one in found],
        confidence=[one.outcome.confidence[one.place] for one in found],
        attack=[label_of(one.record.cell.attack) for one in found],
        library=[one.library for one in found],
        identity={"network": of.fingerprint, "data": of.data, "judge_draws": str(of.judge_draws), "seed": str(of.seed)},
    )
