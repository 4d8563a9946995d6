"""(a) for a network that is no chain of layers: a ResNet-18, all of it Bayesian or its last layer alone."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

from benchmark.measure import Line, compared, side_by_side
from zoo.combine import expected
from zoo.layers import make_bayesian
from zoo.prediction.expected import ExpectedPrediction
from zoo.seeding import derive_seed, forked_random_state, private_generator

OURS = "expected prediction"
ONE_PASS = f"{OURS}, all draws in one pass"
DRAWS, JUDGE = 8, 64
IMAGES = (20, 100)
CLASSES = 10
# bayesian-torch converts whole networks with this; a KL is of no use to an attack
_REPARAMETERISATION = {
    "prior_mu": 0.0,
    "prior_sigma": 1.0,
    "posterior_mu_init": 0.0,
    "posterior_rho_init": -5.0,
    "type": "Reparameterization",
    "moped_enable": False,
}


def resnet_tables(repeats: int) -> dict[str, list[Line]]:
    """One table for each number of images: a gradient of 8 draws, and a judge's pass of 64, beside other ways."""
    tables = {}
    with forked_random_state(derive_seed("bench")):  # bayesian-torch draws its weights from the global one
        for count in IMAGES:
            x = torch.rand(count, 3, 32, 32, generator=private_generator("bench", count))
            y = torch.arange(count) % CLASSES
            title = f"ResNet-18 on 32x32, batch {count}"
            gradients = side_by_side(_gradients(x, y), repeats)
            tables[f"{title}, gradient, S = {DRAWS}"] = compared(gradients, OURS, "times ours")
        judged = side_by_side(_judges(x[: IMAGES[0]]), repeats)
        tables[f"ResNet-18 on 32x32, batch {IMAGES[0]}, no gradient, S = {JUDGE}"] = compared(
            judged, OURS, "times ours"
        )
    return tables


def _gradients(x: Tensor, y: Tensor) -> dict[str, Callable[[], object]]:
    ours = {name: _ours(layers, DRAWS, stack) for name, (layers, stack) in _WAYS.items()}
    made: dict[str, Callable[[], object]] = {
        name: partial(prediction.value_and_gradient, x, y) for name, prediction in ours.items()
    }
    for name, (network, passes, times) in _others(DRAWS).items():
        made[name] = partial(_gradient, network, passes, times, x, y)
    return made


def _judges(x: Tensor) -> dict[str, Callable[[], object]]:
    ways = {name: way for name, way in _WAYS.items() if name != ONE_PASS}  # which would keep 3 GB of weights more
    made: dict[str, Callable[[], object]] = {
        name: partial(_ours(layers, JUDGE, stack).logits_in_batches, x) for name, (layers, stack) in ways.items()
    }
    for name, (network, passes, times) in _others(JUDGE).items():
        made[name] = partial(_passes, network, passes * times, x)
    return made


# what is Bayesian (None: everything), and whether in one pass (None: as the expected prediction decides)
_WAYS: dict[str, tuple[Collection[str] | None, bool | None]] = {
    OURS: (None, None),
    ONE_PASS: (None, True),
    f"{OURS}, last layer alone Bayesian": (["fc"], None),
    f"{OURS}, last layer alone Bayesian, draws one after the other (--no-stack)": (["fc"], False),
}


def _ours(layers: Collection[str] | None, draws: int, stack: bool | None) -> ExpectedPrediction:
    return ExpectedPrediction.of(make_bayesian(resnet18(num_classes=CLASSES), layers), draws, 0, stack=stack)


def _others(draws: int) -> dict[str, tuple[nn.Module, int, int]]:
    """By name: a network, the passes that one prediction averages, and how many such predictions there are."""
    plain: nn.Module = resnet18(num_classes=CLASSES).eval().requires_grad_(False)
    others = {f"{draws} passes of one deterministic network": (plain, 1, draws)}
    if importlib.util.find_spec("bayesian_torch"):
        others["bayesian-torch, reparameterisation"] = (_bayesian_torch(), draws, 1)
    return others


def _bayesian_torch() -> nn.Module:
    network: nn.Module = resnet18(num_classes=CLASSES)
    importlib.import_module("bayesian_torch.models.dnn_to_bnn").dnn_to_bnn(network, _REPARAMETERISATION)
    return network.eval().requires_grad_(False)


def _gradient(network: nn.Module, passes: int, times: int, x: Tensor, y: Tensor) -> None:
    """So many times the gradient of the prediction averaged over so many passes."""
    for _ in range(times):
        leaf = x.clone().requires_grad_()
        output = expected(torch.stack([network(leaf) for _ in range(passes)]))
        F.cross_entropy(output, y, reduction="sum").backward()


@torch.no_grad()
def _passes(network: nn.Module, passes: int, x: Tensor) -> None:
    torch.stack([network(x) for _ in range(passes)])
