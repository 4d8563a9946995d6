"""Each check against evidence made by hand: what passes, what is flagged, what fails, and what is left open."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.plan.adaptive_attacks import ADAPTIVE_ATTACKS
from benchmark.plan.cells import Reading
from benchmark.protocol import standard_attack
from benchmark.records.agreement import Comparison
from benchmark.records.record import Record
from benchmark.results.checks import verdicts
from benchmark.results.checks.check import check, over
from benchmark.results.evidence import Evidence
from tests.benchmark.evidence import ALIKE, HEALTHY, LINF, N, evidence, verdict
from tests.benchmark.handmade import make, outcome, status


def survivors(count: int) -> dict[str, list[bool]]:
    return {"foolbox": [i < count for i in range(N)], "art": [i < count for i in range(N)]}


def test_checks_on_the_protocols_outcomes() -> None:
    both = survivors(N)
    healthy = [make("mnist/a", "fgsm", 0.1, survivors(60)), make("mnist/a", "pgd-linf", 0.1, survivors(50))]
    assert [status(name, healthy) for name in ("V2", "V6", "V7", "V16")] == ["PASS", "PASS", "OPEN", "PASS"]
    masked = [make("mnist/a", "fgsm", 0.1, survivors(50)), make("mnist/a", "pgd-linf", 0.1, both)]
    assert status("V6", masked) == "FAIL"
    slightly = [make("mnist/a", "fgsm", 0.1, survivors(98)), make("mnist/a", "pgd-linf", 0.1, both)]
    assert status("V6", slightly) == "FLAG"
    for higher, expected in ((90, "FAIL"), (52, "FLAG"), (51, "PASS")):
        rising = [make("mnist/a", "fgsm", 0.1, survivors(50)), make("mnist/a", "fgsm", 0.2, survivors(higher))]
        assert status("V7", rising) == expected
    apart = Comparison("foolbox", "art", 100, 0, 0.5, 100, tuple(range(8)), ())
    assert apart.level == "disagree"
    assert status("V16", [make("mnist/a", "fgsm", 0.1, both, agreement=[apart])]) == "FAIL"
    assert status("V16", [make("mnist/a", "fgsm", 0.1, {"art": [True]})]) == "FLAG"


def test_libraries_that_differ_by_more_than_chance_fail() -> None:
    """A level below the required one is flagged, `disagree` by less than all pairs at once make certain, too."""

    def found(only_first: int, close: int = 0) -> tuple[str, str]:
        one = Comparison("foolbox", "art", 100, close, 0.5, 100, tuple(range(only_first)), ())
        record = make("mnist/a", "fgsm", 0.1, survivors(N), agreement=[one])
        return next((v.status, v.evidence) for v in verdicts(Evidence([record])) if v.check == "V16")

    assert found(0, close=100)[0] == "PASS"
    assert found(2) == ("FLAG", "foolbox/art, fgsm eps 0.1: same-verdict, identical is required")
    assert found(7)[0] == "FLAG"  # statistical: 7 of 7 is chance once in 64
    assert found(8) == ("FAIL", "foolbox/art, fgsm eps 0.1: disagree, identical is required")  # once in 128
    more = [
        make("mnist/a", "bim", eps, survivors(N), agreement=[Comparison("foolbox", "art", 100, 100, 0.0, 100, (), ())])
        for eps in (0.1, 0.2)
    ]
    apart = make(
        "mnist/a",
        "fgsm",
        0.1,
        survivors(N),
        agreement=[Comparison("foolbox", "art", 100, 0, 0.5, 100, tuple(range(8)), ())],
    )
    assert status("V16", [apart, *more]) == "FLAG"  # of three pairs, one is as far apart once in 43


def test_checks_take_the_worst_of_all_comparisons() -> None:
    """A failure on many images is not hidden by a larger share of few, nor by an attack with fewer images."""

    def records(attack: str, eps: float, stand: int, count: int) -> Record:
        return make("mnist/a", attack, eps, {"foolbox": [True] * stand + [False] * (count - stand)})

    masked = [records("fgsm", 0.1, 970, 1000), records("pgd-linf", 0.1, 1000, 1000)]
    assert status("V6", masked) == "FAIL"
    few = [records("fgsm", 0.2, 48, 50), records("pgd-linf", 0.2, 50, 50)]
    assert status("V6", few) == "FLAG"
    assert status("V6", masked + few) == "FAIL"
    assert status("V6", [*masked, records("pgd-l2", 0.1, 10, 100)]) == "FAIL"
    rising = [records("bim", 0.1, 500, 1000), records("bim", 0.2, 600, 1000)]
    assert status("V7", [*rising, records("fgsm", 0.1, 5, 10), records("fgsm", 0.2, 8, 10)]) == "FAIL"


def test_what_was_not_checked_is_open_and_says_so() -> None:
    apart = [
        make("mnist/a", "fgsm", 0.1, {"foolbox": [True] * 3}),
        make("mnist/a", "pgd-linf", 0.1, {"foolbox": [True] * 3}, start=3),
    ]
    found = {v.check: v for v in verdicts(Evidence(apart))}
    # one library, no referee, no bounds, no further images
    not_open = {"V2": "PASS", "V16": "FLAG", "V24": "PASS", "V29": "PASS", "V30": "PASS"}
    assert {name: v.status for name, v in found.items()} == dict.fromkeys(found, "OPEN") | not_open
    assert all(v.evidence.startswith("not checked") for name, v in found.items() if name not in not_open)


def test_all_checks_run_in_order_and_a_name_is_taken_once() -> None:
    assert [v.check for v in verdicts(evidence())] == [f"V{n}" for n in (*range(1, 28), 29, 30)]
    assert {v.status for v in verdicts(evidence())} == {"PASS"}
    with pytest.raises(ValueError, match="V3 already"):
        check("V3", "", "")(lambda _: ("PASS", ""))


@pytest.mark.parametrize(
    ("name", "trial_name"),
    [
        ("V9", "doubled steps"), ("V10", "restarts"), ("V12", "posterior mean"), ("V12", "transfer"), ("V12", "noise"),
        ("V12", "surrogate"),
    ],
)  # fmt: skip
def test_a_trial_may_break_one_point_more(name: str, trial_name: str) -> None:
    """Of 100 images 1 passes, 2 and 4 may be chance (exact binomial test against 1 %), 5 may not."""
    for more, expected in ((0, "PASS"), (1, "PASS"), (2, "FLAG"), (4, "FLAG"), (5, "FAIL")):
        stands = [i < 60 - more for i in range(N)]
        found, text = verdict(name, evidence(**{trial_name.replace(" ", "_"): stands}))
        assert found == expected
        if more > 1:
            assert f"{more} more of 100 broken" in text


@pytest.mark.parametrize("trial_name", ["logits x 0.1", "logits x 0.001", "logits + 100"])
def test_another_scale_may_break_two_points_more(trial_name: str) -> None:
    """Of 100 images 2 pass, 3 and 6 may be chance (exact binomial test against 2 %), 7 may not."""
    for more, expected in ((0, "PASS"), (2, "PASS"), (3, "FLAG"), (6, "FLAG"), (7, "FAIL")):
        found = verdict("V13", evidence(**{trial_name.replace(" ", "_"): [i < 60 - more for i in range(N)]}))
        assert found[0] == expected


def test_square_may_break_nothing() -> None:
    for more, expected in ((0, "PASS"), (1, "FLAG"), (2, "FLAG"), (3, "FAIL")):
        assert verdict("V11", evidence(square=[i < 60 - more for i in range(N)]))[0] == expected


def test_images_that_fell_before_do_not_count_against_a_trial() -> None:
    assert verdict("V11", evidence(square=[i < 60 or i > 90 for i in range(N)]))[0] == "PASS"
    assert verdict("V11", evidence(square=[i < 60 and i > 0 for i in range(N)]))[0] == "FLAG"


@pytest.mark.parametrize(
    "gradients",
    [
        name.replace(" ", "_")
        for name, one in ADAPTIVE_ATTACKS.items()
        if one.gradient == "own" and one.reading is Reading.HEADLINE and one.on != "strong" and "linf" in one.norms
    ],
)
@pytest.mark.parametrize(("name", "trial_name"), [("V11", "square"), ("V12", "transfer"), ("V12", "noise")])
def test_a_gradient_is_not_masked_where_a_stronger_attack_follows_it(
    name: str, trial_name: str, gradients: str
) -> None:
    """What APGD finds as well says that PGD is weak, not that the gradient misleads: Square's flag in AutoAttack."""
    broken = [5 <= i < 60 for i in range(N)]
    assert verdict(name, evidence(**{trial_name: broken}))[0] == "FAIL"
    assert verdict(name, evidence(**{trial_name: broken, gradients: broken}))[0] == "PASS"
    assert verdict(name, evidence(**{trial_name: broken, "one_draw": broken, "square": broken}))[0] == "FAIL"


