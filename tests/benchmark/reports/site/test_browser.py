"""What a reader does with the pages of the site in a browser: from row to entry, two networks, curves."""

from __future__ import annotations

import pytest

from tests.benchmark.reports.site.browser import Reader

pytestmark = pytest.mark.browser


def test_an_entry_is_reached_from_its_row(reader: Reader) -> None:
    page = reader.open("boards.html")
    page.get_by_role("link", name="bayesian-lenet", exact=True).click()
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
