"""Checks on the strongest attacks, on evidence made by hand: what they flag, what they leave open, what FAILs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.plan.stronger_attacks import AUTOATTACK_PARTS
from benchmark.records.outcome import Outcome
from benchmark.records.record import Record
from benchmark.reports.strongest import strongest, strongest_columns, strongest_values
from benchmark.results.checks import verdicts
from benchmark.results.evidence import Evidence
from benchmark.results.rows import Row
from benchmark.results.share import Share
from benchmark.results.strongest import autoattack, distances_of
from tests.benchmark.evidence import LINF, N, evidence, trial, verdict

LARGE = ThreatModel("linf", 0.3)
ALIVE = range(60)  # the images that survive all that is not given


def stands(broken: set[int]) -> list[bool]:
    return [i < 60 and i not in broken for i in range(N)]


def without(found: Evidence, *names: str) -> Evidence:
    """The same, had these adaptive attacks not been run."""
    kept = [one for one in found.extra if (role := one.role).adaptive is None or role.adaptive.name not in names]
    return Evidence(found.records, kept, found.readings)


def beside(found: Evidence, *records: Record) -> Evidence:
    return Evidence(found.records, [*found.extra, *records], found.readings)


def on(record: Record, images: list[int]) -> Record:
    """Of a record on all images that on some of them."""
    outcomes = {name: _part(one, images) for name, one in record.outcomes.items()}
    cell = dataclasses.replace(record.cell, only=tuple(images))
    return dataclasses.replace(
        record,
        cell=cell,
        examples=images,
        labels=[0] * len(images),
        outcomes=outcomes,
        clean=_part(record.clean, images),
    )


def _part(one: Outcome, images: list[int]) -> Outcome:
    lists = {name: value for name, value in vars(one).items() if isinstance(value, list) and value}
    return dataclasses.replace(one, **{name: [value[i] for i in images] for name, value in lists.items()})


def at(record: Record, distance: Callable[[int], float]) -> Record:
    """The same, each image found so far away."""
    far = [distance(image) for image in record.examples]
    outcomes = {name: dataclasses.replace(one, distance=far) for name, one in record.outcomes.items()}
    return dataclasses.replace(record, outcomes=outcomes)


@pytest.mark.parametrize(
    ("name", "trial_name"),
    [
        ("V22", "members in turn"),
        ("V25", "fmn"),
        ("V26", "pma"),
        ("V26", "apgd-t"),
        ("V26", "fab-t"),
    ],
)
def test_what_a_strong_attack_breaks_is_flagged_and_keeps_no_row_out(name: str, trial_name: str) -> None:
    """It is in the worst case: a few of 100 images may fall; however many do, the number is as good as the attack."""
    may = 2 if name in ("V25", "V26") else 1  # of 100 images
    for more, expected in ((0, "PASS"), (may, "PASS"), (may + 1, "FLAG"), (30, "FLAG")):
        found = evidence(**{trial_name.replace(" ", "_"): stands(set(range(more)))})
        assert verdict(name, found)[0] == expected
        assert sum(found.survivors(LINF).values()) == 60 - more
    assert {one.status for one in verdicts(found)} == {"PASS", "FLAG"}


@pytest.mark.parametrize(
    ("name", "trial_name", "other"),
    [
        ("V22", "members in turn", "apgd-ce"),
        ("V25", "fmn", "restarts"),
        ("V26", "pma", "doubled steps"),
        ("V26", "fab-t", "apgd-dlr"),
    ],
)
def test_what_another_gradient_attack_finds_as_well_is_no_finding(name: str, trial_name: str, other: str) -> None:
    broken = stands(set(range(10)))
    assert verdict(name, evidence(**{trial_name.replace(" ", "_"): broken}))[0] == "FLAG"
    assert (
        verdict(name, evidence(**{trial_name.replace(" ", "_"): broken, other.replace(" ", "_"): broken}))[0] == "PASS"
    )


def test_an_iterate_may_break_what_chance_does() -> None:
    for more, expected in ((0, "PASS"), (2, "PASS"), (3, "FLAG"), (30, "FLAG")):
        found, text = verdict("V23", evidence(best_iterate=stands(set(range(more)))))
        assert found == expected
        assert more == 0 or f"{more} more of 100 broken" in text


@pytest.mark.parametrize("trial_name", ["square, 5,000 queries", "hopskipjump", "brendel-bethge"])
def test_what_the_boundary_shows_and_no_gradient_does_fails(trial_name: str) -> None:
    for more, expected in ((0, "PASS"), (1, "FLAG"), (3, "FAIL")):
        assert verdict("V11", evidence(**{trial_name.replace(" ", "_"): stands(set(range(more)))}))[0] == expected


def test_a_strong_attack_by_the_gradient_excuses_no_search() -> None:
    """It runs on what the search left, so that what it finds of the rest hangs on the suite."""
    broken = stands(set(range(10)))
    assert verdict("V11", evidence(square=broken, **{"fab-t": broken}))[0] == "FAIL"
    assert verdict("V11", evidence(square=broken, pma=broken))[0] == "PASS"


@pytest.mark.parametrize(
    ("name", "trial_names"),
    [
        ("V22", ["members in turn"]),
        ("V23", ["best iterate"]),
        ("V25", ["fmn"]),
        ("V26", ["pma"]),
        ("V26", ["apgd-t"]),
    ],
)
def test_what_was_not_run_leaves_its_check_open(name: str, trial_names: list[str]) -> None:
    status, text = verdict(name, without(evidence(), *trial_names))
    assert status == "OPEN"
    assert "needs suite adaptive" in text


@pytest.mark.parametrize("trial_name", ["apgd-ce, referee", "square, referee"])
def test_what_the_referee_alone_finds_is_flagged(trial_name: str) -> None:
    for more, expected in ((0, "PASS"), (1, "PASS"), (2, "FLAG")):
        status, text = verdict("V24", evidence(**{trial_name: stands(set(range(more)))}))
        assert (status, "more of 100 broken" in text) == (expected, True)
    both = {trial_name: stands(set(range(9))), "fab-t": stands(set(range(9)))}
    assert verdict("V24", evidence(**both))[0] == "PASS"


def test_where_the_referee_is_not_installed_its_check_does_not_apply() -> None:
    status, text = verdict("V24", without(evidence(), "apgd-ce, referee", "square, referee"))
    assert (status, text.startswith("does not apply")) == ("PASS", True)
    status, text = verdict("V24", without(evidence(), "square, referee"))
    assert (status, "not checked" in text) == ("OPEN", True)


def test_an_attack_that_needs_more_classes_than_there_are_is_not_missed() -> None:
    """APGD-T goes towards labels beside three others."""
    found = without(evidence(), "apgd-t")
    assert verdict("V26", found)[0] == "OPEN"
    two = [dataclasses.replace(one.cell, dataset="pairs", model="pairs/a") for one in found.records]
    records = [dataclasses.replace(one, cell=cell) for one, cell in zip(found.records, two, strict=True)]
    status, text = verdict("V26", Evidence(records, found.extra, found.readings))
    assert (status, "apgd-t" in text) == ("PASS", False)


def test_old_records_keep_their_verdict_on_search() -> None:
    """Square alone is what V11 needs; boundary attacks make it stricter where they ran."""
    old = without(evidence(), "square, 5,000 queries", "hopskipjump", "brendel-bethge")
    assert verdict("V11", old)[0] == "PASS"


@pytest.mark.parametrize(("name", "trial_name"), [("V26", "fab-t"), ("V26", "apgd-t"), ("V11", "hopskipjump")])
def test_a_strong_attack_is_tried_on_a_few_images_and_run_on_all_where_one_falls(name: str, trial_name: str) -> None:
    base = without(evidence(), trial_name)
    untouched, one_fell, others = (
        [on(trial(trial_name, threat, stands(broken)), images) for threat in base.surviving]
        for broken, images in ((set(), list(range(20))), ({3}, list(range(20))), ({3}, list(range(20, 60))))
    )
    assert verdict(name, beside(base, *untouched))[0] == "PASS"
    status, text = verdict(name, beside(base, *one_fell))
    assert (status, "on fewer images" in text) == ("OPEN", True)
    assert verdict(name, beside(base, *one_fell, *others))[0] == ("PASS" if name == "V26" else "FLAG")


def test_of_what_was_tried_alone_the_number_is_told() -> None:
    base = without(evidence(), "pma", "apgd-t", "fab-t")
    records = [one for one in base.records if one.cell.attack.threat == LINF]
    tried = [on(trial(name, LINF, stands(set())), list(range(20))) for name in ("apgd-t", "fab-t")]
    found = Evidence(records, [*base.extra, trial("pma", LINF, stands(set())), *tried])
    assert verdict("V26", found) == (
        "PASS",
        "linf eps 0.1, pma: 0 more of 100 broken; linf eps 0.1, apgd-t: 0 of 20 that were probed; "
        "linf eps 0.1, fab-t: 0 of 20 that were probed",
    )


def test_a_nearest_image_counts_under_every_eps_that_reaches_it_and_no_other() -> None:
    found = without(evidence(), "fmn")
    far = at(trial("fmn", LINF, stands(set(range(10)))), lambda image: 0.2 if image < 60 else 0.01)
    found = beside(found, far)
    assert sum(found.survivors(LINF).values()) == 60
    assert sum(found.survivors(LARGE).values()) == 50
    assert found.broken_beyond(LARGE, set(ALIVE))["fmn"] == set(range(10))
    assert far in found.counted(LINF)
    assert far in found.counted(LARGE)
    assert far not in found.counted(ThreatModel("l2", 1.0))
    status, text = verdict("V25", found)
    assert (status, "linf eps 0.3, fmn: 10 more of 100 broken" in text) == ("FLAG", True)
    assert "linf eps 0.1" not in text
    assert verdict("V8", found)[0] == "PASS"  # it is no unbounded attack, on which nothing may survive


def test_autoattack_needs_each_part_on_what_the_former_left() -> None:
    whole = evidence(**{"apgd-t": stands({1, 2}), "fab-t": stands({2, 3}), "square,_5,000_queries": stands({3, 4})})
    share = autoattack(whole, LINF, set(ALIVE), N)
    assert share is not None
    assert (share.hits, share.count) == (56, N)
    for name in ("apgd-ce", "apgd-t", "fab-t", "square, 5,000 queries"):
        assert autoattack(without(whole, name), LINF, set(ALIVE), N) is None
    base = without(whole, "fab-t")
    left = [image for image in ALIVE if image not in (1, 2)]
    on_left, on_fewer = (on(trial("fab-t", LINF, stands({3})), images) for images in (left, left[:-1]))
    share = autoattack(beside(base, on_left), LINF, set(ALIVE), N)
    assert share is not None
    assert share.hits == 56
    assert autoattack(beside(base, on_fewer), LINF, set(ALIVE), N) is None
    assert autoattack(without(whole, "apgd-t", "square"), LINF, set(), N) is not None  # nothing was left to them


def test_the_median_distance_is_over_all_that_look_for_it() -> None:
    found = without(evidence(), "fmn", "brendel-bethge", "hopskipjump")
    assert distances_of(found, ALIVE) is None
    fmn = at(trial("fmn", LINF, [i < 2 for i in range(N)]), lambda image: round(0.1 * image, 1))
    found = beside(found, fmn)
    distances = distances_of(found, range(5))
    assert distances is not None
    assert dict(distances.of) == {0: math.inf, 1: math.inf, 2: 0.20005, 3: 0.30005, 4: 0.40005}
    assert distances.median == 0.40005
    nearer = on(at(trial("brendel-bethge", LINF, [False] * N), lambda _: 0.01), [0, 4])
    distances = distances_of(beside(found, nearer), range(5))
    assert distances is not None
    assert (distances.of[0], distances.of[4], distances.median) == (0.010005, 0.010005, 0.20005)
    assert distances.curve == [(0.0, 1.0), (0.010005, 0.6), (0.20005, 0.4), (0.30005, 0.2)]
    wrong = dataclasses.replace(fmn, clean=dataclasses.replace(fmn.clean, correct=[i != 1 for i in range(N)]))
    distances = distances_of(beside(without(found, "fmn"), wrong), range(3))
    assert distances is not None
    assert distances.of[1] == 0.0
    assert distances.curve[0] == (0.0, pytest.approx(2 / 3))


def test_an_image_that_any_attack_breaks_has_an_adversarial_one_within_its_eps() -> None:
    """Where attacks that look for the nearest image find none, as through other draws than the judge's."""
    none = at(trial("fmn", LINF, [True] * N), lambda image: math.inf)
    found = beside(without(evidence(), "fmn", "brendel-bethge", "hopskipjump"), none)
    distances = distances_of(found, range(N))
    assert distances is not None
    for threat in found.surviving:
        if threat.norm == "linf":
            broken = [image for image, survives in found.survivors(threat).items() if not survives]
            assert broken
            assert all(distances.of[image] <= threat.eps for image in broken)


def test_the_name_autoattack_is_a_column_only_where_its_parts_were_run() -> None:
    """Where the white-box attacks or APGD leave nothing, its number is known, but no board gets a column for that."""

    def row(whitebox: int, *ran: str, left: int | None = 0) -> Row:
        found = None if left is None else Share(left, N)
        row = Row(**dict.fromkeys(Row.__dataclass_fields__))  # type: ignore[arg-type]
        shares = {"whitebox": Share(whitebox, N), "worst": Share(0, N), "autoattack": found}
        return dataclasses.replace(row, **shares, adaptive=dict.fromkeys(ran, 0))

    assert strongest_columns([row(0), row(1, "apgd-ce"), row(9, *AUTOATTACK_PARTS, left=None)]) == []
    rows = [row(0), row(9, *AUTOATTACK_PARTS, left=4), row(9, left=None)]
    assert strongest_columns(rows) == ["autoattack"]
    assert [strongest(one, ["autoattack"])["autoattack"] for one in rows] == ["0.0", "4.0", ""]
    assert [strongest_values(one, ["autoattack"])["autoattack"] for one in rows] == [0.0, 0.04, None]
