"""`evaluate` in a script of a user's own: a fresh process in a folder of his, outside the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.records.store import Store

ROOT = Path(__file__).resolve().parents[2]
NETS = """
from torch import nn
from zoo.seeding import forked_random_state

def make():
    with forked_random_state(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""
SCRIPT = """
import json, random, sys
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.linear = nn.Dropout(0.5), nn.Linear(784, 10)

    def forward(self, x):
        return self.linear(self.drop(x.flatten(1)))

def state():
    own = torch.random.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
    modes = torch.is_grad_enabled(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    return own, modes, torch.get_num_threads(), np.geterr(), sys.path[:], torch.backends.cudnn.deterministic

def main():
    torch.manual_seed(7)
    torch.set_num_threads(2)
    net = Net().train()
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    before = state()
    from benchmark import evaluate
    options = {"suite": "smoke", "examples": 4, "attacks": ["fgsm", "pgd-l2"], "libraries": ["foolbox"]}
    mine = {"data": "mnist", "family": "mc-dropout", "randomness": "dropout", "draws": 2, "threads": 1}
    if "store" in sys.argv:
        found = {"stored": evaluate(net, store="r.sqlite", **mine, **options)}
    else:
        found = {
            "here": evaluate(net, **mine, **options),
            "workers": evaluate(net, workers=2, **mine, **options),
            "named": evaluate("nets:make", "mnist", **options),
        }
    from zoo import models
    print(json.dumps({
        "untouched": state() == before,
        "training": net.training and all(p.requires_grad and p.grad is None for p in net.parameters()),
        "weights": all(torch.equal(value, weights[name]) for name, value in net.state_dict().items()),
        "registered": "mnist/Net" in models,
        "correct": {name: {record.key: record.outcomes["foolbox"].correct for record in results.records}
                    for name, results in found.items()},
    }))

if __name__ == "__main__":
    main()
"""


def run(folder: Path, *command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, input=text, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mine")
    (place / "nets.py").write_text(NETS)
    (place / "script.py").write_text(SCRIPT)
    return place


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, Any]:
    """What the script says in one line of JSON: a run that no one watches prints nothing itself."""
    (line,) = run(folder, "script.py").stdout.splitlines()
    return json.loads(line)


def test_what_the_script_computes_itself_goes_on_as_if_nothing_had_been_evaluated(said: dict[str, Any]) -> None:
    """Random states, number of threads and modes; and its network is in no registry, has its weights and trains on."""
    assert (said["untouched"], said["training"], said["weights"], said["registered"]) == (True, True, True, False)


def test_nothing_is_written(folder: Path, said: dict[str, Any]) -> None:
    assert sorted(path.name for path in folder.rglob("*")) == ["nets.py", "script.py"]


def test_worker_processes_find_the_network_of_the_script(said: dict[str, Any]) -> None:
    assert len(said["correct"]["here"]) == 2
    assert said["correct"]["workers"] == said["correct"]["here"]


def test_another_process_has_the_same_keys_and_finds_them_in_a_store(
    folder: Path, said: dict[str, Any], tmp_path: Path
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (line,) = run(tmp_path, "script.py", "store").stdout.splitlines()
    assert json.loads(line)["correct"]["stored"] == said["correct"]["here"]
    with Store(tmp_path / "r.sqlite") as store:
        assert {record.key for record in store.records()} == set(said["correct"]["here"])


def test_the_command_line_has_the_keys_of_the_script(folder: Path, said: dict[str, Any], tmp_path: Path) -> None:
    arguments = ["--model", "nets:make", "--dataset", "mnist", "--suite", "smoke", "--examples", "4"]
    arguments += ["--attack", "fgsm", "--attack", "pgd-l2", "--library", "foolbox"]
    run(folder, "-m", "benchmark.run", *arguments, "--store", str(tmp_path / "r.sqlite"))
    with Store(tmp_path / "r.sqlite") as store:
        assert {record.key for record in store.records()} == set(said["correct"]["named"])


def test_a_network_that_is_in_no_file_at_all_is_evaluated(tmp_path: Path) -> None:
    """Typed into an interpreter. Its weights are random there, as the networks of tutorials are."""
    typed = SCRIPT.split("def state", maxsplit=1)[0] + (
        "from benchmark import evaluate\n"
        "r = evaluate(Net(), 'mnist', family='frequentist', suite='smoke', examples=4, libraries=['foolbox'])\n"
        "print({record.cell.model for record in r.records}, r.errors)\n"
    )
    assert run(tmp_path, "-", text=typed).stdout == "{'mnist/Net'} {}\n"
    assert list(tmp_path.iterdir()) == []
