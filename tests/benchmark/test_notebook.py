"""`evaluate` in a notebook: what a user types into cells is run by a kernel, and looked at as he sees it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

DEFINING = """
import torch
from torch import nn
from benchmark import compare, evaluate

class Net(nn.Module):
    def __init__(self, rate=0.0):
        super().__init__()
        self.drop, self.linear = nn.Dropout(rate), nn.Linear(784, 10)

    def forward(self, x):
        return self.linear(self.drop(x.flatten(1)))

def make():
    return Net()

net = make()
"""
EVALUATING = 'r = evaluate(net, "mnist", family="frequentist", suite="smoke", examples=8)'
CELLS = {
    "define": DEFINING,
    "define again": DEFINING,
    "evaluate": EVALUATING,
    "evaluate again": EVALUATING,
    "results": "r",
    "boards": "r.boards",
    "frame": "r.df.head()",
    "audit": "r.audit()",
    "curve": 'r.curve("bim")',
    "compare": 'compare(r, evaluate("mnist/logistic", suite="smoke", examples=8))',
    "dropout": 'b = evaluate(Net(0.5).train(), "mnist", randomness="dropout", suite="smoke", examples=8, draws=2)',
    "bayesian": "b",
    "function": 'evaluate(make, "mnist", suite="smoke", examples=8, attacks=["fgsm"], libraries=["foolbox"])',
    "class": 'evaluate(Net, "mnist", family="frequentist", suite="smoke", examples=8, libraries=["foolbox"])',
    "not there": 'evaluate(Net(0.5), "mnist", family="bayesian", suite="smoke", examples=8)',
}
MAY_FAIL = {"not there"}
Run = Callable[[dict[str, str]], dict[str, list[nbformat.NotebookNode]]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, kernel: str) -> Run:
    """Runs cells in a kernel of this interpreter; what each then shows. A cell that fails, and may not, is an error."""

    def executed(cells: dict[str, str]) -> dict[str, list[nbformat.NotebookNode]]:
        folder = tmp_path_factory.mktemp("notebook")
        path = folder / "mine.ipynb"
        nbformat.write(new_notebook(cells=[_cell(name, source) for name, source in cells.items()]), path)
        before = path.read_bytes()
        notebook = nbformat.read(path, as_version=4)
        where = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, kernel_name=kernel, timeout=300, resources=where).execute()
        assert list(folder.iterdir()) == [path]  # nothing was written beside it
        assert path.read_bytes() == before
        return {name: cell.outputs for name, cell in zip(cells, notebook.cells, strict=True)}

    return executed


def _cell(name: str, source: str) -> nbformat.NotebookNode:
    tags = ["raises-exception"] if name in MAY_FAIL else []
    return new_code_cell(source.strip(), metadata={"tags": tags})


@pytest.fixture(scope="module")
def shown(run: Run) -> dict[str, list[nbformat.NotebookNode]]:
    return run(CELLS)


def result(outputs: list[nbformat.NotebookNode]) -> dict[str, str]:
    """What a cell's last line is shown as, by type."""
    (found,) = [output.data for output in outputs if output.output_type == "execute_result"]
    return found


def errors(outputs: list[nbformat.NotebookNode]) -> list[str]:
    return [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"]


def test_no_cell_fails_but_the_one_that_names_a_posterior_where_there_is_none(
    shown: dict[str, list[nbformat.NotebookNode]],
) -> None:
    assert {name for name in CELLS if errors(shown[name])} == {"not there"}
    (error,) = errors(shown["not there"])
    assert error.startswith("ValueError: mnist/Net")
    assert "randomness='dropout' turns on nn.Dropout layers" in error
    assert "make" in result(shown["function"])["text/plain"]


def test_a_class_of_the_notebook_builds_the_network_as_a_function_does(
    shown: dict[str, list[nbformat.NotebookNode]],
) -> None:
    assert errors(shown["class"]) == []


def test_the_results_are_a_table_of_text(shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    for name, family in (("results", "frequentist"), ("bayesian", "bayesian")):
        found = result(shown[name])
        assert set(found) == {"text/plain"}
        first, *lines = found["text/plain"].splitlines()
        assert first.startswith("mnist: 8 images, libraries agree: identical, same-verdict")
        (line,) = [line for line in lines if line.startswith("Net ")]  # however often it was defined
        assert family in line


def test_the_results_are_shown_once(shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    assert [output.output_type for output in shown["results"]] == ["execute_result"]


def test_boards_name_what_they_are_of(shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    assert "Board(mnist, linf, eps 0.1, 8 images)" in result(shown["boards"])["text/plain"]


def test_frames_are_tables(shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    frame, comparison = (result(shown[name])["text/html"] for name in ("frame", "compare"))
    assert "<table" in frame
    assert frame.count("<td>mnist/Net</td>") == 5
    assert "<th>more_robust</th>" in comparison
    assert comparison.count("<td>mnist</td>") == 2


def test_the_audit_is_markdown(shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    found = result(shown["audit"])
    assert set(found) == {"text/plain", "text/markdown"}
    assert found["text/markdown"].startswith("# Audit of mnist/Net\n\n**")
    assert found["text/plain"].strip() == found["text/markdown"].strip()


def test_the_curve_is_a_picture(shown: dict[str, list[nbformat.NotebookNode]]) -> None:
    found = result(shown["curve"])
    assert base64.b64decode(found["image/png"]).startswith(b"\x89PNG\r\n")
    assert "accuracy" in found["text/plain"]


def test_a_run_says_what_it_found_and_is_one_line_that_ends_with_the_time_it_took(
    shown: dict[str, list[nbformat.NotebookNode]],
) -> None:
    for name, random in (("evaluate", "one network, none random"), ("dropout", "averaged over dropout")):
        found, run = (output.data["text/plain"] for output in shown[name] if output.output_type == "display_data")
        assert random in found
        assert re.fullmatch(r"4/4 cells, \d+ s", run)
    said = [output.text for outputs in shown.values() for output in outputs if output.output_type == "stream"]
    assert [text for text in said if "IProgress not found" not in text] == []  # tqdm says that, where a library asks it


@pytest.mark.slow
def test_a_network_of_the_notebook_is_not_sent_to_worker_processes(run: Run) -> None:
    shown = run({"define": DEFINING, "not there": EVALUATING.replace("examples=8", "examples=8, workers=2")})
    (error,) = errors(shown["not there"])
    assert "mnist/Net cannot be sent to worker processes" in error
