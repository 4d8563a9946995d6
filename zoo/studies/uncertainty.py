"""One network's uncertainties on its own test images and on images of other kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from zoo.catalogue.entry import ZooEntry
from zoo.combine import answered
from zoo.datasets import dataset_spec, load_split
from zoo.seeding import derive_seed
from zoo.studies.strange_images import strange_images
from zoo.uncertainty import entropies, variances


@dataclass(frozen=True)
class UncertaintyStudy:
    """table: a row per kind of images. images, log_p: by kind, (N, C, H, W) and the draws' (S, N, K)."""

    table: pd.DataFrame
    images: dict[str, Tensor]
    log_p: dict[str, Tensor]


def uncertainty_study(
    entry: ZooEntry,
    against: Sequence[str],
    examples: int = 2000,
    draws: int = 64,
    seed: int = 0,
    root: Path | None = None,
    download: bool = False,
) -> UncertaintyStudy:
    """A network's uncertainties on a random sample of its test images, and on images of other kinds.

    AUROC: probability that an image of another kind has the larger uncertainty. Raises ValueError for a kind of images
    that does not exist or does not fit, DataNotFoundError without its data.
    """
    spec, test = dataset_spec(entry.dataset), load_split(entry.dataset, "test", root, download)
    own, labels = test.sample(examples, "uncertainty images")
    if entry.dataset in against:
        raise ValueError(f"{entry.dataset} is what {entry.name} was trained on: hold it against other images")
    images = {entry.dataset: own}
    images |= {kind: strange_images(kind, spec, own, root, download) for kind in against}

    prediction = entry.predictor(draws, derive_seed("uncertainty", entry.name, seed))
    logits = {kind: prediction.logits_in_batches(batch) for kind, batch in images.items()}
    scores = {kind: uncertainties(values) for kind, values in logits.items()}
    rows = []
    for kind, values in logits.items():
        mean = values.log_softmax(-1).logsumexp(0)
        known = kind == entry.dataset or kind.startswith("rotated-")
        row: dict[str, object] = {"images": kind, "count": values.shape[1]}
        row["accuracy"] = float((answered(mean, labels) == labels).float().mean()) if known else None
        row |= {measure: float(value.mean()) for measure, value in scores[kind].items()}
        if kind != entry.dataset:
            row |= {
                f"AUROC {measure}": auroc(scores[entry.dataset][measure], scores[kind][measure])
                for measure in scores[kind]
            }
        rows.append(row)
    return UncertaintyStudy(
        pd.DataFrame(rows), images, {kind: values.log_softmax(-1) for kind, values in logits.items()}
    )


def uncertainties(logits: Tensor) -> dict[str, Tensor]:
    """Every measure for each of N images, (N,), from the draws' logits (S, N, K), in float64.

    Variances are summed over classes.
    With a single draw there is nothing of what comes from the weights.
    """
    logits = logits.double()
    parts = entropies(logits.log_softmax(-1))
    mean = logits.softmax(-1).mean(0)
    # the other classes' sum, which is 1 - confidence without its cancellation
    doubt = mean.sort(-1)[0][:, :-1].sum(-1)
    found = {"1 - confidence": doubt, "entropy": parts.predictive}
    softmax, normalized = variances(logits), variances(logits, "normalized")
    aleatoric = {"aleatoric, softmax": softmax.aleatoric, "aleatoric, normalized": normalized.aleatoric}
    epistemic = {"epistemic, softmax": softmax.epistemic, "epistemic, normalized": normalized.epistemic}
    if len(logits) > 1:
        found |= {"expected entropy": parts.expected, "mutual information": parts.mutual_information}
    found |= {name: value.sum(-1) for name, value in aleatoric.items()}
    return found | ({name: value.sum(-1) for name, value in epistemic.items()} if len(logits) > 1 else {})


def auroc(known: Tensor, strange: Tensor) -> float:
    """Probability that a strange image has the larger uncertainty than a known one; ties count half."""
    is_strange = torch.cat([torch.zeros(len(known)), torch.ones(len(strange))])
    return float(roc_auc_score(is_strange.numpy(), torch.cat([known, strange]).numpy()))
