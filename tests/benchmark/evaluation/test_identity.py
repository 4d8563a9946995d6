"""Results of a network that has changed are not reused, whatever it is that changed; those of the same one are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.loop import How, run
from benchmark.plan.cells import Selection
from benchmark.plan.suites import SUITES
from benchmark.records.store import Store
from zoo import ZooEntry, models
from zoo.catalogue.behaviour import TOLERANCE, same_behaviour
from zoo.datasets import Split, dataset_spec, load_split, read_split
from zoo.seeding import forked_random_state

SELECTION = Selection(attacks=("fgsm",), libraries=("foolbox",), examples=5)

NETS = """
import torch
from torch import nn
from zoo import register_model
from zoo.seeding import forked_random_state
from settings import PRECISION

class Laplace(nn.Module):
    '''A posterior that is in no parameter, buffer or repr: what a fit left behind.'''
    def __init__(self):
        super().__init__()
        with forked_random_state(0):
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def draw(self, generator):
        drawn = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        noise = torch.randn(10, 784, generator=generator)
        drawn[1].weight.data = self.net[1].weight.data + noise / PRECISION ** 0.5
        drawn[1].bias.data = self.net[1].bias.data
        return drawn

@register_model('mnist/laplace', dataset='mnist', family='laplace')
def laplace():
    return Laplace()
"""


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", "benchmark.run", "--suite", "smoke", "--model", "nets:laplace", "--attack", "fgsm"]
    command += ["--library", "foolbox", "--examples", "5", "--store", "s.sqlite", *arguments]
    env = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{root}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


def test_what_a_registering_file_imports_is_a_part_of_the_network(tmp_path: Path) -> None:
    """A Laplace posterior with another prior precision, set in an imported module; and the same with more threads."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "settings.py").write_text("PRECISION = 10_000.0\n")
    first = run_in(tmp_path, "--threads", "1")
    assert first.returncode == 0, first.stderr
    assert "averaged over what its method draw(generator) gives" in first.stderr
    (tmp_path / "settings.py").write_text("PRECISION = 100.0\n")
    changed = run_in(tmp_path, "--workers", "2")
    assert changed.returncode == 0, changed.stderr
    assert "stored already" not in changed.stdout
    (tmp_path / "settings.py").write_text("PRECISION = 10_000.0\n")
    assert "1 of 1 cells are stored already" in run_in(tmp_path, "--threads", "2").stdout


def linear() -> nn.Module:
    with forked_random_state(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def carry_out(entry: ZooEntry, path: Path) -> list[str]:
    """The keys of what a run of the entry stores."""
    with Store(path) as store:
        return [record.key for record in run(SUITES["smoke"], SELECTION, [entry], store, How()).records]


def own_entry(factory: Callable[[], nn.Module], **options: object) -> ZooEntry:
    return ZooEntry("mnist/own", "mnist", "frequentist", factory, None, Path(__file__), **options)


def test_a_network_that_is_trained_on_in_memory_is_another(tmp_path: Path) -> None:
    net = linear()
    entry = own_entry(lambda: net)
    with models.with_entries(entry):
        first = carry_out(entry, tmp_path / "s.sqlite")
        assert carry_out(entry, tmp_path / "s.sqlite") == first
        net[1].weight.data.add_(0.01)
        assert carry_out(entry, tmp_path / "s.sqlite") != first
    with Store(tmp_path / "s.sqlite") as store:
        assert len({record.fingerprints["model"] for record in store.records()}) == 2


def test_a_factory_that_builds_another_network_each_time_is_refused(tmp_path: Path) -> None:
    built: list[int] = []

    def restless() -> nn.Module:
        net = linear()
        built.append(1)
        net[1].weight.data.mul_(1 + len(built))
        return net

    entry = own_entry(restless)
    with models.with_entries(entry), pytest.raises(ValueError, match="its factory builds another network"):
        carry_out(entry, tmp_path / "s.sqlite")


def test_the_store_recognises_a_behaviour_but_for_rounding(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite") as store:
        first = store.recognised("mnist/a", "f", (-1.0, -2.0))
        assert store.recognised("mnist/a", "f", (-1.0, -2.00001)) == first
        assert store.recognised("mnist/a", "f", (-1.0, -2.1)) == (-1.0, -2.1)
        assert store.recognised("mnist/a", "f", (-1.0, -2.1, -3.0)) == (-1.0, -2.1, -3.0)
        assert store.recognised("mnist/a", "g", (-1.0, -2.00001)) == (-1.0, -2.00001)
        assert store.recognised("mnist/b", "f", (-1.0, -2.00001)) == (-1.0, -2.00001)
    with Store(tmp_path / "s.sqlite") as store:
        assert store.recognised("mnist/a", "f", (-1.00001, -2.1)) == (-1.0, -2.1)


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=20), st.floats(-2, 2), st.integers(0, 19))
def test_behaviours_are_the_same_up_to_a_ten_thousandth_of_the_largest(values: list[float], by: float, at: int) -> None:
    other = list(values)
    largest = max(1.0, *map(abs, values))
    other[at % len(values)] += by * TOLERANCE * largest
    if abs(abs(by) - 1) > 1e-6:
        assert same_behaviour(tuple(values), tuple(other)) == (abs(by) < 1)


