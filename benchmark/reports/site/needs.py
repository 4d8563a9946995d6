"""What the site needs beyond the benchmark itself, and how the lack of it is said."""

from __future__ import annotations

import importlib

NEEDED = {
    "altair": "altair",
    "vl_convert": "vl-convert-python",
    "markdown_it": "markdown-it-py",
    "nbconvert": "nbconvert",
    "pdoc": "pdoc",
}


def require() -> None:
    """Raises ValueError in one line, with the command that installs it, where a package is missing."""
    missing = []
    for module, package in NEEDED.items():
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(package)
    if missing:
        raise ValueError(f"the site needs {', '.join(missing)}: pip install 'robustness-zoo[site]'")
