"""Audit broken networks and honest ones, and write what the checks say of each: `python -m benchmark.selftest`.

Of the honest ones some are what broken ones hide, so that their worst case is the true one of those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from benchmark.attacks.craft import Adapter
from benchmark.evaluation.loop import How, run
from benchmark.evaluation.machine import Machine
from benchmark.options import DataRoot
from benchmark.plan.cells import Selection
from benchmark.plan.suites import SUITES
from benchmark.records.store import Store
from benchmark.results import Results
from benchmark.results.checks import OF_AUDITS
from benchmark.results.entries import Entry
from benchmark.selftest.broken import Broken
from benchmark.selftest.honest import HONEST, Honest
from benchmark.selftest.networks import BROKEN
from zoo import ZooEntry
from zoo.commands import mistakes_in_one_line
from zoo.datasets import DataNotFoundError
from zoo.files import write_whole
from zoo.lookup import lookup

app = typer.Typer(add_completion=False)


def hidden_networks() -> dict[str, Honest]:
    """Name of an entry -> the entry, of all that broken networks hide."""
    behind = {one.behind.name: one.behind for one in BROKEN.values() if one.behind is not None}
    return {name: Honest(entry, "what broken networks hide, without a defect") for name, entry in behind.items()}


def audited(
    entry: ZooEntry,
    selection: Selection,
    adapters: Mapping[str, Adapter] = MappingProxyType({}),
    data_root: Path | None = None,
) -> Entry:
    """The entry with its audits after the adaptive suite; nothing is stored.

    adapters: by library, what runs its attacks in place of its own adapter.
    """
    with Store(None) as store:
        how = How(Machine(data_root=data_root), adapters=adapters)
        done = run(SUITES["adaptive"], selection, [entry], store, how)
    return Results(done.records).entry()


def audit_broken(broken: Broken, selection: Selection, data_root: Path | None = None) -> Entry:
    """The same for a broken network, with its adapters."""
    return audited(broken.entry, selection, broken.adapters, data_root)


def found_of(result: Entry) -> dict[str, object]:
    """What a study keeps of an audit; accuracies are numbers of images."""
    rows = {f"{row.threat.norm} {row.threat.eps:g}": row for row in result.rows}
    return {
        "images": result.rows[0].worst.count,
        "verdicts": {v.check: [v.status, v.evidence] for v in result.verdicts.values() if v.check in OF_AUDITS},
        "statuses": dict(result.statuses),
        "clean": result.rows[0].clean.hits,
        "whitebox": {threat: row.whitebox.hits for threat, row in rows.items()},
        "worst": {threat: row.worst.hits for threat, row in rows.items()},
    }


class Study:
    """A file of what was found of some networks; what is in it already is kept, unless checks have come since."""

    def __init__(self, path: Path, examples: int, data_root: Path | None) -> None:
        self.path, self.selection, self.examples, self.data_root = (
            path,
            Selection(examples=examples),
            examples,
            data_root,
        )
        self.found: dict[str, dict[str, object]] = json.loads(path.read_text()) if path.is_file() else {}

    def add(self, name: str, network: Broken | Honest) -> None:
        """Audit a network, unless that is done. One whose data are not at hand is left out, which is said."""
        before = self.found.get(name, {})
        verdicts = before.get("verdicts", {})
        if before.get("images") == self.examples and isinstance(verdicts, dict) and set(verdicts) == set(OF_AUDITS):
            return
        try:
            if isinstance(network, Broken):
                result = audit_broken(network, self.selection, self.data_root)
                behind = None if network.behind is None else network.behind.name
                about = {"defect": network.defect, "source": network.source, "must": list(network.checks)}
                self.found[name] = found_of(result) | about | {"behind": behind}
            else:
                result = audited(network.entry, self.selection, data_root=self.data_root)
                self.found[name] = found_of(result) | {"what": network.what}
        except DataNotFoundError as error:
            typer.echo(f"skipping {name}: {error}")
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, (json.dumps(self.found, indent=1, sort_keys=True) + "\n").encode())
        said = [f"{v.check} {v.status}" for v in result.verdicts.values() if v.status != "PASS"]
        typer.echo(f"{name}: {', '.join(said) or 'PASS'}")


@app.command()
@mistakes_in_one_line()
def main(
    out: Annotated[
        Path, typer.Option(help="Folder for broken.json and honest.json; leaderboards/studies for the committed page.")
    ] = Path("selftest"),
    examples: Annotated[int, typer.Option(help="Test images.")] = 100,
    only: Annotated[str | None, typer.Option(help="One network, broken or honest.")] = None,
    data_root: DataRoot = None,
) -> None:
    """Each network is written when it is done, so that a run that was stopped goes on."""
    honest = hidden_networks() | HONEST
    if only is not None:
        lookup({**honest, **BROKEN}, only, "network of the self-test")
    networks: dict[str, Mapping[str, Broken | Honest]] = {"broken": BROKEN, "honest": honest}
    for kind, of_kind in networks.items():
        study = Study(out / f"{kind}.json", examples, data_root)
        for name, network in of_kind.items():
            if only in (None, name):
                study.add(name, network)


if __name__ == "__main__":
    app()
