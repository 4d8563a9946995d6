"""What holds of every page in a browser: nothing is cut off, on the screen and in print; it is accessible and small."""

from __future__ import annotations

import functools
import http.server
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.reports.site.browser import Reader

pytestmark = pytest.mark.browser

WIDTHS = (400, 900, 1400)
PAGES = (
    "index.html",
    "boards.html",
    "curves.html",
    "compare.html",
    "downloads.html",
    "entries/mnist-lenet-adversarial.html",
    "entries/mnist-hmc-mlp.html",
    "reports/index.html",
    "reports/claims.html",
    "reports/agreement.html",
    "reports/masking.html",
    "reports/posteriors.html",
    "guide/submitting.html",
    "guide/is-your-posterior-robust.html",
    "reference/benchmark.html",
    "reference/zoo/bounds.html",
)
FIRST_VIEW = 1_000_000  # bytes


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(chromium: Any, folder: Path, path: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
    found = Reader(context, folder)
    page = found.open(path)
    page.wait_for_timeout(200)
    wrong = list(found.wrong)  # before axe looks for styles by means that a page from the disk does not have
    violations = axe.Axe().run(page).response["violations"]
    context.close()
    serious = [
        (one["id"], node["target"], node.get("failureSummary"))
        for one in violations
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]
    assert not serious
    assert not wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_at_any_width(chromium: Any, folder: Path, tmp_path: Path, width: int, scheme: str) -> None:
    """What is wider than the screen scrolls in itself. The pictures are kept where tox says."""
    pictures = Path(os.environ.get("PICTURES", tmp_path))
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = Reader(context, folder)
    for path in PAGES:
        page = found.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        picture = pictures / f"{path.replace('/', '-').removesuffix('.html')}-{width}-{scheme}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 5000
    context.close()
    assert not found.wrong


def test_a_file_that_is_not_there_is_noticed(chromium: Any, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<!doctype html><html lang="en"><title>a</title><img src="none.png" alt="">')
    context = chromium.new_context()
    found = Reader(context, tmp_path)
    found.open("page.html")
    context.close()
    assert any(said.endswith("none.png") for said in found.wrong)


def test_the_first_view_is_small_and_fast(reader: Reader, folder: Path) -> None:
    loaded: list[str] = []
    reader.page.on("request", lambda request: loaded.append(request.url))
    reader.open("index.html")
    files = [url.removeprefix(reader.root + "/") for url in loaded if url.startswith("file:")]
    assert sum((folder / name).stat().st_size for name in files) < FIRST_VIEW
    assert len(files) == 2  # the page and its styles
    assert all(not url.startswith("http") for url in loaded)
    loaded.clear()
    reader.open("boards.html")
    files = [url.removeprefix(reader.root + "/") for url in loaded if url.startswith("file:")]
    assert sum((folder / name).stat().st_size for name in files) < FIRST_VIEW


def test_it_works_below_any_path_of_a_server(chromium: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "where").symlink_to(folder)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        context = chromium.new_context()
        found = Reader(context, folder)
        found.root = f"http://127.0.0.1:{server.server_port}/some/where"
        page = found.open("boards.html")
        page.get_by_role("link", name="bayesian-lenet", exact=True).click()
        page.get_by_role("link", name="complete audit").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Audit of mnist/bayesian-lenet"
        page.get_by_role("link", name="Overview").click()
        assert page.url.endswith("/some/where/index.html")
        context.close()
        server.shutdown()
    assert not found.wrong


def test_without_scripts_every_number_is_still_there(chromium: Any, folder: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = Reader(context, folder).open("boards.html")
    assert page.locator("#boards tbody tr").count() > 100
    assert not page.locator("#tools").is_visible()
    context.close()


def test_print_has_no_controls(reader: Reader) -> None:
    page = reader.open("boards.html")
    page.emulate_media(media="print")
    assert not page.locator("#tools").is_visible()
    assert page.locator("#boards").is_visible()
    assert re.match(r"\d+ rows: mnist, linf, eps", page.locator("#status").inner_text())  # which board it is
    page = reader.open("compare.html#a=mnist/lenet&b=mnist/lenet")
    page.emulate_media(media="print")
    for control in ("nav", "#tools", "#status"):
        assert not page.locator(control).first.is_visible()


UPRIGHT, ACROSS = 688, 1017  # pixels between the margins of A4
# what sticks out at the right, but for what is drawn or hidden
STICKS_OUT = """width => [...document.querySelectorAll("body *")]
  .filter(one => !one.closest("svg, .heard") && one.getBoundingClientRect().right > width + 1)
  .map(one => one.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("path", [*PAGES, "reports/mnist.html", "reports/validity.html", "reference/zoo.html"])
def test_nothing_is_cut_off_in_print(reader: Reader, path: str) -> None:
    """Nothing scrolls on paper: pages with tables of many columns are printed across."""
    page = reader.open(path)
    page.emulate_media(media="print")
    across = page.evaluate("getComputedStyle(document.body).page") == "across"
    assert across == (path in ("boards.html", "reports/mnist.html", "reports/validity.html"))
    width = ACROSS if across else UPRIGHT
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(100)
    assert not page.evaluate(STICKS_OUT, width)


def test_a_badge_is_a_word_in_a_frame_where_backgrounds_are_not_printed(reader: Reader) -> None:
    page = reader.open("index.html")
    page.emulate_media(media="print")
    badge = page.locator(".badge").first
    assert badge.inner_text().split()[-1] in ("PASS", "FLAG", "FAIL")
    style = "one => [getComputedStyle(one).borderTopWidth, getComputedStyle(one).color]"
    border, colour = badge.evaluate(style)
    assert border != "0px"
    red, green, blue = (int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
    assert 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.4  # dark on white paper


def test_the_reference_leads_back_and_follows_the_theme(chromium: Any, folder: Path) -> None:
    for scheme in ("light", "dark"):
        context = chromium.new_context(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
        page = Reader(context, folder).open("reference/zoo/bounds.html")
        levels = page.evaluate("getComputedStyle(document.body).backgroundColor")
        dark = max(int(part) for part in re.findall(r"\d+", levels)[:3]) < 60
        assert dark == (scheme == "dark")
        page.get_by_role("link", name="robustness-zoo: Guide").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Guide"
        context.close()
