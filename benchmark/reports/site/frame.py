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
    "guide/index.html": "Guide",
    "downloads.html": "Downloads",
}


@dataclass(frozen=True)
class Frame:
    """What all pages of a site share.

    protocol: its version. finished: the day of the last attack. places: network -> path of its page, below the root.
    guided: whether there are guides. reference: path of the reference of functions and classes; empty for none.
    """

    protocol: str
    finished: str
    places: Mapping[object, str] = field(default_factory=dict)
    guided: bool = False
    reference: str = ""

    def page(self, path: str, template: str, title: str, description: str, **values: object) -> bytes:
        """A page of that path below the root, from `templates/site`."""
        text = render_page(
            f"site/{template}",
            None,
            path=path,
            root=root_of(path),
            title=title,
            description=description,
            navigation={to: name for to, name in NAVIGATION.items() if self.guided or name != "Guide"},
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
    first = path.partition("/")[0]
    return "boards.html" if first == "entries" else f"{first}/index.html" if first in ("reports", "guide") else ""


def slug(name: str) -> str:
    """A name as that of a file or an anchor, whatever characters it has."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "network"
