"""What a sampling goes on from after a kill: tensors and a few words, safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from zoo.files import write_whole


def write(path: Path, identity: str, tensors: Mapping[str, Tensor], **words: object) -> None:
    """Replace the checkpoint. identity: of what determines the sampling."""
    metadata = {"identity": identity, **{name: str(word) for name, word in words.items()}}
    write_whole(path, save({name: value.contiguous() for name, value in tensors.items()}, metadata))


def read(path: Path, identity: str, *words: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Its tensors and its words, of which these must be there.

    Raises ValueError, with the remedy, for a checkpoint that is damaged or of another sampling.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            said = {name: metadata[name] for name in ("identity", *words)}
    except Exception as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to start again") from error
    if said["identity"] != identity:
        raise ValueError(f"{path} is of another sampling: other starts or settings; delete it to start again")
    return tensors, said
