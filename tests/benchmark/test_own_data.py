"""A user's own images from end to end: in memory, in a folder, by function; in processes; of two classes; large."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from typer.testing import CliRunner

from benchmark import Data, Results, evaluate
from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.executors import executing
from benchmark.evaluation.machine import Machine
from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Cell, Selection, Subject
from benchmark.plan.roles import role_of
from benchmark.plan.suites import SUITES
from benchmark.protocol import standard_attack
from benchmark.records.store import Store
from benchmark.results.checks.adaptive import classes_of
from benchmark.run import app
from zoo import ZooEntry, models
from zoo.datasets import DATASETS
from zoo.seeding import forked_random_state, private_generator

FAST = {"suite": "smoke", "examples": 7, "attacks": ["fgsm", "pgd-l2"], "libraries": ["foolbox"], "threads": 1}


def shapes(count: int, classes: int, purpose: str) -> tuple[Tensor, Tensor]:
    """(N, 3, 48, 48) bytes and (N,) labels, class by class: bars in a place and colour of each class, on noise."""
    y = torch.arange(count) * classes // count
    x = torch.randint(0, 100, (count, 3, 48, 48), generator=private_generator("shapes", purpose)).byte()
    for image, label in zip(x, y.tolist(), strict=True):
        image[label % 3, 6 * label : 6 * label + 6] += 120
    return x, y


def trained(classes: int) -> nn.Module:
    """A network that knows them, after some seconds."""
    x, y = shapes(70, classes, "train")
    with forked_random_state(0):
        layers = nn.Conv2d(3, 4, 6, 6), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, classes)
        net = nn.Sequential(*layers)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(net(x.float() / 255), y).backward()
        optimiser.step()
    return net.eval()


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return trained(7)


@pytest.fixture(scope="module")
def data() -> Data:
    return Data.from_arrays(*shapes(21, 7, "test"), name="shapes")


def write(folder: Path, x: Tensor, y: Tensor) -> Path:
    for number, (image, label) in enumerate(zip(x, y.tolist(), strict=True)):
        path = folder / f"class {label}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return folder


def verdicts(results: Results) -> dict[Cell, object]:
    """Of every attack, with log-probabilities and distances; images and records differ in their fingerprint alone."""
    return {
        record.cell: [
            (record.examples, record.labels, outcome.correct, outcome.predicted, outcome.log_p, outcome.distance)
            for outcome in (record.clean, *record.outcomes.values())
        ]
        for record in results.records
    }


def test_arrays_and_the_folder_that_they_are_written_to_give_the_same_verdicts(
    net: nn.Module, data: Data, tmp_path: Path
) -> None:
    here = evaluate(net, data, accuracy=1.0, **FAST)
    folder = Data.from_folder(write(tmp_path / "shapes", *shapes(21, 7, "test")), size=48)
    there = evaluate(net, folder, accuracy=1.0, **FAST)
    assert np.array_equal(folder.images[:], data.images)
    assert verdicts(there) == verdicts(here)
    assert here.errors == there.errors == {}
    record, _ = here.records
    assert sum(record.clean.correct) == 7
    assert {record.cell.attack.threat.eps for record in here.records} == {2 / 255, 0.38}
    assert {record.key for record in here.records}.isdisjoint(record.key for record in there.records)


def test_of_fewer_images_than_a_suite_takes_all_are_attacked(net: nn.Module) -> None:
    few = Data.from_arrays(*shapes(14, 7, "few"), name="few")
    assert len(evaluate(net, few, **{**FAST, "examples": None}).df["image"].unique()) == 14
    with pytest.raises(ValueError, match="few has 14 test examples; --examples 20 asks for more"):
        evaluate(net, few, **{**FAST, "examples": 20})


def test_worker_processes_are_sent_images_in_memory(net: nn.Module, data: Data) -> None:
    here, there = evaluate(net, data, **FAST), evaluate(net, data, workers=2, **FAST)
    assert {r.key: r.outcome for r in there.records} == {r.key: r.outcome for r in here.records}


def test_what_cannot_be_sent_to_worker_processes_is_refused(net: nn.Module) -> None:
    class Local:
        def __len__(self) -> int:
            return 14

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            x, y = shapes(14, 7, "local")
            return x[index], int(y[index])

    data = Data.from_torch(Local(), name="local")
    assert evaluate(net, data, **FAST).errors == {}
    with pytest.raises(ValueError, match=r"local cannot be sent to worker processes .*Local.*leave out workers"):
        evaluate(net, data, workers=2, **FAST)


def test_nodes_of_a_cluster_must_be_able_to_make_the_images_themselves(net: nn.Module, data: Data) -> None:
    entry = ZooEntry(f"{DATASETS.hold(data)}/net", "shapes", "frequentist", lambda: net, None, Path(__file__))
    with (  # as if a file registered the network, and not the images
        models.with_entries(entry),
        pytest.raises(ValueError, match=r"^shapes is in this process alone: register it in a file"),
        executing(Evaluator(entries={entry.name: entry}), "ray"),
    ):
        pass


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (
            "mnist/lenet",
            lambda: Data.from_arrays(*shapes(7, 7, "test")),
            "mnist/lenet is for mnist, not for data",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 8)),
            lambda: Data.from_arrays(*shapes(7, 7, "test")),
            r"\(6, 8\) .*; if some classes have no images, tell the data set how many there are: classes=8",
        ),
    ],
)
def test_a_network_for_other_images_is_refused(model: object, data: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(model, data(), **FAST)


def test_a_folder_and_a_function_are_named_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes, which find both again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    write(tmp_path / "photos" / "test", *shapes(21, 7, "test"))
    (tmp_path / "nets_of_shapes.py").write_text(
        "from tests.benchmark.test_own_data import trained\nfrom zoo import Data, register_dataset\n"
        "def make():\n    return trained(7)\ndef again():\n    return make()\n"
        "def once_more():\n    return make()\n"
        "@register_dataset('small-shapes', eps={'linf': [0.05]})\n"
        "def small():\n    return Data.from_folder('photos/test', size=48)\n"
        "@register_dataset('in-255ths', eps={'linf': [8]})\n"
        "def large():\n    return Data.from_folder('photos/test', size=48)\n"
    )
    options = ["--suite", "smoke", "--examples", "7", "--attack", "fgsm", "--library", "foolbox"]
    options += ["--store", "s.sqlite", "--threads", "1", "--workers", "2"]
    for chosen in (
        ["--model", "nets_of_shapes:make", "--data", "photos/test", "--size", "48"],
        ["--model", "nets_of_shapes:again", "--data", "nets_of_shapes.py:small"],
        ["--model", "nets_of_shapes:once_more", "--data", "nets_of_shapes.py:large"],
    ):
        result = CliRunner().invoke(app, [*chosen, *options])
        assert result.exit_code == 0, result.output
        assert ("was 8/255 meant?" in result.stderr) == chosen[-1].endswith("large")
    with Store(tmp_path / "s.sqlite") as store:
        found = {record.cell.model: record.cell.attack.threat.eps for record in store.records()}
    assert found == {
        "test/nets_of_shapes:make": 2 / 255,
        "small-shapes/nets_of_shapes:again": 0.05,
        "in-255ths/nets_of_shapes:once_more": 8,
    }
    for wrong, message in (
        (["--size", "48"], "--size 48 is for images in a folder: add --data FOLDER"),
        (["--data", "photos/test", "--dataset", "mnist"], "give one of the two"),
        (["--data", "photos/tset"], "tset is no folder"),
    ):
        result = CliRunner().invoke(app, [*wrong, *options])
        assert result.exit_code == 2
        assert message in result.output


def test_two_classes_are_attacked_by_all_that_two_are_enough_for() -> None:
    found = evaluate(
        trained(2),
        Data.from_arrays(*shapes(4, 2, "test")),
        suite="adaptive",
        examples=4,
        eps={"linf": [8 / 255], "l2": [0.75]},
    )
    assert found.errors == {}
    ran = {role.adaptive.name for record in found.records if (role := record.role).adaptive}
    assert {"apgd-ce", "square", "noise", "confident"} <= ran
    assert "apgd-dlr" not in ran
    assert "apgd-dlr" in ADAPTIVE_ATTACKS


def test_an_attack_that_needs_more_classes_is_refused_where_it_is_asked_for() -> None:
    subject = Subject("data/net", "mnist", 100, deterministic=True, classes=2)
    with pytest.raises(ValueError, match="apgd-dlr-l2 needs 3 classes, mnist has 2: leave it out"):
        SUITES["adaptive"].cells([subject], Selection(attacks=("apgd-dlr-l2",)))


def test_records_are_read_where_the_images_are_not(net: nn.Module, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every eps of a data set that is not known counts, and as many classes as its labels show."""
    found = evaluate(net, data, **FAST | {"examples": 21, "attacks": ["fgsm"]})
    cell = Cell("elsewhere/net", "elsewhere", standard_attack("fgsm", 0.07), 0, 100, judge_draws=1, attack_draws=1)
    assert role_of(cell).board
    (record,) = found.records
    assert classes_of(record) == 7
    monkeypatch.setattr(DATASETS, "_own", {})
    assert classes_of(record) == 7
    assert "shapes" in repr(found)


def test_a_machine_says_where_the_images_are(tmp_path: Path) -> None:
    write(tmp_path / "far", *shapes(7, 7, "test"))
    machine = Machine(own_data=(str(tmp_path / "far"), 24))
    from benchmark.evaluation.executors import evaluator_on

    try:
        assert evaluator_on(machine).split("far").pixels([0]).shape == (1, 3, 24, 24)
    finally:
        evaluator_on.cache_clear()
