"""Judge adversarial images that were made elsewhere: `python -m benchmark.judge mnist/lenet images.npz --eps 0.1`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark import options
from zoo.commands import mistakes_in_one_line

if TYPE_CHECKING:
    from benchmark.records.record import Record
    from benchmark.records.store import Store

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
@mistakes_in_one_line()
def judge(
    model: options.Name,
    images: Annotated[
        Path,
        typer.Argument(
            help="Safetensors or npz: `images` (N, C, H, W) in [0, 1] or uint8, `indices` (N,) into the test split."
        ),
    ],
    eps: Annotated[str, typer.Option(help="Radius of the ball in pixels from 0 to 1, such as 0.3 or 8/255.")],
    norm: Annotated[str, typer.Option(help="linf or l2.")] = "linf",
    name: Annotated[str, typer.Option(help="Who or what made them, for tables.")] = "outside",
    dataset: options.OneDataset = None,
    data: options.OwnData = None,
    size: options.Size = None,
    family: options.Family = None,
    randomness: options.Randomness = "auto",
    outputs: options.Outputs = "logits",
    data_root: options.DataRoot = None,
    device: options.Device = "cpu",
    store: Annotated[
        Path | None, typer.Option(help="Results file that they are recorded in, beside what else is there.")
    ] = None,
) -> None:
    """Judge images by the entry's own judge, and say whether they lower its row.

    Images outside the ball or the box are named and do not count. The row is made of what the store and the committed
    leaderboards hold. With --store the images are recorded, and count from then on wherever the store does: in
    `python -m benchmark.audit`, `.run` and `.leaderboard`.

    **Examples**

    `python -m benchmark.judge mnist/lenet images.npz --norm linf --eps 0.1`

    `python -m benchmark.judge mnist/lenet images.npz --norm l2 --eps 1 --store results.sqlite --name autoattack`

    Exit status: 0 if they were judged, 2 for a mistake in the command or the file.
    """
    from benchmark.attacks.spec import format_eps
    from benchmark.cli import interruptible, own_data, own_name, select_datasets, threat_model
    from benchmark.evaluation.machine import Machine
    from benchmark.evaluation.outside import judge_file
    from benchmark.records.image_files import read_images
    from benchmark.records.store import Store
    from benchmark.reports.outside import outside_text
    from benchmark.results.outside import effect_of
    from zoo.catalogue.registry import find_entry
    from zoo.kind import Said

    with interruptible():
        threat, author = threat_model(norm, eps), own_name(name)
        own = own_data(data, size)
        (of,) = select_datasets(None if dataset is None else [dataset], own) or (None,)
        file, entry = read_images(images), find_entry(model, of, Said(family, randomness, outputs))
        machine = Machine(device, None if data_root is None else data_root.resolve(), own_data=own)
        with Store(store) as opened:
            record, packed, outside = judge_file(file, entry, threat, opened, machine, author)
            effect = None if record is None else effect_of(record, _known(record, opened))
            if record is not None and store is not None:
                opened.put(record, packed)
    typer.echo(f"{entry.name}, {norm} eps {format_eps(threat.eps)}: {len(file.indices)} images of {images}")
    typer.echo(outside_text(outside, record, effect))
    if record is not None:
        typer.echo(f"recorded in {store}" if store is not None else "not recorded; --store FILE records them")


def _known(record: Record, store: Store) -> list[Record]:
    """What the store and the committed leaderboards say of the network of a record, as a board counts it."""
    from benchmark.publications import PROJECT
    from benchmark.records.archive import merged, read_records
    from benchmark.results.configuration import without_subsumed
    from benchmark.results.selection import sifted

    archived = read_records(PROJECT / "records", record.cell.dataset, record.cell.model)
    return without_subsumed(sifted(merged(archived, store.records()).values()).records)


if __name__ == "__main__":
    app()
