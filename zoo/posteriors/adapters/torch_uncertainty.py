"""Torch-Uncertainty's wrappers around networks that are there one by one.

Its other methods answer for all members in one pass (packed and batch ensembles), or sample in it (MC dropout, Bayesian
layers): they are taken as they are.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from zoo.structure import is_of


def members_of(wrapper: Any) -> list[nn.Module]:
    """The networks whose outputs a wrapper returns one after the other; none of what is no such wrapper.

    Of deep ensembles the core models, of a checkpoint ensemble what was saved and, where it counts, the last network,
    of SWAG its samples, which it keeps where `eval()` and `to()` do not reach them.
    """
    if not is_of(wrapper, "torch_uncertainty.methods."):
        return []
    match type(wrapper).__name__:
        case "_DeepEnsembles":
            return list(wrapper.core_models)
        case "CheckpointCollector":
            saved = list(wrapper.saved_models)
            return [*saved, wrapper.core_model] if saved and wrapper.use_final_model else saved
        case "SWAG":
            return list(wrapper.samples)
    return []
