"""The manifest: what a data set of latents is, in one JSON file that is written last.

It holds the model's fingerprint, the exact transform, the label schema, counts, and a hash for each shard; `digest` is
the name of the data set wherever it is moved. A folder without a manifest is no data set.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from laconic.errors import CorruptStream, MissingModel, NewerVersion, UsageError
from laconic.learn.grid import Grid
from laconic.learn.preparation import Preparation
from laconic.learn.stores import STORES, coder_of
from laconic.models import default_model
from laconic.signals import locations

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MANIFEST", "Manifest", "ShardEntry", "join", "load_manifest", "read_json", "write_json"]

MANIFEST = "manifest.json"
FORMAT = "laconic.latents"
VERSION = 2
MAX_JSON = 1 << 30


@dataclass(frozen=True)
class ShardEntry:
    """One shard: its file, its samples, its bytes, its SHA-256, and that of what stands before the records."""

    file: str
    count: int
    bytes: int
    sha256: str
    head_sha256: str


@dataclass(frozen=True)
class Manifest:
    """A data set of latents.

    Attributes
    ----------
    fingerprint : str
        Of the model, in hexadecimal.
    grid : Grid
    preparation : Preparation
    effort : int
    store : str
    key : dict
        What the store needs to know of the data, see `stores.fit_key`; empty for `fast`, and in version 1.
    classes : tuple of str
    class_counts : tuple of int
        Samples of each class.
    shards : tuple of ShardEntry
    quarantine : tuple of (key, reason)
    saturated : int
        Symbols beyond -127 .. 127.
    sums, squares : tuple of int
        Over all symbols of each channel.
    version : int
        Of the file that it was read from; new ones have the latest.
    """

    fingerprint: str
    grid: Grid
    preparation: Preparation
    effort: int
    store: str
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    shards: tuple[ShardEntry, ...]
    quarantine: tuple[tuple[str, str], ...]
    saturated: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]
    key: dict[str, Any] = field(default_factory=dict[str, Any])
    version: int = VERSION

    @property
    def count(self) -> int:
        """Samples."""
        return sum(shard.count for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Of all shards."""
        return sum(shard.bytes for shard in self.shards)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest, in hexadecimal; it does not depend on where the data set lies."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def means(self) -> NDArray[np.float32]:
        """(C,) float32: mean symbol of each channel."""
        return (np.array(self.sums, np.float64) / max(1, self._symbols)).astype(np.float32)

    @cached_property
    def deviations(self) -> NDArray[np.float32]:
        """(C,) float32: standard deviation of the symbols of each channel, never zero."""
        mean = np.array(self.sums, np.float64) / max(1, self._symbols)
        variance = np.array(self.squares, np.float64) / max(1, self._symbols) - mean**2
        return np.sqrt(np.maximum(variance, 1e-4)).astype(np.float32)

    @property
    def _symbols(self) -> int:
        return self.count * len(self.preparation.views) * self.grid.rows * self.grid.columns

    def check_model(self) -> None:
        """Refuse to go on with another model than the one the data set was made with.

        Raises
        ------
        MissingModel
            The installed model is another one.
        """
        if self.fingerprint != default_model().fingerprint.hex():
            raise MissingModel(
                bytes.fromhex(self.fingerprint), [f"the model in use, which is {default_model().fingerprint.hex()}"]
            )

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain data."""
        stored = {"store": self.store, "key": self.key} if self.version > 1 else {"store": self.store}
        return {
            "format": FORMAT,
            "version": self.version,
            "model": self.fingerprint,
            "transform": {
                "preparation": self.preparation.describe(),
                "effort": self.effort,
                "grid": self.grid.describe(),
            },
            **stored,
            "labels": {"classes": list(self.classes), "counts": list(self.class_counts)},
            "count": self.count,
            "shards": [asdict(shard) for shard in self.shards],
            "quarantine": [list(item) for item in self.quarantine],
            "saturated": self.saturated,
            "sums": list(self.sums),
            "squares": list(self.squares),
        }

    @classmethod
    def from_json(cls, data: Any, name: str = MANIFEST) -> Manifest:
        """Read what `to_json` returned.

        Raises
        ------
        NewerVersion
            Written by a later version.
        CorruptStream
            Anything else that cannot be.
        """
        if not isinstance(data, dict) or cast("dict[str, Any]", data).get("format") != FORMAT:
            raise CorruptStream(f"{name}: format", None, FORMAT, "something else")
        fields = cast("dict[str, Any]", data)
        version = fields.get("version")
        if not isinstance(version, int) or version < 1:
            raise CorruptStream(f"{name}: version", None, "a number", version)
        if version > VERSION:
            raise NewerVersion(version, VERSION)
        try:
            transform = fields["transform"]
            prepared, described = transform["preparation"], transform["grid"]
            manifest = cls(
                fingerprint=fields["model"],
                grid=Grid(
                    *(int(described[part]) for part in ("height", "width", "quality", "stride", "channels")),
                    stored_steps=tuple(int(step) for step in described["steps"]),
                ),
                preparation=Preparation(
                    prepared["height"], prepared["width"], bool(prepared["resize"]), tuple(prepared["views"])
                ),
                effort=int(transform["effort"]),
                store=fields["store"],
                classes=tuple(fields["labels"]["classes"]),
                class_counts=tuple(fields["labels"]["counts"]),
                shards=tuple(ShardEntry(**shard) for shard in fields["shards"]),
                quarantine=tuple((key, reason) for key, reason in fields["quarantine"]),
                saturated=int(fields["saturated"]),
                sums=tuple(fields["sums"]),
                squares=tuple(fields["squares"]),
                key=dict(fields["key"]) if version > 1 else {},
                version=version,
            )
            bytes.fromhex(manifest.fingerprint)
            layout_agrees = described["layout"] == [list(channel) for channel in manifest.grid.layout]
            names_are_plain = all(
                shard.file and "/" not in shard.file and "\\" not in shard.file and shard.file[0] != "."
                and shard.count >= 0 and shard.bytes >= 0 for shard in manifest.shards
            )  # fmt: skip
            lengths_agree = len(manifest.sums) == len(manifest.squares) == manifest.grid.channels
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptStream(f"{name}: fields", None, "those of a manifest", error) from error
        if not (layout_agrees and names_are_plain and lengths_agree and manifest.store in STORES):
            raise CorruptStream(f"{name}: fields", None, "a layout, shards and sums that agree", "others")
        if version > 1:
            coder_of(manifest.store, manifest.grid, manifest.key)
        if manifest.count != fields["count"]:
            raise CorruptStream(f"{name}: count", None, manifest.count, fields["count"])
        return manifest


def load_manifest(location: str) -> Manifest:
    """Read the manifest of a data set in a folder or at a URL.

    Raises
    ------
    UsageError
        There is none: packing was not finished.
    CorruptStream, NewerVersion
        As their names say.
    """
    place = join(location, MANIFEST)
    if not locations.exists(place):
        from_plan = locations.exists(join(location, "plan.json"))
        reason = "packing was not finished, `laconic pack --resume` goes on" if from_plan else "no manifest.json in it"
        raise UsageError(f"{location} is no data set of latents: {reason}")
    return Manifest.from_json(read_json(place), place)


def join(folder: str, name: str) -> str:
    """The place of a file in a folder or below a URL."""
    return f"{folder.rstrip('/')}/{name}"


def read_json(place: str) -> Any:
    """Read a JSON file.

    Raises
    ------
    CorruptStream
        It is none.
    """
    size = locations.size_of(place)
    if size > MAX_JSON:
        raise CorruptStream(place, None, f"at most {MAX_JSON} bytes", size)
    try:
        return json.loads(locations.read_bytes(place))
    except (ValueError, RecursionError) as error:
        raise CorruptStream(place, None, "JSON", error) from error


def write_json(place: str, data: Any) -> None:
    """Write a JSON file whole, replacing what was there."""
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    locations.write_bytes(place, text.encode(), force=True)
