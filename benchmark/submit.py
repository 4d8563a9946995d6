"""Submit a network to the leaderboards, or check a submission: `python -m benchmark.submit my_package.nets:net`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark import options
from benchmark.protocol import SHARD
from zoo.commands import mistakes_in_one_line

if TYPE_CHECKING:
    from benchmark.evaluation.machine import Machine
    from benchmark.records.record import Record
    from benchmark.submission.schema import Checked
    from zoo.kind import Said

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

_Reference = Annotated[
    str | None,
    typer.Argument(help="Your network as package.module:factory; with --images the network that they attack."),
]
_Licence = Annotated[
    str | None,
    typer.Option(help="Under which everything in the folder is given: MIT, Apache-2.0, CC-BY-4.0, ... (SPDX)."),
]
_Out = Annotated[
    Path | None, typer.Option(help="New folder; by default leaderboards/submissions/ and the submission's name.")
]
_Name = Annotated[
    str | None, typer.Option(help="Of the folder, by default the network's; with --images who made them, for tables.")
]
_Images = Annotated[
    Path | None,
    typer.Option(
        help="Submit adversarial images: safetensors or npz of `images` and `indices`, as for benchmark.judge."
    ),
]
_Check = Annotated[Path | None, typer.Option(help="Check the submission in this folder. Nothing of it is executed.")]
_Run = Annotated[
    bool, typer.Option("--run", help="With --check: build the network, run a random tenth of its cells again.")
]
_Seed = Annotated[int | None, typer.Option(help="With --run: of that tenth, to repeat a check. Drawn anew by default.")]
_Examples = Annotated[int, typer.Option(help="Test images of the adaptive suite that was run.")]
_Store = Annotated[Path, typer.Option(help="Results file with the records of the adaptive suite.")]
_Threads = Annotated[int | None, typer.Option(help="Threads of the process.")]
_Download = Annotated[bool, typer.Option("--download", help="Fetch missing data through torchvision.")]


@app.command()
@mistakes_in_one_line()
def submit(
    reference: _Reference = None,
    name: _Name = None,
    licence: _Licence = None,
    dataset: options.OneDataset = None,
    family: options.Family = None,
    randomness: options.Randomness = "auto",
    outputs: options.Outputs = "logits",
    examples: _Examples = SHARD,
    audited: options.Audited = SHARD,
    images: _Images = None,
    norm: Annotated[str, typer.Option(help="Of --images: linf or l2.")] = "linf",
    eps: Annotated[str | None, typer.Option(help="Of --images: radius of the ball, such as 0.3 or 8/255.")] = None,
    store: _Store = Path("results.sqlite"),
    out: _Out = None,
    check: _Check = None,
    run: _Run = False,
    seed: _Seed = None,
    data_root: options.DataRoot = None,
    download: _Download = False,
    device: options.Device = "cpu",
    threads: _Threads = None,
) -> None:
    """Make the folder that a pull request adds, or check one.

    A network's folder holds what builds it, its weights, the records of its adaptive suite and its card. The check says
    in Markdown what it found. docs/submitting.md says what is checked, and what finds which forgery.

    **Examples**

    `python -m benchmark.run --suite adaptive --model my_package.nets:net`, and then

    `python -m benchmark.submit my_package.nets:net --licence MIT`: make the folder.

    `python -m benchmark.submit mnist/lenet --images worst.safetensors --eps 0.1 --name my-attack --licence CC0-1.0`:
    adversarial images that lower a row.

    `python -m benchmark.submit --check FOLDER`: the schema check, which executes nothing of the folder.

    `python -m benchmark.submit --check FOLDER --run`: run its code, and a random tenth of its cells again.

    Exit status: 0 if the folder was made or nothing speaks against it, 1 if it is refused, 2 for a mistake in the
    command, 130 if interrupted.
    """
    from benchmark.cli import interruptible
    from zoo.kind import Said

    with interruptible():
        if check is not None:
            if reference is not None or images is not None:
                raise ValueError(f"--check {check} checks a folder that was made: leave out {reference or '--images'}")
            raise typer.Exit(_checked(check, run, seed, _machine(device, data_root, download, threads)))
        if run or seed is not None:
            raise ValueError("--run and --seed are of a check: name its folder, as in --check FOLDER --run")
        if reference is None:
            raise ValueError("name what is submitted, package.module:factory, or check a folder by --check FOLDER")
        if licence is None:
            raise ValueError("--licence is missing: a submission is published, under MIT, Apache-2.0, CC-BY-4.0, ...")
        machine = _machine(device, data_root, download, threads)
        if images is not None:
            made = _images(reference, images, name, norm, eps, licence, out, machine)
        else:
            said = Said(family, randomness, outputs)
            made = _network(reference, name, licence, dataset, said, (examples, audited), store, out, machine)
    typer.echo(f"made {made}; check it: python -m benchmark.submit --check {made} --run")


def _network(
    reference: str,
    name: str | None,
    licence: str,
    dataset: str | None,
    said: Said,
    counts: tuple[int, int],
    store: Path,
    out: Path | None,
    machine: Machine,
) -> Path:
    """The folder of a network that is made. counts: of images in the suite, and in its audit."""
    from benchmark.records.store import Store
    from benchmark.reports.tables import audit_name
    from benchmark.submission.making import Wanted, make, require_free
    from benchmark.submission.registration import require_licence
    from zoo.catalogue.registry import find_entry

    require_licence(licence)  # before a network is built
    entry = find_entry(reference, dataset, said)
    place = _place(out, name or audit_name(entry.name))
    require_free(place)
    again = _command(reference, dataset, said, counts, store, machine)
    if not store.is_file():
        raise ValueError(f"no store {store}; run: {again}")
    with Store(store) as opened:
        make(Wanted(entry, reference, licence, *counts, again), opened, machine, place)
    return place


def _command(
    reference: str, dataset: str | None, said: Said, counts: tuple[int, int], store: Path, machine: Machine
) -> str:
    """What runs the suite whose records are missing."""
    from zoo.kind import Said

    chosen = {"dataset": dataset, **said._asdict(), "examples": counts[0], "audited": counts[1]}
    usual = {**Said()._asdict(), "examples": SHARD, "audited": SHARD}
    chosen |= {"data-root": machine.data_root, "store": store}
    told = [f"--{name} {value}" for name, value in chosen.items() if value not in (None, usual.get(name))]
    return " ".join(["python -m benchmark.run --suite adaptive --model", reference, *told])


def _images(
    model: str,
    path: Path,
    name: str | None,
    norm: str,
    eps: str | None,
    licence: str,
    out: Path | None,
    machine: Machine,
) -> Path:
    """The folder of adversarial images that is made."""
    from benchmark.cli import own_name, threat_model
    from benchmark.publications import PROJECT, SUBMISSIONS
    from benchmark.records.image_files import read_images
    from benchmark.submission.making import require_free
    from benchmark.submission.outside import attacked_network, make_images

    if eps is None or name is None:
        missing = "--eps" if eps is None else "--name"
        raise ValueError(f"{missing} is missing: --images takes the radius of the ball, and who made them")
    threat, author = threat_model(norm, eps), own_name(name)
    place = _place(out, author)
    require_free(place)
    file = read_images(path)
    with attacked_network(model, PROJECT / SUBMISSIONS) as attacked:
        make_images(file, attacked, threat, author, licence, machine, place)
    return place


def _place(out: Path | None, name: str) -> Path:
    """Where the folder is made. Raises ValueError for a name that is none of a folder."""
    from benchmark.publications import PROJECT, SUBMISSIONS

    if out is not None:
        return out
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name.startswith("."):
        raise ValueError(f"--name {name!r}: choose a word of letters, digits, '.', '-' and '_'")
    return (PROJECT / SUBMISSIONS if PROJECT.is_dir() else Path()) / name


def _checked(path: Path, run: bool, seed: int | None, machine: Machine) -> int:
    """Print what the check says; the exit status. Nothing of the folder is executed without `run`."""
    from benchmark.publications import PROJECT, SUBMISSIONS
    from benchmark.submission.schema import check

    if not path.is_dir():
        raise ValueError(f"--check {path}: there is no such folder")
    checked = check(path, machine.data_root, machine.download, PROJECT / SUBMISSIONS)
    if not run or checked.findings:
        from benchmark.submission.summary import schema_text

        typer.echo(schema_text(checked))
        return int(bool(checked.findings))
    text, refused = _run_again(checked, seed, machine)
    typer.echo(text)
    return int(refused)


def _run_again(checked: Checked, seed: int | None, machine: Machine) -> tuple[str, bool]:
    """What running again says, and whether the submission is refused."""
    from benchmark.publications import PROJECT, SUBMISSIONS
    from benchmark.submission import comment
    from benchmark.submission.again import rerun
    from benchmark.submission.outside import attacked_network, rejudge
    from benchmark.submission.registration import AboutImages
    from benchmark.submission.sample import fresh_seed

    folder = checked.folder
    assert folder is not None
    about, reference = folder.about, _reference_records(folder.about.dataset)
    if isinstance(about, AboutImages):
        with attacked_network(about.model, PROJECT / SUBMISSIONS) as attacked:
            judged = rejudge(folder, checked.records, attacked, reference, machine)
        return comment.images_text(checked, judged), bool(judged.findings)
    drawn = fresh_seed() if seed is None else seed
    say = partial(typer.secho, err=True)
    say(f"seed {drawn}")
    done = rerun(folder, checked.records, drawn, machine, say=say)
    command = f"python -m benchmark.submit --check {folder.path} --run --seed {drawn}"
    return comment.rerun_text(checked, done, reference, command), bool(done.findings)


def _reference_records(dataset: str) -> list[Record]:
    """The records that the leaderboards count, those of accepted submissions among them."""
    from benchmark.publications import PROJECT, accepted
    from benchmark.records.archive import read_records
    from benchmark.results.selection import sifted

    lying = [*read_records(PROJECT / "records", dataset).values(), *accepted(PROJECT, dataset).values()]
    return sifted(lying).records


def _machine(device: str, data_root: Path | None, download: bool, threads: int | None) -> Machine:
    from benchmark.evaluation.machine import Machine

    return Machine(device, None if data_root is None else data_root.resolve(), download, threads)


if __name__ == "__main__":
    app()
