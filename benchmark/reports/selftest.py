"""What the self-test found, as tables: which check catches which broken network, and which troubles an honest one.

A network keeps its rank where in some norm no check says FAIL or ERROR. Two mistakes are counted: a broken network that
keeps a rank, and an honest one that loses one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.reports.shares import percent
from benchmark.results.checks import OF_AUDITS
from benchmark.results.checks.check import NOT_APPLICABLE
from benchmark.results.entries import Entry
from benchmark.results.share import Share

MARKS = {"PASS": "·", "OPEN": "open", "FLAG": "flag", "FAIL": "**FAIL**", "ERROR": "**ERROR**"}
CAUGHT = ("FAIL", "ERROR")


@dataclass(frozen=True)
class Network:
    """What an audit said of a network, in numbers of images.

    about: what it is, or its defect. must: the checks that must catch it. behind: the entry that it hides.
    verdicts: check -> status in the norm where it is worst. applies: checks that there was something to ask of.
    statuses: norm -> its worst verdict; empty where a study is older than this table.
    clean: right as they are. whitebox, worst: threat model as `linf 0.1` -> images that survive.
    """

    name: str
    images: int
    verdicts: Mapping[str, str]
    applies: frozenset[str]
    statuses: Mapping[str, str]
    about: str = ""
    must: tuple[str, ...] = ()
    behind: str | None = None
    clean: int | None = None
    whitebox: Mapping[str, int] = field(default_factory=dict)
    worst: Mapping[str, int] = field(default_factory=dict)

    @property
    def ranked(self) -> list[str]:
        """The norms in which it keeps its rank."""
        return [norm for norm, status in self.statuses.items() if status not in CAUGHT]

    @property
    def caught_by(self) -> list[str]:
        """The checks that say FAIL or ERROR."""
        return [check for check in OF_AUDITS if self.verdicts.get(check) in CAUGHT]


def read_study(path: Path) -> dict[str, Network]:
    """Name -> what `python -m benchmark.selftest` wrote of a network; nothing where there is no file."""
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}
    return {name: read_network(name, fields) for name, fields in found.items()}


def read_network(name: str, fields: dict[str, Any]) -> Network:
    """A network as it is in the file."""
    verdicts: dict[str, list[str]] = fields["verdicts"]
    return Network(
        name,
        fields["images"],
        {check: status for check, (status, _) in verdicts.items()},
        frozenset(check for check, (_, evidence) in verdicts.items() if not evidence.startswith(NOT_APPLICABLE)),
        fields.get("statuses", {}),
        fields.get("defect", fields.get("what", "")),
        tuple(fields.get("must", ())),
        fields.get("behind"),
        fields.get("clean"),
        fields.get("whitebox", {}),
        fields.get("worst", {}),
    )


def network_of(entry: Entry) -> Network:
    """A network of the zoo in the same form."""
    worst = entry.verdicts
    return Network(
        entry.name,
        entry.rows[0].worst.count,
        {check: verdict.status for check, verdict in worst.items()},
        frozenset(check for check, verdict in worst.items() if verdict.applies),
        dict[str, str](entry.statuses.items()),
    )


def marks(network: Network) -> dict[str, object]:
    """Check -> what it says; one that must catch the network and does not is marked, one newer than the study empty."""
    line: dict[str, object] = {}
    for check in OF_AUDITS:
        status = network.verdicts.get(check)
        missed = check in network.must and status is not None and status not in CAUGHT
        line[check] = "" if status is None else MARKS[status] + (" (missed)" if missed else "")
    return line


def confusion(broken: Iterable[Network], honest: Iterable[Network]) -> list[dict[str, object]]:
    """How many of each keep their rank in every norm, in one, in none, and the share of mistakes [95 %].

    A broken network that keeps a rank is a mistake where its number is above that of what it hides, or that is not
    known. honest: among them what is hidden.
    """
    lines, honest = [], list(honest)
    hidden = {network.name: network for network in honest}
    for kind, networks in (("broken", list(broken)), ("honest", honest)):
        audited = [network for network in networks if network.statuses]
        kept = [len(network.ranked) for network in audited]
        of = [len(network.statuses) for network in audited]
        wrong = sum(
            _overstates(network, hidden) if kind == "broken" else len(network.ranked) < len(network.statuses)
            for network in audited
        )
        lines.append(
            {
                "networks": kind,
                "number": len(audited),
                "ranked in every norm": sum(k == n for k, n in zip(kept, of, strict=True)),
                "in some": sum(0 < k < n for k, n in zip(kept, of, strict=True)),
                "in none": sum(k == 0 for k in kept),
                "mistake": "is ranked above the truth" if kind == "broken" else "loses a rank",
                "% [95 %]": percent(Share(wrong, len(audited)), interval=True) if audited else "",
            }
        )
    return lines


def _overstates(network: Network, honest: Mapping[str, Network]) -> bool:
    """Whether it keeps a row whose number is above that of what it hides, or about which nobody knows better."""
    kept = [threat for threat in network.worst if threat.split()[0] in network.ranked]
    return any((true := _true(network, one, honest)) is None or network.worst[one] > true.hits for one in kept)


def mistaken(honest: Iterable[Network]) -> list[dict[str, object]]:
    """The honest networks that lose a rank, and by which check."""
    return [
        {
            "network": network.name,
            "loses": ", ".join(norm for norm in network.statuses if norm not in network.ranked),
            "by": ", ".join(network.caught_by),
        }
        for network in honest
        if len(network.ranked) < len(network.statuses)
    ]


def kept_ranks(broken: Iterable[Network], honest: Mapping[str, Network]) -> list[dict[str, object]]:
    """The rows that broken networks keep: accuracy in % that is shown, and that of what is hidden there.

    honest: by name, what broken ones hide.
    """
    lines: list[dict[str, object]] = []
    for network in broken:
        for threat, shown in network.worst.items():
            if threat.split()[0] not in network.ranked:
                continue
            true = _true(network, threat, honest)
            lines.append(
                {
                    "network": network.name,
                    "threat": threat,
                    "shown": percent(Share(shown, network.images)),
                    "true": "" if true is None else percent(true),
                    "gap": "" if true is None else f"{100 * (shown / network.images - true.value):.1f}",
                    "must be caught by": ", ".join(network.must),
                }
            )
    return lines


def survivors(broken: Iterable[Network], honest: Mapping[str, Network]) -> list[list[dict[str, object]]]:
    """Images that survive the white-box attacks → all attacks, of how many of what is hidden, a table for each grid."""
    tables: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for network in broken:
        line: dict[str, object] = {"network": network.name, "clean": "" if network.clean is None else network.clean}
        for threat, hits in network.whitebox.items():
            true = _true(network, threat, honest)
            line[threat] = f"{hits} → {network.worst[threat]}" + ("" if true is None else f" (true {true.hits})")
        tables.setdefault(tuple(sorted(network.whitebox)), []).append(line)
    return list(tables.values())


def _true(network: Network, threat: str, honest: Mapping[str, Network]) -> Share | None:
    """The worst case of what a network hides; None where that is not known, or on other images."""
    behind = None if network.behind is None else honest.get(network.behind)
    if behind is None or threat not in behind.worst or behind.images != network.images:
        return None
    return Share(behind.worst[threat], behind.images)


def false_alarms(honest: Sequence[Network]) -> list[dict[str, object]]:
    """Check by check: of honest networks that it was open to, how many it flags or fails, and the share [95 %]."""
    lines = []
    for check, asks in OF_AUDITS.items():
        asked = [n for n in honest if check in n.applies and n.verdicts.get(check, "OPEN") != "OPEN"]
        flagged = sum(n.verdicts[check] == "FLAG" for n in asked)
        failed = sum(n.verdicts[check] in CAUGHT for n in asked)
        share = percent(Share(flagged + failed, len(asked)), interval=True) if asked else ""
        lines.append(
            {
                "check": check,
                "asks": asks.title,
                "networks": len(asked),
                "flagged": flagged,
                "failed": failed,
                "% [95 %]": share,
            }
        )
    return lines
