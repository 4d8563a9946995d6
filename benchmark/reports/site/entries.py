"""A page per network: its report, its model card, its ranks, and where its records are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.attacks.spec import format_eps
from benchmark.reports.network_report import sections
from benchmark.reports.site.frame import Frame, slug
from benchmark.reports.tables import audit_name, labelled, rank, threat_title
from benchmark.results import Results
from benchmark.results.boards import Board
from benchmark.results.cards import cards
from benchmark.results.entries import Entry
from benchmark.results.images import AttackedImages
from benchmark.results.twins import Twins


def places_of(entries: Sequence[Entry]) -> dict[object, str]:
    """Network -> path of its page, each its own."""
    places: dict[object, str] = {}
    taken: set[str] = set()
    for entry in entries:
        name = stem = slug(audit_name(labelled(entry.rows[0])))
        number = 1
        while name.lower() in taken:  # of networks that differ in draws or seed alone
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        places[entry.configuration] = f"entries/{name}.html"
    return places


def entry_page(
    results: Results,
    entry: Entry,
    frame: Frame,
    groups: Sequence[Twins],
    downloads: Mapping[str, str],
    images: Sequence[AttackedImages],
) -> bytes:
    """The page of a network. downloads: title -> path in the site of its records and its audit.

    images: attacked ones, to be looked at.
    """
    name = labelled(entry.rows[0])
    return frame.page(
        frame.places[entry.configuration],
        "entry.html",
        name,
        f"Robustness of {name}: accuracy under attack, checks, posterior, cost, and how to reproduce it.",
        card=card_facts(cards().get(entry.name, {})),
        note=str(cards().get(entry.name, {}).get("note", "")),
        ranks=_ranks(entry, results.boards),
        twins=_twins(entry, groups),
        downloads=downloads,
        **sections(results, entry, images),
    )


def _ranks(entry: Entry, boards: Sequence[Board]) -> list[dict[str, object]]:
    """A line a board that it is on, and the state that shows this board alone."""
    return [
        {
            "threat": threat_title(board.norm, board.eps),
            "images": len(board.images[1]),
            "rank": rank(row),
            "rows": len(board.rows),
            "state": f"dataset={board.dataset}&norm={board.norm}&eps={format_eps(board.eps)}"
            f"&images={len(board.images[1])}",
        }
        for board in boards
        for row in board.rows
        if row.configuration == entry.configuration and not row.reference
    ]


def _twins(entry: Entry, groups: Sequence[Twins]) -> list[str]:
    """The names of the networks of the same architecture."""
    return [
        labelled(other.rows[0])
        for group in groups
        if any(one.configuration == entry.configuration for one in group.entries)
        for other in group.entries
        if other.configuration != entry.configuration
    ]


def card_facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a model card says of a network, in short; nothing for none."""
    if not card:
        return []
    recipe, results = card["recipe"], card["results"]
    found = [
        ("architecture", recipe["architecture"]),
        ("parameters", f"{card['parameters']:,}"),
        ("test accuracy", f"{100 * results['accuracy']:.2f} % of {results['examples']:,} images"),
        ("weights", f"{card.get('weights', {}).get('dtype', 'float32')}, sha256 {card['sha256'][:12]}"),
        *_posterior_facts(results.get("posterior")),
        *((str(name).replace("_", " "), _told(value)) for name, value in recipe.items() if name != "architecture"),
        *_sampling_facts(card.get("sampling")),
        ("trained", f"{card['training'].get('date', '')}, torch {card['training'].get('torch', '')}"),
    ]
    return [(name, text) for name, text in found if text]


def _posterior_facts(posterior: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if posterior is None:
        return []
    ratios = ", ".join(f"{layer} {value:.3g}" for layer, value in posterior["sigma_over_abs_mu"].items())
    return [
        ("mutual information on test images", f"{posterior['mutual_information_nats']:.4f} nats"),
        ("mean sigma over mean |mu|", ratios),
    ]


def _sampling_facts(sampling: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if sampling is None:
        return []
    return [
        ("chains", str(sampling["chains"])),
        ("samples", f"{sampling['samples']}, {sampling['kept']} kept"),
        ("convergence", str(sampling.get("conclusion", ""))),
    ]


def _told(value: object) -> str:
    """A setting of a recipe; empty for one that is not used."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(of)}" for name, of in value.items() if of is not None)
    if value is None or value is False:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
