"""Whole codecs (`encode` / `decode`): one file = one codec, its parts in the order of the path."""

from __future__ import annotations
