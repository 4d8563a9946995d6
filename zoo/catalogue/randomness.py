"""What a forward pass draws at random, and where: to say it to whoever registers a network that is refused.

Nothing is decided here: whether a network is random is found by comparing passes; this names the calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from zoo.catalogue.probe import Probe
from zoo.seeding import forked_random_state, isolated_random_state

_DROPOUT = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
_DRAWS = (
    *("bernoulli", "bernoulli_", "normal", "normal_", "uniform_", "exponential_", "cauchy_", "log_normal_"),
    *("geometric_", "random_", "rand", "rand_like", "randn", "randn_like", "randint", "randint_like", "randperm"),
    *("multinomial", "poisson", "rrelu", "gumbel_softmax"),
)
_OFF_IN_EVALUATION = ("StochasticDepth", "DropPath")  # of torchvision and timm, which then call nothing


class RandomCalls:
    """on: what is drawn in a pass, as `normal_ in Net.conv (Conv2d)`. off: what only the training mode would draw."""

    def __init__(self) -> None:
        self.on: list[str] = []
        self.off: list[str] = []


class _Recorder(TorchFunctionMode):
    def __init__(self, place: Callable[[], str]) -> None:
        super().__init__()
        self.calls, self.place = RandomCalls(), place

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _DROPOUT:
            training = kwargs.get("training", args[2] if len(args) > 2 else True)
            _note(self.calls.on if training else self.calls.off, f"{name} in {self.place()}")
        elif name in _DRAWS:
            _note(self.calls.on, f"{name} in {self.place()}")
        return func(*args, **kwargs)


def random_calls(network: nn.Module, x: Tensor) -> RandomCalls:
    """The random calls of one pass over images x (B, C, H, W), in the modes that the layers have."""
    names = {module: name for name, module in network.named_modules()}
    running: list[nn.Module] = []
    recorder = _Recorder(lambda: _place(running[-1] if running else network, names, network))
    hooks = [module.register_forward_pre_hook(lambda module, _: running.append(module)) for module in names]
    hooks += [module.register_forward_hook(lambda *_: running.pop() and None, always_call=True) for module in names]
    try:
        with torch.no_grad(), recorder:
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    for module, name in names.items():
        if type(module).__name__ in _OFF_IN_EVALUATION and not module.training:
            _note(recorder.calls.off, f"{type(module).__name__} {name}")
    return recorder.calls


def why_passes_differ(probe: Probe, network: nn.Module, remedy: str) -> str:
    """What makes two passes of one network differ, and what to do about it: `remedy` for torch's random numbers."""
    if not probe.repeats(network, isolated_random_state):
        return (
            "it keeps something from one pass to the next (a counter, a cache, a generator of its own). Make forward a "
            "function of the image alone, and take random numbers from torch's default generator"
        )
    if not probe.repeats(network, forked_random_state):
        return (
            "it takes random numbers from NumPy's or Python's random module, which cannot be frozen. Take them from "
            "torch: torch.rand_like(x), torch.randint(...)"
        )
    calls = random_calls(network.eval(), probe.images).on
    hint = " (F.dropout is on unless it gets training=self.training)" if any("dropout" in c for c in calls) else ""
    return f"it draws {'; '.join(calls) or 'random numbers'}{hint}. {remedy}"


def _place(module: nn.Module, names: dict[nn.Module, str], network: nn.Module) -> str:
    kind = type(module).__name__
    return f"{kind}.forward" if module is network else f"{names[module]} ({kind})"


def _note(calls: list[str], call: str) -> None:
    if call not in calls:
        calls.append(call)
