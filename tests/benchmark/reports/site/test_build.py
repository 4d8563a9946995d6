"""The site, without a browser: its links lead somewhere, its numbers are those of the results, it loads nothing."""

from __future__ import annotations

import dataclasses
import json
import posixpath
import re
import sys
from collections.abc import Iterator
from urllib.parse import unquote

import numpy as np
import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.cells import Reading
from benchmark.plan.certify_suite import bound
from benchmark.protocol import BOUNDS_VERSION
from benchmark.records.parts import Certificate
from benchmark.records.record import Record
from benchmark.reports.site import require, site
from benchmark.results import Results
from benchmark.results.entries import Entry
from benchmark.results.images import AttackedImages
from benchmark.results.rows import Row
from tests.benchmark.reports.html_pages import Element, parsed
from tests.benchmark.reports.site.conftest import HOSTILE

STATEFUL = ("boards.html", "compare.html")  # what follows # in a link to them is what is shown


@pytest.fixture(scope="module")
def pages(files: dict[str, bytes]) -> dict[str, Element]:
    return {path: parsed(content.decode()) for path, content in files.items() if path.endswith(".html")}


def links(page: Element) -> Iterator[tuple[str, str]]:
    """(tag, address) of all that a page leads to or loads."""
    for element in page.all("*"):
        for name in ("href", "src"):
            address = element.attributes.get(name)
            if address is not None and element.tag != "use":
                yield element.tag, address


def test_every_link_resolves_to_a_file_of_the_site_by_a_relative_path(
    files: dict[str, bytes], pages: dict[str, Element]
) -> None:
    anchors = {path: {one.attributes.get("id") for one in page.all("*")} for path, page in pages.items()}
    assert {"index.html", "boards.html", "curves.html", "compare.html", "downloads.html", "reports/index.html"} <= set(
        pages
    )
    count = 0
    for path, page in pages.items():
        for _, address in links(page):
            if address.startswith("data:"):
                continue
            assert not re.match(r"[a-z]+:|/", address), (path, address)
            to, _, anchor = address.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(to))) if to else path
            assert target in files, (path, address)
            assert not anchor or target in STATEFUL or anchor in anchors[target], (path, address)
            count += 1
    assert count > 100


def test_nothing_is_loaded_from_elsewhere(files: dict[str, bytes], pages: dict[str, Element]) -> None:
    for path, page in pages.items():
        for tag, address in links(page):
            assert tag == "a" or not re.match(r"(https?:)?//", address), (path, address)
        assert not page.all("iframe")
    styles = files["assets/site.css"].decode()
    assert "@import" not in styles
    assert "url(" not in styles
    ours = [content.decode() for path, content in files.items() if re.fullmatch(r"assets/[a-z]+\.js", path)]
    assert len(ours) == 4
    assert not any("http" in text or "fetch(" in text for text in ours)


def test_our_own_scripts_are_short_and_those_of_others_come_with_their_licences(files: dict[str, bytes]) -> None:
    ours = {path: content for path, content in files.items() if re.fullmatch(r"assets/[a-z]+\.js", path)}
    assert sum(content.count(b"\n") for content in ours.values()) < 300
    others = {posixpath.basename(path) for path in files if path.startswith("assets/") and path.endswith(".min.js")}
    assert {re.sub(r"-[\d.]+\.min\.js$", ".LICENSE", name) for name in others} <= {
        posixpath.basename(path) for path in files
    }
    assert all(re.search(r"-\d+\.\d+\.\d+\.min\.js$", name) for name in others)


def test_every_row_of_every_board_is_on_the_page_with_its_numbers(results: Results, pages: dict[str, Element]) -> None:
    (table,) = pages["boards.html"].all("table", id="boards")
    lines = table.all("tbody")[0].children
    expected = [(board, row) for board in results.boards for row in board.rows]
    assert len(lines) == len(expected) == 3
    for line, (board, row) in zip(lines, expected, strict=True):
        assert line.attributes["data-dataset"] == board.dataset
        assert line.attributes["data-verdict"] == row.status
        cells = {str(cell.attributes["class"]).split()[0]: cell for cell in line.children}
        low, high = row.worst.interval
        said = f"{100 * row.worst.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        assert cells["c-worst"].text == said
        assert cells["c-rank"].text == ("–" if row.rank is None else str(row.rank))
        assert cells["c-clean"].text == f"{100 * row.clean.value:.1f}"
        assert cells["c-whitebox"].text == f"{100 * row.whitebox.value:.1f}"
        assert cells["c-fgsm"].text == f"{100 * row.attacks['fgsm'].value:.1f}"
        assert interval(cells["c-drawn"]) == [round(100 * low, 1), round(100 * high, 1)]


