"""Convention 24: bench counts the bytes of real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import laconic
from laconic.signals.image import Image, save

from .conftest import photo_pixels


def test_convention_24_bench_counts_real_bytes(run: Any, folder: Path):
    pixels = photo_pixels(200, 260)
    (folder / "photos").mkdir()
    save("photos/a.png", Image(pixels))
    result = run("bench", "photos", "--against", "jpeg", "--qualities", "20,50,75,90", "-o", "report", "--json")
    assert result.code == 0, result.said
    assert json.loads(result.text) == json.loads(Path("report/bench.json").read_text())
    found = _values(json.loads(result.text), "bpp")
    sizes = [len(laconic.compress(pixels, quality=quality)) for quality in (20, 50, 75, 90)]
    expected = pytest.approx([8 * size / (200 * 260) for size in sizes], rel=1e-5)
    assert expected in found
    assert run("bench", "photos", "--against", "jpeg", "-o", "report").code == 1  # an existing report is kept


def _values(tree: Any, key: str) -> list[Any]:
    """All values under a key, anywhere in a JSON tree."""
    if isinstance(tree, dict):
        return [value for name, value in tree.items() if name == key] + [
            found for value in tree.values() for found in _values(value, key)
        ]
    return [found for value in tree for found in _values(value, key)] if isinstance(tree, list) else []
