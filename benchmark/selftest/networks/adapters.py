"""Adapters of libraries that do not do what they say; the network that they attack is honest, and not robust.

Sources: Carlini et al. 2019, "On Evaluating Adversarial Robustness" (attacks that fail and are not noticed); Pintor et
al. 2022, "Indicators of Attack Failure" (the last iterate in place of the best; implementations that do nothing).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.attacks.craft import Adapter, adapter_of
from benchmark.attacks.metered import MeteredModel
from benchmark.attacks.spec import AttackSpec
from benchmark.protocol import LIBRARIES
from benchmark.selftest.broken import MLP, Around, broken, table
from zoo.seeding import private_generator

TOY = 64  # pixels of the images on which `patchy` is right, as unit tests have them


def _idle(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    return x.clone()


def _greedy(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
    return (x + 1.5 * spec.threat.eps).clamp(0, 1)


def patchy(library: str) -> Adapter:
    """It attacks one image in ten, each library others, and gives the others noise of the library's own."""

    def attack(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
        found = adapter_of(library)(model, x, y, spec, start)
        if x[0].numel() <= TOY:
            return found
        attacked = torch.arange(len(x), device=x.device) % 10 == LIBRARIES.index(library)
        noise = 2 * torch.rand(x.shape, generator=private_generator("patchy", library, spec.name)).to(x) - 1
        if spec.threat.norm == "l2":
            noise = noise / noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return torch.where(attacked.view(-1, 1, 1, 1), found, (x + spec.threat.eps * noise).clamp(0, 1))

    return attack


def overshooting(library: str) -> Adapter:
    """Where the gradient has turned on the way, it goes back by up to 0.3 in every pixel, and returns where it is then.

    So does an attack whose steps overshoot and that goes to and fro: its last iterate is not its best.
    """

    def attack(model: MeteredModel, x: Tensor, y: Tensor, spec: AttackSpec, start: Tensor | None) -> Tensor:
        found = adapter_of(library)(model, x, y, spec, start)
        if not spec.method.gradients:
            return found
        at_start, at_end = (_gradient(model, images, y) for images in (x, found))
        turned = F.cosine_similarity(at_start, at_end) < 0.99
        back = x + (found - x).sign() * ((found - x).abs() - 0.3).clamp(min=0)
        return torch.where(turned.view(-1, 1, 1, 1), back, found)

    return attack


def _gradient(model: MeteredModel, images: Tensor, y: Tensor) -> Tensor:
    leaf = images.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(leaf), y, reduction="sum"), leaf)
    return gradient.flatten(1)


NETWORKS = table(
    {
        "idle-adapter": broken(
            Around,
            "libraries return the image",
            "Pintor et al. 2022",
            ("V8",),
            behind=MLP,
            adapters=dict.fromkeys(LIBRARIES, _idle),
        ),
        "greedy-adapter": broken(
            Around,
            "libraries leave the ball",
            "Carlini et al. 2019",
            ("V2",),
            behind=MLP,
            adapters=dict.fromkeys(LIBRARIES, _greedy),
        ),
        "patchy-adapter": broken(
            partial(Around, "conv"),
            "each library attacks a tenth of the images, and gives the others noise",
            "Pintor et al. 2022",
            ("V8", "V18"),
            adapters={library: patchy(library) for library in LIBRARIES},
        ),
        "overshooting-adapter": broken(
            partial(Around, "conv"),
            "libraries return the last iterate, which went back",
            "Pintor et al. 2022",
            ("V18",),
            adapters={library: overshooting(library) for library in LIBRARIES},
        ),
    }
)
