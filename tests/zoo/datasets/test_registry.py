"""Data sets by name: a user's own is made when it is first needed, and a later run of its registration counts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.zoo.datasets.test_data import LABELS, PIXELS, write
from zoo.datasets import DATASETS, Data, load_split, register_dataset, registry
from zoo.datasets.registry import Datasets, OwnDataset
from zoo.datasets.table import ROWS

EPS = {"linf": (0.1, 0.3), "l2": (1.0, 2.0)}, {"linf": (2 / 255, 8 / 255), "l2": (0.25, 0.5)}


@pytest.fixture
def own() -> Datasets:
    return Datasets(ROWS)


def shapes() -> Data:
    return Data.from_arrays(PIXELS, LABELS)


def test_the_eps_of_the_benchmarks_own_are_what_they_were() -> None:
    mnist, cifar = EPS
    found = {name: dict(DATASETS[name].eps) for name in ("mnist", "fashion-mnist", "notmnist")}
    assert found == dict.fromkeys(found, mnist)
    found = {name: dict(DATASETS[name].eps) for name in ("cifar10", "cifar10-jpeg", "cifar100")}
    assert found == dict.fromkeys(found, cifar)


def test_a_registered_set_is_made_when_its_images_are_needed_and_once(own: Datasets) -> None:
    made: list[int] = []

    @register_dataset("shapes", eps={"linf": [0.1]}, registry=own)
    def make() -> Data:
        made.append(1)
        return shapes()

    assert "shapes" in own
    assert [*own][-1] == "shapes"
    assert len(own) == len(ROWS) + 1
    assert made == []
    spec = own["shapes"]
    assert (spec.name, spec.shape, spec.classes) == ("shapes", (3, 8, 8), 3)
    assert dict(spec.eps) == {"linf": (0.1,), "l2": shapes().spec.eps["l2"]}
    assert own["shapes"] is spec
    assert made == [1]


def notebook(pixels: np.ndarray) -> Callable[[], Data]:
    """A function as a cell defines it, anew each time the cell is run."""

    def cell() -> Data:
        return Data.from_arrays(pixels, LABELS)

    return cell


def test_a_cell_that_is_run_again_replaces_its_own_registration_and_no_other(own: Datasets) -> None:
    register_dataset("shapes", registry=own)(notebook(PIXELS))
    first = own["shapes"]
    register_dataset("shapes", registry=own)(notebook(255 - PIXELS))
    assert own["shapes"] is not first
    with pytest.raises(ValueError, match="'shapes' is a data set already; choose another name"):
        register_dataset("shapes", registry=own)(shapes)
    with pytest.raises(ValueError, match="'shapes' is a data set already"):
        own.hold(Data.from_arrays(PIXELS, LABELS, name="shapes"))
    with pytest.raises(ValueError, match="'mnist' is a data set already"):
        own.hold(Data.from_arrays(PIXELS, LABELS, name="mnist"))


def test_of_sets_in_memory_the_last_one_has_the_name() -> None:
    """Also where the images of the first one were read."""
    for pixels in (PIXELS, 255 - PIXELS):
        name = DATASETS.hold(Data.from_arrays(pixels, LABELS, name="in-memory"))
        assert torch.equal(load_split(name, "test").pixels(), torch.from_numpy(pixels).float() / 255)


def test_what_a_function_draws_is_the_same_in_every_process(own: Datasets, untouched_global_state: None) -> None:
    def noise() -> Data:
        return Data.from_arrays(torch.rand(6, 3, 8, 8), LABELS)

    made = [OwnDataset("noise", noise).spec().read("noise", "test", None, False)[2] for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: 1 / 0, "data set bad cannot be made: ZeroDivisionError"),
        (lambda: PIXELS, "its function returned ndarray; return Data"),
    ],
)
def test_a_function_that_gives_no_data_is_refused_by_name(own: Datasets, make: object, message: str) -> None:
    register_dataset("bad", registry=own)(make)
    with pytest.raises(ValueError, match=message):
        own["bad"]


def test_a_folder_or_a_function_is_named_on_the_command_line(
    own: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    write(tmp_path / "photos")
    (tmp_path / "own_shapes.py").write_text(
        "from zoo import Data\ndef photographs():\n    return Data.from_folder('photos', size=4)\nnothing = 3\n"
    )
    assert own.named_by("photos", 6) == own.named_by(f"{tmp_path}/photos", 6) == "photos"
    assert own["photos"].shape == (3, 6, 6)
    assert own.named_by("own_shapes:photographs") == own.named_by("./own_shapes.py:photographs") == "photographs"
    assert own["photographs"].shape == (3, 4, 4)
    for reference, size, message in (
        ("nowhere", None, "nowhere is no folder"),
        ("own_shapes:missing", None, "cannot import 'own_shapes:missing'"),
        ("own_shapes:nothing", None, "is a int, not a function that returns Data"),
        ("../own_shapes.py:photographs", None, "outside the current folder"),
        ("own_shapes:photographs", 6, "--size 6 is for a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            _ = own[own.named_by(reference, size)]


def test_an_installed_package_registers_by_an_entry_point(own: Datasets, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("shapes", "tests.zoo.datasets.test_registry:shapes", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda: register_dataset("installed", registry=own)(shapes))
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [point])
    assert "mnist" in own  # it has a row: nothing is loaded for it
    assert not own._loaded
    assert own["installed"].shape == (3, 8, 8)


def test_a_package_that_fails_to_register_is_named_and_stops_nothing(
    own: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("theirs", "no_such_module:shapes", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [point])
    with pytest.warns(UserWarning, match="entry point theirs of robustness_zoo.datasets failed"):
        assert "theirs" not in own
