"""The guides in the site, notebooks among them, and the reference: every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.publications import PROJECT, _guides
from benchmark.reports.site import site
from benchmark.reports.site.documents import linked, place
from benchmark.reports.site.notebooks import notebook
from benchmark.reports.site.reference import FIRST, reference_pages
from benchmark.results import Results
from tests.benchmark.reports.html_pages import parsed

ROOT = PROJECT.parent
DOCUMENTS = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])
GUIDES = {
    "../docs/method.md": b"# What is measured\n\nIt is. See [agreement](../leaderboards/agreement.md), "
    b"[how](running.md#all) and [the code](../benchmark/api.py).\n",
    "../docs/running.md": b"# Running it\n\nWith [the house](../ARCHITECTURE.md).\n",
    "../ARCHITECTURE.md": b"# Architecture\n\nFloors. [Why](docs/method.md).\n",
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_the_documents_lead_to_files_of_the_repository(document: Path) -> None:
    folder = document.parent.relative_to(ROOT).as_posix()
    name = document.name if folder == "." else f"{folder}/{document.name}"
    targets = list(linked(document.read_text(), name))
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_guides_are_pages_that_lead_to_each_other_and_to_the_reports(
    results: Results, contents: dict[str, bytes]
) -> None:
    files = site(results, contents, lambda name: None, guides=GUIDES)
    page = parsed(files["guide/method.html"].decode())
    links = [link.attributes["href"] for link in page.all("main")[0].all("a")] if page.all("main") else []
    assert "../reports/agreement.html" in links
    assert "running.html#all" in links
    assert not any("api.py" in link for link in links)
    index = parsed(files["guide/index.html"].decode()).text
    assert index.index("What is measured") < index.index("Running it") < index.index("Architecture")
    assert "Functions and classes" not in index
    assert "guide/index.html" in files["index.html"].decode()
    assert "../guide/index.html" in files["reports/index.html"].decode()


def test_a_notebook_is_a_page_with_its_figures(results: Results, contents: dict[str, bytes], tmp_path: Path) -> None:
    found = notebook(ROOT / "docs" / "notebooks" / "your-own-data.ipynb", "../docs/notebooks/your-own-data.ipynb")
    images = [name for name in found if name.endswith(".png")]
    assert images
    more = GUIDES | {"../docs/data.md": b"# Data\n\n[A notebook](notebooks/your-own-data.ipynb).\n"} | found
    files = site(results, contents, lambda name: None, guides=more)
    assert 'href="your-own-data.html"' in files["guide/data.html"].decode()
    page = parsed(files["guide/your-own-data.html"].decode())
    assert {f"guide/{image.attributes['src']}" for image in page.all("img")} == {place(name) for name in images}
    assert all(files[place(name)].startswith(b"\x89PNG") for name in images)
    (tmp_path / "no.ipynb").write_text("nothing")
    with pytest.raises(ValueError, match=r"no\.ipynb is no notebook"):
        notebook(tmp_path / "no.ipynb", "../docs/notebooks/no.ipynb")


def test_without_guides_nothing_leads_to_them(files: dict[str, bytes]) -> None:
    assert not any("guide/index.html" in content.decode() for name, content in files.items() if name.endswith(".html"))


def test_the_projects_guides_are_its_documents_in_reading_order() -> None:
    found = list(_guides(PROJECT))
    assert found[0] == "../docs/method.md"
    assert {"../docs/glossary.md", "../docs/citing.md", "../SECURITY.md"} <= set(found)
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= {Path(name).name for name in found}
    assert len({place(name) for name in found}) == len(found)


def test_the_reference_shows_what_is_exported_with_its_docstring(results: Results, contents: dict[str, bytes]) -> None:
    pages = reference_pages()
    page = pages[FIRST].decode()
    assert "Attack networks with a suite; the results, ranked and judged." in page
    assert "certified" in pages["reference/zoo/bounds.html"].decode()
    assert not re.search(r'(?:src|href)="https?://(?!pdoc\.dev)', page)  # nothing is loaded from elsewhere
    files = site(results, contents, lambda name: None, guides=GUIDES, reference=pages)
    assert f"../{FIRST}" in files["guide/index.html"].decode()
    assert files[FIRST] == pages[FIRST]
