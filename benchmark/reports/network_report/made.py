"""How the numbers were made: cost, versions and hardware, the command that makes them again, and how to cite them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import benchmark
from benchmark.attacks.spec import format_eps
from benchmark.protocol import eps_grid
from benchmark.records.record import Record
from benchmark.reports.tables import span, threat_title
from benchmark.results.configuration import last_finished
from benchmark.results.entries import Entry
from benchmark.results.selection import is_of_the_zoo
from benchmark.timing import duration

_PAPERS = {
    "torchattacks": "Kim 2020, Torchattacks: A PyTorch Repository for Adversarial Attacks, arXiv:2010.01950",
    "foolbox": "Rauber, Zimmermann, Bethge and Brendel 2020, Foolbox Native, Journal of Open Source Software 5(53)",
    "art": "Nicolae et al. 2018, Adversarial Robustness Toolbox v1.0.0, arXiv:1807.01069",
}


def records_of(entry: Entry) -> list[Record]:
    """All records that rows, checks and readings of an entry rest on, each once."""
    evidence = [audit.evidence for audit in entry.audits.values()]
    return list({r.key: r for one in evidence for r in (*one.records, *one.extra, *one.readings)}.values())


def finished(entry: Entry) -> str:
    """The day on which the last of its attacks was run."""
    return last_finished(records_of(entry))[:10]


def passes(entry: Entry) -> list[dict[str, object]]:
    """A line a threat model: passes through the network for an image, each draw counted."""
    return [
        {
            "threat model": threat_title(row.threat.norm, row.threat.eps),
            "attacks": row.attack_count,
            "forward passes x draws": f"{row.passes[0]:,}",
            "backward passes x draws": f"{row.passes[1]:,}",
        }
        for row in entry.rows
    ]


def times(entry: Entry) -> list[dict[str, object]]:
    """Wall time of its cells, by what they were run for."""
    white_box = {record.key for record in entry.white_box}
    adaptive = {record.key for records in entry.adaptive.values() for record in records} - white_box
    kinds: dict[str, list[Record]] = {"white-box attacks": [], "adaptive attacks": [], "other evidence": []}
    for record in records_of(entry):
        kind = "white-box attacks" if record.key in white_box else "adaptive attacks"
        kinds[kind if record.key in white_box | adaptive else "other evidence"].append(record)
    return [
        {"run for": kind, "cells": len(records), "wall time": duration(_seconds(records))}
        for kind, records in ({**kinds, "all": records_of(entry)}).items()
        if records
    ]


def _seconds(records: Iterable[Record]) -> float:
    return sum(float(record.provenance.get("seconds", 0)) for record in records)


def provenance(entry: Entry) -> list[tuple[str, str]]:
    """With what, on what and from which code the records were made; what none of them says is left out."""
    records, configuration = records_of(entry), entry.configuration
    packages: dict[str, set[str]] = {}
    for record in records:
        for name, version in record.provenance.get("packages", {}).items():
            packages.setdefault(name, set()).add(version)
    found = [
        ("robustness-zoo", f"{benchmark.__version__}, protocol {configuration.protocol}"),
        ("code", _distinct(records, "commit", 12) + (", with uncommitted changes" if _dirty(records) else "")),
        ("Python", _distinct(records, "python")),
        *((name, ", ".join(sorted(versions))) for name, versions in sorted(packages.items())),
        ("hardware", _distinct(records, "device")),
        ("cores", _distinct(records, "cores")),
        ("threads of a cell", _distinct(records, "threads")),
        ("seed", str(configuration.seed)),
        ("network, sha256", configuration.fingerprint),
        ("data, sha256", configuration.data),
    ]
    return [(name, value) for name, value in found if value]


def _distinct(records: Sequence[Record], name: str, length: int | None = None) -> str:
    """The values of a field of provenance, each once, cut to a length."""
    values = (record.provenance.get(name) for record in records)
    return ", ".join(sorted({str(value)[:length] for value in values if value is not None}))


def _dirty(records: Sequence[Record]) -> bool:
    return any(record.provenance.get("dirty") for record in records)


def command(entry: Entry) -> str:
    """What makes the report again: a command for a network that has a name outside the call, otherwise Python."""
    name, dataset, seed = entry.name, entry.dataset, entry.configuration.seed
    images = max(row.attacked for row in entry.rows)
    own = ":" in name
    usual = seed == 0 and all(row.threat.eps in eps_grid(dataset)[row.threat.norm] for row in entry.rows)
    if usual and entry.adaptive and (own or is_of_the_zoo(name)):
        named = f"{name.removeprefix(f'{dataset}/')} --dataset {dataset} --family {_family(entry)}" if own else name
        thorough = " --thorough" if _suite(entry) == "thorough" else ""
        return f"python -m benchmark.audit {named} --examples {images}{thorough} --report report.html"
    eps: dict[str, list[str]] = {}
    for row in entry.rows:
        eps.setdefault(row.threat.norm, []).append(format_eps(row.threat.eps))
    radii = ", ".join(f'"{norm}": [{", ".join(values)}]' for norm, values in eps.items())
    return "\n".join(
        [
            "from benchmark import evaluate",
            "",
            "result = evaluate(",
            f'    "{name}",' if is_of_the_zoo(name) else f'    network, "{dataset}", family="{_family(entry)}",',
            f"    eps={{{radii}}},",
            f'    suite="{_suite(entry)}", examples={images}, seed={seed},',
            ")",
            'result.report("report.html")',
        ]
    )


def _suite(entry: Entry) -> str:
    """The suite that runs as much: where AutoAttack ran to its end on what was left, the thorough one."""
    if not entry.adaptive:
        return "whitebox"
    to_the_end = all(row.autoattack is not None for row in entry.rows)
    return "thorough" if to_the_end and any(row.whitebox.hits for row in entry.rows) else "adaptive"


def _family(entry: Entry) -> str:
    return entry.rows[0].family


def citation(entry: Entry) -> str:
    """How the figures are to be cited, as BibTeX: a figure without version and protocol says little."""
    images = span(row.worst.count for row in entry.rows)
    return "\n".join(
        [
            "@software{robustness-zoo,",
            "  title   = {robustness-zoo: adversarial robustness of Bayesian and frequentist networks},",
            f"  version = {{{benchmark.__version__}}},",
            f"  year    = {{{finished(entry)[:4]}}},",
            f"  note    = {{protocol {entry.configuration.protocol}, {images} images of {entry.dataset}, "
            f"network {entry.configuration.fingerprint[:12]}}},",
            "}",
        ]
    )


def papers(entry: Entry) -> list[str]:
    """What is to be cited for the libraries whose attacks were run."""
    used = {library for record in records_of(entry) for library in record.outcomes}
    return [text for library, text in _PAPERS.items() if library in used]
