"""The main job: `python -m benchmark.run --suite whitebox`. Suite -> cells -> evaluate -> store -> table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from zoo.commands import mistakes_in_one_line

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

Many = list[str] | None  # options that may be repeated, or hold several values with commas


@app.command()
@mistakes_in_one_line()
def run(
    suite: Annotated[
        str, typer.Option(help="What to run: smoke, whitebox, adaptive, paper, masking, anchors. See --list.")
    ] = "whitebox",
    model: Annotated[
        Many, typer.Option(help="Zoo entry such as mnist/lenet, or your own as package.module:factory. All by default.")
    ] = None,
    dataset: Annotated[Many, typer.Option(help="Only entries on this data set.")] = None,
    library: Annotated[Many, typer.Option(help="torchattacks, foolbox, art. All by default.")] = None,
    family: Annotated[
        str | None,
        typer.Option(help="What a network that is not registered is: frequentist, bayesian, or another random one."),
    ] = None,
    attack: Annotated[
        Many,
        typer.Option(
            help="fgsm, bim, pgd-linf, pgd-l2; in suite adaptive also apgd-ce-linf, square-l2, ... All by default."
        ),
    ] = None,
    eps: Annotated[
        Many,
        typer.Option(
            help="Radius of the ball in pixels from 0 to 1, such as 0.3 or 8/255: for both norms, or for one, as in "
            "--eps linf=8/255 --eps l2=0.5. A norm that is left out keeps the suite's own."
        ),
    ] = None,
    examples: Annotated[int | None, typer.Option(help="Test images; the first of a fixed random order.")] = None,
    draws: Annotated[
        int | None, typer.Option(help="Posterior draws of the attacker. The judge has up to 64 of its own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="What draws and random starts are derived from.")] = 0,
    target: Annotated[
        Many,
        typer.Option(
            help="What the attacker's gradient is of: expected, single-draw, resampled, mean-loss, ... "
            "By default what the suite is about."
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Arithmetic of the attacker's gradients: float32 or bfloat16. The judge has float32.")
    ] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    data_root: Annotated[Path | None, typer.Option(help="Folder with data sets beside the bundled MNIST test.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data through torchvision.")] = False,
    share: Annotated[bool, typer.Option(help="Compute a gradient that several libraries ask for once.")] = True,
    stack: Annotated[bool, typer.Option(help="Evaluate many draws in one pass where the network allows it.")] = True,
    executor: Annotated[str, typer.Option(help="Where cells are evaluated: local or ray.")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="Cells at once: processes on this machine, or tasks on the cluster.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each process. Results are the same to the last digit for the same.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A running Ray cluster, such as auto or host:6379. Starts one here by default.")
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Say at the end where the time went.")] = False,
    store: Annotated[Path, typer.Option(help="Results file; what is in it is not computed again.")] = Path(
        "results.sqlite"
    ),
    list_: Annotated[
        bool, typer.Option("--list", help="Show suites, entries, attacks and libraries, and exit.")
    ] = False,
) -> None:
    """Attack zoo entries with three libraries, verify, compare, store, and print the ranking.

    **Examples**

    `python -m benchmark.run --suite smoke`: does everything work? Half a minute.

    `python -m benchmark.run --suite whitebox`: the main job on the bundled MNIST entries.

    `python -m benchmark.run --suite adaptive --model mnist/lenet`: all that may break the surviving images.

    `python -m benchmark.run --model my_package.nets:bayesian_net --dataset mnist`: your own network.

    `python -m benchmark.run --attack pgd-linf --eps 0.1,0.2 --examples 1000`: part of it, larger.

    `python -m benchmark.run --eps linf=8/255 --eps l2=0.5,1`: other radii.

    `python -m benchmark.run --executor ray --ray-address auto`: on a cluster.

    Stop it at any moment; the same command goes on where it stopped. Then `python -m benchmark.leaderboard` writes
    the pages. Exit status: 0 if every cell was evaluated, 1 if a library failed on one, 2 for a mistake in the
    command, 130 if interrupted.
    """
    from benchmark.cli import (
        carry_out,
        external,
        interruptible,
        parsed_eps,
        print_errors,
        select_entries,
        split,
        warn_of_large_eps,
    )
    from benchmark.evaluation.loop import How
    from benchmark.evaluation.machine import Machine
    from benchmark.plan.cells import Selection
    from benchmark.registry import suites
    from benchmark.reports.console import print_boards
    from benchmark.reports.progress import Progress
    from zoo.lookup import lookup

    with interruptible():
        if list_:
            _print_list(data_root)
            return
        chosen = lookup(suites(), suite, "suite")
        selection = Selection(
            attacks=split(attack),
            eps=parsed_eps(eps or []),
            libraries=split(library),
            examples=examples,
            draws=draws,
            seed=seed,
            targets=split(target),
            precision=precision,  # type: ignore[arg-type]
        )
        names, datasets = split(model), split(dataset)
        warn_of_large_eps(selection)
        entries = select_entries(chosen, names, datasets, family)
        machine = Machine(
            device,
            None if data_root is None else data_root.resolve(),  # another process may be elsewhere
            download,
            threads,
            share,
            None if stack else False,
            external(names, datasets, family),
        )
        how = How(
            machine,
            executor,
            workers,
            ray_address,
            watch=Progress,
            say=partial(typer.secho, err=True),
            explicit=names is not None,
        )
        records = carry_out(chosen, selection, entries, how, store, profile=profile)
        from benchmark.results import Results

        print_boards(Results(records))
        failed = print_errors(records)
    raise typer.Exit(1 if failed else 0)


def _print_list(data_root: Path | None) -> None:
    from benchmark.registry import suites
    from benchmark.reports.console import print_entries, print_suites

    print_suites(suites())
    print_entries(data_root)


if __name__ == "__main__":
    app()
