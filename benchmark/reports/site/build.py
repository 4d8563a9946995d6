"""From results to the files of a site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from types import MappingProxyType

from benchmark.records.archive import file_name
from benchmark.reports.network_report.made import finished
from benchmark.reports.site.boards import boards_page
from benchmark.reports.site.compare import compare_page
from benchmark.reports.site.curves import TABLE, curves_page
from benchmark.reports.site.documents import place
from benchmark.reports.site.downloads import BOARDS, boards_json, downloads_page
from benchmark.reports.site.entries import entry_page, places_of
from benchmark.reports.site.frame import Frame
from benchmark.reports.site.overview import overview
from benchmark.reports.site.reference import FIRST
from benchmark.reports.site.reports import READ_ON, Read, report_pages
from benchmark.reports.tables import audit_file, labelled
from benchmark.results import Results
from benchmark.results.entries import Entry
from benchmark.results.images import AttackedImages
from benchmark.results.twins import twins_of

Pictures = Callable[[Entry], Sequence[AttackedImages]]
SCRIPTS = ("address.js", "boards.js", "compare.js", "curves.js")


def site(
    results: Results,
    contents: Mapping[str, bytes],
    read: Read,
    pictures: Pictures | None = None,
    guides: Mapping[str, bytes] = MappingProxyType({}),
    reference: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, bytes]:
    """Path -> content of every file of the site.

    contents: what the reports give, by path below the folder of the leaderboards. read: a file that lies there and is
    made elsewhere, None where there is none; those that the reports refer to become part of the site.
    pictures: attacked images of an entry, in place of those that its results kept.
    guides: name -> content of the documents beside that folder. reference: of `reference_pages`, to which they lead.
    """
    frame = replace(_frame(results), guided=bool(guides), reference=FIRST if reference else "")
    files = {**_assets(), **reference}
    files |= report_pages(contents, read, frame, guides)
    files |= {path: content for path, content in contents.items() if path.startswith("records/")}
    files[BOARDS] = boards_json(results.boards)
    groups = twins_of(results.entries, results.boards)
    for entry in results.entries:
        images = (pictures or results.kept_images)(entry)
        page = entry_page(results, entry, frame, groups[entry.dataset], _downloads(entry, files), images)
        files[frame.places[entry.configuration]] = page
    table = contents.get(TABLE)
    files["curves.html"] = curves_page(groups, None if table is None else table.decode(), frame)
    files["boards.html"] = boards_page(results.boards, frame)
    files["compare.html"] = compare_page(results.boards, groups, frame)
    links = [link for link in READ_ON if link["path"] in files]
    files["index.html"] = overview(results.boards, groups, frame, links)
    files["downloads.html"] = downloads_page(files, frame)
    return dict(sorted(files.items()))


def _frame(results: Results) -> Frame:
    entries = results.entries
    protocols = sorted({entry.configuration.protocol for entry in entries})
    return Frame(", ".join(protocols), max(map(finished, entries), default=""), places_of(entries))


def _downloads(entry: Entry, files: Mapping[str, bytes]) -> dict[str, str]:
    """Title -> path of what there is of an entry beside its page."""
    found = {
        "complete audit, as tables": place(audit_file(labelled(entry.rows[0]))),
        "licences of weights and images": "guide/citing.html",
    }
    for ending, title in (("", "records"), ("-adaptive", "records of adaptive attacks")):
        found[title] = f"records/{entry.dataset}/{file_name(entry.name)}{ending}.json.xz"
    return {title: path for title, path in found.items() if path in files}


def _assets() -> dict[str, bytes]:
    """Styles, scripts, and the libraries of others with their licences."""
    package = resources.files("benchmark.reports")
    styles = [package / "templates" / name for name in ("palette.css", "report.css")]
    css = b"\n".join(path.read_bytes() for path in [*styles, package / "site" / "assets" / "site.css"])
    files = {"assets/site.css": css} | {
        f"assets/{name}": (package / "site" / "assets" / name).read_bytes() for name in SCRIPTS
    }
    vendor = package / "site" / "assets" / "vendor"
    return files | {f"assets/{path.name}": path.read_bytes() for path in vendor.iterdir()}
