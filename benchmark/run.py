"""The main job: `python -m benchmark.run --suite whitebox`. Suite -> cells -> evaluate -> store -> table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark import options
from benchmark.protocol import SHARD
from zoo.commands import mistakes_in_one_line

if TYPE_CHECKING:
    from benchmark.records.record import Record

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

Many = list[str] | None  # options that may be repeated, or hold several values with commas


# The options, in the order in which --help shows them.
_Suite = Annotated[
    str,
    typer.Option(
        help="What to run: smoke, whitebox, adaptive, thorough, certify, masking, paper, anchors. See --list."
    ),
]
_Model = Annotated[
    Many, typer.Option(help="Zoo entry such as mnist/lenet, or your own as package.module:factory. All by default.")
]
_Dataset = Annotated[Many, typer.Option(help="Only entries on this data set.")]
_Library = Annotated[Many, typer.Option(help="torchattacks, foolbox, art. All by default.")]
_Attack = Annotated[
    Many,
    typer.Option(
        help="fgsm, bim, pgd-linf, pgd-l2; in suite adaptive also apgd-ce-linf, square-l2, ... All by default. And "
        "your own as package.module:function or file.py:function, a library's as torchattacks:AutoAttack."
    ),
]
_Steps = Annotated[int | None, typer.Option(help="Steps of the iterative attacks, in place of the protocol's.")]
_StepSize = Annotated[
    str | None, typer.Option(help="Their length in the norm, such as 2/255. By default 2.5 eps / steps.")
]
_Restarts = Annotated[int | None, typer.Option(help="Random starts of PGD; per image the worst counts.")]
_Eps = Annotated[
    Many,
    typer.Option(
        help="Radius of the ball in pixels from 0 to 1, such as 0.3 or 8/255: for both norms, or for one, as in "
        "--eps linf=8/255 --eps l2=0.5. A norm that is left out keeps the suite's own."
    ),
]
_Examples = Annotated[int | None, typer.Option(help="Test images; the first of a fixed random order.")]
_Draws = Annotated[int | None, typer.Option(help="Posterior draws of the attacker. The judge has up to 64 of its own.")]
_Seed = Annotated[int, typer.Option(help="What draws and random starts are derived from.")]
_Target = Annotated[
    Many,
    typer.Option(
        help="What the attacker's gradient is of: expected, single-draw, resampled, mean-loss, ... "
        "By default what the suite is about."
    ),
]
_Precision = Annotated[
    str, typer.Option(help="Arithmetic of the attacker's gradients: float32 or bfloat16. The judge has float32.")
]
_Download = Annotated[bool, typer.Option("--download", help="Fetch missing data through torchvision.")]
_Share = Annotated[bool, typer.Option(help="Compute a gradient that several libraries ask for once.")]
_Stack = Annotated[bool, typer.Option(help="Evaluate many draws in one pass where the network allows it.")]
_Executor = Annotated[str, typer.Option(help="Where cells are evaluated: local or ray.")]
_Threads = Annotated[
    int | None, typer.Option(help="Threads of each process. Results are the same to the last digit for the same.")
]
_RayAddress = Annotated[
    str | None, typer.Option(help="A running Ray cluster, such as auto or host:6379. Starts one here by default.")
]
_Profile = Annotated[bool, typer.Option("--profile", help="Say at the end where the time went.")]
_Store = Annotated[Path, typer.Option(help="Results file; what is in it is not computed again.")]
_List = Annotated[bool, typer.Option("--list", help="Show suites, entries, attacks and libraries, and exit.")]


@app.command()
@mistakes_in_one_line()
def run(
    suite: _Suite = "whitebox",
    model: _Model = None,
    dataset: _Dataset = None,
    data: options.OwnData = None,
    size: options.Size = None,
    library: _Library = None,
    family: options.Family = None,
    randomness: options.Randomness = "auto",
    outputs: options.Outputs = "logits",
    attack: _Attack = None,
    steps: _Steps = None,
    step_size: _StepSize = None,
    restarts: _Restarts = None,
    eps: _Eps = None,
    examples: _Examples = None,
    audited: options.Audited = SHARD,
    draws: _Draws = None,
    seed: _Seed = 0,
    target: _Target = None,
    precision: _Precision = "float32",
    device: options.Device = "cpu",
    data_root: options.DataRoot = None,
    download: _Download = False,
    share: _Share = True,
    stack: _Stack = True,
    executor: _Executor = "local",
    workers: options.Workers = "auto",
    threads: _Threads = None,
    ray_address: _RayAddress = None,
    profile: _Profile = False,
    keep_images: options.KeepImages = False,
    store: _Store = Path("results.sqlite"),
    list_: _List = False,
) -> None:
    """Attack zoo entries with three libraries, verify, compare, store, and print the ranking.

    **Examples**

    `python -m benchmark.run --suite smoke`: does everything work? A minute or two.

    `python -m benchmark.run --suite whitebox`: the main job on the bundled MNIST entries.

    `python -m benchmark.run --suite adaptive --model mnist/lenet`: all that may break the surviving images.

    `python -m benchmark.run --suite adaptive --model mnist/lenet --examples 1000`: the same for ten times the images.

    `python -m benchmark.run --suite certify --model mnist/lenet`: bounds that no attack can leave.

    `python -m benchmark.run --model my_package.nets:bayesian_net --dataset mnist`: your own network.

    `python -m benchmark.run --data photos/test --size 48 --model my_nets:make`: on your own images.

    `python -m benchmark.run --attack pgd-linf --eps 0.1,0.2 --examples 1000`: part of it, larger.

    `python -m benchmark.run --attack fgsm,my_attack.py:attack --model mnist/lenet`: your own attack beside one of ours.

    `python -m benchmark.run --eps linf=8/255 --eps l2=0.5,1`: other radii.

    `python -m benchmark.run --executor ray --ray-address auto`: on a cluster.

    Stop it at any moment; the same command goes on where it stopped. Then `python -m benchmark.leaderboard` writes
    the pages. Exit status: 0 if every cell was evaluated, 1 if a library failed on one, 2 for a mistake in the
    command, 130 if interrupted.
    """
    from benchmark import cli
    from benchmark.evaluation.loop import How
    from benchmark.evaluation.machine import Machine
    from benchmark.plan.cells import Selection
    from benchmark.registry import suites
    from benchmark.reports.progress import Progress
    from zoo.kind import Said
    from zoo.lookup import lookup

    with cli.interruptible():
        if list_:
            _print_list(data_root)
            return
        chosen, at_once = lookup(suites(), suite, "suite"), cli.parsed_workers(workers)
        libraries, targets = cli.split(library), cli.split(target)
        asked = cli.wanted_attacks(cli.split(attack), steps, step_size, restarts)
        radii = cli.parsed_eps(eps or [])
        about = libraries, examples, draws, seed, targets, precision
        selection = Selection(asked.names, radii, *about, asked.further, audited)  # type: ignore[arg-type]
        own_data = cli.own_data(data, size)
        names, datasets = cli.split(model), cli.select_datasets(dataset, own_data)
        said = Said(family, randomness, outputs)
        entries = cli.select_entries(chosen, names, datasets, said)
        cli.warn_of_large_eps(selection, datasets)
        root = None if data_root is None else data_root.resolve()  # another process may be elsewhere
        own = cli.external(names, datasets, said)
        machine = Machine(
            device,
            root,
            download,
            threads,
            share,
            None if stack else False,
            own,
            own_data=own_data,
            attacks=asked.own,
            keep_images=keep_images,
        )
        say = partial(typer.secho, err=True)
        how = How(machine, executor, at_once, ray_address, watch=Progress, say=say, explicit=names is not None)
        records = cli.carry_out(chosen, selection, entries, how, store, profile=profile)
        failed = _print_found(records)
    raise typer.Exit(1 if failed else 0)


def _print_found(records: list[Record]) -> int:
    """The ranking, and what failed; the number of cells with an error."""
    from benchmark.cli import print_errors
    from benchmark.reports.console import print_boards, print_bounds, print_gradients
    from benchmark.results import Results

    results = Results(records)
    if results.boards or not results.bounds:
        print_boards(results)
    print_gradients(results)
    print_bounds(results)
    return print_errors(records)


def _print_list(data_root: Path | None) -> None:
    from benchmark.registry import suites
    from benchmark.reports.console import print_entries, print_suites

    print_suites(suites())
    print_entries(data_root)


if __name__ == "__main__":
    app()
