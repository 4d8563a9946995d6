"""The page about every kind of posterior under one judge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.papers.posteriors.answers import (
    SHOWN,
    against_maximum,
    fewer_broken,
    grid_of,
    in_short,
    least_that_is_told,
    left_open,
    less_attacked,
    never_exchanged,
    of_the_exact_posterior,
    verdict,
)
from benchmark.papers.posteriors.figures import by_draws, by_gradient, by_width, middle
from benchmark.papers.posteriors.findings import Findings, read_repeats, read_studies
from benchmark.papers.posteriors.grid import MAP, TRAININGS
from benchmark.papers.posteriors.quotes import Quotes
from benchmark.papers.posteriors.suite import Attacker
from benchmark.plan.adaptive_attack import NORMS
from benchmark.reports.figures import Figures
from benchmark.reports.general import STUDIES
from benchmark.reports.page import render_page
from benchmark.reports.publish import Generated, in_folder
from benchmark.reports.tables import markdown, threat_title
from benchmark.results import Results


def report(_results: Results, folder: Path) -> Generated:
    """The page; none where nothing was measured."""
    found, again = read_studies(folder / STUDIES), read_repeats(folder / STUDIES)
    if not found:
        return Generated({})
    figures: Figures = {}
    for findings in found:
        name, threats = findings.problem.name, middle(findings)
        figures[f"posteriors-{name}-gradients"] = partial(by_gradient, findings, threats)
        if findings.has_widths:
            figures[f"posteriors-{name}-width"] = partial(by_width, findings, threats)
        figures[f"posteriors-{name}-draws"] = partial(by_draws, findings)
    text = render_page(
        "posteriors.md",
        __package__,
        quote=quotes if (quotes := Quotes((*found, *again.values()))).are_complete else None,
        problems=[_problem(one, again.get(one.problem.name)) for one in found],
        answers=[*in_short(found)],
        still_open=[*left_open(found, again.values())],
        trainings=TRAININGS,
        moons=(folder / STUDIES / "half-moons.png").is_file(),
    )
    links = ("[every kind of posterior under one judge](posteriors.md): is it Bayes, or the approximation?",)
    return Generated({folder / "posteriors.md": text}, in_folder(folder, figures), links=links)


def _problem(findings: Findings, again: Findings | None) -> dict[str, object]:
    problem = findings.problem
    images = findings.survivors(MAP, middle(findings)[0]).shape[1]
    return {
        "name": problem.name,
        "images": images,
        "what": f"{problem.words}; {images} test images",
        "against": markdown(against_maximum(findings)),
        "fewer": markdown(fewer_broken(findings)),
        "has_widths": findings.has_widths,
        "grid": grid_of(findings),
        "says": [*less_attacked(findings), *of_the_exact_posterior(findings)],
        "least": f"{least_that_is_told(findings):.0f}",
        "measures": markdown(_measures(findings)),
        "robust": {
            threat_title(one.norm, one.eps): markdown(_robust(findings, one)) for one in middle(findings, SHOWN)
        },
        "by_eps": {norm: markdown(_by_eps(findings, findings.threats(norm))) for norm in ("linf", "l2")},
        "judges": markdown(_by_judge(findings)),
        "not_exchanged": never_exchanged(findings),
        "queries": markdown(_by_single_draws(findings)),
        "members": "" if again is None else markdown(_by_members(findings, again)),
        "trainings": markdown(_by_training(findings, middle(findings, SHOWN))),
        "sampling": markdown(_sampling(findings)),
    }


def _measures(findings: Findings) -> Iterator[dict[str, object]]:
    for name in findings.posteriors:
        norms, limit = findings.norms(name), findings.mean(name, "limit")
        yield {
            "posterior": name,
            "what": findings.problem.posteriors[name].words,
            "members": int(findings.mean(name, "members")),
            "accuracy": f"{100 * findings.mean(name, 'accuracy'):.1f}",
            "NLL": f"{findings.mean(name, 'negative_log_likelihood'):.3f}",
            "ECE": f"{100 * findings.mean(name, 'calibration_error'):.1f}",
            "mutual information": f"{findings.mean(name, 'mutual_information'):.4f}",
            "gradient norm, 1": f"{norms[1]:.3f}",
            "8": f"{norms[8]:.3f}" if 8 in norms else "",
            "all": f"{list(norms.values())[-1]:.3f}",
            "limit": "" if math.isnan(limit) else f"{limit:.3f}",
        }


def _sampling(findings: Findings) -> Iterator[dict[str, object]]:
    for name in findings.posteriors:
        for training, figures in findings.sampling.get(name, {}).items():
            energy, chains = figures["energy"], figures.get("test_log_probabilities")
            yield {
                "posterior": name,
                "training": f"{figures['chains']} chains" if figures["chains"] > 1 else training,
                "samples": figures["samples"],
                "acceptance": " / ".join(f"{one:.2f}" for one in figures.get("acceptance_by_chain", [])),
                "energy": f"{energy['mean']:,.0f} ± {energy['standard_deviation_in_chains']:.0f}",
                "its split R-hat": energy.get("split_rhat", ""),
                "weights² / prior²": f"{figures['mean_square_of_weights_over_prior']:.2f}",
                "split R-hat of test log p: median, most": ""
                if chains is None
                else f"{chains['split_rhat_median']:.3f}, {chains['split_rhat_max']:.2f}",
                "ESS: median, least": "" if chains is None else f"{chains['ess_median']:.0f}, {chains['ess_min']:.0f}",
                "mixed": "" if chains is None else "yes" if figures["converged"] else "no",
                "passes": f"{figures['passes_through_all_images']:,.0f}",
            }


def _robust(findings: Findings, threat: ThreatModel) -> Iterator[dict[str, object]]:
    beyond = findings.beyond_map(threat)
    for name in findings.posteriors:
        more = beyond.get(name)
        own = findings.robust(name, threat, own=True)
        transfer = findings.survivors(name, threat, [Attacker.TRANSFER])
        yield {
            "posterior": name,
            "robust [95 %]": findings.robust(name, threat).percent(),
            "judge's own draws": f"{100 * own.mean:.1f}",
            "transfer alone": f"{100 * transfer.mean():.1f}" if transfer.size else "",
            **{
                f"{attacker} adds": _signed(findings.over(name, threat, attacker))
                for attacker in (Attacker.SINGLE, Attacker.FROZEN, Attacker.MEAN)
            },
            "beyond the maximum [95 %]": "" if more is None else more.percent("+z.1f"),
            "": "" if more is None else verdict(more),
        }


def _by_eps(findings: Findings, threats: list[ThreatModel]) -> Iterator[dict[str, object]]:
    for name in findings.posteriors:
        yield {
            "posterior": name,
            **{format_eps(one.eps): f"{100 * findings.robust(name, one).mean:.1f}" for one in threats},
        }


def _by_training(findings: Findings, threats: list[ThreatModel]) -> Iterator[dict[str, object]]:
    for name in findings.posteriors:
        yield {
            "posterior": name,
            **{
                threat_title(one.norm, one.eps): " / ".join(
                    f"{100 * share:.0f}" for share in findings.survivors(name, one).mean(1)
                )
                for one in threats
            },
        }


def _by_judge(findings: Findings) -> Iterator[dict[str, object]]:
    """At the eps at which halves were exchanged, which are the same for all problems on a data set."""
    threats = [threat for norm in NORMS for threat in findings.threats(norm)]
    found = {(name, one): findings.exchanged(name, one) for name in findings.posteriors for one in threats}
    met = [one for one in threats if any(found[name, one] for name in findings.posteriors)]
    for name in findings.posteriors:
        if any(found[name, one] for one in met):
            yield {
                "posterior": name,
                **{
                    threat_title(one.norm, one.eps): ""
                    if (each := found[name, one]) is None
                    else f"{100 * each.first:.1f}, {100 * each.second:.1f} ({100 * each.differ:.1f})"
                    for one in met
                },
            }


def _by_single_draws(findings: Findings) -> Iterator[dict[str, object]]:
    threats = middle(findings, SHOWN)
    for name in findings.posteriors:
        found = {threat: findings.by_single_draws(name, threat) for threat in threats}
        if all(found.values()):
            yield {
                "posterior": name,
                **{
                    threat_title(one.norm, one.eps): " / ".join(f"{100 * share:.0f}" for share in shares.values())
                    for one, shares in found.items()
                },
            }


def _by_members(findings: Findings, again: Findings) -> Iterator[dict[str, object]]:
    """What both measured, with few members and with many."""
    for name in (name for name in again.posteriors if name in findings.posteriors):
        for one in (findings, again):
            norms, limit = one.norms(name), one.mean(name, "limit")
            yield {
                "posterior": name,
                "members": int(one.mean(name, "members")),
                "gradient norm, all": f"{list(norms.values())[-1]:.3f}",
                "limit": "" if math.isnan(limit) else f"{limit:.3f}",
                **{
                    threat_title(threat.norm, threat.eps): " / ".join(
                        f"{100 * one.robust(name, threat, own).mean:.1f}"
                        for own in (False, True)[: 1 + one.is_sample(name)]
                    )
                    for threat in middle(findings, SHOWN)
                },
            }


def _signed(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+z.1f}"
