"""What a network is made of, told by its classes: methods of its own, dropout, layers of other Bayesian libraries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

# Packages whose mean-field layers keep sigma = softplus(rho) in parameters called rho, weight_rho, rho_kernel, ...
_RHO_PACKAGES = ("bayesian_torch.", "blitz.", "torch_uncertainty.layers.bayesian.")


def own_method(module: nn.Module, name: str) -> Callable[..., Any] | None:
    """A network's own `draw`, `mean` or `members`; a layer of that name is none."""
    found = getattr(module, name, None)
    return found if callable(found) and not isinstance(found, nn.Module) else None


def is_of(something: object, *packages: str) -> bool:
    """Whether a class of something, its own or one above it, is from one of these packages: `laplace.`, ..."""
    return any(f"{kind.__module__}.".startswith(packages) for kind in type(something).__mro__)


def is_foreign(layer: nn.Module) -> bool:
    """Whether a layer is of a Bayesian library that is known here, or of a subclass."""
    return is_of(layer, *_RHO_PACKAGES)


def foreign_layers(module: nn.Module) -> list[nn.Module]:
    """The layers of other Bayesian libraries that have weights of their own; of nested ones the outermost."""
    found: dict[str, nn.Module] = {}
    for path, layer in module.named_modules():
        within = any(not outer or path.startswith(f"{outer}.") for outer in found)
        if not within and is_foreign(layer) and rho_parameters(layer):
            found[path] = layer
    return list(found.values())


def dropout_layers(module: nn.Module) -> list[nn.Module]:
    """The dropout layers of a network that drop anything."""
    return [layer for layer in module.modules() if isinstance(layer, _DropoutNd) and layer.p > 0]


def counted(layers: Sequence[nn.Module]) -> str:
    """`Dropout x 2, Conv2dReparameterization`."""
    counts = Counter(type(layer).__name__ for layer in layers)
    return ", ".join(name if count == 1 else f"{name} x {count}" for name, count in counts.items())


def rho_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Where other libraries' mean-field layers keep their spread."""
    return [
        parameter
        for layer in module.modules()
        if is_foreign(layer)
        for name, parameter in layer.named_parameters(recurse=False)
        if "rho" in name
    ]