def without(complete: Evidence, *names: str) -> Evidence:
    """Evidence without some adaptive attacks."""
    left_out = {id(record) for name in names for record in complete.adaptive[name]}
    return Evidence(complete.records, [record for record in complete.extra if id(record) not in left_out])


def test_noise_alone_says_nothing_of_transfers() -> None:
    complete = evidence()
    assert verdict("V12", without(complete, "surrogate"))[0] == "PASS"  # other networks are better sources
    found, text = verdict("V12", without(complete, "transfer"))
    assert (found, "from a surrogate, which agrees with it on 96 % of 200 held-out images" in text) == ("PASS", True)
    found, text = verdict("V12", without(complete, "transfer", "surrogate"))
    assert (found, "not checked: linf eps 0.1, surrogate: needs suite adaptive" in text) == ("OPEN", True)
    broken = evidence(surrogate=[5 <= i < 60 for i in range(N)])
    assert verdict("V12", without(broken, "transfer"))[0] == verdict("V12", broken)[0] == "FAIL"


@pytest.mark.parametrize(
    ("agreement", "commonest", "expected"),
    [
        (0.5, 0.1, "OPEN"),
        (0.54, 0.1, "OPEN"),
        (0.56, 0.1, "PASS"),
        (0.9, 0.9, "OPEN"),
        (0.96, 0.9, "PASS"),
        (1.0, 1.0, "PASS"),
    ],
)
def test_a_surrogate_that_answers_otherwise_shows_nothing_unless_it_breaks_something(
    agreement: float, commonest: float, expected: str
) -> None:
    def with_agreement(complete: Evidence) -> Evidence:
        made = ALIKE | {"agreement": agreement, "commonest": commonest}
        alone = without(complete, "transfer")
        extra = [
            dataclasses.replace(one, provenance=one.provenance | {"surrogate": made}) if one.cell.attack.source else one
            for one in alone.extra
        ]
        return Evidence(alone.records, extra)

    assert verdict("V12", with_agreement(evidence()))[0] == expected
    assert verdict("V12", with_agreement(evidence(surrogate=[5 <= i < 60 for i in range(N)])))[0] == "FAIL"


