"""The harness: attacks from three libraries on every zoo entry, verified, compared, stored and ranked.

What there is for Python:

    from benchmark import compare, evaluate

    r = evaluate(net, "mnist")  # a network in memory, a function that builds one, an entry's name
    r, r.boards, r.df, r.audit(), r.curve("pgd-linf")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.api import evaluate
    from benchmark.plan.variants import (
        APGD,
        BIM,
        DDN,
        FAB,
        FGSM,
        FMN,
        MIFGSM,
        PGD,
        PMA,
        BrendelBethge,
        HopSkipJump,
        Noise,
        Square,
    )
    from benchmark.results import Results, compare
    from zoo.datasets import Data

__version__ = "0.1.0"
__all__ = [
    "APGD",
    "BIM",
    "DDN",
    "FAB",
    "FGSM",
    "FMN",
    "MIFGSM",
    "PGD",
    "PMA",
    "BrendelBethge",
    "Data",
    "HopSkipJump",
    "Noise",
    "Results",
    "Square",
    "compare",
    "evaluate",
]

_VARIANTS = tuple(name for name in __all__ if name not in ("Data", "Results", "compare", "evaluate"))

_HOMES = {
    "Data": "zoo.datasets",
    "evaluate": "benchmark.api",
    "Results": "benchmark.results",
    "compare": "benchmark.results",
    **dict.fromkeys(_VARIANTS, "benchmark.plan.variants"),
}


def __getattr__(name: str) -> Any:
    """What the package offers is imported when it is asked for, so that `--help` stays fast."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
