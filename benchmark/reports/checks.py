"""The page about the checks: what each asks, and which of them catch the networks that are built to fool them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.reports import selftest
from benchmark.reports.page import render_page
from benchmark.reports.shares import percent
from benchmark.reports.tables import markdown, threat_title
from benchmark.results.checks import ALL
from benchmark.results.entries import Entry
from benchmark.timing import duration


def validity_page(studies: Path, entries: Sequence[Entry]) -> str:
    """studies: the folder that holds what `benchmark.selftest` wrote: `broken.json` and `honest.json`."""
    broken, honest = (selftest.read_study(studies / f"{kind}.json") for kind in ("broken", "honest"))
    audited = [entry for entry in entries if next(iter(entry.audits.values())).evidence.adaptive]
    zoo = {entry.name: selftest.network_of(entry) for entry in audited}
    all_honest = [*zoo.values(), *(network for name, network in honest.items() if name not in zoo)]
    images = [network.images for network in (*broken.values(), *honest.values())]
    return render_page(
        "validity.md",
        checks=markdown({"check": c.name, "asks": c.title, "if not": c.consequence} for c in ALL.values()),
        broken=markdown(_line(network) for network in broken.values()),
        honest=markdown({"network": one.name, "what": one.about, **selftest.marks(one)} for one in honest.values()),
        confusion=markdown(selftest.confusion(broken.values(), all_honest)),
        mistaken=markdown(selftest.mistaken(all_honest)),
        kept=markdown(selftest.kept_ranks(broken.values(), honest)),
        alarms=markdown(selftest.false_alarms(all_honest)),
        drops=[markdown(table) for table in selftest.survivors(broken.values(), honest)],
        entries=markdown({"entry": one.name, **selftest.marks(one)} for one in zoo.values()),
        moved=markdown(_moved(entry) for entry in audited),
        times=markdown(_times(entry) for entry in audited),
        images=", ".join(map(str, dict.fromkeys(images))),
        missed=sum(bool(network.ranked) for network in broken.values()),
    )


def _line(network: selftest.Network) -> dict[str, object]:
    """What the checks say of a broken network."""
    named = ", ".join(network.must)
    return {"network": network.name, "defect": network.about, "named": named, **selftest.marks(network)}


def _moved(entry: Entry) -> dict[str, object]:
    """By threat model: accuracy under the white-box and under all attacks, and the adaptive attack that broke most."""
    line: dict[str, object] = {"entry": entry.name}
    for row in entry.rows:
        most = max(row.adaptive, key=lambda name: row.adaptive[name], default="")
        by = f" ({most})" if row.adaptive.get(most) else ""
        title = threat_title(row.threat.norm, row.threat.eps)
        line[title] = f"{percent(row.whitebox)} → {percent(row.worst)}{by}"
    return line


def _times(entry: Entry) -> dict[str, object]:
    """Wall time of an entry's white-box attacks and of its audit, and which adaptive attacks took most of that."""
    whitebox = {record.key: record for record in entry.white_box}.values()
    seconds: dict[str, float] = {}
    for name, records in entry.adaptive.items():
        seconds[name] = sum(record.provenance["seconds"] for record in records)
    total, longest = sum(seconds.values()), sorted(seconds, key=lambda name: -seconds[name])[:3]
    return {
        "entry": entry.name,
        "white-box attacks": duration(sum(record.provenance["seconds"] for record in whitebox)),
        "adaptive attacks": duration(total),
        "of that": ", ".join(f"{name} {100 * seconds[name] / total:.0f} %" for name in longest),
    }
