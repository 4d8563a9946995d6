"""The tables of the self-test, from made-up findings whose shares are known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.reports import selftest
from benchmark.reports.checks import validity_page
from benchmark.results.checks import ALL
from benchmark.statistics import wilson


def finding(
    worst: dict[str, int], *, images: int = 50, says: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """Of one network. says: the checks that say something else than PASS, in both norms alike."""
    verdicts = {check: ["PASS", "fine"] for check in ALL} | {c: [s, "-"] for c, s in (says or {}).items()}
    verdicts["V14"] = ["PASS", "does not apply: one network, no draws"]
    fails = any(status in ("FAIL", "ERROR") for status, _ in verdicts.values())
    return {
        "images": images,
        "verdicts": verdicts,
        "statuses": dict.fromkeys(("linf", "l2"), "FAIL" if fails else "PASS"),
        "clean": 49,
        "whitebox": dict.fromkeys(worst, 48),
        "worst": worst,
    } | more


BROKEN = {
    "caught": finding({"linf 0.1": 3, "l2 2": 2}, says={"V8": "FAIL"}, defect="d", must=["V8"], behind="mnist/a"),
    "half": finding(
        {"linf 0.1": 40, "l2 2": 45},
        says={"V12": "FAIL"},
        defect="d",
        must=["V11", "V12"],
        behind="mnist/a",
        statuses={"linf": "FAIL", "l2": "FLAG"},
    ),
    "kept": finding({"linf 0.1": 45, "l2 2": 44}, defect="d", must=["V8"], behind="mnist/a"),
    "alone": finding({"linf 0.3": 30}, defect="d", must=["V8"], behind=None),
}
HONEST = {
    "mnist/a": finding({"linf 0.1": 5, "l2 2": 1}, what="hidden"),
    "steady": finding({"linf 0.1": 5, "l2 2": 1}, what="h", says={"V10": "FLAG"}),
    "refused": finding({"linf 0.1": 5, "l2 2": 1}, what="h", says={"V10": "FAIL", "V3": "OPEN"}),
}


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    for kind, found in (("broken", BROKEN), ("honest", HONEST)):
        (tmp_path / f"{kind}.json").write_text(json.dumps(found))
    return tmp_path


@pytest.fixture
def broken(studies: Path) -> dict[str, selftest.Network]:
    return selftest.read_study(studies / "broken.json")


@pytest.fixture
def honest(studies: Path) -> dict[str, selftest.Network]:
    return selftest.read_study(studies / "honest.json")


def interval(hits: int, count: int) -> str:
    low, high = wilson(hits, count)
    return f"{100 * hits / count:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def test_both_mistakes_are_counted(broken: dict[str, selftest.Network], honest: dict[str, selftest.Network]) -> None:
    of_broken, of_honest = selftest.confusion(broken.values(), honest.values())
    assert (of_broken["ranked in every norm"], of_broken["in some"], of_broken["in none"]) == (2, 1, 1)
    assert of_broken["% [95 %]"] == interval(3, 4)
    assert (of_honest["ranked in every norm"], of_honest["in some"], of_honest["in none"]) == (2, 0, 1)
    assert of_honest["% [95 %]"] == interval(1, 3)
    assert selftest.mistaken(honest.values()) == [{"network": "refused", "loses": "linf, l2", "by": "V10"}]


def test_a_broken_network_that_is_ranked_by_what_is_true_or_less_is_no_mistake(
    broken: dict[str, selftest.Network], honest: dict[str, selftest.Network]
) -> None:
    """Its attack was overcome: what it claims is not above what is hidden there."""
    kept = broken["kept"]
    hidden = honest[kept.behind or ""]
    overcome = dataclasses.replace(kept, worst={threat: hidden.worst[threat] for threat in kept.worst})
    assert selftest.confusion([kept], honest.values())[0]["% [95 %]"] == interval(1, 1)
    line = selftest.confusion([overcome], honest.values())[0]
    assert (line["ranked in every norm"], line["% [95 %]"]) == (1, interval(0, 1))


def test_a_row_that_is_kept_is_shown_beside_what_is_hidden(
    broken: dict[str, selftest.Network], honest: dict[str, selftest.Network]
) -> None:
    rows = {(row["network"], row["threat"]): row for row in selftest.kept_ranks(broken.values(), honest)}
    assert set(rows) == {("half", "l2 2"), ("kept", "linf 0.1"), ("kept", "l2 2"), ("alone", "linf 0.3")}
    half = rows["half", "l2 2"]
    assert (half["shown"], half["true"], half["gap"]) == ("90.0", "2.0", "88.0")
    assert (rows["alone", "linf 0.3"]["shown"], rows["alone", "linf 0.3"]["true"]) == ("60.0", "")


def test_what_is_hidden_counts_on_the_same_images_alone(broken: dict[str, selftest.Network]) -> None:
    other = {"mnist/a": selftest.read_network("mnist/a", finding({"linf 0.1": 5, "l2 2": 1}, images=20))}
    assert {row["true"] for row in selftest.kept_ranks(broken.values(), other)} == {""}


def test_false_alarms_are_counted_where_there_was_something_to_ask(honest: dict[str, selftest.Network]) -> None:
    rates = {line["check"]: line for line in selftest.false_alarms(list(honest.values()))}
    assert (rates["V10"]["networks"], rates["V10"]["flagged"], rates["V10"]["failed"]) == (3, 1, 1)
    assert rates["V10"]["% [95 %]"] == interval(2, 3)
    assert rates["V3"]["networks"] == 2  # of one it is open
    assert (rates["V14"]["networks"], rates["V14"]["% [95 %]"]) == (0, "")


def test_survivors_are_shown_grid_by_grid(
    broken: dict[str, selftest.Network], honest: dict[str, selftest.Network]
) -> None:
    first, second = selftest.survivors(broken.values(), honest)
    assert [line["network"] for line in first] == ["caught", "half", "kept"]
    assert first[2]["linf 0.1"] == "48 → 45 (true 5)"
    assert second[0]["linf 0.3"] == "48 → 30"


def test_a_check_that_must_catch_and_does_not_is_marked(broken: dict[str, selftest.Network]) -> None:
    assert selftest.marks(broken["half"])["V11"] == "· (missed)"
    assert selftest.marks(broken["half"])["V12"] == "**FAIL**"
    assert selftest.marks(broken["caught"])["V11"] == "·"


def test_a_study_from_before_a_check_leaves_it_empty_and_one_without_norms_counts_for_no_rank() -> None:
    old = finding({"linf 0.1": 3}, defect="d", must=["V8"])
    del old["statuses"]
    del old["verdicts"]["V8"]
    network = selftest.read_network("old", old)
    assert selftest.marks(network)["V8"] == ""
    assert network.ranked == []
    assert selftest.confusion([network], [])[0]["number"] == 0


def test_the_page_shows_all_of_it_or_nothing(studies: Path, tmp_path: Path) -> None:
    page = validity_page(studies, [])
    for title in (
        "Which check catches what",
        "Which mistakes the audit makes",
        "false alarm",
        "Rows that broken networks",
    ):
        assert title in page
    for name in (*BROKEN, *HONEST):
        assert f"| {name} " in page
    assert interval(3, 4) in page
    assert "Which mistakes" not in validity_page(tmp_path / "none", [])
