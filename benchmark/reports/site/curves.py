"""Robust accuracy against eps: charts of Vega-Lite, compiled when the site is built, so that pages load Vega alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.attacks.methods import METHOD_OF, NORMS
from benchmark.attacks.spec import format_eps
from benchmark.protocol import ATTACKS
from benchmark.reports.network_report.charts import STYLES
from benchmark.reports.overview import short
from benchmark.reports.site.frame import Frame, slug
from benchmark.results.entries import Entry
from benchmark.results.share import Share
from benchmark.results.twins import Twins

TABLE = "curves.csv"  # of the leaderboards, where a grid of eps was run
_POINTS = "network,family,eps,accuracy,low,high"


def curves_page(groups: Mapping[str, Sequence[Twins]], table: str | None, frame: Frame) -> bytes:
    """A section a data set: the worst case of all attacks norm by norm, then attack by attack.

    groups: data set -> its networks, twins together. table: CSV of accuracy by eps under one attack each, if any.
    """
    sections = []
    for dataset, of_dataset in groups.items():
        styles = _styles(of_dataset)
        entries = [entry for group in of_dataset for entry in group.entries]
        charts = [*_worst_cases(entries), *_attack_by_attack(dataset, table)]
        sections.append(
            {"dataset": dataset, "styles": styles, "charts": [_chart(one, styles, dataset) for one in charts]}
        )
    return frame.page(
        "curves.html",
        "curves.html",
        "Curves",
        "Robust accuracy against eps, network by network, with 95 % intervals.",
        sections=sections,
        specs={chart["id"]: chart["spec"] for section in sections for chart in section["charts"]},  # type: ignore[index]
    )


def _styles(groups: Sequence[Twins]) -> list[dict[str, object]]:
    """A colour for twins together, a line for each family."""
    return [
        {
            "name": short(entry.name, entry.dataset),
            "style": place % STYLES,
            "family": "frequentist" if entry.rows[0].family == "frequentist" else "other",
        }
        for place, group in enumerate(groups)
        for entry in group.entries
    ]


def _worst_cases(entries: Sequence[Entry]) -> list[tuple[str, str, pd.DataFrame]]:
    """(title, norm, points) of every norm; at eps 0 the accuracy on clean images."""
    norms = dict.fromkeys(row.threat.norm for entry in entries for row in entry.rows)
    charts = []
    for norm in norms:
        points = []
        for entry in entries:
            rows = sorted((row for row in entry.rows if row.threat.norm == norm), key=lambda row: row.threat.eps)
            shares = {0.0: rows[0].clean, **{row.threat.eps: row.worst for row in rows}} if rows else {}
            points += [_point(entry, eps, share) for eps, share in shares.items()]
        charts.append((f"Worst case of all attacks, {norm}", str(norm), pd.DataFrame(points)))
    return charts


def _point(entry: Entry, eps: float, share: Share) -> dict[str, object]:
    low, high = share.interval
    return {
        "network": short(entry.name, entry.dataset),
        "family": entry.rows[0].family,
        "eps": eps,
        "accuracy": share.value,
        "low": low,
        "high": high,
    }


def _attack_by_attack(dataset: str, table: str | None) -> list[tuple[str, str, pd.DataFrame]]:
    """(title, norm, points) of every attack that was run on a grid of eps by the expected gradient."""
    if table is None:
        return []
    frame = pd.read_csv(io.StringIO(table))
    frame = frame[(frame["dataset"] == dataset) & (frame["gradient"] == "expected")]
    charts = []
    for attack in (name for name in ATTACKS if name in set(frame["attack"])):
        points = frame[frame["attack"] == attack]
        named = points.assign(network=[short(str(name), dataset) for name in points["entry"]])
        title = f"{METHOD_OF[attack].name.upper()} alone, {NORMS[attack]}"
        charts.append((title, str(NORMS[attack]), named[_POINTS.split(",")]))
    return charts


def _chart(chart: tuple[str, str, pd.DataFrame], styles: list[dict[str, object]], dataset: str) -> dict[str, Any]:
    title, norm, points = chart
    return {
        "id": slug(f"{dataset}-{title}".lower()),
        "title": title,
        "alt": _in_words(title, points),
        "spec": compiled(points, f"eps ({norm})", styles),
    }


def _in_words(title: str, points: pd.DataFrame) -> str:
    last = points[points["eps"] == points["eps"].max()]
    told = "; ".join(f"{row.network} {100 * float(row.accuracy):.1f} %" for row in last.itertuples())
    return f"{title}. At eps {format_eps(float(points['eps'].max()))}: {told}."


def compiled(points: pd.DataFrame, axis: str, styles: list[dict[str, object]]) -> Mapping[str, Any]:
    """The chart as Vega. Signal `focus`: the network that stands out, with its band; empty for none."""
    import altair as alt
    import vl_convert

    rounded = points.assign(**{name: (100 * points[name]).round(2) for name in ("accuracy", "low", "high")})
    rounded["eps"] = rounded["eps"].round(5)
    rounded["family"] = rounded["family"].where(rounded["family"] == "frequentist", "other")
    values = [{str(name): value for name, value in line.items()} for line in rounded.to_dict(orient="records")]
    chosen = "datum.network === focus"
    base = alt.Chart(alt.InlineData(values=values)).encode(
        # most happens at small eps, where a linear axis has no room
        x=alt.X("eps:Q", title=axis, scale=alt.Scale(type="sqrt"), axis=_axis(rounded["eps"])),
        color=alt.Color(
            "network:N",
            legend=None,
            scale=alt.Scale(
                domain=[str(style["name"]) for style in styles],
                range=[f"var(--s{style['style']})" for style in styles],
            ),
        ),
    )
    accuracy = alt.Y(
        "accuracy:Q",
        title=None,
        scale=alt.Scale(domain=[0, 100]),
        axis=alt.Axis(values=[0, 25, 50, 75, 100], labelPadding=8),
    )
    dash = alt.StrokeDash(
        "family:N", legend=None, scale=alt.Scale(domain=["frequentist", "other"], range=[[1, 0], [5, 3]])
    )
    shown = {"opacity": alt.condition(f"focus === '' || {chosen}", alt.value(1), alt.value(0.12))}
    band = base.mark_area(line=False).encode(
        y=alt.Y("low:Q", title=None),
        y2="high:Q",
        opacity=alt.condition(chosen, alt.value(0.22), alt.value(0)),
    )
    lines = base.mark_line(strokeWidth=1.8).encode(y=accuracy, strokeDash=dash, **shown)
    points_ = base.mark_point(filled=True, size=22).encode(y=accuracy, **shown)
    spec = (
        alt.layer(band, lines, points_)
        .add_params(alt.param(name="focus", value=""))
        .properties(width="container", height=230, padding={"left": 4, "right": 8, "top": 6, "bottom": 4})
        .configure(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", domain=False, ticks=False)
    )
    return dict(vl_convert.vegalite_to_vega(spec.to_dict()))


def _axis(eps: pd.Series[float]) -> Any:
    """The eps that were attacked, as many as do not cover one another."""
    import altair as alt

    return alt.Axis(grid=False, values=sorted(set(eps)), format=".3~g", labelOverlap="greedy", labelSeparation=6)
