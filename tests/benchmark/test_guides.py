"""The notebooks of the guide: what they say is run, and what they show is what their text says of it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

GUIDES = sorted((Path(__file__).resolve().parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def shown(notebook: nbformat.NotebookNode) -> list[set[str]]:
    """Cell by cell the types of what it shows."""
    return [{kind for output in cell.get("outputs", []) for kind in output.get("data", {})} for cell in notebook.cells]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_a_guide_runs_and_shows_what_it_showed(path: Path, tmp_path: Path, kernel: str) -> None:
    committed, run = nbformat.read(path, as_version=4), nbformat.read(path, as_version=4)
    NotebookClient(run, kernel_name=kernel, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert shown(run) == shown(committed)


def test_a_single_draw_hides_what_the_average_shows() -> None:
    """The second guide's point, in the numbers that it was committed with."""
    (path,) = [path for path in GUIDES if path.stem == "is-your-posterior-robust"]
    cells = nbformat.read(path, as_version=4).cells
    (table,) = [out.data["text/plain"] for out in cells[3].outputs if out.output_type == "execute_result"]
    lines = [line.split() for line in table.splitlines()[2:]]
    assert len(lines) == 4
    assert all(float(expected) < float(single) for *_, expected, single in lines)
