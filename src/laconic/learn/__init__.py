"""Learning on latents: pictures are packed once, and models train on what they became.

`packing.py` says how a data set is made, `dataset.py` how it is read, `batches.py` in which order, `models.py` holds
two networks that take it. Packing and reading need numpy only; what has to do with tensors needs torch
(`pip install "laconic[train]"`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from laconic.errors import UsageError

if TYPE_CHECKING:
    from laconic.learn.augment import Augment
    from laconic.learn.batches import Loader
    from laconic.learn.batches import Loader as loader  # noqa: N813
    from laconic.learn.dataset import LatentDataset
    from laconic.learn.dataset import open_dataset as open  # noqa: A004
    from laconic.learn.grid import Grid
    from laconic.learn.manifest import Manifest
    from laconic.learn.pack_plan import PackPlan
    from laconic.learn.packing import finish, pack
    from laconic.learn.planning import make_plan
    from laconic.learn.shard_packing import ShardRecord, pack_shard

# Where each public name lives, and what it is called there.
_HOMES = {
    "Augment": ("augment", "Augment"),
    "Grid": ("grid", "Grid"),
    "LatentDataset": ("dataset", "LatentDataset"),
    "Loader": ("batches", "Loader"),
    "Manifest": ("manifest", "Manifest"),
    "PackPlan": ("pack_plan", "PackPlan"),
    "ShardRecord": ("shard_packing", "ShardRecord"),
    "finish": ("packing", "finish"),
    "loader": ("batches", "Loader"),
    "make_plan": ("planning", "make_plan"),
    "open": ("dataset", "open_dataset"),
    "pack": ("packing", "pack"),
    "pack_shard": ("shard_packing", "pack_shard"),
}
_NEEDING_TORCH = {"augment", "batches", "models"}

__all__ = [
    "Augment",
    "Grid",
    "LatentDataset",
    "Loader",
    "Manifest",
    "PackPlan",
    "ShardRecord",
    "finish",
    "loader",
    "make_plan",
    "open",
    "pack",
    "pack_shard",
]


def __getattr__(name: str) -> Any:
    if name == "models":
        return _module(name)
    if name not in _HOMES:
        raise AttributeError(f"module 'laconic.learn' has no attribute {name!r}")
    module, inner = _HOMES[name]
    return getattr(_module(module), inner)


def _module(name: str) -> Any:
    try:
        return import_module(f"laconic.learn.{name}")
    except ModuleNotFoundError as error:
        if error.name != "torch" or name not in _NEEDING_TORCH:
            raise
        raise UsageError(f'laconic.learn.{name} needs torch: pip install "laconic[train]"') from error