def on_the_first(count: int, name: str, found: Evidence) -> Evidence:
    few = {"examples": list(range(count)), "labels": [0] * count, "clean": outcome([True] * count)}
    fewer = [
        dataclasses.replace(r, **few, outcomes={library: outcome([True] * count) for library in r.outcomes})
        if (one := r.role.adaptive) is not None and one.name == name
        else r
        for r in found.extra
    ]
    return Evidence(found.records, fewer, found.readings)


@pytest.mark.parametrize(("name", "trial_name"), [("V10", "restarts"), ("V23", "best iterate")])
@pytest.mark.parametrize(("count", "status"), [(56, "OPEN"), (59, "PASS")])
def test_an_image_that_was_not_attacked_counts_as_if_it_had_fallen(
    count: int, status: str, name: str, trial_name: str
) -> None:
    """60 stand. On another processor PGD may spare one that it broke where the other attacks ran."""
    found, text = verdict(name, on_the_first(count, trial_name, evidence()))
    assert (found, "on fewer images" in text) == (status, status == "OPEN")
    assert ("0 more of 100 broken, 1 not attacked" in text) == (status == "PASS")


def test_an_image_that_was_not_attacked_does_not_matter_where_another_attack_broke_it() -> None:
    broken = [i < 50 for i in range(N)]
    assert verdict("V10", on_the_first(50, "restarts", evidence(doubled_steps=broken)))[0] == "PASS"
    assert verdict("V10", on_the_first(50, "restarts", evidence()))[0] == "OPEN"


def test_the_ladder_is_of_images_that_were_attacked_or_that_nothing_else_broke() -> None:
    broken = [i < 50 for i in range(N)]
    assert verdict("V14", on_the_first(50, "fresh draws", evidence(doubled_steps=broken)))[0] == "PASS"
    assert verdict("V14", on_the_first(50, "fresh draws", evidence()))[0] == "OPEN"


@pytest.mark.parametrize(("name", "trial_name"), [("V9", "doubled_steps"), ("V10", "restarts")])
@pytest.mark.parametrize("other", ["apgd-ce", "apgd-dlr", "doubled_steps", "restarts", "logits_x_0.1"])
def test_what_another_attack_finds_as_well_is_not_left_to_steps_or_starts(
    name: str, trial_name: str, other: str
) -> None:
    """20 images that PGD missed, found by two attacks: PGD is weak there, and no more are left for a third."""
    broken = [20 <= i < 60 for i in range(N)]
    assert verdict(name, evidence(**{trial_name: broken}))[0] == "FAIL"
    assert verdict(name, evidence(**{trial_name: broken, "square": broken}))[0] == "FAIL"
    both = verdict(name, evidence(**{trial_name: broken, other: broken}))[0]
    assert both == ("FAIL" if other == trial_name else "PASS")


