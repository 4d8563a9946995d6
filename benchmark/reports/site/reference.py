"""The reference of functions and classes, from docstrings, by pdoc: pages of its own beside those of the site.

`templates/reference` adds to pdoc's own what they lack: the way back, a dark theme, and print.
"""

from __future__ import annotations

import importlib
import re
import tempfile
import warnings
from importlib import resources
from pathlib import Path

FOLDER = "reference"
# what people write against, each with what it exports and nothing below it
MODULES = ("benchmark", "benchmark.statistics", "zoo", "zoo.bounds", "zoo.layers", "zoo.posteriors", "zoo.uncertainty")
FIRST = f"{FOLDER}/benchmark.html"


def reference_pages() -> dict[str, bytes]:
    """Path -> content. Names that a module hands out when they are asked for are looked up first: pdoc does not ask."""
    import pdoc

    for name in MODULES:
        module = importlib.import_module(name)
        for exported in getattr(module, "__all__", ()):
            setattr(module, exported, getattr(module, exported))
    alone = [pattern for name in MODULES for pattern in (name, f"!{name.replace('.', chr(92) + '.')}{chr(92)}..*")]
    templates = Path(str(resources.files("benchmark.reports") / "templates" / FOLDER))
    pdoc.render.configure(docformat="restructuredtext", show_source=False, template_directory=templates)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Error parsing type annotation", category=UserWarning)
        pdoc.pdoc(*alone, output_directory=Path(folder))
        made = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {f"{FOLDER}/{path.relative_to(folder).as_posix()}": _named(path.read_bytes()) for path in made}


def _named(content: bytes) -> bytes:
    """With a name for every link that leads to a heading, of which a style alone shows anything."""
    return re.sub(rb'(<a class="headerlink" href="#([^"]+)")>', rb'\1 aria-label="\2">', content)
