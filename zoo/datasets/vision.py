"""Further data sets as torchvision keeps them. Arrays are verified; of images in files, the fingerprint says which.

SVHN: Netzer et al. 2011. STL-10: Coates et al. 2011. GTSRB: Stallkamp et al. 2012, at the 48 pixels of Cireşan et al.
2012. EuroSAT: Helber et al. 2019; nobody divided it, so every fifth image of the sorted files is tested on. ImageNet:
the usual square of 224 out of 256 pixels.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from zoo.datasets.files import Content, SplitName, content_of, download_errors, not_found, required_root, verify
from zoo.datasets.folder import class_files
from zoo.datasets.images import FileImages

GTSRB_SIZE, IMAGENET_SIZE, IMAGENET_SHORT = 48, 224, 256
EVERY = 5  # of EuroSAT's images one is tested on


def svhn(name: str, split: SplitName, root: Path | None, download: bool) -> Content:
    """The cropped digits of a split."""
    from torchvision.datasets import SVHN

    root = required_root(name, root)
    _, file, md5 = SVHN.split_list[split]
    _fetch(name, root, download, root / file, lambda: SVHN(root, split, download=True))
    verify(root / file, (root / file).read_bytes(), md5)
    data = SVHN(root, split)
    return content_of(np.ascontiguousarray(data.data), np.asarray(data.labels, np.int64))


def stl10(name: str, split: SplitName, root: Path | None, download: bool) -> Content:
    """The labelled images of a split; torchvision reads them only where those without labels are, too."""
    from torchvision.datasets import STL10

    root = required_root(name, root)
    folder, contents = root / STL10.base_folder, []
    for file, md5 in (STL10.train_list if split == "train" else STL10.test_list)[:2]:  # of images, of labels
        _fetch(name, root, download, folder / file, lambda: STL10(str(root), split, download=True))
        contents.append((folder / file).read_bytes())
        verify(folder / file, contents[-1], md5)
    images, labels = (np.frombuffer(content, np.uint8) for content in contents)
    columns_first = images.reshape(-1, 3, 96, 96)
    return content_of(np.ascontiguousarray(columns_first.swapaxes(2, 3)), labels.astype(np.int64) - 1)


def gtsrb(name: str, split: SplitName, root: Path | None, download: bool) -> Content:
    """The traffic signs of a split."""
    from torchvision.datasets import GTSRB

    root = required_root(name, root)
    folder = root / "gtsrb" / "GTSRB" / ("Training" if split == "train" else "Final_Test/Images")
    _fetch(name, root, download, folder, lambda: GTSRB(root, split, download=True))
    if split == "train":
        paths = sorted(folder.glob("*/*.ppm"))
        labels = [int(path.parent.name) for path in paths]
    else:
        table = root / "gtsrb" / "GT-final_test.csv"
        if not table.is_file():
            raise not_found(name, [table], root)
        rows = sorted(csv.DictReader(table.read_text().splitlines(), delimiter=";"), key=itemgetter("Filename"))
        paths, labels = [folder / row["Filename"] for row in rows], [int(row["ClassId"]) for row in rows]
    images = FileImages(folder, [path.relative_to(folder).as_posix() for path in paths], GTSRB_SIZE)
    return images, np.array(labels, np.int64), images.fingerprint


def eurosat(name: str, split: SplitName, root: Path | None, download: bool) -> Content:
    """A fifth of the satellite images, or the rest."""
    from torchvision.datasets import EuroSAT

    root = required_root(name, root)
    folder = root / "eurosat" / "2750"
    _fetch(name, root, download, folder, lambda: EuroSAT(str(root), download=True))
    files = class_files(folder)
    chosen = [index for index in range(len(files.names)) if (index % EVERY == 0) == (split == "test")]
    images = FileImages(folder, [files.names[index] for index in chosen])
    return images, files.labels[chosen], images.fingerprint


def imagenet(name: str, split: SplitName, root: Path | None, download: bool) -> Content:
    """The images of `imagenet/train` or `imagenet/val`, in a folder for each of the thousand classes."""
    root = required_root(name, root)
    folder = root / name / ("train" if split == "train" else "val")
    if not folder.is_dir():
        raise not_found(name, [folder], root)
    files = class_files(folder, 1000)
    images = FileImages(folder, files.names, IMAGENET_SIZE, short=IMAGENET_SHORT)
    return images, files.labels, images.fingerprint


def _fetch(name: str, root: Path, download: bool, place: Path, fetch: Callable[[], Any]) -> None:
    """Let torchvision fetch what is missing. Raises DataNotFoundError where it may not."""
    if download and not place.exists():
        with download_errors(name):
            fetch()
    if not place.exists():
        raise not_found(name, [place], root)
