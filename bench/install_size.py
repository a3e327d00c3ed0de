"""Claim: the installed package with everything it needs takes less than 120 MB.

    python bench/install_size.py

Builds the wheel and installs it, with its dependencies and nothing else, into an empty folder; sizes are of the files.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import record

ROOT = Path(__file__).parents[1]


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


with tempfile.TemporaryDirectory() as place:
    target = Path(place, "installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-compile", "--target", str(target), str(ROOT)], check=True)
    parts = {path.name: size(path) / 1e6 for path in sorted(target.iterdir()) if path.is_dir()}
    total = size(target) / 1e6
for name, megabytes in parts.items():
    print(f"{name}: {megabytes:.1f} MB")
claims = [record.claim("laconic and its dependencies installed, MB", total, 120, at_most=True)]
record.write("install_size", {"claims": claims, "megabytes": total, "by_folder": parts})
