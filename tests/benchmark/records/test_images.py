"""Images in the store: bit for bit, in one transaction with their record, damage named."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from benchmark.records.images import CellImages
from benchmark.records.store import Store, StoreError
from tests.benchmark.handmade import make

RECORD = make("mnist/a", "fgsm", 0.1, {"art": [True, False]})


def some_images() -> CellImages:
    """Pixels that no shorter type holds, the smallest positive one among them."""
    rng = np.random.default_rng(0)
    clean, adversarial = rng.random((2, 2, 1, 8, 8), dtype=np.float32)
    adversarial[0, 0, 0, 0] = np.float32(1e-45)
    return CellImages(clean, adversarial, np.zeros(2, np.uint8), {"art": rng.random((3, 2), dtype=np.float32)})


def test_what_is_packed_comes_back_bit_for_bit(tmp_path: Path) -> None:
    images = some_images()
    with Store(tmp_path / "r.sqlite") as store:
        store.put(RECORD, images.packed())
    with Store(tmp_path / "r.sqlite") as store:
        found = CellImages.unpacked(store.images([RECORD.key, "other"])[RECORD.key])
        assert list(store.records()) == [RECORD]
    for name in ("clean", "adversarial", "library"):
        assert getattr(found, name).tobytes() == getattr(images, name).tobytes()
    assert np.array_equal(found.losses["art"], images.losses["art"])


def test_a_store_from_before_there_were_images_takes_them(tmp_path: Path) -> None:
    with Store(tmp_path / "r.sqlite") as store:
        store.put(RECORD)
        store._connection.execute("DROP TABLE images")
    with Store(tmp_path / "r.sqlite") as store:
        assert not store.has_images(RECORD.key)
        assert store.images([RECORD.key]) == {}
        store.put(RECORD, some_images().packed())
        assert store.has_images(RECORD.key)


def test_a_record_whose_images_do_not_fit_on_the_disk_is_not_stored_either(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    large = dataclasses.replace(some_images(), adversarial=rng.random((2, 1, 512, 512), dtype=np.float32))
    with Store(tmp_path / "r.sqlite") as store:
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 20}")  # room for the record alone
        with pytest.raises(StoreError, match="full"):
            store.put(RECORD, large.packed())
    with Store(tmp_path / "r.sqlite") as store:
        assert RECORD.key not in store
        assert not store.has_images(RECORD.key)


def test_damaged_images_are_named_and_count_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Store(path) as store:
        store.put(RECORD, some_images().packed())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE images SET packed = substr(packed, 1, length(packed) - 1) || x'00'")
    with Store(path) as store:
        assert not store.has_images(RECORD.key)
        with pytest.raises(StoreError, match=rf"r\.sqlite: the images of the record {RECORD.key[:12]}.* are damaged"):
            store.images([RECORD.key])
        assert list(store.records()) == [RECORD]  # which is whole


def test_a_failure_replaces_no_images(tmp_path: Path) -> None:
    """A library that failed later, in another process, has not made the images that the stored record speaks of."""
    failed = dataclasses.replace(RECORD.outcomes["art"], error="RuntimeError: memory")
    packed = some_images().packed()
    with Store(tmp_path / "r.sqlite") as store:
        store.put(RECORD, packed)
        store.put(dataclasses.replace(RECORD, outcomes={"art": failed}), b"others")
        assert store.images([RECORD.key]) == {RECORD.key: packed}
