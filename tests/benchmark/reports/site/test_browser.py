"""The site of the committed records in a real browser: what a reader does with it, from the disk, without a network."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[4]
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
)
FIRST_VIEW = 1_000_000  # bytes


def missing(reason: str) -> None:
    """Skip, but fail where a browser is what the tests are for."""
    if os.environ.get("BROWSER_TESTS") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's Chromium, or the one that Playwright installed."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        missing("needs Playwright: pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    system = next((found for name in names if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=system, args=["--no-sandbox"])
        except Error as error:
            missing(f"needs Chromium: playwright install chromium ({str(error).splitlines()[0]})")
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the committed records: the one that tox built, or a new one."""
    built = ROOT / "build" / "site"
    if (built / "index.html").is_file() and os.environ.get("BROWSER_TESTS") == "required":
        return built
    built = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "benchmark.leaderboard", "--site", str(built)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


class Reader:
    """A page in the browser, and what went wrong on it."""

    def __init__(self, context: Any, folder: Path) -> None:
        self.page, self.root, self.wrong = context.new_page(), folder.as_uri(), list[str]()
        self.page.on(
            "console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))

    def open(self, path: str) -> Any:
        self.page.goto("about:blank")
        self.page.goto(f"{self.root}/{path}")
        self.page.wait_for_load_state("load")
        return self.page


@pytest.fixture
def reader(chromium: Any, folder: Path) -> Iterator[Reader]:
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, offline=True)
    found = Reader(context, folder)
    yield found
    context.close()
    assert not found.wrong


def networks(page: Any) -> list[str]:
    return [name.strip() for name in page.locator("#boards tbody th.c-network a").all_inner_texts()]


def numbers(page: Any, column: str) -> list[float]:
    return [float(text.split()[0]) for text in page.locator(f"#boards tbody td.c-{column}").all_inner_texts()]


def test_a_board_is_sorted_by_a_click_and_by_the_keyboard(reader: Reader) -> None:
    page = reader.open("boards.html")
    ranks = page.locator("#boards tbody td.c-rank").all_inner_texts()
    ranked = [number for rank, number in zip(ranks, numbers(page, "worst"), strict=True) if rank.strip().isdigit()]
    assert len(ranked) > 5
    assert ranked == sorted(ranked, reverse=True)
    page.get_by_role("columnheader", name="clean").click()
    assert numbers(page, "clean") == sorted(numbers(page, "clean"))
    page.locator("#boards th.c-clean [role=button]").focus()
    page.keyboard.press("Enter")
    assert numbers(page, "clean") == sorted(numbers(page, "clean"), reverse=True)


def test_filters_search_and_columns(reader: Reader) -> None:
    page = reader.open("boards.html")
    everything = len(networks(page))
    page.locator("select[name=family]").select_option("bayesian")
    bayesian = networks(page)
    assert 0 < len(bayesian) < everything
    assert {"bayesian-lenet", "hmc-mlp"} <= set(bayesian)
    page.locator("select[name=kind]").select_option("finite")
    assert networks(page) == ["hmc-mlp"]
    page.get_by_role("button", name="Reset").click()
    assert len(networks(page)) == everything
    page.get_by_role("searchbox", name="Search").fill("adversarial")
    assert networks(page) == ["lenet-adversarial"]
    assert page.locator("#boards th.c-clean").is_visible()
    page.locator(".columns summary").click()
    page.get_by_role("checkbox", name="clean", exact=True).uncheck()
    assert page.locator("#boards th.c-clean").count() == 0
    assert page.locator("#boards th.c-norm").count() == 0  # the same in every row, and said above
    page.locator("select[name=norm]").select_option("")
    assert page.locator("#boards th.c-norm").is_visible()
    assert "1,000" not in page.locator("#status").inner_text()