def test_what_is_certified_is_a_column_that_says_at_which_eps(
    results: Results, contents: dict[str, bytes], pages: dict[str, Element]
) -> None:
    """Bounds keep 70 of lenet's images at 0.05, 20 at 0.1; of its twin 30 at 0.05 and none at 0.1."""
    kept = {("mnist/lenet", 0.05): 70, ("mnist/lenet", 0.1): 20, ("mnist/bayesian-lenet", 0.05): 30}
    bounds = [bounded(results, *which, count) for which, count in [*kept.items(), (("mnist/bayesian-lenet", 0.1), 0)]]
    files = site(Results([*results.records, *bounds], protocol=True), contents, lambda name: None)
    (table,) = parsed(files["boards.html"].decode()).all("table", id="boards")
    cells = {
        line.all("th")[0].attributes["data-order"]: line.all("td", class_="c-certified number")[0]
        for line in table.all("tbody")[0].children
    }
    assert cells["lenet"].text == "20.0 (at eps 0.1)"
    assert cells["bayesian-lenet"].text == "0.0 (30.0 at eps 0.05)"
    assert [cells[name].attributes["data-order"] for name in ("lenet", "bayesian-lenet")] == ["0.2", "0.0"]
    (without,) = (cell for name, cell in cells.items() if "lenet" not in str(name))
    assert (without.text, without.attributes["data-order"]) == ("", "-1.0")
    assert "certified" in [one.attributes.get("value") for one in parsed(files["boards.html"].decode()).all("input")]
    rows = {row["network"]: row["certified"] for row in json.loads(files["downloads/boards.json"])[0]["rows"]}
    assert rows["mnist/lenet"]["survives"] == 20
    assert rows[HOSTILE] is None
    assert not pages["boards.html"].all("td", class_="c-certified number")  # where no network has bounds


def bounded(results: Results, model: str, eps: float, count: int) -> Record:
    """Bounds of the first hundred images, of which the first so many are certified."""
    base = next(one for one in results.records if one.cell.model == model)
    draws = base.cell.judge_draws
    cell = dataclasses.replace(
        base.cell,
        attack=bound(ThreatModel("linf", eps)),
        libraries=("bounds",),
        reading=Reading.CERTIFIED,
        attack_draws=draws,
    )
    return dataclasses.replace(
        base,
        key=f"bound {model} {eps}",
        cell=cell,
        outcomes={},
        agreement=[],
        certificate=Certificate([0.25 if i < count else -0.5 for i in range(len(base.examples))]),
        provenance={**base.provenance, "seconds": 1.0},
        fingerprints={**base.fingerprints, "bounds": BOUNDS_VERSION},
    )


def interval(cell: Element) -> list[float]:
    (path,) = cell.all("path", class_="interval")
    return [float(number) for number in re.findall(r"[MH]([\d.]+)", str(path.attributes["d"]))]


def test_the_overview_says_what_the_paired_tests_say(results: Results, pages: dict[str, Element]) -> None:
    page = pages["index.html"]
    assert "In 1 paired test against" in page.text
    assert "more robust in 0, less robust in 1, and in 0 the two cannot be told apart" in page.text
    lines = {
        line.children[0].text: line for line in page.all("tr") if line.children[0].attributes.get("scope") == "row"
    }
    rows = {row.configuration.model: row for board in results.boards for row in board.rows}
    for name, row in rows.items():
        cell = lines[name.removeprefix("mnist/")].all("td")[1]
        assert cell.text.startswith(f"{100 * row.worst.value:.1f}")
    assert "certainly less robust than its twin" in lines["bayesian-lenet"].text
    assert list(lines)[:2] == ["lenet", "bayesian-lenet"]


def test_a_comparison_shows_the_paired_test(results: Results, pages: dict[str, Element]) -> None:
    (board,) = results.boards
    shown = {str(one.attributes["data-pair"]): one for one in pages["compare.html"].all("section", class_="pairing")}
    assert len(shown) == 3
    pair = next(
        one for one in board.pairs if HOSTILE not in {one.first.configuration.model, one.second.configuration.model}
    )
    cells = [cell.text for cell in shown["mnist/bayesian-lenet|mnist/lenet"].all("tbody")[0].children[0].children]
    assert cells[3:] == ["0", "40", "100", f"{pair.corrected:.2g}", "lenet"]


