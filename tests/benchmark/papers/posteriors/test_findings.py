"""The study's page from tables that are made up: what it says follows from them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.figures import by_draws, by_gradient, by_width, look, middle
from benchmark.papers.posteriors.findings import Findings
from benchmark.papers.posteriors.grid import EXACT, MAP, PROBLEMS, TRAININGS
from benchmark.papers.posteriors.outcomes import COLUMNS, read_outcomes, write_outcomes
from benchmark.papers.posteriors.page import report
from benchmark.papers.posteriors.queries import COLUMNS as QUERIED
from benchmark.papers.posteriors.suite import EPS, Attacker, met
from benchmark.plan.cells import Reading
from benchmark.reports.general import STUDIES
from benchmark.results import Results

IMAGES = 100
SHARES = {  # of images that survive at the smallest eps: less by a fifth of it at each further one
    MAP: {Attacker.ALL: 0.7},
    "swag": {Attacker.ALL: 0.7, Attacker.MEAN: 0.72, Attacker.SINGLE: 0.75, Attacker.FROZEN: 0.71},
    EXACT: {Attacker.ALL: 0.9, Attacker.TRANSFER: 0.85, Attacker.MEAN: 0.99, Attacker.SINGLE: 0.97},
}


CLEAN = {MAP: 0.9, EXACT: 0.95}  # right without an attack; of SWAG that is not on record
EXCHANGED = 0.04  # fewer survive where the halves of the samples are exchanged
SAMPLING = {
    "chains": 3,
    "samples": 300,
    "acceptance_by_chain": [0.8, 0.7, 0.75],
    "energy": {"mean": 20954.0, "standard_deviation_in_chains": 140.8, "split_rhat": 1.009},
    "mean_square_of_weights_over_prior": 1.02,
    "test_log_probabilities": {
        "split_rhat_median": 1.0124,
        "split_rhat_max": 1.12,
        "ess_median": 184.1,
        "ess_min": 23.8,
    },
    "converged": False,
    "passes_through_all_images": 21948.0,
}


def _tables(folder: Path, trainings: int = TRAININGS, problem: str = "mlp") -> Path:
    """Image i survives an attacker who leaves a share s if i < 100 s; of training t one image fewer each."""
    rows, measures = [], []
    for name, attackers in SHARES.items():
        for training in range(1, trainings + 1):
            own = Reading.HEADLINE
            readings = {own: {Attacker.ALL: min(attackers.values()) - 0.1}} if name != MAP else {own: attackers}
            if name != MAP:
                readings[Reading.SAMPLE] = attackers
            if name == EXACT:
                readings[Reading.OTHER_JUDGE] = {Attacker.ALL: attackers[Attacker.ALL] - EXCHANGED}
            rows += [
                (problem, name, training, norm, eps, str(reading), str(attacker), IMAGES, each.count("1"), each, 1.0)
                for reading, of_reading in readings.items()
                for attacker, share in of_reading.items()
                for norm, grid in EPS["mnist"].items()
                for step, eps in enumerate(met(grid, reading))
                for each in [_each(share * (1 - step / 5) - training / 100)]
            ]
            rows += [
                (problem, name, training, norm, 0.0, str(reading), "nobody", IMAGES, each.count("1"), each, 0.0)
                for reading in readings
                for norm in EPS["mnist"]
                if name in CLEAN
                for each in [_each(CLEAN[name] - training / 100)]
            ]
            measures.append(
                {
                    "posterior": name,
                    "training": training,
                    "members": 1 if name == MAP else 100,
                    "accuracy": 0.95,
                    "negative_log_likelihood": 0.2,
                    "calibration_error": 0.01,
                    "mutual_information": {MAP: 0.0, "swag": 0.01, EXACT: 0.12}[name],
                    "limit": None if name == MAP else 0.3,
                    "norm of 1": 0.5,
                    "norm of 8": None if name == MAP else 0.4,
                    "norm of 100": None if name == MAP else 0.31,
                }
            )
    at = folder / STUDIES / "posteriors" / problem
    at.mkdir(parents=True)
    write_outcomes(pd.DataFrame(rows, columns=list(COLUMNS)), at)
    pd.DataFrame(measures).to_csv(at / "measures.csv", index=False)
    (at / "sampling.json").write_text(json.dumps({EXACT: {"1": SAMPLING}}))
    asked = [
        (EXACT, t, norm, eps, 0.6, 0.3, 0.1, 0.5)
        for t in (1, 2, 3)
        for norm, grid in EPS["mnist"].items()
        for eps in grid
    ]
    pd.DataFrame(asked, columns=list(QUERIED)).to_csv(at / "queries.csv", index=False)
    return at


def _each(share: float) -> str:
    return "".join("01"[image < round(IMAGES * share)] for image in range(IMAGES))


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return Findings.read(_tables(tmp_path_factory.mktemp("findings")))


SMALLEST = ThreatModel("linf", 0.02)


def test_a_robust_accuracy_is_the_worst_case_over_all_attackers(findings: Findings) -> None:
    assert findings.posteriors == [MAP, "swag", EXACT]
    assert findings.robust(EXACT, SMALLEST).mean == pytest.approx(0.85 - 0.02)  # the transfer's
    assert findings.robust(EXACT, SMALLEST, own=True).mean == pytest.approx(0.75 - 0.02)
    assert findings.robust(MAP, SMALLEST).mean == findings.robust(MAP, SMALLEST, own=True).mean == pytest.approx(0.68)
    assert findings.over(EXACT, SMALLEST, Attacker.MEAN) == pytest.approx(0.14)
    assert findings.over("swag", SMALLEST, Attacker.SINGLE) == pytest.approx(0.05)
    assert findings.over(MAP, SMALLEST, Attacker.SINGLE) is None


def test_halves_that_are_exchanged_say_how_far_an_answer_hangs_on_the_judge(findings: Findings) -> None:
    found = findings.exchanged(EXACT, SMALLEST)
    assert found is not None
    assert found == pytest.approx((0.88, 0.84, 0.04))
    assert findings.exchanged("swag", SMALLEST) is None
    assert findings.exchanged(EXACT, findings.threats("linf")[-1]) is None


def test_only_a_difference_that_trainings_and_images_do_not_explain_is_called_one(findings: Findings) -> None:
    beyond = findings.beyond_map(SMALLEST)
    assert set(beyond) == {"swag", EXACT}
    assert beyond["swag"].mean == 0
    assert beyond["swag"].p == 1
    assert beyond[EXACT].mean == pytest.approx(0.15)
    assert beyond[EXACT].low > 0
    assert beyond[EXACT].p < 0.05


def test_what_a_posterior_has_in_clean_accuracy_is_no_robustness(findings: Findings) -> None:
    assert findings.clean(EXACT).mean() == pytest.approx(0.93)
    assert findings.clean(EXACT).shape == findings.clean(MAP).shape == (TRAININGS, IMAGES)
    assert not findings.clean("swag").size
    assert set(findings.fewer_lost(SMALLEST)) == {EXACT}
    assert findings.fewer_lost(SMALLEST)[EXACT].mean == pytest.approx((0.9 - 0.7) - (0.95 - 0.85))
    assert findings.fewer_lost(SMALLEST, own=True)[EXACT].mean == pytest.approx((0.9 - 0.7) - (0.95 - 0.75))
    assert findings.threats("linf")[0] == SMALLEST


def test_the_page_says_what_the_tables_say(tmp_path: Path) -> None:
    _tables(tmp_path)
    generated = report(Results([]), tmp_path)
    text = generated.texts[tmp_path / "posteriors.md"]
    at = next(threat for threat in middle(Findings.read(tmp_path / STUDIES / "posteriors" / "mlp")))
    assert f"Under attack: linf, eps {at.eps:g}" in text
    rows = [line for line in text.splitlines() if line.startswith(f"| {EXACT} ")]
    assert any("more robust" in row for row in rows)
    assert not any("robust" in line for line in text.splitlines() if line.startswith("| swag "))
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    (against,) = [row for row in cells if row[3:4] == ["+5 / +5"]]
    assert against[4:8] == 2 * ["**+12** / +4", "**+9** / +3"]
    assert "Does it hang on accuracy?" in text
    assert ["", EXACT, *4 * ["60 / 30 / 10 / 50"], ""] in cells
    assert ["", EXACT, *2 * ["+7 / -1", "+4 / -2"], ""] in cells  # of which 5 are clean accuracy
    answers = {line.split("**")[1]: line for line in text.splitlines() if line.startswith("- **")}
    more = answers["Which posteriors are more robust than the maximum?"]
    assert "at how many of 4 eps" in more
    assert more.endswith(f"*mlp* {EXACT} 4 (0).")  # on the judge's own draws they are not told apart
    assert answers["Which are less robust?"].endswith("** *mlp* none.")
    wrong = answers["What does a wrong gradient alone add?"]
    assert f"*mlp* at linf {at.eps:g}: single draw up to 10 points (hmc)" in wrong
    assert "Are wider posteriors more robust?" not in answers, "of three kinds no correlation is told"
    assert "- Chains of hmc (mlp) have not mixed by the rule above." in text
    assert "- lenet-cifar (lenet given all images of cifar10-jpeg), defined and not measured." in text
    assert "defined and not measured: ensemble-5," in text
    assert "under HMC is 0.50 with one draw, 0.31 with 100 and 0.30 in the limit; at the maximum it is 0.50" in text
    assert "Does it hang on the judge's draws?" in text
    (told,) = [line for line in text.splitlines() if "3 chains" in line]
    assert "0.80 / 0.70 / 0.75" in told
    assert "| no " in told  # chains that have not mixed are shown as such
    assert [path.stem for path in generated.figures] == ["posteriors-mlp-gradients", "posteriors-mlp-draws"]
    assert len(generated.links) == 1


def test_what_was_measured_again_with_more_members_stands_beside_what_it_repeats(tmp_path: Path) -> None:
    _tables(tmp_path)
    assert "how many draws there are" not in report(Results([]), tmp_path).texts[tmp_path / "posteriors.md"]
    _tables(tmp_path, problem="mlp-400-draws")
    text = report(Results([]), tmp_path).texts[tmp_path / "posteriors.md"]
    assert "## mlp-400-draws" not in text
    _, section = text.split("### Does it hang on how many draws there are?")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.split("###")[0].splitlines()]
    lines = [line for line in cells if line[:1] in ([MAP], [EXACT])]
    assert [line[0] for line in lines] == 2 * [MAP] + 2 * [EXACT]
    assert [line[4] for line in lines] == 2 * ["54.0"] + 2 * ["66.0 / 58.0"]  # the second of six eps


def test_nothing_measured_is_no_page(tmp_path: Path) -> None:
    assert report(Results([]), tmp_path).texts == {}
    _tables(tmp_path, trainings=1)  # of which there is no spread
    assert report(Results([]), tmp_path).texts == {}


def test_a_posterior_that_is_not_done_is_not_on_the_page(tmp_path: Path) -> None:
    """Fewer attacks leave more images."""
    at = _tables(tmp_path)
    outcomes = read_outcomes(at)
    last = (outcomes["posterior"] == "swag") & (outcomes["training"] == TRAININGS)
    write_outcomes(outcomes.drop(index=outcomes[last].index[-1:]), at)
    assert Findings.read(at).posteriors == [MAP, EXACT]


def test_figures_show_every_posterior(findings: Findings) -> None:
    threats = middle(findings)
    assert [threat.norm for threat in threats] == ["linf", "l2"]
    gradients = by_gradient(findings, threats)
    assert [label.get_text() for label in gradients.axes[0].get_yticklabels()] == findings.posteriors
    width = by_width(findings, threats)
    assert [text.get_text() for text in width.legends[0].get_texts()] == findings.posteriors
    lines = by_draws(findings).axes[0].get_lines()
    np.testing.assert_allclose(lines[0].get_ydata(), [0.5, 0.4, 0.31])


def test_no_two_posteriors_look_alike_and_families_have_a_colour() -> None:
    names = {name for problem in PROBLEMS.values() for name in problem.posteriors}
    looks = {name: look(name) for name in names}
    assert len(set(looks.values())) == len(names)
    assert len({looks[name][0] for name in names if name.startswith("mean-field")}) == 1
    assert looks[MAP][0] != looks[EXACT][0]
