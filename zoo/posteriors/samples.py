"""Monte-Carlo samples of the weights of one architecture, as one network."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.combine import expected, mean_of, shares
from zoo.posteriors.found import held_posterior

_INSIDE = "template."


class SampledNetwork(nn.Module):
    """M networks of one architecture, their weights stacked: (B, C, H, W) -> (B, K) log of their average softmax.

    template: the architecture, which must have nothing random in it; its weights are where all members begin.
    size: M.    weights: how much each member counts, in any unit; alike by default.
    is_sample: whether they are Monte-Carlo samples of a posterior, and no ensemble that was made for itself.
    Its state has the template's names, and at each the members' values, (M, ...): parameters and saved buffers alike.
    Raises ValueError for no member, weights that are not one finite number >= 0 a member (not all of them 0), and a
    template that is itself a posterior.
    """

    member_weights: Tensor | None

    def __init__(
        self, template: nn.Module, size: int, weights: Sequence[float] | None = None, is_sample: bool = True
    ) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"a network of samples has at least one, not {size}")
        if held := held_posterior(template):
            raise ValueError(f"the template of a network of samples has {held}; it must be one ordinary network")
        if weights is not None:
            _check_weights(weights, size)
        state = template.state_dict(keep_vars=True)
        if not state:
            raise ValueError(f"the template, {type(template).__name__}, has no weights that could be sampled")
        # by id, for deepcopy's memo: what the template has under two names stays one
        stacked: dict[int, object] = {
            id(value): _like(value, value.detach().expand(size, *value.shape).clone()) for value in state.values()
        }
        self.size, self.is_sample = size, is_sample
        self.template = copy.deepcopy(template, stacked)
        given = None if weights is None else torch.tensor([float(weight) for weight in weights], dtype=torch.float64)
        self.register_buffer("member_weights", given, persistent=False)
        saved: Callable[..., object] = self.register_state_dict_post_hook
        loaded: Callable[..., object] = self.register_load_state_dict_pre_hook
        saved(_with_the_templates_names)
        loaded(_with_our_names)

    @classmethod
    def of(
        cls,
        template: nn.Module,
        states: Sequence[Mapping[str, Tensor]] | Mapping[str, Tensor],
        weights: Sequence[float] | None = None,
        is_sample: bool = True,
    ) -> SampledNetwork:
        """From the members' state dicts, or from one dict of tensors that are stacked along a first axis.

        They are kept in the template's precision.
        Raises ValueError for states that are not finite or do not fit the template, and as the constructor does.
        """
        own = template.state_dict()
        stacks = dict(states) if isinstance(states, Mapping) else _of_members(states, own)
        _check_names(stacks, own, "the states")
        sizes = {len(stack) if stack.ndim else 0 for stack in stacks.values()}
        if len(sizes) != 1:
            raise ValueError(f"the stacks hold {' and '.join(map(str, sorted(sizes)))} members: give M of everything")
        for name, stack in stacks.items():
            _check_shape(name, stack.shape[1:], own[name].shape, "stack of")
            if not stack.isfinite().all():
                raise ValueError(f"{name} of the states is not finite everywhere")
        network = cls(template, sizes.pop(), weights, is_sample)
        network.load_state_dict(stacks)
        return network

    @property
    def weights(self) -> Callable[[], list[float]] | None:
        """A method that gives how much each member counts; None where all count alike."""
        return None if self.member_weights is None else self.member_weights.tolist

    def members(self) -> list[nn.Module]:
        """The M networks. They share memory with this one."""
        return [self._each(operator.itemgetter(index)) for index in range(self.size)]

    def mean(self) -> nn.Module:
        """The network with the members' mean weights; of what is counted in whole numbers, the first member's."""
        share = shares(self.weights and self.weights())
        return self._each(lambda stack: mean_of(stack, share))

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.stack([member(x) for member in self.members()])
        share = shares(self.weights and self.weights())
        return expected(logits, None if share is None else share.to(logits))

    def extra_repr(self) -> str:
        return f"{self.size} members" + ("" if self.member_weights is None else ", weighted")

    def _each(self, of_stack: Callable[[Tensor], Tensor]) -> nn.Module:
        """The template with a value made of each stack in its place."""
        stacks = self.template.state_dict(keep_vars=True).values()
        # deepcopy takes what it finds in its memo
        memo: dict[int, object] = {id(stack): _like(stack, of_stack(stack.detach())) for stack in stacks}
        made: nn.Module = copy.deepcopy(self.template, memo)
        return made


def _like(value: Tensor, content: Tensor) -> Tensor:
    """A parameter of a parameter, a buffer of a buffer."""
    return nn.Parameter(content, value.requires_grad) if isinstance(value, nn.Parameter) else content


def _of_members(states: Sequence[Mapping[str, Tensor]], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not states:
        raise ValueError("a network of samples has at least one: no state dict was given")
    for index, state in enumerate(states):
        _check_names(state, own, f"state {index}")
        for name, value in state.items():
            _check_shape(name, value.shape, own[name].shape, f"state {index} has")
    return {name: torch.stack([state[name] for state in states]) for name in own}


def _check_names(state: Mapping[str, Tensor], own: Mapping[str, Tensor], what: str) -> None:
    missing, further = [name for name in own if name not in state], [name for name in state if name not in own]
    if missing or further:
        parts = ((missing, "missing"), (further, "not in the template"))
        said = "; ".join(f"{of}: {', '.join(names[:3])}" for names, of in parts if names)
        raise ValueError(f"{what}: other names than the template's ({said})")


def _check_shape(name: str, found: torch.Size, wanted: torch.Size, what: str) -> None:
    if found != wanted:
        raise ValueError(f"{what} {name} of shape {tuple(found)} where the template has {tuple(wanted)}")


def _check_weights(weights: Sequence[float], size: int) -> None:
    numbers = [float(weight) for weight in weights]
    if len(numbers) != size or not all(math.isfinite(w) and w >= 0 for w in numbers) or not sum(numbers) > 0:
        raise ValueError(f"{len(numbers)} weights for {size} members: give one number >= 0 for each, not all of them 0")


def _with_the_templates_names(module: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    _renamed(state, prefix + _INSIDE, prefix)


def _with_our_names(module: nn.Module, state: dict[str, Any], prefix: str, *others: object) -> None:
    _renamed(state, prefix, prefix + _INSIDE)


def _renamed(state: dict[str, Any], old: str, new: str) -> None:
    for name in [name for name in state if name.startswith(old)]:
        state[new + name.removeprefix(old)] = state.pop(name)
