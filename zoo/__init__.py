"""The zoo: frequentist and Bayesian networks behind one differentiable expected prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.catalogue.entry import ZooEntry
from zoo.catalogue.registry import external_model, models, register_model
from zoo.datasets import Data, register_dataset

if TYPE_CHECKING:
    from zoo.posteriors import SampledNetwork

__all__ = [
    "Data",
    "SampledNetwork",
    "ZooEntry",
    "external_model",
    "models",
    "register_dataset",
    "register_model",
]


def __getattr__(name: str) -> Any:
    """What needs torch is imported when it is asked for, so that `--help` stays fast."""
    if name == "SampledNetwork":
        from zoo.posteriors import SampledNetwork

        return SampledNetwork
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
