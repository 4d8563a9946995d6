"""Audit every broken network and write which check catches which: `python -m benchmark.selftest`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from benchmark.attacks.craft import Adapter
from benchmark.evaluation.loop import How, run
from benchmark.plan.cells import Selection
from benchmark.plan.suites import SUITES
from benchmark.records.store import Store
from benchmark.results import Results
from benchmark.results.entries import Entry
from benchmark.selftest.networks import BROKEN, Broken
from zoo import ZooEntry
from zoo.commands import mistakes_in_one_line
from zoo.files import write_whole
from zoo.lookup import lookup

app = typer.Typer(add_completion=False)


def audited(entry: ZooEntry, selection: Selection, adapters: Mapping[str, Adapter] = MappingProxyType({})) -> Entry:
    """The entry with its audits after the adaptive suite; nothing is stored.

    adapters: by library, what runs its attacks in place of its own adapter.
    """
    with Store(None) as store:
        done = run(SUITES["adaptive"], selection, [entry], store, How(adapters=adapters))
    return Results(done.records).entry()


def audit_broken(broken: Broken, selection: Selection) -> Entry:
    """The same for a broken network, with its adapters."""
    return audited(broken.entry, selection, broken.adapters)


@app.command()
@mistakes_in_one_line()
def main(
    out: Annotated[Path, typer.Option(help="Folder for broken.json; leaderboards/studies for the committed page.")] = (
        Path("broken")
    ),
    examples: Annotated[int, typer.Option(help="Test images.")] = 100,
    only: Annotated[str | None, typer.Option(help="One broken network.")] = None,
) -> None:
    """What is in the file already is kept, so that a run that was stopped goes on."""
    path = out / "broken.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    out.mkdir(parents=True, exist_ok=True)
    selection = Selection(examples=examples)
    for name in BROKEN if only is None else (only,):
        if found.get(name, {}).get("images") != examples:
            broken = lookup(BROKEN, name, "broken network")
            result = audit_broken(broken, selection)
            worst = result.verdicts
            found[name] = {
                "images": examples,
                "defect": broken.defect,
                "must": list(broken.checks),
                "verdicts": {v.check: [v.status, v.evidence] for v in worst.values()},
                "whitebox": {f"{row.threat.norm} {row.threat.eps:g}": row.whitebox.hits for row in result.rows},
                "worst": {f"{row.threat.norm} {row.threat.eps:g}": row.worst.hits for row in result.rows},
            }
            write_whole(path, (json.dumps(found, indent=1, sort_keys=True) + "\n").encode())
            typer.echo(f"{name}: {', '.join(f'{v.check} {v.status}' for v in worst.values() if v.status != 'PASS')}")


if __name__ == "__main__":
    app()
