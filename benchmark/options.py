"""Options that several commands have: what they say of a network that is not registered, and of where it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="Zoo entry such as mnist/lenet, or your own as package.module:factory.")]
Family = Annotated[
    str | None,
    typer.Option(help="What pages call a network that is not registered. By default what is found in it."),
]
Randomness = Annotated[
    str,
    typer.Option(
        help="What is averaged over in a network that is not registered: none, dropout (MC dropout), forward, draw, "
        "members, or auto: what is found, and said."
    ),
]
Outputs = Annotated[str, typer.Option(help="What a network that is not registered returns: logits or probabilities.")]
OneDataset = Annotated[str | None, typer.Option("--dataset", help="Of a network that does not say its own.")]
OwnData = Annotated[
    str | None,
    typer.Option(help="Your own images: a folder with a folder for every class, or package.module:function for Data."),
]
Size = Annotated[
    int | None, typer.Option(help="Of images in a folder: short side scaled to it, then the square in the middle.")
]
Audited = Annotated[
    int,
    typer.Option(help="Images that meet every attack of an adaptive suite; all others meet what decided among these."),
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder with data sets beside the bundled MNIST test.")]
Workers = Annotated[
    str,
    typer.Option(
        help="Cells at once: processes on this machine, or tasks on a cluster; auto measures what finishes first."
    ),
]
KeepImages = Annotated[
    bool, typer.Option("--keep-images", help="Store each image's most harmful versions, and the attacker's losses.")
]
