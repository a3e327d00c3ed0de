"""Pixels <-> coefficients: color, then lifting (`analyze` / `synthesize`)."""

from __future__ import annotations
