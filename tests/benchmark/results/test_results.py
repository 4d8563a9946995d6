"""`Results` says what its records say: rows, frames, curves, audits and paired tests, against sums by hand."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from benchmark.protocol import LIBRARIES
from benchmark.records.record import Record
from benchmark.results import Results, compare
from tests.benchmark.handmade import make

STRONG = [True] * 18 + [False] * 2
WEAK = [True] * 6 + [False] * 14


def records(model: str, survived: list[bool], eps: float = 0.1, attack: str = "pgd-linf") -> list[Record]:
    """One library breaks an image more than the others: image 0."""
    apart = [False, *survived[1:]]
    return [make(model, attack, eps, {"torchattacks": survived, "foolbox": apart, "art": survived})]


def test_a_row_is_the_worst_case_over_libraries_and_the_frame_has_every_outcome() -> None:
    results = Results(records("mnist/a", STRONG))
    (row,) = results.entry().rows
    assert (row.worst.hits, row.worst.count) == (17, 20)
    frame = results.df
    assert len(frame) == 3 * 20
    assert frame.groupby("library")["correct"].sum().to_dict() == {"torchattacks": 18, "foolbox": 17, "art": 18}
    assert set(frame["model"]) == {"mnist/a"}
    assert frame.duplicated(["model", "attack", "eps", "library", "image"]).sum() == 0


def test_a_curve_is_worst_case_accuracy_with_wilson_intervals() -> None:
    found = [*records("mnist/a", STRONG), *records("mnist/a", WEAK, 0.3)]
    frame = Results(found).curve("pgd-linf").frame
    assert frame["eps"].tolist() == [0.0, 0.1, 0.3]
    assert frame["accuracy"].tolist() == [1.0, 17 / 20, 5 / 20]
    for hits, (_, line) in zip((20, 17, 5), frame.iterrows(), strict=True):
        expected = binomtest(hits, 20).proportion_ci(method="wilson")
        assert (line["low"], line["high"]) == pytest.approx((expected.low, expected.high))
    with pytest.raises(KeyError, match="no attack among the results named 'bim'"):
        Results(found).curve("bim")


def test_networks_are_compared_on_the_images_that_both_have_met() -> None:
    first = Results([*records("mnist/a", STRONG), *records("mnist/a", STRONG, 1.0, "pgd-l2")])
    second = Results([*records("mnist/b", WEAK), *records("mnist/b", WEAK, 1.0, "pgd-l2")])
    frame = compare(first, second)
    assert frame[["norm", "eps", "images", "only_first", "only_second"]].to_numpy().tolist() == [
        ["linf", 0.1, 20, 12, 0],
        ["l2", 1.0, 20, 12, 0],
    ]
    p = binomtest(0, 12).pvalue
    assert frame["p"].tolist() == pytest.approx([p, p])
    assert (frame["corrected"] >= frame["p"]).all()
    assert set(frame["more_robust"]) == {"mnist/a"}
    assert set(compare(second, first)["more_robust"]) == {"mnist/a"}
    alike = Results([make("mnist/c", "pgd-linf", 0.1, dict.fromkeys(LIBRARIES, STRONG))])
    assert set(compare(first, alike)["more_robust"]) == {"not separated"}
    with pytest.raises(ValueError, match="these have mnist/a, mnist/b"):
        compare(first + second, second)
    with pytest.raises(ValueError, match="no data set, norm, eps and image in common"):
        compare(Results(records("mnist/a", STRONG, 0.2)), second)


def test_an_audit_and_its_sentence_are_of_the_network_that_is_named() -> None:
    both = Results([*records("mnist/a", STRONG), *records("mnist/b", WEAK)])
    assert str(both.audit("mnist/a")).startswith("# Audit of mnist/a")
    assert "85.0 [64.0, 94.8] % at eps 0.1" in both.quote("mnist/a")
    with pytest.raises(ValueError, match="there are: mnist/a, mnist/b"):
        both.audit()
    with pytest.raises(KeyError, match="did you mean mnist/a"):
        both.audit("mnist/aa")


def test_a_part_of_another_record_counts_once() -> None:
    whole = make("mnist/a", "pgd-linf", 0.1, dict.fromkeys(LIBRARIES, STRONG))
    part = make("mnist/a", "pgd-linf", 0.1, dict.fromkeys(LIBRARIES, STRONG[:5]))
    assert Results([whole, part]).records == (whole,)