def test_the_entry_page_has_card_numbers_and_citation(results: Results, pages: dict[str, Element]) -> None:
    page = pages["entries/mnist-lenet.html"]
    (entry,) = (one for one in results.entries if one.name == "mnist/lenet")
    assert f"{100 * entry.rows[0].worst.value:.1f}" in page.text
    for heading in (
        "Verdict",
        "Robust accuracy",
        "Can the figures be believed?",
        "How it was made",
        "Ranks",
        "Model card",
    ):
        assert heading in [one.text for one in page.all("h2")]
    assert "@software{robustness-zoo," in page.text
    assert "python -m benchmark" in page.text or "evaluate(" in page.text
    assert "../compare.html#a=mnist/lenet&b=mnist/bayesian-lenet" in [unquote(address) for _, address in links(page)]


def test_names_are_escaped_wherever_they_are_shown(files: dict[str, bytes], pages: dict[str, Element]) -> None:
    (path,) = (path for path in pages if path.startswith("entries/") and "lenet" not in path)
    assert re.fullmatch(r"entries/[\w.-]+\.html", path)
    assert pages[path].all("h1")[0].text == " ".join(HOSTILE.split())
    for page, content in files.items():
        if page.endswith(".html"):
            assert HOSTILE.encode() not in content, page
            assert b"<b>\"&'" not in content, page


def test_numbers_as_json_are_exact(results: Results, files: dict[str, bytes]) -> None:
    (board,) = json.loads(files["downloads/boards.json"])
    (expected,) = results.boards
    assert (board["norm"], board["eps"], board["images"]) == (expected.norm, expected.eps, 100)
    assert [line["worst_case"] for line in board["rows"]] == [share(row) for row in expected.rows]


def share(row: Row) -> dict[str, object]:
    low, high = row.worst.interval
    return {"survives": row.worst.hits, "images": row.worst.count, "low": low, "high": high}


def test_charts_are_of_the_expected_gradient_alone(files: dict[str, bytes], pages: dict[str, Element]) -> None:
    (found,) = pages["curves.html"].all("script", id="specs")
    specs = json.loads("".join(found.pieces))
    assert set(specs) == {"mnist-worst-case-of-all-attacks-linf", "mnist-fgsm-alone-linf"}
    (values,) = (one["values"] for one in specs["mnist-fgsm-alone-linf"]["data"] if "values" in one)
    assert [(one["eps"], one["accuracy"]) for one in values] == [(0, 100), (0.1, 80)]
    assert {signal["name"] for signal in specs["mnist-fgsm-alone-linf"]["signals"]} >= {"focus", "width"}
    assert b"vega" not in files["index.html"] + files["boards.html"]


def test_the_first_view_is_small(files: dict[str, bytes]) -> None:
    """The templates' part of it; what grows with the records is measured in the browser."""
    assert sum(len(files[path]) for path in ("index.html", "assets/site.css")) < 100_000


def test_building_again_gives_the_same_bytes(
    results: Results, contents: dict[str, bytes], files: dict[str, bytes]
) -> None:
    assert site(Results(results.records, protocol=True), contents, lambda name: None) == files


def test_a_missing_package_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ValueError, match=r"^the site needs altair: pip install 'robustness-zoo\[site\]'$"):
        require()


def test_attacked_images_are_shown_with_both_predictions(results: Results, contents: dict[str, bytes]) -> None:
    def pictures(entry: Entry) -> list[AttackedImages]:
        if entry.name != "mnist/lenet":
            return []
        clean = np.zeros((1, 1, 4, 4), np.float32)
        numbers = ([7], [7], [0.9], [3], [0.8])  # label, and what it is taken for before and after, each with how sure
        return [
            AttackedImages(
                entry.rows[0].threat, entry.name, "mnist", [5], clean, clean + 0.1, *numbers, ["pgd-linf"], ["foolbox"]
            )
        ]

    files = site(results, contents, lambda name: None, pictures)
    page = parsed(files["entries/mnist-lenet.html"].decode())
    (tile,) = page.all("figure", class_="tile")
    assert "Label 7: 7 at 90.0 % → 3 at 80.0 %" in tile.text
    assert [image.attributes["alt"] for image in tile.all("img")][::2] == [
        "Image 5 as it is, label 7",
        "Image 5 attacked",
    ]
    assert not parsed(files["entries/mnist-bayesian-lenet.html"].decode()).all("figure", class_="tile")
