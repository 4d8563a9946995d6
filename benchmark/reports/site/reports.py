"""The Markdown reports as pages of the site, with the tables and figures that lie beside them, and their list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from benchmark.reports.site.documents import FOLDER, GUIDES, Document, closure, document, linked, place
from benchmark.reports.site.frame import Frame

Read = Callable[[str], bytes | None]

READ_ON = [
    {"path": "reports/claims.html", "title": "Claims", "about": "A paper's claims, judged one by one."},
    {"path": "reports/masking.html", "title": "Gradient targets", "about": "What a wrong gradient hides."},
    {"path": "reports/posteriors.html", "title": "Posteriors", "about": "Every kind of posterior under one judge."},
    {"path": "reports/agreement.html", "title": "Agreement", "about": "Whether the libraries agree, image by image."},
    {"path": "reports/validity.html", "title": "Checks", "about": "What is asked of every number, and what fools it."},
]


GUIDES_ABOUT = {
    "method": "Gradients, draws, libraries, statistics and checks: what a number here stands for.",
    "running": "Commands, suites, larger runs, pages and the site, data, training the zoo.",
    "networks": "Ways to be Bayesian, registering, making a network Bayesian, one pass in place of draws.",
    "posteriors": "Kinds of posteriors, readings of a random network, how many draws are enough.",
    "data": "Arrays, a folder of images, torch, Hugging Face.",
    "attacks": "Your own attack, a library's, or one of ours with other settings.",
    "libraries": "laplace-torch, Pyro, Bayesian-Torch, BLiTZ, Torch-Uncertainty, posteriors: as they are.",
    "submitting": "A pull request adds a folder, and checks run a random tenth of it again.",
    "evaluate-your-network": "A notebook: one call, and what its results show.",
    "is-your-posterior-robust": "A notebook: a real posterior, and what a wrong gradient makes of it.",
    "your-own-data": "A notebook: images of your own, from arrays to a report.",
    "glossary": "One meaning a word.",
    "citing": "How to quote a row, and the terms of code, weights and data.",
    "architecture": "How data flow, and where each new thing goes.",
    "contributing": "What a change must pass, and what new things are tested against.",
    "security": "What it means to run somebody's network.",
    "changelog": "What changed.",
}  # by name; of others their first sentence says it


def report_pages(
    contents: Mapping[str, bytes], read: Read, frame: Frame, guides: Mapping[str, bytes] = MappingProxyType({})
) -> dict[str, bytes]:
    """The Markdown reports as pages, the tables and figures that lie beside them, and the guides.

    guides: name -> content of the documents beside the folder of the leaderboards, Markdown in the order in which they
        are listed, and of their images.
    """
    texts = {name: content.decode() for name, content in contents.items() if name.endswith(".md")}

    def text_of(name: str) -> str | None:
        content = read(name)
        return None if content is None else content.decode()

    texts = closure(texts, text_of)
    texts.pop("README.md", None)  # what it refers to is there; the front page is the site's own
    beside = {name: content for name, content in contents.items() if name.endswith((".csv", ".png", ".svg"))}
    for name, text in texts.items():
        for other in linked(text, name):
            if other.endswith(".png") and other not in beside and (content := read(other)) is not None:
                beside[other] = content
    exists = (texts.keys() | beside.keys() | guides.keys()).__contains__
    found = {name: document(text, name, exists) for name, text in sorted(texts.items())}
    guide = {name: document(text.decode(), name, exists) for name, text in guides.items() if not name.endswith(".png")}
    images = {name: content for name, content in guides.items() if name.endswith(".png")}
    files = {place(name): content for name, content in (beside | images).items()}
    for name, one in (found | guide).items():
        files[place(name)] = frame.page(
            place(name), "document.html", one.title, one.about, html=one.html, headings=one.headings
        )
    files[f"{FOLDER}/index.html"] = _index(found, frame)
    if guide:
        files[f"{GUIDES}/index.html"] = _guides(guide, frame)
    return files


def _guides(found: Mapping[str, Document], frame: Frame) -> bytes:
    """The page that lists the guides, and leads to the reference."""
    return frame.page(
        f"{GUIDES}/index.html",
        "guides.html",
        "Guide",
        "How the benchmark is used, what it measures, and how it is built.",
        guides=[
            line | {"about": GUIDES_ABOUT.get(line["file"].removesuffix(".html"), line["about"])}
            for line in _lines(found, GUIDES).values()
        ],
    )


def _lines(found: Mapping[str, Document], folder: str) -> dict[str, dict[str, str]]:
    """Name -> what a list says of a document."""
    return {
        name: {"file": place(name).removeprefix(f"{folder}/"), "title": one.title, "about": one.about}
        for name, one in found.items()
    }


def _index(found: Mapping[str, Document], frame: Frame) -> bytes:
    """The page that lists the reports, audits apart."""
    lines = _lines(found, FOLDER)
    audits = {name: line for name, line in lines.items() if "/" in name}
    return frame.page(
        f"{FOLDER}/index.html",
        "reports.html",
        "Reports",
        "What the numbers of the leaderboards say, and why they can be believed.",
        reports=[line for name, line in sorted(lines.items(), key=_order) if name not in audits],
        audits=[{**line, "title": line["title"].removeprefix("Audit of ")} for line in audits.values()],
    )


def _order(item: tuple[str, object]) -> tuple[int, str]:
    """The reports that the front page leads to come first."""
    first = [link["path"] for link in READ_ON]
    path = place(item[0])
    return (first.index(path) if path in first else len(first)), path
