"""The modules that build a network: which there are, what they import, what in them is to be read with care. Not run.

Python is parsed and never executed here. This is no sandbox: whoever runs a network runs its author's code. It keeps
what has to be read small, and points at what has to be read first.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from benchmark.submission.finding import Finding

# What a network is made of; anything else may do anything, and has to be asked for.
ALLOWED = (
    *("__future__", "abc", "collections", "copy", "dataclasses", "enum", "functools", "itertools", "math", "typing"),
    *("numpy", "torch", "torchvision", "zoo"),
    *("bayesian_torch", "blitz", "laplace", "posteriors", "pyro", "timm", "torch_uncertainty"),
)
# Not forbidden, as a network may have use for them: a reviewer looks there first.
CALLS = (
    *(
        "__import__",
        "breakpoint",
        "compile",
        "delattr",
        "eval",
        "exec",
        "getattr",
        "globals",
        "input",
        "locals",
        "open",
    ),
    *("setattr", "vars"),
)
ATTRIBUTES = ("hub", "load", "load_library", "ops", "save", "serialization", "utils", "modules", "tofile", "fromfile")
_USUAL = ("__init__", "__call__", "__len__", "__iter__", "__name__", "__class__", "__all__")


def modules_of(module: str, root: Path) -> dict[str, Path]:
    """Path below `root` -> file, of a module and of all modules below `root` that it imports, and theirs.

    Raises ValueError for a module that imports what is neither there nor of a library that networks are made of.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for path in _files(name, root):
            relative = path.relative_to(root).as_posix()
            if relative in found:
                continue
            found[relative] = path
            tree = _parsed(path.read_text(), relative)
            for imported, line in imports_of(tree, relative):
                top = imported.partition(".")[0]
                if top in ALLOWED:
                    continue
                if not any(True for _ in _files(top, root)):
                    raise ValueError(f"{path}, line {line}: {_refused(imported)}")
                waiting.append(imported)
    return found


def findings(texts: Mapping[str, str], reference: str) -> Iterator[Finding]:
    """What a submission's modules may not be. texts: by their path below `source/`."""
    module = reference.partition(":")[0]
    if not set(_names(module)) & set(texts):
        yield Finding("source", f"{reference} is none of the modules below source/")
    own = {path.partition("/")[0].removesuffix(".py") for path in texts}
    for name in sorted(own):
        if name in (*ALLOWED, *sys.stdlib_module_names, "benchmark"):
            yield Finding("source", f"source/{name} has the name of a module that is not the submission's: rename it")
    for path, text in texts.items():
        if any(not part.removesuffix(".py").isidentifier() for part in PurePosixPath(path).parts):
            yield Finding("source", f"source/{path} is no name of a module")
        try:
            tree = _parsed(text, path)
        except ValueError as error:
            yield Finding("source", str(error))
            continue
        for imported, line in imports_of(tree, path):
            if imported.partition(".")[0] not in (*ALLOWED, *own):
                yield Finding("source", f"source/{path}, line {line}: {_refused(imported)}")


def to_read(texts: Mapping[str, str]) -> list[str]:
    """`source/nets.py:12: open(...)`: the lines at which a reviewer looks first."""
    found = []
    for path, text in texts.items():
        lines = text.splitlines()
        numbers = {node.lineno for node in ast.walk(_parsed(text, path)) if _is_striking(node)}  # type: ignore[attr-defined]
        found += [f"source/{path}:{number}: {lines[number - 1].strip()[:80]}" for number in sorted(numbers)]
    return found


def _is_striking(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in CALLS
    if isinstance(node, ast.Attribute):
        return node.attr in ATTRIBUTES or (node.attr.startswith("__") and node.attr not in _USUAL)
    return False


def imports_of(tree: ast.Module, path: str) -> Iterator[tuple[str, int]]:
    """Dotted name and line of every import of a module, those inside functions among them; relative ones resolved.

    Of `from a import b` both `a` and `a.b`, which may be a module. path: of the module, below the root.
    """
    package = list(PurePosixPath(path).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            if base:
                yield base, node.lineno
            yield from ((f"{base}.{alias.name}".lstrip("."), node.lineno) for alias in node.names)


def _files(module: str, root: Path) -> Iterator[Path]:
    """The files of a module and of the packages that it is in, as far as they lie below `root`."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        yield from (root / name for name in _names(".".join(parts[:count])) if (root / name).is_file())


def _names(module: str) -> tuple[str, str]:
    path = module.replace(".", "/")
    return f"{path}.py", f"{path}/__init__.py"


def _parsed(text: str, path: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{path} is no Python: {error}") from None


def _refused(imported: str) -> str:
    return f"imports {imported}; a network is made of {', '.join(ALLOWED[10:])} and modules of its own: leave it out"
