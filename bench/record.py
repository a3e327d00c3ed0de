"""What the scripts of this folder share: where the data lie and how a result is kept.

Every script measures one claim, prints it, and writes results/NAME.json with machine, versions, commit and command.
Data are found through the environment: LACONIC_DATA names a folder with kodak/ (the 24 photos as PNG) in it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laconic.measure import machine
from laconic.measure.comparison import Picture, load_pictures

RESULTS = Path(__file__).parent / "results"


def data(*parts: str) -> Path:
    """A place in the data folder, or the end of the script with a word about how to name that folder."""
    root = os.environ.get("LACONIC_DATA")
    if not root:
        sys.exit("set LACONIC_DATA to the folder that holds kodak/ (24 PNG files)")
    path = Path(root).joinpath(*parts)
    if not path.exists():
        sys.exit(f"{path} is missing")
    return path


def photos(folder: str) -> list[Picture]:
    """The photos of a folder; LACONIC_LIMIT=3 takes the first three, for a quick trial that is not written."""
    limit = os.environ.get("LACONIC_LIMIT")
    return load_pictures(data(folder))[: int(limit) if limit else None]


def kodak() -> list[Picture]:
    """The Kodak photos."""
    return photos("kodak")


def claim(text: str, value: float, bound: float, *, at_most: bool) -> dict[str, Any]:
    """A claim with its figure and whether it holds; prints it."""
    holds = bool(value <= bound if at_most else value >= bound)
    print(f"{'holds' if holds else 'FAILS'}: {text}: {value:.4g} ({'at most' if at_most else 'at least'} {bound:g})")
    return {"claim": text, "value": float(f"{value:.6g}"), "at_most" if at_most else "at_least": bound, "holds": holds}


def write(name: str, result: Mapping[str, Any]) -> None:
    """Keep a result under results/NAME.json, the record of the machine first."""
    if os.environ.get("LACONIC_LIMIT"):
        print("LACONIC_LIMIT is set: nothing is written")
        return
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    text = json.dumps({**machine.record(), **result}, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
