"""Layers have an order: each imports only from itself and the rows above it; torch stays in `train/` and `learn/`."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1] / "src" / "laconic"

# The table of the architecture, row by row; the names of one row may not see each other, but for the pairs below.
ROWS = [
    ["errors", "_native"],
    ["signals"],
    ["transform"],
    ["quantize"],
    ["entropy"],
    ["models"],  # turns a model file into the tables of the entropy layer
    ["coder"],
    ["container"],
    ["codecs"],
    ["train", "learn", "measure", "cli", "viewer", "pillow", "numcodecs", "zarr"],
]
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
# The command line calls the others of its row, and a report is shown by the viewer.
SAME_ROW = {
    ("cli", "train"),
    ("cli", "learn"),
    ("cli", "measure"),
    ("cli", "viewer"),
    ("measure", "viewer"),
    ("viewer", "measure"),
}
# `pillow.py`, `numcodecs.py` and `zarr.py` are plugins of the libraries they are named after; nobody here imports them.
# The package itself gathers the public names; `python -m laconic` starts the command line.
TOP = {"__init__", "__main__"}


def imports(source: str, package: list[str]) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute dotted name) of everything a module imports, also inside functions and for typing."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{stem}.{alias.name}"
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0] if node.args else None
            if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def broken(source: str, path: str) -> list[str]:
    """Return what a module at `path`, relative to the package, imports against the order."""
    parts = Path(path).with_suffix("").parts
    layer = parts[0]
    found: list[str] = []
    for line, name in imports(source, ["laconic", *parts[:-1]]):
        top, _, rest = name.partition(".")
        place = f"{path}:{line} imports {name}"
        if top == "torch" and layer not in ("train", "learn"):
            found.append(f"{place}: torch belongs to train/ and learn/")
        if top != "laconic" or layer in TOP:
            continue
        target = rest.split(".")[0]
        if layer not in RANK:
            found.append(f"{path}: no layer of this name")
        elif target not in RANK:
            # `import laconic`: the package itself is for those who stand above all of it.
            if RANK[layer] < len(ROWS) - 1:
                found.append(f"{place}: only the last row may import the package itself")
        elif target != layer and RANK[target] >= RANK[layer] and (layer, target) not in SAME_ROW:
            found.append(f"{place}: a later or equal layer")
    return found


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def test_every_import_keeps_the_order():
    assert len(modules()) > 10
    found = [
        problem for path in modules() for problem in broken(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import torch", "codecs/image.py"),
        ("def f():\n    from torch import nn", "entropy/x.py"),
        ("import importlib\nimportlib.import_module('torch')", "measure/x.py"),
        ("from laconic.codecs.image import ImageCodec", "container/x.py"),
        ("from ..codecs import image", "container/x.py"),
        ("from laconic import codecs", "coder/x.py"),
        ("import laconic.cli.main", "codecs/x.py"),
        ("import laconic", "codecs/x.py"),
        ("from laconic.train import fit", "measure/x.py"),
        ("from laconic.errors import X", "strange/x.py"),
        ("import laconic.pillow", "cli/x.py"),
    ],
)
def test_the_law_can_fail(source: str, path: str):
    assert broken(source, path)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import torch", "train/x.py"),
        ("from laconic.codecs.image import ImageCodec", "train/x.py"),
        ("from laconic.coder.rans import push", "codecs/x.py"),
        ("from . import writer", "container/reader.py"),
        ("import laconic as lac", "cli/x.py"),
        ("import numpy", "coder/x.py"),
        ("from laconic.codecs.image import compress", "pillow.py"),
    ],
)
def test_the_law_can_hold(source: str, path: str):
    assert not broken(source, path)


def test_file_names_are_unique():
    """One name, one idea: two files of one name would make people open the wrong one."""
    names = [path.name for path in modules() if path.name != "__init__.py"]
    twice = {name for name in names if names.count(name) > 1}
    # A kind of signal has one file in each layer that knows it, and a command is named after what it starts.
    allowed = {path.name for folder in ("signals", "cli") for path in (ROOT / folder).glob("*.py")}
    assert not twice - allowed


def test_no_file_is_a_drawer():
    drawers = {"utils", "util", "helpers", "common", "misc"}
    assert not [path for path in ROOT.rglob("*") if path.stem in drawers]


def test_the_package_imports_neither_torch_nor_the_command_line():
    code = (
        "import sys, laconic; "
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'typer', 'rich', 'matplotlib', 'scipy')"
        " or m.startswith(('laconic.cli', 'laconic.train', 'laconic.measure'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
