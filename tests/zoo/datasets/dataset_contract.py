"""What every data set promises, whatever its files look like."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from zoo.datasets import DataNotFoundError, Split, SplitName, dataset_spec, load_split, read_split

REMEDY = "(fetch|unpack) it again"
WHERE_TO_GET_IT = "--download|github.com/"
DAMAGES = {
    "truncated": lambda content: content[:-20],
    "cut in half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "another file": lambda content: b"x" * 100,
    "one bit turned": lambda content: flipped(content, len(content) // 2),
}


def flipped(content: bytes, place: int) -> bytes:
    """With one bit of one byte turned round."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


class DatasetContract:
    """A data set's test class inherits it, says what the data set is, and gives a folder with it.

    name: of the data set. counts: how many images each split has that the folder holds. classes: their names, in the
    order of the labels. bundled: splits that come with the project. slow: splits that take long to read.
    harmless: damages that leave all images whole, which are read then.
    """

    name: ClassVar[str]
    counts: ClassVar[dict[SplitName, int]]
    classes: ClassVar[tuple[str, ...]]
    bundled: ClassVar[tuple[SplitName, ...]] = ()
    slow: ClassVar[tuple[SplitName, ...]] = ()
    harmless: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def folder(self) -> Path:
        """Where the data set is, to be given as `root`; nothing there is written to."""
        raise NotImplementedError("say where the data set is")

    def files(self, folder: Path, split: SplitName) -> dict[Path, str]:
        """Files that a split is read from, or some of them -> what an error is to call them."""
        raise NotImplementedError("say what files a split is read from")

    def change_a_pixel(self, folder: Path, split: SplitName, monkeypatch: pytest.MonkeyPatch) -> None:
        """Change a pixel of an image in the files, and the checksums that would refuse them for it."""
        raise NotImplementedError("say where pixels and checksums are")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """split: each that the folder holds."""
        if "split" in metafunc.fixturenames:
            marked = [pytest.param(s, marks=[pytest.mark.slow] if s in self.slow else []) for s in self.counts]
            metafunc.parametrize("split", marked)

    def load(self, folder: Path, split: SplitName) -> Split:
        """As `load_split`, anew."""
        return read_split.__wrapped__(dataset_spec(self.name), split, folder)

    def own_copy(self, folder: Path, split: SplitName, place: Path) -> Path:
        """A copy of the files that a split is read from."""
        for path in self.files(folder, split):
            target = place / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return place

    def test_its_images_and_labels_are_what_its_row_says(self, folder: Path, split: SplitName) -> None:
        found, spec = load_split(self.name, split, folder), dataset_spec(self.name)
        assert (found.dataset, found.name, len(found)) == (self.name, split, self.counts[split])
        assert (found.images.shape, found.images.dtype) == ((self.counts[split], *spec.shape), np.uint8)
        assert (found.labels.shape, found.labels.dtype) == ((self.counts[split],), np.int64)
        assert found.images.max() > 1
        assert len(spec.mean) == len(spec.std) == spec.shape[0]

    def test_every_class_has_a_name_and_images(self, folder: Path, split: SplitName) -> None:
        assert len(set(self.classes)) == dataset_spec(self.name).classes
        assert np.unique(load_split(self.name, split, folder).labels).tolist() == list(range(len(self.classes)))

    def test_two_loads_have_one_fingerprint_and_each_split_its_own(self, folder: Path, split: SplitName) -> None:
        found = load_split(self.name, split, folder).fingerprint
        assert re.fullmatch("[0-9a-f]{64}", found)
        assert self.load(folder, split).fingerprint == found
        others = (other for other in self.counts if other not in (split, *self.slow))
        assert all(load_split(self.name, other, folder).fingerprint != found for other in others)

    def test_one_pixel_is_another_fingerprint(
        self, folder: Path, split: SplitName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = load_split(self.name, split, folder)
        place = self.own_copy(folder, split, tmp_path / "copy")
        self.change_a_pixel(place, split, monkeypatch)
        after = self.load(place, split)
        assert (after.images != before.images).any(axis=(1, 2, 3)).sum() == 1
        assert np.array_equal(after.labels, before.labels)
        assert after.fingerprint != before.fingerprint

    def test_a_damaged_file_is_refused_by_name_with_the_remedy(
        self, folder: Path, split: SplitName, tmp_path: Path
    ) -> None:
        place = self.own_copy(folder, split, tmp_path / "copy")
        for path, called in self.files(place, split).items():
            content = path.read_bytes()
            for damage, change in DAMAGES.items():
                path.write_bytes(change(content))
                if damage in self.harmless:
                    assert self.load(place, split).fingerprint == load_split(self.name, split, folder).fingerprint
                else:
                    with pytest.raises(ValueError, match=rf"{re.escape(called)}.*{REMEDY}"):
                        self.load(place, split)
            path.write_bytes(content)

    def test_a_missing_one_says_where_it_was_looked_for_and_where_to_get_it(
        self, folder: Path, split: SplitName, tmp_path: Path
    ) -> None:
        if split in self.bundled:  # wherever one looks
            assert self.load(tmp_path, split).fingerprint == load_split(self.name, split, folder).fingerprint
            return
        with pytest.raises(DataNotFoundError, match=rf"{self.name}.*--data-root"):
            read_split.__wrapped__(dataset_spec(self.name), split)
        with pytest.raises(DataNotFoundError, match=rf"{self.name} not found.*{tmp_path}.*({WHERE_TO_GET_IT})"):
            self.load(tmp_path, split)
        place = self.own_copy(folder, split, tmp_path / "copy")
        for path, called in self.files(place, split).items():  # one of several
            content = path.read_bytes()
            path.unlink()
            with pytest.raises(ValueError, match=rf"{re.escape(called)}.*({WHERE_TO_GET_IT}|{REMEDY})"):
                self.load(place, split)
            path.write_bytes(content)
