"""Whether anything that an attack can find leaves the bounds: the checker that every rule is held to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.bounds import Interval
from zoo.layers import Conv2d, Preprocess
from zoo.seeding import forked_random_state, private_generator

TOLERANCE = 1e-9  # of numbers of order 1 to 100 in float64


def outputs(networks: Sequence[nn.Module], x: Tensor) -> Tensor:
    """(S, B, K) in float64."""
    return torch.stack([network(x) for network in networks])


def into_region(moved: Tensor, x: Tensor, eps: float, norm: str) -> Tensor:
    """The point of the ball nearest to x + moved, cut by the box: both hold for it."""
    if norm == "linf":
        moved = moved.clamp(-eps, eps)
    else:
        length = moved.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1)).clamp_min(1e-300)
        moved = moved * (eps / length).clamp(max=1)
    return (x + moved).clamp(0, 1)


@torch.enable_grad()
def candidates(networks: Sequence[nn.Module], x: Tensor, eps: float, norm: str, seed: int = 0) -> list[Tensor]:
    """Images of the region, (B, C, H, W) each: inside, on the ball, its corners, and where PGD leads every logit."""
    generator = private_generator("candidates", seed, *x.shape)

    def noise() -> Tensor:
        return torch.randn(x.shape, generator=generator, dtype=x.dtype)

    big = 1e3 * eps
    found = [
        x,
        into_region(big * torch.ones_like(x), x, eps, norm),
        into_region(-big * torch.ones_like(x), x, eps, norm),
    ]
    for _ in range(8):
        found += [into_region(big * noise().sign(), x, eps, norm), into_region(eps * noise(), x, eps, norm)]
        sparse = noise() * (torch.rand(x.shape, generator=generator) < 0.2)
        found += [into_region(big * sparse, x, eps, norm)]
    classes = outputs(networks, x).shape[-1]
    directions = [torch.eye(classes, dtype=x.dtype)[k] for k in range(classes)]
    directions += [one - other for one in directions[:2] for other in directions[1:3] if one is not other]
    for direction in directions:
        for sign in (1.0, -1.0):
            moved = into_region(0.5 * eps * noise(), x, eps, norm) - x
            for _ in range(8):
                leaf = (x + moved).requires_grad_()
                value = (outputs(networks, leaf) * sign * direction).sum()
                (gradient,) = torch.autograd.grad(value, leaf)
                step = (
                    gradient.sign()
                    if norm == "linf"
                    else gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-300).view(-1, *[1] * (x.ndim - 1))
                )
                moved = into_region(moved + eps / 3 * step, x, eps, norm) - x
            found.append(x + moved)
    return found


def excess(networks: Sequence[nn.Module], x: Tensor, eps: float, norm: str, found: Interval, seed: int = 0) -> float:
    """How far the logits of images of the region get out of the bounds (S, B, K); negative where none does."""
    worst = -torch.inf
    for image in candidates(networks, x, eps, norm, seed):
        with torch.no_grad():
            logits = outputs(networks, image)
        worst = max(worst, float((found.lower - logits).max()), float((logits - found.upper).max()))
    return worst


def margin_excess(
    networks: Sequence[nn.Module], x: Tensor, labels: Tensor, eps: float, norm: str, found: Interval, seed: int = 0
) -> float:
    """The same of the differences between the label's logit and the others."""
    own = [_Differences(network, labels) for network in networks]
    return excess(own, x, eps, norm, found, seed)


class _Differences(nn.Module):
    def __init__(self, network: nn.Module, labels: Tensor) -> None:
        super().__init__()
        self.network, self.labels = network, labels

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(x)
        return logits.gather(1, self.labels[:, None]) - logits


ACTIVATIONS = {
    "relu": nn.ReLU,
    "softplus": nn.Softplus,
    "steep softplus": lambda: nn.Softplus(beta=3.0, threshold=5.0),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def chains(activation: str) -> dict[str, tuple[list[nn.Module], tuple[int, ...]]]:
    """Small chains of layers and the shape of their images; weights as torch draws them."""
    act = ACTIVATIONS[activation]
    return {
        "mlp": ([nn.Flatten(), nn.Linear(9, 7), act(), nn.Linear(7, 5), act(), nn.Linear(5, 3)], (1, 3, 3)),
        "bare": ([nn.Flatten(), nn.Linear(9, 6), nn.Linear(6, 6, bias=False), act(), nn.Linear(6, 3)], (1, 3, 3)),
        "activation first": ([act(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(9, 3)], (1, 3, 3)),
        "lenet": (
            [
                *(Preprocess((0.3,), (0.4,), pad=1), Conv2d(1, 2, 3), act(), nn.MaxPool2d(2)),
                *(nn.Conv2d(2, 3, 2), act(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 4), act(), nn.Linear(4, 3)),
            ],
            (1, 6, 6),
        ),
        "padded": (
            [
                *(Preprocess((0.3, 0.5), (0.4, 0.6)), nn.Conv2d(2, 3, 3, padding=1, stride=2), act()),
                *(nn.Conv2d(3, 3, 3, padding=1), act(), nn.Conv2d(3, 2, 3, padding=1), act(), nn.MaxPool2d(3, 2)),
                *(nn.Flatten(), nn.Linear(2, 3)),
            ],
            (2, 7, 7),
        ),
        "average": (
            [
                *(nn.Conv2d(1, 2, 3, dilation=2, bias=False), nn.AvgPool2d(2), act(), nn.Conv2d(2, 3, 2, padding=1)),
                *(nn.Identity(), nn.MaxPool2d(2), act(), nn.AvgPool2d((2, 1), 1), nn.Flatten(), nn.Linear(6, 3)),
            ],
            (1, 10, 11),
        ),
        "three convolutions": (
            [
                *(nn.Conv2d(1, 2, 3, padding=1), act(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3), act()),
                *(nn.Conv2d(2, 2, 2, stride=2, padding=1), act(), nn.Flatten(), nn.Linear(18, 3)),
            ],
            (1, 12, 12),
        ),
    }


CHAINS = tuple(chains("relu"))


def built(chain: str, activation: str, seed: int, count: int = 1, scale: float = 1.0) -> list[nn.Sequential]:
    """Networks of one chain in float64, their weights times `scale`: larger ones spread the units."""
    networks = []
    for index in range(count):
        with forked_random_state(seed * 100 + index):
            network = nn.Sequential(*chains(activation)[chain][0]).double().eval()
        for value in network.parameters():
            value.data *= scale
        networks.append(network)
    return networks


def pictures(chain: str, seed: int, count: int = 2) -> Tensor:
    """(B, C, H, W) in float64, of which a third of the pixels are at a wall of the box."""
    shape = chains("relu")[chain][1]
    generator = private_generator("pictures", chain, seed)
    return (1.5 * torch.rand(count, *shape, generator=generator, dtype=torch.float64) - 0.25).clamp(0, 1)
