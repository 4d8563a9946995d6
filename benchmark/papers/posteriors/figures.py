"""The study's figures: what each gradient says of each posterior, robustness against width, gradients against draws."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmark.attacks.spec import ThreatModel, format_eps
from benchmark.papers.posteriors.findings import Findings
from benchmark.papers.posteriors.grid import EXACT, MAP, PROBLEMS
from benchmark.papers.posteriors.suite import Attacker
from benchmark.plan.adaptive_attack import NORMS
from zoo.style import COLUMN

_MARKS: dict[Attacker | None, tuple[str, str]] = {  # None: all of them together
    Attacker.MEAN: ("D", "C1"),
    Attacker.SINGLE: ("P", "C0"),
    Attacker.FROZEN: ("s", "C4"),
    Attacker.ALL: ("^", "C2"),
    None: ("o", "black"),
}
_FAMILIES = {  # the colour of every kind whose name begins so
    MAP: "black",
    "ensemble": "C1",
    "dropout": "C2",
    "mean-field": "C0",
    "swag": "C4",
    "laplace": "C5",
    "sg": "C7",
    EXACT: "C3",
}
_MARKERS = "osD^vP"  # of the kinds of a family, in the order in which problems name them


def by_gradient(findings: Findings, threats: list[ThreatModel]) -> Figure:
    """Robust accuracy of every posterior as each gradient finds it, and under all together with intervals.

    Open circles: where the draws are known. The dotted line is the maximum's.
    """
    names = findings.posteriors
    figure = Figure(figsize=(2 * COLUMN, 0.95 + 0.24 * len(names)))
    for axis, threat in zip(figure.subplots(1, len(threats), sharey=True, squeeze=False)[0], threats, strict=True):
        for attacker, (marker, colour) in _MARKS.items():
            for place, name in enumerate(names):
                if attacker is None:
                    found = findings.robust(name, threat)
                    low, high = (100 * min(1.0, max(0.0, end)) for end in (found.low, found.high))
                    axis.plot([low, high], [place, place], color=colour, linewidth=1.4, zorder=2)
                alone = findings.survivors(name, threat, Attacker if attacker is None else [attacker])
                if alone.size:
                    label = (attacker or "all together") if place == len(names) // 2 else None
                    axis.plot(
                        100 * alone.mean(),
                        place,
                        marker,
                        color=colour,
                        markersize=4.5,
                        linestyle="",
                        label=label,
                        zorder=3,
                    )
        known = {place: name for place, name in enumerate(names) if findings.is_sample(name)}
        axis.plot(
            [100 * findings.robust(name, threat, own=True).mean for name in known.values()],
            [*known],
            "o",
            color="black",
            markerfacecolor="white",
            markersize=4.5,
            label="draws known",
            zorder=4,
        )
        axis.axvline(100 * findings.robust(MAP, threat).mean, color="black", linestyle=":", linewidth=0.8, zorder=1)
        axis.set(title=_title(threat), xlabel="robust accuracy in %", xlim=(-2, 100), yticks=range(len(names)))
        axis.set_yticklabels(names, fontsize=7)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.tick_params(labelsize=7)
        axis.grid(linewidth=0.4)
    shown = figure.axes[0].get_legend_handles_labels()
    figure.legend(*shown, fontsize=7, loc="lower center", ncols=len(_MARKS) + 1, frameon=False, handletextpad=0.2)
    figure.tight_layout(pad=0.5, rect=(0, 0.25 / figure.get_figheight(), 1, 1))
    return figure


def by_width(findings: Findings, threats: list[ThreatModel]) -> Figure:
    """Robust accuracy against mutual information, a point a posterior, with intervals over trainings and images."""
    figure = Figure(figsize=(2 * COLUMN, 2.9))
    for axis, threat in zip(figure.subplots(1, len(threats), squeeze=False)[0], threats, strict=True):
        for name in findings.posteriors:
            found, width = findings.robust(name, threat), findings.mean(name, "mutual_information")
            low, high = (100 * min(1.0, max(0.0, end)) for end in (found.low, found.high))
            colour, marker = look(name)
            axis.plot([width, width], [low, high], color=colour, linewidth=0.8, alpha=0.6)
            axis.plot(width, 100 * found.mean, marker, color=colour, markersize=4.5, linestyle="", label=name)
        axis.set(title=_title(threat), xlabel="mutual information in nats", ylabel="robust accuracy in %")
        axis.set_xscale("symlog", linthresh=0.01)  # the maximum has none, others from thousandths to one
        widest = max(findings.mean(name, "mutual_information") for name in findings.posteriors)
        ticks = [tick for tick in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0) if tick <= widest]
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axis.set_xlim(-0.002, 1.3 * widest)
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=7)
        axis.grid(linewidth=0.4)
    shown = figure.axes[0].get_legend_handles_labels()
    figure.legend(*shown, fontsize=6.5, loc="center right", frameon=False, handletextpad=0.2)
    figure.tight_layout(pad=0.5, rect=(0, 0, 0.84, 1))
    return figure


def by_draws(findings: Findings) -> Figure:
    """Mean norm of the gradient of the averaged prediction against how many draws are averaged."""
    figure = Figure(figsize=(1.6 * COLUMN, 2.9))
    axis = figure.subplots()
    by_name = {name: norms for name in findings.posteriors if len(norms := findings.norms(name)) > 1}
    for name, norms in by_name.items():
        colour, marker = look(name)
        axis.loglog([*norms], [*norms.values()], marker=marker, color=colour, linewidth=1, markersize=3.5, label=name)
    if MAP in findings.posteriors:
        axis.axhline(findings.norms(MAP)[1], color="black", linestyle=":", linewidth=1, label=MAP)
    axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axis.set(xlabel="draws", ylabel="mean gradient norm (l2)")
    axis.set_xticks(ticks := sorted({draws for norms in by_name.values() for draws in norms}), map(str, ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_locator(NullLocator())
    axis.tick_params(which="both", labelsize=7)
    axis.grid(linewidth=0.4)
    figure.tight_layout(pad=0.5)
    return figure


def middle(findings: Findings, count: int = 1) -> list[ThreatModel]:
    """The eps of each norm at which the maximum's robust accuracy is nearest a half, where most can be told.

    count: so many of each norm, the smallest first.
    """
    found = []
    for norm in NORMS:
        by_distance = sorted(
            findings.threats(norm), key=lambda threat: abs(float(findings.survivors(MAP, threat).mean()) - 0.5)
        )
        found += sorted(by_distance[:count], key=lambda threat: threat.eps)
    return found


def look(posterior: str) -> tuple[str, str]:
    """Colour and marker of a kind of posterior, the same in all figures: its family's colour, and a marker in it."""
    family = next(family for family in _FAMILIES if posterior.startswith(family))
    named = dict.fromkeys(name for problem in PROBLEMS.values() for name in problem.posteriors)
    place = [name for name in named if name.startswith(family)].index(posterior)
    return _FAMILIES[family], _MARKERS[place]


def _title(threat: ThreatModel) -> str:
    return f"{threat.norm}, eps {format_eps(threat.eps)}"
