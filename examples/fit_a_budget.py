"""Fit a photo into a number of bytes: python examples/fit_a_budget.py photo.jpg 20000."""

from __future__ import annotations

import sys
from pathlib import Path

import laconic as lac

source, budget = Path(sys.argv[1]), int(sys.argv[2])
data = lac.compress(source, size=budget)
target = Path(source.with_suffix(".lac").name)
target.write_bytes(data)
print(f"{source.name}: {source.stat().st_size} -> {len(data)} bytes in {target}")
