"""`robustness-zoo run ...`: the commands under a name of their own.

`python -m benchmark.run` looks in the current folder first, where a `benchmark/` or `zoo.py` of the user's own would
hide this package; the installed command does not. Nothing is imported before it is known which command is meant.
"""

from __future__ import annotations

import importlib
import sys
from typing import NamedTuple

from benchmark import __version__
from zoo.lookup import lookup


class Command(NamedTuple):
    """module: whose `app` it is."""

    module: str
    help: str


COMMANDS = {
    "run": Command("benchmark.run", "attack networks, verify, compare, store, print the ranking"),
    "audit": Command("benchmark.audit", "can the numbers of one network be believed? Every check"),
    "submit": Command("benchmark.submit", "submit a network to the leaderboards, or check a submission"),
    "judge": Command("benchmark.judge", "judge adversarial images that were made elsewhere"),
    "leaderboard": Command("benchmark.leaderboard", "write pages, tables and figures from what is stored"),
    "bench": Command("benchmark.bench.__main__", "measure speed beside other ways to do the same"),
    "train": Command("zoo.train", "train an entry of the zoo from its recipe"),
    "uncertainty": Command("zoo.uncertainty.__main__", "what a network does not know"),
    "propagation": Command("zoo.propagation.__main__", "a mean-field network's prediction without draws"),
}


def main() -> None:
    """Run the command that the first argument names, with the arguments after it."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
    elif name == "--version":
        print(__version__)
    else:
        try:
            command = lookup(COMMANDS, name, "command")
        except KeyError as error:
            print(f"error: {error.args[0]}", file=sys.stderr)
            sys.exit(2)
        module = importlib.import_module(command.module)
        sys.argv = [f"robustness-zoo {name}", *arguments]
        module.app()


def usage() -> str:
    """What there is, a line a command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(["Usage: robustness-zoo COMMAND [OPTIONS]   (COMMAND --help teaches the rest)", "", *lines])


if __name__ == "__main__":
    main()
