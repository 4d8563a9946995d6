"""A stranger: his package, his data set of six images, his network; and what he does to make his submission."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.nn import functional as F
from typer import Typer
from typer.testing import CliRunner, Result

from zoo import Data
from zoo.seeding import forked_random_state, private_generator

IMAGES, REFERENCE, NAME = 6, "stranger.nets:net", "tiny-bars/net"
LAYERS = """
from torch import nn

def layers() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3))
"""
NETS = f"""
from torch import nn
from zoo import register_model
from .parts import layers

@register_model("{NAME}", dataset="tiny-bars", weights="net.safetensors")
def net() -> nn.Module:
    return layers()
"""


def bars(count: int, purpose: str) -> tuple[Tensor, Tensor]:
    """(N, 1, 6, 6) bytes and (N,) labels: a bar in a place of each of three classes, on noise."""
    y = torch.arange(count) * 3 // count
    x = torch.randint(0, 60, (count, 1, 6, 6), generator=private_generator("tiny bars", purpose)).byte()
    for image, label in zip(x, y.tolist(), strict=True):
        image[0, 2 * label : 2 * label + 2] += 60
    return x, y


def data() -> Data:
    """Six images, one of them with a wrong label, so that clean accuracy is no 100 %."""
    x, y = bars(IMAGES, "test")
    y[3] = 2
    return Data.from_arrays(x, y, name="tiny-bars", eps={"linf": [0.1], "l2": [0.8]})


def trained() -> nn.Module:
    x, y = bars(60, "train")
    with forked_random_state(0):
        net = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 3))
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(net(x.float() / 255), y).backward()
        optimiser.step()
    return net.eval()


def write_package(place: Path) -> None:
    """The stranger's package with his weights beside it."""
    package = place / "stranger"
    package.mkdir(parents=True)
    for name, text in {"__init__": "", "parts": LAYERS, "nets": NETS}.items():
        (package / f"{name}.py").write_text(text)
    save_model(trained(), str(package / "net.safetensors"))


def forget_package() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "stranger"]:
        del sys.modules[name]


def invoke(app: Typer, *arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, [str(one) for one in arguments])


def run_suite(store: Path, *further: object) -> Result:
    from benchmark.run import app

    how: Sequence[object] = ("--threads", 1, "--workers", 1, "--store", store)
    return invoke(app, "--suite", "adaptive", "--model", REFERENCE, "--examples", IMAGES, *how, *further)


def submit(*arguments: object) -> Result:
    from benchmark.submit import app

    return invoke(app, *arguments)
