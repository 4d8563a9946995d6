"""Torch-Uncertainty's wrappers around networks that are there one by one.

Its other methods answer for all members in one pass (packed and batch ensembles), or sample in it (MC dropout, Bayesian
layers): they are taken as they are.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.posteriors.ensemble import Ensemble
from zoo.structure import is_of


def unwrapped(wrapper: Any) -> nn.Module:
    """The ensemble of the networks whose outputs a wrapper returns one after the other; what is none, as it is.

    Of deep ensembles the core models, of a checkpoint ensemble what was saved and, where it counts, the last network,
    of SWAG its samples, which it keeps where `eval()` and `to()` do not reach them.
    """
    if not is_of(wrapper, "torch_uncertainty.methods."):
        return wrapper  # type: ignore[no-any-return]
    members: list[nn.Module] = []
    match type(wrapper).__name__:
        case "_DeepEnsembles":
            members = list(wrapper.core_models)
        case "CheckpointCollector" if saved := list(wrapper.saved_models):
            members = [*saved, wrapper.core_model] if wrapper.use_final_model else saved
        case "SWAG":
            members = list(wrapper.samples)
    return Ensemble(members, is_sample=type(wrapper).__name__ == "SWAG") if members else wrapper
