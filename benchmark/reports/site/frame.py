"""The frame around every page: navigation, styles, and the way back to the root, so that all links are relative."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import benchmark
from benchmark.reports.page import render_page

NAVIGATION = {
    "index.html": "Overview",
    "boards.html": "Boards",
    "curves.html": "Curves",
    "compare.html": "Compare",
    "reports/index.html": "Reports",
    "downloads.html": "Downloads",
}


@dataclass(frozen=True)
class Frame:
    """What all pages of a site share.

    protocol: its version. finished: the day of the last attack. places: network -> path of its page, below the root.
    """

    protocol: str
    finished: str
    places: Mapping[object, str] = field(default_factory=dict)

    def page(self, path: str, template: str, title: str, description: str, **values: object) -> bytes:
        """A page of that path below the root, from `templates/site`."""
        text = render_page(
            f"site/{template}",
            None,
            path=path,
            root=root_of(path),
            title=title,
            description=description,
            navigation=NAVIGATION,
            current=path if path in NAVIGATION else _section(path),
            frame=self,
            version=benchmark.__version__,
            **values,
        )
        return text.encode()


def root_of(path: str) -> str:
    """The way from a page to the root: empty, `../` or `../../`."""
    return "../" * path.count("/")


def _section(path: str) -> str:
    """The entry of the navigation that a page belongs to."""
    return {"entries": "boards.html", "reports": "reports/index.html"}.get(path.partition("/")[0], "")


def slug(name: str) -> str:
    """A name as that of a file or an anchor, whatever characters it has."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "network"
