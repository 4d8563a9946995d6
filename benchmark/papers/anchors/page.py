"""The page with our numbers beside published ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmark.attacks.spec import format_eps
from benchmark.papers.anchors.anchors import TUTORIAL, compare_with_published
from benchmark.papers.anchors.figures import fgsm_anchor
from benchmark.reports.figures import Figures
from benchmark.reports.page import render_page
from benchmark.reports.publish import Generated, in_folder
from benchmark.reports.shares import percent
from benchmark.reports.tables import markdown
from benchmark.results import Results


def report(results: Results, folder: Path) -> Generated:
    """The page, and the tutorial's curve where a point of it was measured."""
    compared = compare_with_published(results.records)
    figures: Figures = {}
    if measured := [(anchor, share) for anchor, share in compared if anchor.source == TUTORIAL and share]:
        figures["fgsm-anchor"] = partial(fgsm_anchor, measured)
    rows = [
        {
            "published": anchor.source,
            "attack": anchor.attack,
            "eps": format_eps(anchor.eps),
            "published %": f"{100 * anchor.value:.1f}",
            "our entry": anchor.entry,
            "ours % [95 %]": "not measured" if share is None else percent(share, interval=True),
            "images": "" if share is None else share.count,
        }
        for anchor, share in compared
    ]
    texts = {folder / "anchors.md": render_page("anchors.md", __package__, table=markdown(rows))}
    return Generated(texts, in_folder(folder, figures), links=("[published numbers beside ours](anchors.md)",))
