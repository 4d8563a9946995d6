"""The page about published numbers of Bayes by Backprop."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.papers.bayes_by_backprop.published import PUBLISHED, Sources, read_studies
from benchmark.reports.general import STUDIES
from benchmark.reports.page import render_page
from benchmark.reports.publish import Generated
from benchmark.reports.tables import markdown
from benchmark.results import Results
from benchmark.results.cards import cards

NOT_MEASURED = "not measured"


def report(_results: Results, folder: Path) -> Generated:
    """The page; none where nothing was measured."""
    if not (folder / STUDIES).is_dir():
        return Generated({})
    link = "[published numbers beside ours](toolkit.md), uncertainty on images of other kinds"
    return Generated({folder / "toolkit.md": toolkit_page(folder / STUDIES)}, links=(link,))


def toolkit_page(folder: Path) -> str:
    """folder: what `examples` and `zoo.uncertainty` wrote. Links are relative to the folder above it."""
    sources = Sources(cards(), read_studies(folder))
    rows = [
        {
            "source": row.source,
            "what": row.what,
            "published": row.published,
            "ours": row.ours(sources) or NOT_MEASURED,
            "why they differ": row.why,
        }
        for row in PUBLISHED
    ]
    uncertainty = [
        {
            "entry": f"{path.parent.name}/{path.stem}",
            "table": _table(path),
            "figure": path.with_suffix(".png").relative_to(folder.parent).as_posix(),
        }
        for path in sorted((folder / "uncertainty").glob("*/*.csv"))
    ]
    return render_page(
        "toolkit.md",
        __package__,
        published=markdown(rows),
        uncertainty=uncertainty,
        figures={path.stem for path in folder.glob("*.png")},
    )


def _table(path: Path) -> str:
    """A column per kind of images."""
    frame = pd.read_csv(path).set_index("images")
    turned = frame.drop(columns="count").T
    return markdown(
        {"": str(measure), **{str(kind): "" if pd.isna(value) else f"{value:.4f}" for kind, value in row.items()}}
        for measure, row in turned.iterrows()
    )
