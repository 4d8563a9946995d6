"""A stranger makes his submission: what is refused before any work is lost, and what a folder gives back."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmark.submission.folder import Folder
from benchmark.submission.making import _modules, _write_network
from benchmark.submission.network import network_of
from benchmark.submission.reading import read
from benchmark.submission.registration import AboutNetwork
from benchmark.submission.source import modules_of, to_read
from tests.benchmark.submission.conftest import Honest
from tests.benchmark.submission.forging import reseal
from tests.benchmark.submission.stranger import IMAGES, REFERENCE, submit
from zoo import models
from zoo.catalogue.registry import find_entry
from zoo.kind import Said


def test_the_folder_holds_what_builds_the_network_and_nothing_else(honest: Honest) -> None:
    files = {path.relative_to(honest.folder).as_posix() for path in honest.folder.rglob("*") if path.is_file()}
    assert files == {
        "submission.json", "network.safetensors", "network.json", "source/stranger/__init__.py",
        "source/stranger/nets.py", "source/stranger/parts.py", "records/tiny-bars/net.json.xz",
        "records/tiny-bars/net-adaptive.json.xz",
    }  # fmt: skip
    card = json.loads((honest.folder / "network.json").read_text())
    assert card["results"]["accuracy"] == pytest.approx(5 / 6)
    assert card["results"]["examples"] == IMAGES
    assert card["parameters"] == 36 * 8 + 8 + 8 * 3 + 3
    registered = models["tiny-bars/net"]
    assert registered.weights is not None
    assert (honest.folder / "network.safetensors").read_bytes() == registered.weights.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what is submitted"),
        ([REFERENCE], "--licence is missing"),
        ([REFERENCE, "--licence", "Apache-2"], "named 'Apache-2'; did you mean Apache-2.0"),
        ([REFERENCE, "--licence", "MIT", "--out", "."], "--out .: there is something already"),
        ([REFERENCE, "--licence", "MIT", "--name", "../x"], "--name '../x': choose a word"),
        (["mnist/lenet", "--licence", "MIT", "--out", "x"], "mnist/lenet is the zoo's own"),
        (["mnist/lennet", "--licence", "MIT"], "did you mean"),
        (
            [REFERENCE, "--licence", "MIT", "--out", "x", "--store", "none"],
            "no store none; run: python -m benchmark.run",
        ),
        (
            [REFERENCE, "--licence", "MIT", "--out", "x", "--examples", "3"],
            "--examples 3: leaderboards are of at least 6",
        ),
        ([REFERENCE, "--run"], "--run and --seed are of a check"),
        (["--check", "nowhere"], "--check nowhere: there is no such folder"),
        ([REFERENCE, "--check", "."], "leave out stranger.nets:net"),
        (["mnist/mlp", "--licence", "MIT", "--images", "a.npz"], "--eps is missing"),
        (["mnist/mlp", "--licence", "MIT", "--images", "a.npz", "--eps", "0.1"], "--name is missing"),
    ],
)
def test_a_mistake_is_one_clear_line_and_nothing_is_written(
    honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results.sqlite").write_bytes((honest.place / "results.sqlite").read_bytes())
    said = submit(*arguments)
    assert said.exit_code == 2, said.output
    assert message in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("results")] == []


def test_an_incomplete_suite_is_refused_with_the_command_that_completes_it(honest: Honest, tmp_path: Path) -> None:
    from benchmark.records.store import Store

    with Store(honest.place / "results.sqlite") as whole, Store(tmp_path / "part.sqlite") as part:
        for record in whole.records():
            if record.cell.attack.name != "bim":
                part.put(record)
    out, store = tmp_path / "out", tmp_path / "part.sqlite"
    said = submit(REFERENCE, "--licence", "MIT", "--examples", IMAGES, "--store", store, "--out", out)
    assert said.exit_code == 2
    assert "the adaptive suite of tiny-bars/net is not complete in the store: 2 of at least" in said.stderr
    command = f"run: python -m benchmark.run --suite adaptive --model {REFERENCE} --examples 6 --store {store}"
    assert command in said.stderr
    assert not out.exists()


PACKAGE = {
    "__init__": "",
    "parts": "from torch import nn\ndef body():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n",
    "nets": """
import torch
from torch import nn
from zoo import register_model
from zoo.layers import BayesianLinear
from . import parts

def bare():
    return parts.body()

@register_model("mnist/with-mean", dataset="mnist", normalize=((0.1,), (0.3,)))
def normalised():
    return parts.body()

@register_model("mnist/likely", dataset="mnist", outputs="probabilities")
def likely():
    return nn.Sequential(parts.body(), nn.Softmax(1))

def drawn():
    return nn.Sequential(nn.Flatten(), BayesianLinear(784, 10, rho=-3.0))

def dropped():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Dropout(0.5))

def several():
    return [parts.body(), parts.body()]

def shared():
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 784), nn.ReLU(), nn.Linear(784, 784), nn.Linear(784, 10))
    net[3].weight = net[1].weight
    return net