@pytest.mark.parametrize("other", ["doubled_steps", "restarts", "apgd-ce"])
def test_a_scale_is_compared_with_more_steps_and_starts_of_the_same_attack(other: str) -> None:
    """APGD may need no scale, and says nothing of PGD's gradients; but what it found, too, is not left to a scale."""
    broken = [20 <= i < 60 for i in range(N)]
    found, text = verdict("V13", evidence(**{"logits_x_0.1": broken, other: broken}))
    assert found == ("FLAG" if other == "apgd-ce" else "PASS")
    assert ("found them, too" in text) is (other == "apgd-ce")
    assert verdict("V13", evidence(**{"logits_x_0.1": broken, "square": broken}))[0] == "FAIL"


def test_a_network_that_gives_one_answer_hides_no_gradient() -> None:
    """18 of 100 images are of the class that it answers: more than one of ten, and nothing to attack."""
    dead = evidence(dataclasses.replace(HEALTHY, dead=N), unbounded=[i < 18 for i in range(N)])
    labels = [0] * 18 + [1 + i % 9 for i in range(N - 18)]

    def answering(predicted: list[int], entropies: list[float]) -> Evidence:
        clean = dataclasses.replace(outcome([True] * N), predicted=predicted, entropy=entropies)
        records = [dataclasses.replace(record, clean=clean, labels=labels) for record in dead.records]
        return Evidence(records, dead.extra, dead.readings)

    for found, expected in (
        (answering([0] * N, [2.0] * N), ("PASS", "PASS")),
        (answering([0] * N, [2.0] * (N - 1) + [1.9]), ("FAIL", "FLAG")),  # it knows one image from another
        (answering(labels, [2.0] * N), ("FAIL", "FLAG")),
        (dead, ("FAIL", "FLAG")),  # images of one class say nothing
    ):
        assert (verdict("V5", found)[0], verdict("V8", found)[0]) == expected


def test_an_unbounded_attack_leaves_chance() -> None:
    for right, expected in ((10, "PASS"), (15, "FLAG"), (30, "FAIL")):
        assert verdict("V8", evidence(unbounded=[i < right for i in range(N)]))[0] == expected


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("V3", {"repeat": 1e-6}, "PASS"), ("V3", {"repeat": 1e-3}, "FAIL"), ("V4", {"normalisation": 1e-3}, "FAIL"),
        ("V4", {"probabilities": 100}, "FAIL"), ("V5", {"dead": 1}, "PASS"), ("V5", {"dead": 3}, "FLAG"),
        ("V5", {"dead": 50}, "FAIL"), ("V5", {"undefined": 1}, "FAIL"),
        ("V17", {"missed": ["art fgsm"]}, "FAIL"),
    ],
)  # fmt: skip
def test_a_networks_health(name: str, changes: dict[str, object], expected: str) -> None:
    found = {v.check: v.status for v in verdicts(evidence(dataclasses.replace(HEALTHY, **changes)))}
    assert found.pop(name) == expected
    assert set(found.values()) == {"PASS"}


def test_nothing_may_move_without_a_budget() -> None:
    complete = evidence()

    def with_first(change: Record) -> Evidence:
        return Evidence(complete.records, [change, *complete.extra[1:]])

    first = complete.extra[0]
    library, whole = next(iter(first.outcomes.items()))
    moved = dataclasses.replace(whole, distance=[1e-9] + [0.0] * (N - 1))
    assert verdict("V1", with_first(dataclasses.replace(first, outcomes={library: moved})))[0] == "FAIL"
    flipped = dataclasses.replace(whole, correct=[False] + [True] * (N - 1))
    assert verdict("V1", with_first(dataclasses.replace(first, outcomes={library: flipped})))[0] == "FAIL"
    failed = dataclasses.replace(outcome([]), error="out of cheese")
    found = with_first(dataclasses.replace(first, outcomes={library: failed}))
    assert verdict("V1", found)[0] == verdict("V2", found)[0] == "ERROR"


def test_a_share_passes_flags_or_fails_by_the_exact_test() -> None:
    assert over(0, 0, 0.01) == "PASS"
    assert [over(hits, 1000, 0.01) for hits in (10, 11, 18, 19)] == ["PASS", "FLAG", "FLAG", "FAIL"]


def test_a_network_without_draws_needs_none() -> None:
    complete = evidence()
    plain = [
        dataclasses.replace(r, cell=dataclasses.replace(r.cell, attack_draws=1, judge_draws=1), family="frequentist")
        for r in complete.records
    ]
    found = {v.check: v for v in verdicts(Evidence(plain))}
    assert {found[name].status for name in ("V14", "V15", "V19", "V20", "V21")} == {"PASS"}
    assert standard_attack("pgd-linf", LINF.eps).threat in Evidence(plain).surviving
