"""The plan of a data set: every sample in sorted order, and everything that decides a byte of what is packed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from laconic.errors import UsageError
from laconic.learn.grid import Grid
from laconic.learn.preparation import Preparation
from laconic.learn.samples import Sample
from laconic.learn.stores import STORES
from laconic.models import default_model

if TYPE_CHECKING:
    pass

__all__ = ["PLAN", "PackPlan"]

PLAN = "plan.json"
VERSION = 2
DEFAULT_SHARD = 1000
ERRORS = ("skip", "fail")


@dataclass(frozen=True)
class PackPlan:
    """Everything that decides the bytes of a data set; `to_json` and `from_json` carry it to other machines.

    Attributes
    ----------
    samples : tuple of Sample
        Sorted by key.
    classes : tuple of str
        The label schema: class k is `classes[k]`.
    grid : Grid
    preparation : Preparation
    store : str
        `fast`, `bits` or `small`.
    key : dict
        What the store needs to know of the data, see `stores.fit_key`.
    effort : int
        Of the codec, 1 .. 10.
    shard_size : int
        Samples to a shard, before unreadable ones are left out.
    on_error : str
        `skip` lists unreadable samples in the quarantine, `fail` stops.
    fingerprint : str
        Of the model, in hexadecimal.
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    grid: Grid
    preparation: Preparation
    store: str = "small"
    key: dict[str, Any] = field(default_factory=dict[str, Any])
    effort: int = 5
    shard_size: int = DEFAULT_SHARD
    on_error: str = "skip"
    fingerprint: str = field(default_factory=lambda: default_model().fingerprint.hex())

    def __post_init__(self) -> None:
        if self.store not in STORES:
            raise UsageError(f"the store is {self.store!r}, expected {', '.join(STORES)}")
        if self.on_error not in ERRORS:
            raise UsageError(f"on_error is {self.on_error!r}, expected {' or '.join(ERRORS)}")
        if not 1 <= self.shard_size <= 1 << 20:
            raise UsageError(f"{self.shard_size} samples to a shard, expected 1 .. {1 << 20}")
        if not self.samples:
            raise UsageError("a plan needs at least one sample")

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-len(self.samples) // self.shard_size)

    def samples_of(self, index: int) -> tuple[Sample, ...]:
        """The samples of shard number `index`."""
        if not 0 <= index < self.shards:
            raise UsageError(f"there is no shard {index}, the plan has {self.shards}")
        return self.samples[index * self.shard_size : (index + 1) * self.shard_size]

    def to_json(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {
            "format": "laconic.pack-plan",
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "grid": asdict(self.grid),
            "preparation": asdict(self.preparation) | {"views": list(self.preparation.views)},
            "store": self.store,
            "key": self.key,
            "effort": self.effort,
            "shard_size": self.shard_size,
            "on_error": self.on_error,
            "classes": list(self.classes),
            "samples": [list(sample) for sample in self.samples],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PackPlan:
        """Read what `to_json` returned.

        Raises
        ------
        UsageError
            It is no plan, or one of another version.
        """
        if data.get("format") != "laconic.pack-plan" or data.get("version") != VERSION:
            raise UsageError(f"not a plan of version {VERSION}")
        try:
            preparation = dict(data["preparation"])
            preparation["views"] = tuple(preparation["views"])
            return cls(
                tuple(Sample(*sample) for sample in data["samples"]),
                tuple(data["classes"]),
                Grid(**data["grid"] | {"stored_steps": tuple(data["grid"]["stored_steps"])}),
                Preparation(**preparation),
                **{name: data[name] for name in ("store", "key", "effort", "shard_size", "on_error", "fingerprint")},
            )
        except (KeyError, TypeError) as error:
            raise UsageError(f"not a plan of version {VERSION}: {error}") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plan, in hexadecimal."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
