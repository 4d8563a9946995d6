"""A network's state: loaded from a file that is verified, and its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from zoo.layers import bayesian_layers
from zoo.posteriors import MeanFieldPosterior
from zoo.structure import is_foreign


def load_weights(network: nn.Module, path: Path, name: str, sha256: str | None) -> None:
    """Load safetensors into the network of the entry `name`. sha256: what its card says; None without a card.

    Raises ValueError, with the remedy, for a missing, damaged or ill-fitting file.
    """
    if not path.is_file():
        raise ValueError(
            f"{name}: no weights at {path}; a clone of the repository has those of all its entries, or train it: "
            f"python -m zoo.train {name}"
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 not in (None, found):
        raise ValueError(
            f"{name}: {path} has sha256 {found[:12]}…, its card says {str(sha256)[:12]}…; the file is damaged or was "
            "replaced: restore it, or train it again"
        )
    try:
        state = _with_shared(load(content), network)
    except Exception as error:  # whatever safetensors says of what is none
        raise ValueError(f"{name}: {path} is no safetensors file: {error}") from error
    try:
        network.load_state_dict(state)
    except Exception as error:
        misfit = _misfit(state, network.state_dict()) or str(error).splitlines()[0]
        raise ValueError(f"{name}: {path} does not fit the network: {misfit}") from error


def _with_shared(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """With every name of a tensor that a network has under several, of which safetensors keep one."""
    own = network.state_dict()
    names = {(value.data_ptr(), value.shape): name for name, value in own.items() if name in state}
    shared = {name: names.get((value.data_ptr(), value.shape)) for name, value in own.items() if name not in state}
    return state | {name: state[kept] for name, kept in shared.items() if kept is not None}


def _misfit(state: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    """How weights differ from what a network has, in a line; empty where names and shapes are the same."""
    missing, further = [name for name in own if name not in state], [name for name in state if name not in own]
    for name in further:
        prefix, _, rest = name.partition(".")
        if rest in own and len(further) == len(missing):
            return (
                f"its names begin with '{prefix}.', which the network's do not (saved from a wrapper such as "
                f"DataParallel?); save the inner network, or strip the prefix"
            )
    shapes = [
        f"{name} {tuple(state[name].shape)} where the network has {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    parts = ((missing, "missing from the file"), (further, "not in the network"), (shapes, "of another shape"))
    said = [f"{len(names)} {what} ({_first_few(names)})" for names, what in parts if names]
    return f"{'; '.join(said)}; is it the same architecture?" if said else ""


def state_digest(network: nn.Module) -> str:
    """sha256 over a network's structure, parameters and buffers, also those that are not saved with its weights.

    The structure is that of a posterior draw: priors and how training samples determine no prediction. Neither do the
    buffers into which other Bayesian libraries draw their noise, eps_weight and the like.
    """
    drawn = MeanFieldPosterior(network).mean() if bayesian_layers(network) else network
    digest, noise = hashlib.sha256(repr(drawn).encode()), noise_of(network)
    for name, value in (*network.named_parameters(), *network.named_buffers()):
        if name not in noise:
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)  # NumPy has no bfloat16
            digest.update(content.numpy().tobytes())
    return digest.hexdigest()


def noise_of(network: nn.Module) -> set[str]:
    """The buffers into which other Bayesian libraries draw their noise: what is in them before a pass is nothing."""
    return {
        f"{path}.{name}".removeprefix(".")
        for path, layer in network.named_modules()
        if is_foreign(layer)
        for name, _ in layer.named_buffers(recurse=False)
        if name.startswith("eps")
    }


def _first_few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
