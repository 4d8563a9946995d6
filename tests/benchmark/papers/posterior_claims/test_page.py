"""The page about claims of posteriors follows the tables that lie in the folder."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmark.papers.posterior_claims.claims import CLAIMS, TITLES, cited
from benchmark.papers.posterior_claims.evidence import VIEWS, Evidence
from benchmark.papers.posterior_claims.page import report
from benchmark.papers.posteriors.grid import EXACT, MAP, PROBLEMS
from benchmark.reports.general import STUDIES
from benchmark.results import Results
from tests.benchmark.papers.posterior_claims.worlds import WORLD, World, alike, maximum, write

ROBUST = "HMC networks are robust to FGSM and PGD."


def page_of(world: World, folder: Path) -> str:
    write(world, folder)
    return report(Results([]), folder).texts[folder / "posterior-claims.md"]


def row(page: str, text: str) -> list[str]:
    """Cells of a claim's line in the summary."""
    (line,) = [line for line in page.splitlines() if line.startswith("| [") and f"| {text} " in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


def number_of(text: str) -> int:
    return next(number for number, one in enumerate(CLAIMS, 1) if one.claim.text == text)


def test_nothing_measured_is_no_page(tmp_path: Path) -> None:
    assert report(Results([]), tmp_path).texts == {}
    write({EXACT: alike(0.5)}, tmp_path)  # without a maximum nothing is beyond it
    assert report(Results([]), tmp_path).texts == {}


def test_judgements_follow_the_tables(tmp_path: Path) -> None:
    refuted = page_of({**WORLD, EXACT: alike(0.5)}, tmp_path)
    assert row(refuted, ROBUST)[4:8] == ["refuted"] * 4
    confirmed = page_of({**WORLD, EXACT: alike(0.97)}, tmp_path)
    assert row(confirmed, ROBUST)[4:8] == ["confirmed"] * 4
    assert row(refuted, ROBUST)[9].startswith("48.0 of 95.0 %")
    assert row(confirmed, ROBUST)[9].startswith("95.0 of 95.0 %")


def test_the_page_counts_what_its_summary_shows(tmp_path: Path) -> None:
    page = page_of(WORLD, tmp_path)
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| [")]
    for place, view in enumerate(VIEWS, start=len(rows[0]) - len(VIEWS) - 2):
        counts = Counter(cells[place].strip() for cells in rows)
        del counts[""]
        (sentence,) = [line for line in page.splitlines() if line.startswith(f"- By **{view.words}**")]
        told = {name: int(count) for count, name in re.findall(r"(\d+) (\w+(?: measured)?)", sentence.split("**: ")[1])}
        assert {name: count for name, count in told.items() if count} == counts


def test_every_claim_has_a_section_and_what_lacks_data_says_what_it_needs(tmp_path: Path) -> None:
    page = page_of({MAP: maximum(0.5)}, tmp_path)
    for number, one in enumerate(CLAIMS, 1):
        section = page.split(f'<a id="{number}"></a>')[1].split("<a id=")[0]
        assert f"### {number}. {one.claim.text}" in section
        assert f"Not measured: it needs {one.needs}." in section
    assert row(page, ROBUST)[4:8] == ["not measured"] * 4
    assert {one.claim.where for one in CLAIMS} == TITLES.keys()


def test_claims_are_judged_at_every_problem_that_has_what_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROBLEMS, "other", dataclasses.replace(PROBLEMS["mlp"], name="other", images=None))
    write({MAP: maximum(0.5), "mean-field-t1": alike(0.97)}, tmp_path, "other")
    page = page_of(WORLD, tmp_path)
    lines = [
        line for line in page.splitlines() if line.startswith("| [") and "variational inference are robust" in line
    ]
    assert len(lines) == 2
    assert "mlp, 5,000 images of mnist" in lines[0]
    assert "refuted" in lines[0]
    assert "other, all images of mnist" in lines[1]
    assert "confirmed" in lines[1]
    assert row(page, ROBUST)[3] == "mlp, 5,000 images of mnist"  # the other has no HMC, and no line


def test_a_claim_is_judged_with_the_most_draws_that_have_what_it_needs(tmp_path: Path) -> None:
    write({MAP: maximum(0.5), EXACT: alike(0.97)}, tmp_path, "mlp-400-draws")
    page = page_of(WORLD, tmp_path)
    assert row(page, ROBUST)[3:8] == ["mlp-400-draws, 5,000 images of mnist", *["confirmed"] * 4]
    (of_few,) = [line for line in page.splitlines() if line.startswith("| [") and "variational inference are" in line]
    assert "mlp, 5,000 images of mnist" in of_few  # mean-field was not measured again


def test_the_middle_eps_judges_and_the_others_are_shown(tmp_path: Path) -> None:
    page = page_of(WORLD, tmp_path)
    assert "eps (linf, eps 0.1, on mnist) a network is" in page
    section = page.split(f'<a id="{number_of(ROBUST)}"></a>')[1].split("<a id=")[0]
    by_eps = [line for line in section.splitlines() if "✗" in line]
    assert len(by_eps) == len(VIEWS)
    assert all(line.count("✗") == 12 for line in by_eps)


def test_half_moons_are_read(tmp_path: Path) -> None:
    widths = [{"width": width, "limit": 1 / width} for width in (4, 16, 64, 256)]
    (tmp_path / STUDIES).mkdir(parents=True)
    (tmp_path / STUDIES / "half-moons.json").write_text(json.dumps({"widths": widths}))
    page = page_of(WORLD, tmp_path)
    assert row(page, "The expected gradient falls as networks grow wider.")[3:] == [
        "half-moons", "", "", "", "", "confirmed", "0.250 at 4, 0.062 at 16, 0.016 at 64, 0.004 at 256",
    ]  # fmt: skip


def test_square_is_read_from_its_table(tmp_path: Path) -> None:
    """Two readings of the samples and one of the maximum, each on its own view."""
    (tmp_path / STUDIES).mkdir(parents=True)
    lines = [
        f"mnist/{name},linf,0.1,{reading},1000,{'1' * 90 + '0' * 10},{'1' * survive + '0' * (100 - survive)}"
        for name, reading, survive in (
            ("hmc-mlp", "sample", 89),
            ("hmc-mlp", "headline", 20),
            ("mlp-50", "headline", 30),
        )
    ]
    (tmp_path / STUDIES / "square.csv").write_text("\n".join(["model,norm,eps,reading,queries,right,survive", *lines]))
    page = page_of(WORLD, tmp_path)
    cells = row(page, "HMC networks are robust to attacks without gradients: queries (Square).")
    assert cells[3:] == [
        "mnist/hmc-mlp", "", "", "confirmed", "refuted", "",
        "70 of the 90 that are right, of 100 images; of its maximum 60 of 90",
    ]  # fmt: skip
    assert "1 of the 90 that are right, of 100 images; of its maximum 60 of 90" in page


def test_spheres_are_read_along_the_sphere(tmp_path: Path) -> None:
    """At the second of four eps; the ball is not the claim's, and one network has no other draws."""
    half, most, none = "1" * 50 + "0" * 50, "1" * 80 + "0" * 20, "0" * 100

    def by_eps(each: str) -> dict[str, list[str]]:
        return {
            "0": [most] * 3,
            "0.1": [most] * 3,
            "0.2": [each, "0" + each[1:], each],
            "0.4": [none] * 3,
            "0.8": [none] * 3,
        }

    kinds = {
        "map": {"survive": {"sphere own": by_eps(half), "ball own": by_eps(none)}},
        "hmc": {"survive": {"sphere own": by_eps(none), "sphere limit": by_eps(most), "ball own": by_eps(most)}},
    }
    (tmp_path / STUDIES).mkdir(parents=True)
    (tmp_path / STUDIES / "spheres.json").write_text(json.dumps({"kinds": kinds}))
    page = page_of(WORLD, tmp_path)
    cells = row(page, "On concentric spheres HMC networks have fewer adversarial examples.")
    assert cells[3:8] == ["spheres", "", "", "confirmed", "refuted"]
    assert row(page, "On concentric spheres mean-field networks have fewer adversarial examples.")[6] == "not measured"


def test_a_claim_without_statements_is_not_measured() -> None:
    """Of none all hold."""
    bare = cited("", "").claim
    assert bare.judge(Evidence()) == ("not measured", [])