""",
}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("bare", Said()),
        ("normalised", Said()),
        ("likely", Said(outputs="probabilities")),
        ("drawn", Said()),
        ("dropped", Said(randomness="dropout")),
        ("several", Said()),
        ("shared", Said("frequentist")),
    ],
)
def test_the_folder_alone_builds_the_very_network(
    honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, said: Said
) -> None:
    """Whatever kind it is, registered or not, with weights in a file or its factory's own."""
    name = f"kinds_{function}"
    for module, text in PACKAGE.items():
        (path := tmp_path / name / f"{module}.py").parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    entry = find_entry(f"{name}.nets:{function}", "mnist", said)
    place, reference = tmp_path / "made", f"{name}.nets:{function}"
    _write_network(place, entry, _modules(entry, reference), read(Folder(honest.folder)))
    about = Folder(honest.folder).about
    assert isinstance(about, AboutNetwork)
    as_said = {"family": entry.family, "randomness": entry.randomness, "outputs": entry.outputs}
    changes = {"reference": reference, "name": entry.name, "dataset": "mnist", **as_said}
    own = models[entry.name]
    with network_of(place, about.model_copy(update=changes)) as found:
        assert found.weights == place / "network.safetensors"
        assert found.fingerprint == entry.fingerprint
        assert found.behaviour() == entry.behaviour()
        assert place in found.source.parents
    assert models[entry.name] is own
    assert sys.modules[f"{name}.nets"].__file__ == str(tmp_path / name / "nets.py")
    assert not list(place.rglob("__pycache__"))


def test_a_network_that_its_folder_does_not_build_is_refused(
    honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose factory reads a file that is not submitted: `make` looks before the folder is there."""
    from benchmark.submission import making

    def elsewhere(*arguments: object) -> None:
        genuine(*arguments)
        (arguments[0] / "source" / "stranger" / "parts.py").write_text(
            "from torch import nn\nlayers = open('x').read\n"
        )

    genuine = making._write_network
    monkeypatch.setattr(making, "_write_network", elsewhere)
    out = tmp_path / "out"
    options = "--licence", "MIT", "--examples", IMAGES, "--store", honest.place / "results.sqlite", "--out", out
    said = submit(REFERENCE, *options)
    assert said.exit_code == 2
    assert "cannot be imported from the folder alone: FileNotFoundError" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_modules_are_found_by_their_imports_and_libraries_stay_out(tmp_path: Path) -> None:
    files = {
        "pack/__init__.py": "",
        "pack/nets.py": "import torch\nfrom .deep import inner\ndef net():\n    import lone\n    return inner.body",
        "pack/deep/__init__.py": "from pack.deep.inner import body",
        "pack/deep/inner.py": "from ... import pack\nbody = 1",
        "pack/unused.py": "",
        "lone.py": "import math",
        "wild.py": "import pandas",
    }
    for name, text in files.items():
        (path := tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = set(modules_of("pack.nets", tmp_path))
    assert found == {"pack/__init__.py", "pack/nets.py", "pack/deep/__init__.py", "pack/deep/inner.py", "lone.py"}
    with pytest.raises(ValueError, match=r"wild.py, line 1: imports pandas; a network is made of numpy, torch"):
        modules_of("wild", tmp_path)


def test_a_reviewer_is_shown_where_to_look() -> None:
    text = (
        "import torch\nx = torch.load('a')\ny = eval('1')\nz = (1).__reduce__\nclass A:\n    def __init__(self): ...\n"
    )
    assert to_read({"a.py": text}) == [
        "source/a.py:2: x = torch.load('a')", "source/a.py:3: y = eval('1')", "source/a.py:4: z = (1).__reduce__"
    ]  # fmt: skip


def test_the_schema_check_executes_nothing_of_the_submission_and_imports_no_torch(folder: Path) -> None:
    """In a process of its own, that does not know the data set: what is parsed before that is enough to see it."""
    (folder / "source" / "stranger" / "nets.py").write_text("raise SystemExit('executed')")
    reseal(folder)
    code = f"""
import sys
from pathlib import Path
from benchmark.submission.schema import check
from benchmark.submission.summary import schema_text
print(schema_text(check(Path({str(folder)!r}))))
print([name for name in ("torch", "stranger") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")
    assert "**weights**" not in done.stdout
    assert "no data set 'tiny-bars'" in done.stdout


def test_weights_are_loaded_from_the_folder_whatever_the_registration_says(folder: Path) -> None:
    about = Folder(folder).about
    assert isinstance(about, AboutNetwork)
    with network_of(folder, about) as entry:
        assert entry.weights == folder / "network.safetensors"
        network = entry.build()
    assert isinstance(network, nn.Module)
    with torch.no_grad():
        assert torch.equal(network(torch.zeros(1, 1, 6, 6)), replace(entry).build()(torch.zeros(1, 1, 6, 6)))
