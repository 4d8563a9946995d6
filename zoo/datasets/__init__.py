"""The data sets: what they are, where they are found, and that they are what they claim to be.

MNIST's test split is bundled. The rest is read from `root`, in torchvision's layout or flat, and fetched through
torchvision when `download` is set. Every file with a published checksum is checked against it before it is used; the
fingerprint of what was read goes into every record. `Data` is a user's own.
"""

from __future__ import annotations

from zoo.datasets.data import Data
from zoo.datasets.files import BUNDLED, DataNotFoundError, SplitName
from zoo.datasets.registry import DATASETS, dataset_spec, register_dataset
from zoo.datasets.spec import DatasetSpec
from zoo.datasets.split import Split, load_split, read_split

__all__ = [
    "BUNDLED",
    "DATASETS",
    "Data",
    "DataNotFoundError",
    "DatasetSpec",
    "Split",
    "SplitName",
    "dataset_spec",
    "load_split",
    "read_split",
    "register_dataset",
]
