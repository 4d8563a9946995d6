"""CIFAR-10 and CIFAR-100 as torchvision keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.datasets.files import Content, SplitName, content_of, download_errors, not_found, required_root, verify


def load(name: str, split: SplitName, root: Path | None, download: bool) -> Content:
    """A split of either."""
    import torchvision

    kind = {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}[name]
    root = required_root(name, root)
    folder = root / kind.base_folder
    if not download and not folder.is_dir():
        raise not_found(name, [folder], root)
    if not download:
        for file, md5 in (*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])):
            path = folder / file
            if not path.is_file():
                raise not_found(name, [path], root)
            verify(path, path.read_bytes(), md5)
    with download_errors(name):
        data = kind(str(root), train=split == "train", download=download)
    images = np.ascontiguousarray(np.asarray(data.data).transpose(0, 3, 1, 2))
    return content_of(images, np.asarray(data.targets, np.int64))
