"""What the page and README say in words of ours, held to the committed tables."""

from __future__ import annotations

from pathlib import Path

from scipy.stats import kendalltau

from benchmark.attacks.spec import ThreatModel
from benchmark.papers.posteriors.answers import SHOWN, expected_gradients, verdict
from benchmark.papers.posteriors.figures import middle
from benchmark.papers.posteriors.findings import Findings, read_repeats, read_studies
from benchmark.papers.posteriors.grid import EXACT, MAP
from benchmark.papers.posteriors.suite import Attacker
from benchmark.plan.adaptive_attack import NORMS
from benchmark.reports.general import STUDIES

ROOT = Path(__file__).resolve().parents[4]


def test_the_zoos_twins_differ_no_more_than_their_trainings_as_the_readme_says() -> None:
    """The committed tables: mnist/lenet and mnist/bayesian-lenet, by the zoo's recipes, at every eps and reading."""
    assert "no more from each other than from training to training" in (ROOT / "README.md").read_text()
    twins = Findings.read(ROOT / "leaderboards" / STUDIES / "posteriors" / "twins")
    for norm in NORMS:
        for threat in twins.threats(norm):
            for own in (False, True):
                (beyond,) = twins.beyond_map(threat, own).values()
                assert beyond.p >= 0.05, threat


def test_the_answer_says_what_the_committed_tables_say() -> None:
    """Its words are ours, not the tables': each is held to them here."""
    found = {one.problem.name: one for one in read_studies(ROOT / "leaderboards" / STUDIES)}
    mlp = found["mlp"]
    linf, l2 = ThreatModel("linf", 0.1), ThreatModel("l2", 1.0)

    def told(name: str, threat: ThreatModel, own: bool = False, findings: Findings = mlp) -> str:
        return verdict(findings.beyond_map(threat, own)[name])

    for findings in found.values():  # no image at the usual eps where the draws are known
        usual = ThreatModel("linf", 0.3 if findings.problem.dataset == "mnist" else 8 / 255)
        assert all(findings.robust(name, usual, own=True).mean == 0 for name in findings.posteriors)
        left = [name for name in findings.posteriors if findings.robust(name, usual).mean > 0]
        assert left == ([EXACT] if findings.problem.name == "lenet-1000" else [])
    repeats = read_repeats(ROOT / "leaderboards" / STUDIES)
    again, broader = repeats["mlp"], ThreatModel("l2", 1.5)
    assert int(again.mean(EXACT, "members")) == 400
    for own in (False, True):
        for threat in (linf, broader):
            assert told(EXACT, threat, own, again) == "more robust"
            fewer = verdict(again.fewer_lost(threat, own)[EXACT])
            assert (fewer == "") == (own and threat == linf)
    for name in again.posteriors:  # both readings meet as draws become more
        few, many = (one.robust(name, linf).mean - one.robust(name, linf, own=True).mean for one in (mlp, again))
        assert 0 <= many <= few
    assert mlp.by_single_draws(EXACT, linf)["10"] < mlp.robust(EXACT, linf, own=True).mean
    for name in (EXACT, "sghmc", "sgld"):  # by unknown draws, and not by known ones
        assert told(name, linf) == told(name, l2) == "more robust"
        assert "more robust" not in [told(name, threat, own=True) for threat in (linf, l2)]
    assert [told(EXACT, threat, own=True) for threat in (linf, l2)] == ["", ""]
    assert told("sgld", linf, own=True) == "less robust"
    for name in ("mean-field-t1", "dropout", "swag-wide"):  # either way
        assert [told(name, linf, own) for own in (False, True)] == 2 * ["more robust"]
        assert [verdict(mlp.fewer_lost(linf, own)[name]) for own in (False, True)] == 2 * ["more robust"]
    for name in ("ensemble-5", "ensemble-10", "swag", "laplace-last"):
        for threat in middle(mlp, SHOWN):
            for own in (False, True):
                assert told(name, threat, own) == ""
                assert abs(mlp.beyond_map(threat, own)[name].mean) < 0.03
    widths = sorted(mlp.posteriors, key=lambda name: mlp.mean(name, "mutual_information"))
    assert set(widths[-2:]) == {"laplace-kron", "laplace-diag"}
    for name in widths[-2:]:
        assert [told(name, linf, own) for own in (False, True)] == ["", "less robust"]
    for threat in middle(mlp, SHOWN):
        robust = [mlp.robust(name, threat).mean for name in mlp.posteriors]
        tau, p = kendalltau(expected_gradients(mlp), robust)
        assert tau < -0.4
        assert p < 0.02
    lenet, cold = found["lenet"], "mean-field-t0.01"
    assert told(cold, l2) == told(cold, ThreatModel("linf", 0.15), findings=lenet) == "less robust"
    for findings in (mlp, lenet):
        assert abs(findings.mean(cold, "accuracy") - findings.mean(MAP, "accuracy")) < 0.005
    for name in ("mean-field-t1", "dropout", "swag-wide", "ensemble-5"):
        assert told(name, ThreatModel("linf", 0.15), findings=lenet) == ""
    small, smaller = found["lenet-1000"], repeats["lenet-1000"]
    assert int(smaller.mean(EXACT, "members")) == 80
    assert [told(EXACT, l2, own, smaller) for own in (False, True)] == 2 * ["more robust"]
    for findings in (small, smaller):  # whose posteriors are more accurate, and lose as many images
        for threat in (threat for norm in NORMS for threat in findings.threats(norm)):
            for own in (False, True):
                assert {verdict(one) for one in findings.fewer_lost(threat, own).values()} == {""}
    assert small.mean(cold, "accuracy") > small.mean(MAP, "accuracy") + 0.02
    cifar = found["lenet-cifar"]
    for threat in (ThreatModel("linf", 2 / 255), ThreatModel("l2", 0.25)):
        assert told("ensemble-5", threat, findings=cifar) == "more robust"
        assert verdict(cifar.fewer_lost(threat)["ensemble-5"]) == ""
    assert round(100 * float(cifar.clean("ensemble-5").mean() - cifar.clean(MAP).mean())) == 7
    assert round(100 * (cifar.mean("ensemble-5", "accuracy") - cifar.mean(MAP, "accuracy"))) == 7
    assert cifar.norms("ensemble-5")[5] < 0.5 * cifar.norms("ensemble-5")[1]
    for name in ("mean-field-t1", "swag", "dropout"):
        for threat in (threat for norm in NORMS for threat in cifar.threats(norm)):
            assert [told(name, threat, own, cifar) for own in (False, True)] == ["", ""]
    single = mlp.over(EXACT, linf, Attacker.SINGLE)
    assert single is not None
    assert single > 0.3
