"""Symbols <-> the frequency tables they are coded with: the causal context model, integers only."""

from __future__ import annotations
