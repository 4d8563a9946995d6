"""Notebooks as they were run, as Markdown for the frame of the site, by nbconvert."""

from __future__ import annotations

import re
from pathlib import Path

SHOWN = ["image/png", "text/markdown", "text/plain"]  # of an output what comes first; HTML of others is not taken in


def notebook(path: Path, name: str) -> dict[str, bytes]:
    """Name -> content: the notebook's own name with its text, Markdown, and its images beside it.

    name: of the notebook, as the site's guides are named. Raises ValueError for a file that is no notebook.
    """
    from nbconvert import MarkdownExporter
    from nbformat.reader import NotJSONError
    from traitlets.config import Config

    config = Config()
    config.NbConvertBase.display_data_priority = SHOWN
    try:
        text, found = MarkdownExporter(config=config).from_filename(str(path))  # type: ignore[no-untyped-call]
    except NotJSONError as error:
        raise ValueError(f"{path} is no notebook: {error}") from error
    folder, beside = name.rpartition("/")[0], {}
    for image, content in found["outputs"].items():
        own = f"{path.stem}-{image}"
        text = text.replace(f"({image})", f"({own})")
        beside[f"{folder}/{own}"] = content
    text = re.sub(r"\n{4,}", "\n\n", text)  # between outputs
    return {name: text.encode(), **beside}
