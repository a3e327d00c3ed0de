"""Learning on latents: pictures are packed once into a data set of latents, and models train on those.

`packing.py` says how a data set is made, `dataset.py` how it is read, `loader.py` in which order, `models.py` holds two
networks that take it. Packing and reading need numpy only; what has to do with tensors needs torch
(`pip install "laconic[train]"`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from laconic.learn.grid import Grid
    from laconic.learn.manifest import Manifest
    from laconic.learn.packing import PackPlan, ShardRecord, finish, make_plan, pack, pack_shard

_HOMES = {
    "Grid": "grid",
    "Manifest": "manifest",
    "PackPlan": "packing",
    "ShardRecord": "packing",
    "finish": "packing",
    "make_plan": "packing",
    "pack": "packing",
    "pack_shard": "packing",
}

__all__ = ["Grid", "Manifest", "PackPlan", "ShardRecord", "finish", "make_plan", "pack", "pack_shard"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'laconic.learn' has no attribute {name!r}")
    return getattr(import_module(f"laconic.learn.{_HOMES[name]}"), name)