def test_a_link_that_is_shared_shows_the_same(reader: Reader) -> None:
    page = reader.open("boards.html")
    page.locator("select[name=dataset]").select_option("cifar10-jpeg")
    page.locator("select[name=eps]").select_option("8/255")
    page.locator("select[name=images]").select_option("")
    page.get_by_role("searchbox", name="Search").fill("lenet")
    page.locator(".columns summary").click()
    page.get_by_role("checkbox", name="white-box").uncheck()
    page.get_by_role("columnheader", name="network").click()
    shown, status = networks(page), page.locator("#status").inner_text()
    assert "8/255" in status
    page.get_by_role("button", name="Copy link").click()
    address = page.evaluate("location.href")
    page.goto("about:blank")
    page.goto(address)
    assert networks(page) == shown
    assert page.locator("#status").inner_text() == status
    assert page.locator("#boards th.c-whitebox").count() == 0
    assert page.get_by_role("searchbox", name="Search").input_value() == "lenet"
    assert shown == sorted(shown)


@pytest.mark.parametrize("state", ["dataset=nonsense", "order=nothing sideways", "columns=", "%%%", "images=7&eps=x"])
def test_an_address_with_mistakes_is_survived(reader: Reader, state: str) -> None:
    page = reader.open(f"boards.html#{state}")
    assert page.locator("#tools").is_visible()
    page.get_by_role("button", name="Reset").click()
    assert networks(page)


def test_a_verdict_shows_its_evidence(reader: Reader) -> None:
    page = reader.open("boards.html#dataset=mnist&norm=l2&eps=1&images=100&verdict=FAIL")
    button = page.get_by_role("button", name="the evidence on mnist/lenet-adversarial in l2")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="mnist/lenet-adversarial, l2")
    assert dialog.is_visible()
    assert "FAIL" in dialog.inner_text()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_an_entry_is_reached_from_its_row(reader: Reader) -> None:
    page = reader.open("boards.html")
    page.get_by_role("link", name="bayesian-lenet").click()
    assert page.get_by_role("heading", level=1).inner_text() == "mnist/bayesian-lenet"
    for heading in (
        "Robust accuracy",
        "Draws and readings",
        "Can the figures be believed?",
        "How it was made",
        "Model card",
    ):
        assert page.get_by_role("heading", name=heading).is_visible()
    page.get_by_role("link", name="compare with mnist/lenet").click()
    page.locator(".pairing.chosen").wait_for()
    assert page.locator(".pairing:visible thead").inner_text().split()[:3] == ["mnist", "bayesian-lenet", "lenet"]


def test_two_networks_are_compared(reader: Reader) -> None:
    page = reader.open("boards.html")
    for name in ("mnist/lenet", "mnist/hmc-mlp"):
        page.get_by_role("checkbox", name=f"compare {name}", exact=True).check()
    page.get_by_role("link", name="Compare the two").click()
    page.locator(".pairing.chosen").wait_for()
    shown = page.locator(".pairing:visible")
    assert shown.count() == 1
    assert {"lenet", "hmc-mlp"} <= set(shown.locator("thead").inner_text().split())
    assert shown.locator("tbody tr").count() == 4 + 4
    page.locator("select[name=b]").select_option("mnist/alexnet")
    address = page.evaluate("location.href")
    page.goto("about:blank")
    page.goto(address)
    assert {"lenet", "alexnet"} <= set(page.locator(".pairing:visible thead").inner_text().split())
    page.locator("select[name=b]").select_option("cifar10-jpeg/lenet")
    assert page.locator(".pairing:visible").count() == 0
    assert "no image in common" in page.locator("#status").inner_text()


def test_a_curve_stands_out_with_its_band(reader: Reader) -> None:
    page = reader.open("curves.html")
    page.locator(".vega svg").first.wait_for()
    assert page.locator(".vega svg").count() == page.locator("[data-chart]").count()
    page.locator("[data-network=bayesian-lenet]").first.click()
    assert page.locator("[data-network=bayesian-lenet]").first.get_attribute("aria-pressed") == "true"
    page.wait_for_function(
        "[...document.querySelectorAll('.vega .mark-area path')].some(one => +getComputedStyle(one).opacity > 0.1)"
    )
    point = page.locator(".vega .mark-symbol path").nth(3)
    point.hover(force=True)
    page.wait_for_function("/\\d % \\[/.test(document.querySelector('.readout').textContent)")


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
        page.get_by_role("link", name="bayesian-lenet").click()
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
