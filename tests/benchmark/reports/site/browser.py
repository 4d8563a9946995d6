"""The site of the committed records in a real browser, from the disk, without a network: what tests of it need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]


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
        self.page.on("requestfailed", self._failed)

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # an image that was not awaited, as the reader went on
            self.wrong.append(request.url)

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
