"""What a pass keeps in memory for a backward pass, measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def activation_bytes(draws: nn.Module, x: Tensor) -> tuple[int, int]:
    """What a backward pass through `draws` keeps for one example like x (1, C, H, W), in bytes: (all, largest tensor).

    What two examples keep less what one keeps, so that weights, which are kept whatever the batch, do not count. Of
    networks that are evaluated one after the other each is asked alone: all at once may be more than there is memory.
    Of a network that differentiates itself, as the predictive of a linearised one does, whatever it computes counts.
    """
    found = [_activation_bytes(part, x) for part in getattr(draws, "parts", [draws])]
    return sum(total for total, _ in found), max(largest for _, largest in found)


def _activation_bytes(draws: nn.Module, x: Tensor) -> tuple[int, int]:
    two_examples = torch.cat([x, x])
    try:
        one, two = _kept(draws, x), _kept(draws, two_examples)
    except RuntimeError as error:
        if "saved tensor hooks" not in str(error):  # which torch.func does not support
            raise
        one, two = _computed(draws, x), _computed(draws, two_examples)
    total = max(0, sum(two) - sum(one))
    same_tensors = len(one) == len(two)
    return total, max((b - a for a, b in zip(one, two, strict=True)), default=0) if same_tensors else total


def _kept(draws: nn.Module, batch: Tensor) -> list[int]:
    sizes: dict[int, int] = {}  # by address: what several layers keep is kept once

    def note(tensor: Tensor) -> Tensor:
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor.detach()  # with its graph an output that is kept would hold itself, and never be given back

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = draws(batch.detach().clone().requires_grad_())
    del output
    return list(sizes.values())


def _computed(draws: nn.Module, batch: Tensor) -> list[int]:
    results = _Results()
    with torch.enable_grad(), results:
        draws(batch.detach().clone().requires_grad_())
    return results.sizes


class _Results(TorchDispatchMode):
    """Notes the bytes of everything that is computed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        self.sizes += [one.numel() * one.element_size() for one in tree_leaves(found) if isinstance(one, Tensor)]
        return found
