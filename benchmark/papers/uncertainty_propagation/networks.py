"""The networks of section 4, as chains of named stages, and how they are trained."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.catalogue.recipes import Recipe
from zoo.datasets import Split, dataset_spec
from zoo.layers import Preprocess
from zoo.propagation import Moments, certain, propagate, sample
from zoo.propagation.moments import log_softmax_simplified
from zoo.propagation.statistics import rescale
from zoo.propagation.units import BernoulliDropout, LogisticBernoulli
from zoo.seeding import derive_seed, forked_random_state
from zoo.training.loop import Training, checkpoint_path

Method = Literal["AP1", "AP2", "sample"]
Activation = Callable[[], nn.Module]
Build = Callable[[Activation], nn.Sequential]

ACTIVATIONS: dict[str, Activation] = {
    "LReLU": lambda: nn.LeakyReLU(0.01),
    "LReLU, dropout": lambda: nn.Sequential(nn.LeakyReLU(0.01), BernoulliDropout(0.2)),
    "logistic Bernoulli": LogisticBernoulli,
    "logistic transform": nn.Sigmoid,
}


def lenet(activation: Activation) -> nn.Sequential:
    """Four linear layers, two of them convolutions: (B, 1, 28, 28) -> (B, 10). The paper's sizes are lost."""
    return _with_input(
        "mnist",
        C1=nn.Conv2d(1, 32, 5, stride=2),
        A1=activation(),
        C2=nn.Conv2d(32, 64, 5, stride=2),
        A2=activation(),
        flatten=nn.Flatten(),
        F3=nn.Linear(1024, 128),
        A3=activation(),
        F4=nn.Linear(128, 10),
    )


def nine_layers(activation: Activation, width: int = 16) -> nn.Sequential:
    """Nine convolutions and average pooling: (B, 3, 32, 32) -> (B, 10).

    Their kinds are those of All-CNN-C (Springenberg et al. 2015), the widths a sixth of its: the paper's are lost.
    """
    wide = 2 * width
    kinds = (
        (3, width, 3, 1),
        (width, width, 3, 1),
        (width, width, 3, 2),
        (width, wide, 3, 1),
        (wide, wide, 3, 1),
        (wide, wide, 3, 2),
        (wide, wide, 3, 1),
        (wide, wide, 1, 1),
        (wide, 10, 1, 1),
    )
    stages: dict[str, nn.Module] = {}
    for place, (channels, filters, kernel, stride) in enumerate(kinds, 1):
        stages[f"C{place}"] = nn.Conv2d(channels, filters, kernel, stride, padding=kernel // 2)
        if place < len(kinds):
            stages[f"A{place}"] = activation()
    return _with_input("cifar10-jpeg", **stages, P=nn.AvgPool2d(8), flatten=nn.Flatten())


# name: data set, chain
NETWORKS: dict[str, tuple[str, Build]] = {"lenet": ("mnist", lenet), "nine-layers": ("cifar10-jpeg", nine_layers)}


def _with_input(dataset: str, **stages: nn.Module) -> nn.Sequential:
    spec = dataset_spec(dataset)
    return nn.Sequential(OrderedDict(input=Preprocess(spec.mean, spec.std, pad=0), **stages))


@torch.no_grad()
def normalise_by_images(network: nn.Sequential, images: Tensor) -> None:
    """Give every linear layer outputs of mean 0 and variance 1 per channel on the images: where all trainings start."""
    x = images
    for stage in network:
        if isinstance(stage, nn.Linear | nn.Conv2d):
            channels = stage(x).transpose(0, 1).flatten(1)
            rescale(stage, Moments(channels.mean(1), channels.var(1)))
        x = stage(x)


class Learner(nn.Module):
    """A network as it is trained. AP1: without noise; sample: noise drawn in training, AP1 after; AP2: propagated."""

    def __init__(self, network: nn.Module, method: Method) -> None:
        super().__init__()
        self.network, self.method = network, method

    def forward(self, x: Tensor) -> Tensor:
        if self.method == "AP2":
            return log_softmax_simplified(propagate(self.network, certain(x)))
        if self.method == "sample" and self.training:
            return sample(self.network, x, torch.default_generator)  # which a training forks, as for dropout
        output: Tensor = self.network(x)
        return output


def trained(
    name: str,
    build: Callable[[], nn.Sequential],
    method: Method,
    recipe: Recipe,
    split: Split,
    checkpoints: Path,
    wrap: Callable[[nn.Sequential], nn.Module] | None = None,
) -> tuple[nn.Sequential, list[dict[str, float]]]:
    """The network trained on a split, and its history; goes on from a checkpoint. name: `<data set>/<what is special>`.

    wrap: makes the module that is trained in place of the network, from the normalised network.
    """
    with forked_random_state(derive_seed("examples.propagation", recipe.seed)):  # the same start for every method
        network = build()
    images, _ = split.sample(500, "examples.propagation initial images")
    normalise_by_images(network, images)
    path = checkpoint_path(checkpoints, name, recipe, split)
    learner = Learner(network if wrap is None else wrap(network), method)
    _, history = Training(name, recipe, split, path, network=learner).run()
    return network.eval(), history
