"""What a reader does with the boards in a browser: sort, filter, share."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.benchmark.reports.site.browser import Reader

pytestmark = pytest.mark.browser


def networks(page: Any) -> list[str]:
    return [name.strip() for name in page.locator("#boards tbody th.c-network a").all_inner_texts()]


def numbers(page: Any, column: str) -> list[float]:
    return [float(text.split()[0]) for text in page.locator(f"#boards tbody td.c-{column}").all_inner_texts()]


def sort_by(page: Any, title: str, direction: str = "ascending") -> None:
    """Click the column's title until it is sorted so; the table is drawn a moment after the click."""
    header = page.get_by_role("columnheader", name=title)
    header.click()
    if direction == "descending":
        drawn(page, title, "ascending")
        header.click()
    drawn(page, title, direction)


def drawn(page: Any, title: str, direction: str) -> None:
    page.locator(f"#boards th[aria-sort={direction}]").filter(has_text=title).wait_for()


def test_a_board_is_sorted_by_a_click_and_by_the_keyboard(reader: Reader) -> None:
    page = reader.open("boards.html")
    ranks = page.locator("#boards tbody td.c-rank").all_inner_texts()
    ranked = [number for rank, number in zip(ranks, numbers(page, "worst"), strict=True) if rank.strip().isdigit()]
    assert len(ranked) > 5
    assert ranked == sorted(ranked, reverse=True)
    sort_by(page, "clean")
    assert numbers(page, "clean") == sorted(numbers(page, "clean"))
    page.locator("#boards th.c-clean [role=button]").focus()
    page.keyboard.press("Enter")
    drawn(page, "clean", "descending")
    assert numbers(page, "clean") == sorted(numbers(page, "clean"), reverse=True)


def test_what_is_certified_is_sorted_as_numbers_and_can_be_hidden(reader: Reader) -> None:
    page = reader.open("boards.html#dataset=mnist&norm=linf&eps=0.1&images=100")
    shown = page.locator("#boards tbody tr")
    sort_by(page, "certified", "descending")
    cells = [text.strip() for text in page.locator("#boards tbody td.c-certified").all_inner_texts()]
    found = [float(text.split()[0]) for text in cells if text]
    assert 3 < len(found) < shown.count()
    assert found == sorted(found, reverse=True)
    assert max(found) > 9 > min(found)  # as text, 9 is more than 10
    assert not any(cells[len(found) :])  # rows without bounds come last
    for text in cells[: len(found)]:  # it says at which eps
        assert re.fullmatch(r"\d+\.\d \((at eps 0\.1|\d+\.\d at eps 0\.0\d+)\)|0\.0", text), text
    page.locator(".columns summary").click()
    page.get_by_role("checkbox", name="certified", exact=True).uncheck()
    assert page.locator("#boards th.c-certified").count() == 0
    assert "certified" not in page.evaluate("new URLSearchParams(location.hash.slice(1)).get('columns')").split(",")


def test_a_column_with_empty_cells_and_counts_is_sorted_as_numbers(reader: Reader) -> None:
    page = reader.open("boards.html#dataset=mnist&norm=linf&eps=0.1&images=1000&columns=own,worst")
    sort_by(page, "judge's own draws")
    found = [text.split()[0] for text in page.locator("#boards tbody td.c-own").all_inner_texts() if text.strip()]
    assert len(found) > 3
    assert [float(text) for text in found] == sorted(float(text) for text in found)
    assert found != sorted(found)  # otherwise the test says nothing


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
    sort_by(page, "network")
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
