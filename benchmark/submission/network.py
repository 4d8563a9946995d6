"""A submission's network, built from its folder alone. This executes its author's code: see SECURITY.md."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from benchmark.submission.finding import RefusedError
from benchmark.submission.folder import SOURCE, WEIGHTS
from benchmark.submission.registration import AboutNetwork
from zoo import ZooEntry, models
from zoo.catalogue.registry import entry_of, source_of


@contextlib.contextmanager
def network_of(path: Path, about: AboutNetwork) -> Iterator[ZooEntry]:
    """The entry of a submission, in a block in which its modules can be imported; afterwards nothing is registered.

    path: of the folder. Its weights are those beside it, whatever its registration says.
    Raises RefusedError for modules that cannot be imported, or that register another network.
    """
    root = (path / SOURCE).resolve()
    tops = {one.name.removesuffix(".py") for one in root.iterdir()}
    with models.with_entries(), _importable(root, tops):
        models.forget(about.name)  # as its author's own package registered it, in the process that makes the submission
        entry = _imported(root, about)
        said = entry.family, entry.randomness, entry.outputs, entry.name, entry.dataset
        expected = about.family, about.randomness, about.outputs, about.name, about.dataset
        if said != expected:
            raise RefusedError("network", f"its module registers {said}, the submission says {expected}")
        yield replace(entry, weights=(path / WEIGHTS).resolve())


def _imported(root: Path, about: AboutNetwork) -> ZooEntry:
    module, _, attribute = about.reference.partition(":")
    try:
        loaded = importlib.import_module(module)
        factory = attrgetter(attribute)(loaded)
    except Exception as error:  # whatever a submission's module raises
        what = f"{type(error).__name__}: {error}"
        raise RefusedError("network", f"{about.reference} cannot be imported from the folder alone: {what}") from error
    if root not in Path(loaded.__file__ or "").resolve().parents:
        raise RefusedError("network", f"another module is called {module}, {loaded.__file__}: rename it")
    for entry in models.values():
        if entry.factory is factory:
            return entry
    try:
        return entry_of(about.name, about.dataset, factory, source_of(factory), about.said)
    except ValueError as error:
        raise RefusedError("registration", str(error)) from error


@contextlib.contextmanager
def _importable(root: Path, tops: set[str]) -> Iterator[None]:
    """Modules below `root` are importable in the block, last, so that they hide none; others of their names are not."""
    put_by = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in tops}
    before, bytecode = list(sys.path), sys.dont_write_bytecode
    sys.path[:] = [one for one in before if not _has(one, tops)] + [str(root)]
    sys.dont_write_bytecode = True  # the folder stays as it is
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = before, bytecode
        for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
            del sys.modules[name]
        sys.modules.update(put_by)


def _has(folder: str, tops: set[str]) -> bool:
    """Whether a folder of the search path is where the author keeps modules of these names."""
    place = Path(folder or ".")
    return "site-packages" not in place.parts and any(
        (place / name).is_dir() or (place / f"{name}.py").is_file() for name in tops
    )
