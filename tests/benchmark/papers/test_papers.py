"""A new paper is a folder and a line: its suite is run and its page is shown, and nothing else is told of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark import papers
from benchmark.papers import PAPERS, Paper
from benchmark.plan.suite import Suite
from benchmark.protocol import LIBRARIES
from benchmark.records.store import Store
from benchmark.registry import suites
from benchmark.render import own_pages, project_pages
from benchmark.run import app
from tests.benchmark.handmade import make

SECOND = {
    "suite.py": """
from benchmark.protocol import standard_attack
from benchmark.plan.suite import Suite


class SecondSuite(Suite):
    def attacks(self, subject, selection):
        return [standard_attack("fgsm", 0.05)]

    def libraries(self, spec, start, selection):
        return ("torchattacks",)


SECOND_SUITE = SecondSuite("second", "one attack of another paper about robustness", 5, ("mnist/logistic",))
""",
    "page.py": """
from matplotlib.figure import Figure

from benchmark.reports.page import render_page
from benchmark.reports.publish import Generated, in_folder


def report(results, folder):
    cells = [record.cell.label for record in results.records if record.cell.model == "mnist/logistic"]
    page = render_page("second.md", __package__, cells=cells, images=5)
    figures = in_folder(folder, {"second": Figure})
    return Generated({folder / "second.md": page}, figures, links=("[its one attack](second.md)",))
""",
    "second.md": "# A second paper\n\n{% for cell in cells %}\n- {{ cell }}: {{ images }} images\n{% endfor %}\n",
    "__init__.py": '"""Another paper about robustness."""\n',
}


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paper]:
    """A folder beside those of the other papers, and its line."""
    folder = tmp_path / "papers" / "second"
    folder.mkdir(parents=True)
    for name, text in SECOND.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(papers, "__path__", [*papers.__path__, str(folder.parent)])
    from benchmark.papers.second.suite import SECOND_SUITE  # type: ignore[import-not-found]

    paper = Paper("second", "Second 2020", SECOND_SUITE)
    monkeypatch.setattr(papers, "PAPERS", (*PAPERS, paper))
    yield paper
    for module in [name for name in sys.modules if name.startswith("benchmark.papers.second")]:
        del sys.modules[module]


def test_a_second_paper_is_a_folder_and_a_line(second: Paper, tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["--list"])
    assert listed.exit_code == 0, listed.output
    assert "one attack of another paper" in listed.output
    assert suites()["second"] is second.suite

    store = tmp_path / "results.sqlite"
    run = CliRunner().invoke(app, ["--suite", "second", "--store", str(store)])
    assert run.exit_code == 0, run.output
    with Store(store) as opened:
        (record,) = opened.records()
    assert (record.cell.model, record.cell.attack.threat.eps, record.cell.libraries) == (
        "mnist/logistic", 0.05, ("torchattacks",),
    )  # fmt: skip
    assert len(record.examples) == 5

    folder = tmp_path / "leaderboards"
    generated = project_pages([record], folder).generated
    assert f"- {record.cell.label}: 5 images\n" in generated.texts[folder / "second.md"]
    assert "- Second 2020: [its one attack](second.md)\n" in generated.texts[folder / "README.md"]
    assert folder / "figures" / "second.png" in generated.figures
    own = own_pages([record], [], tmp_path / "mine").generated
    assert "second" not in own.texts[tmp_path / "mine" / "README.md"]  # which has nothing to say of a user's runs


def test_every_link_of_the_front_page_leads_to_what_its_report_wrote(tmp_path: Path) -> None:
    attacks = ("fgsm", "bim", "pgd-linf")
    records = [make("mnist/a", attack, 0.1, {library: [True, False] for library in LIBRARIES}) for attack in attacks]
    generated = project_pages(records, tmp_path).generated
    written = {path.relative_to(tmp_path).as_posix() for path in generated.texts}
    for line in generated.links:
        for target in [part.split(")")[0] for part in line.split("](")[1:]]:
            assert target in written, line


def test_two_suites_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "PAPERS", (*PAPERS, Paper("third", "Third 2021", Suite("whitebox", "", 1))))
    with pytest.raises(ValueError, match="two suites 'whitebox'; give that of Third 2021 another name"):
        suites()


def test_every_paper_has_a_folder_with_a_report() -> None:
    folders = {path.name for path in Path(papers.__path__[0]).iterdir() if (path / "page.py").is_file()}
    assert folders == {paper.name for paper in PAPERS}
    assert {"paper", "anchors"} <= suites().keys()