def test_threads_change_a_behaviour_by_less_than_what_is_tolerated() -> None:
    """On the largest network at hand, whose sums differ most."""
    entry, before = models["mnist/bayesian-3conv3fc"], torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = entry.behaviour()
        torch.set_num_threads(2)
        two = entry.behaviour()
    finally:
        torch.set_num_threads(before)
    apart = max(abs(a - b) for a, b in zip(one, two, strict=True)) / max(map(abs, one))
    assert same_behaviour(one, two)
    assert apart < TOLERANCE / 3


@pytest.mark.parametrize(("said", "refused"), [(0.9921, False), (0.99, False), (0.93, True), (1.0, True)])
def test_a_stated_accuracy_is_held_against_what_is_found(said: float, refused: bool) -> None:
    """mnist/lenet has 99.21 % on the whole test split."""
    lenet = models["mnist/lenet"]
    entry = ZooEntry("mnist/own", "mnist", "frequentist", lenet.factory, lenet.weights, lenet.source, accuracy=said)
    if refused:
        with pytest.raises(ValueError, match=r"registered with an accuracy of .* but 9\d\.\d % of 500 test images"):
            Evaluator().subject(entry)
    else:
        assert Evaluator().subject(entry).size == 10_000


def test_a_forgotten_normalisation_is_found_by_the_stated_accuracy() -> None:
    """A network behind its own normalisation, registered without: with `normalize` it is what it was."""
    lenet = models["mnist/lenet"]
    full = lenet.build()
    without = nn.Sequential(*[layer for name, layer in full.named_children() if name != "preprocess"])
    assert len(without) == len(full) - 1

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = without

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = torch.tensor(0.1307)
            return self.layers(nn.functional.pad(x, [2] * 4, value=float(-mean / 0.3081)))

    with pytest.raises(ValueError, match=r"normalize=\(mean, std\)"):
        Evaluator().subject(own_entry(lambda: nn.Sequential(Scaled(255.0), Padded()), accuracy=0.9921))
    subject = Evaluator().subject(own_entry(Padded, accuracy=0.9921, normalize=((0.1307,), (0.3081,))))
    assert subject.deterministic


class Scaled(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / self.by


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"images": s.images / 255}, "float64.*uint8 from 0 to 255"),
        (lambda s: {"images": (s.images / 255).round().astype("uint8")}, "largest pixel is 1"),
        (lambda s: {"images": s.images[:, 0]}, r"\(10000, 28, 28\).*\(N, C, H, W\)"),
        (lambda s: {"labels": s.labels[:5]}, "5 labels for 10000 images"),
        (lambda s: {"labels": s.labels + 1}, "labels from 1 to 10.*0 to 9"),
        (lambda s: {"labels": s.labels - 1}, "labels from -1 to 8"),
    ],
)
def test_images_of_another_range_or_type_are_refused(change: Callable[[Split], dict], message: str) -> None:
    split = load_split("mnist", "test")
    content = {"images": split.images, "labels": split.labels, "fingerprint": "another"} | change(split)
    spec = replace(dataset_spec("mnist"), read=lambda *_: tuple(content.values()))
    with pytest.raises(ValueError, match=message):
        read_split(spec, "test")
