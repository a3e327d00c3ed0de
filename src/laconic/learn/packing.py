"""Packing: pictures -> shards of latents, each shard a pure function of the plan and its number.

A plan lists every sample in sorted order and everything that decides a byte. `pack_shard(plan, index, destination)`
makes one shard, writes it under a temporary name and renames it; nothing is shared between shards, so threads,
processes on many machines and runs that were killed and started again all give the same data set. `finish` writes the
manifest once every shard is there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.image import ImageCodec
from laconic.errors import LaconicError, UnsupportedInput, UsageError
from laconic.learn.grid import Grid
from laconic.learn.manifest import MANIFEST, Manifest, ShardEntry, join, read_json, write_json
from laconic.learn.preparation import Preparation, picture_size
from laconic.learn.samples import Sample, find_samples, read_sample
from laconic.learn.shard import read_head, write_shard
from laconic.learn.stores import FITTED, STORES, coder_of, fit_key
from laconic.models import default_model
from laconic.signals import locations
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["PLAN", "PackPlan", "ShardRecord", "finish", "load_record", "make_plan", "pack", "pack_shard"]

PLAN = "plan.json"
VERSION = 2
DEFAULT_SHARD = 1000
MOST_FITTED = 256
"""Samples, evenly spread, from which the key of a store is fitted. With ten times as many records are 0.1 % smaller."""
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


@dataclass(frozen=True)
class ShardRecord:
    """What is known of a shard once it is written; small, and plain data.

    Attributes
    ----------
    index : int
    plan : str
        Digest of its plan.
    entry : ShardEntry
        Its line in the manifest.
    quarantine : tuple of (key, reason)
        Samples that could not be read.
    saturated : int
        Symbols beyond -127 .. 127.
    sums, squares : tuple of int
        Over all symbols of each channel, and of their squares.
    """

    index: int
    plan: str
    entry: ShardEntry
    quarantine: tuple[tuple[str, str], ...]
    saturated: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The record as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ShardRecord:
        """Read what `to_json` returned."""
        return cls(
            data["index"], data["plan"], ShardEntry(**data["entry"]),
            tuple((key, reason) for key, reason in data["quarantine"]), data["saturated"],
            tuple(data["sums"]), tuple(data["squares"]),
        )  # fmt: skip


def make_plan(
    source: str,
    *,
    layout: str = "folder",
    size: int | None = None,
    quality: int = 60,
    stride: int = 8,
    channels: int = 48,
    store: str = "small",
    views: Sequence[str] = ("center",),
    effort: int = 5,
    shard_size: int = DEFAULT_SHARD,
    on_error: str = "skip",
    like: Manifest | None = None,
    jobs: int | None = 1,
) -> PackPlan:
    """Plan a data set. For the stores `bits` and `small` some pictures are encoded, to fit the store's key.

    Parameters
    ----------
    source : str
        Folder, table or tar files, see `samples.find_samples`.
    size : int, optional
        Side in pixels; the shorter side of each picture is scaled to it and the center cut out. None: all pictures have
        the size of the first.
    like : Manifest, optional
        Of another data set: its transform and its classes are taken (for validation data); `size`, `quality`,
        `stride`, `channels` and `views` are not looked at. The key of its store is taken where that is the same.
    jobs : int, optional
        Threads; None is one for each core. Never changes the plan.

    Raises
    ------
    UsageError
        An option out of range, no samples, an empty class, or `like` is of another model.
    UnsupportedInput, FormatError, OSError
        A picture that is looked at cannot be read, and `on_error` is `fail`.
    """
    samples, classes = find_samples(source, layout, None if like is None else list(like.classes))
    if like is not None:
        like.check_model()
        grid, preparation, effort = replace(like.grid, stored_steps=()), like.preparation, like.effort
    else:
        height, width = (size, size) if size is not None else _first_size(samples, on_error)
        grid = Grid(height, width, quality, stride, channels)
        preparation = Preparation(height, width, resize=size is not None, views=tuple(views))
    key = like.key if like is not None and like.store == store else {}
    plan = PackPlan(tuple(samples), tuple(classes), grid, preparation, store, key, effort, shard_size, on_error)
    return plan if key or store not in FITTED else replace(plan, key=_fitted_key(plan, jobs))


def _fitted_key(plan: PackPlan, jobs: int | None) -> dict[str, Any]:
    """The key of the plan's store, from samples that are spread over it."""
    count = min(len(plan.samples), MOST_FITTED)
    chosen = [plan.samples[number * len(plan.samples) // count] for number in range(count)]
    packed = _encode(plan, chosen, jobs)
    return fit_key(plan.store, plan.grid, [record for item in packed for record in item.records])


def _first_size(samples: list[Sample], on_error: str) -> tuple[int, int]:
    """Height and width of the first picture that can be read."""
    for sample in samples:
        try:
            return picture_size(read_sample(sample), sample.key)
        except (LaconicError, OSError):
            if on_error == "fail":
                raise
    raise UnsupportedInput("none of the pictures can be read")


def pack_shard(plan: PackPlan, index: int, destination: str, *, jobs: int | None = 1) -> ShardRecord:
    """Make one shard and write it; the same plan and index give the same bytes anywhere.

    Parameters
    ----------
    destination : str
        Folder or URL. The shard is written whole under a temporary name and renamed (a URL: in one piece), then its
        record beside it; what was there before is replaced.
    jobs : int, optional
        Threads; None is one for each core.

    Raises
    ------
    UnsupportedInput, FormatError, OSError
        A sample cannot be read and the plan says `fail`; the message names it. Nothing is written.
    UsageError
        The plan is of another model than the installed one.
    """
    if plan.fingerprint != default_model().fingerprint.hex():
        raise UsageError(
            f"the plan is of the model {plan.fingerprint}, installed is {default_model().fingerprint.hex()}"
        )
    samples = plan.samples_of(index)
    packed = _encode(plan, samples, jobs)
    good = [(sample, item) for sample, item in zip(samples, packed, strict=True) if not item.reason]
    records = [record for _, item in good for record in item.records]
    keys, labels = [sample.key for sample, _ in good], [sample.label for sample, _ in good]
    views = len(plan.preparation.views)
    coder = coder_of(plan.store, plan.grid, plan.key)
    data = write_shard(plan.grid, plan.store, coder, views, keys, labels, records)
    name = f"shard-{index:05d}.latents"
    sums, squares = np.zeros(plan.grid.channels, np.int64), np.zeros(plan.grid.channels, np.int64)
    for item in records:
        wide = item.reshape(len(item), -1).astype(np.int64)
        sums += wide.sum(axis=1)
        squares += (wide * wide).sum(axis=1)
    entry = ShardEntry(name, len(keys), len(data), hashlib.sha256(data).hexdigest(), _head_digest(data, plan))
    record = ShardRecord(
        index, plan.digest, entry,
        tuple((sample.key, item.reason) for sample, item in zip(samples, packed, strict=True) if item.reason),
        sum(item.saturated for _, item in good), tuple(sums.tolist()), tuple(squares.tolist()),
    )  # fmt: skip
    locations.write_bytes(join(destination, name), data, force=True)
    write_json(join(destination, _record_name(index)), record.to_json())
    return record


@dataclass(frozen=True)
class _Packed:
    records: list[NDArray[np.int8]]
    saturated: int
    reason: str


def _encode(plan: PackPlan, samples: Sequence[Sample], jobs: int | None) -> list[_Packed]:
    """The records of samples, or why there are none."""
    codec = ImageCodec(quality=plan.grid.quality, effort=plan.effort, jobs=1)

    def one(sample: Sample) -> _Packed:
        try:
            pictures = plan.preparation.load(read_sample(sample), sample.key)
        except (LaconicError, OSError, MemoryError) as error:
            if plan.on_error == "fail":
                raise _about(sample, error) from error
            return _Packed([], 0, _reason(error))
        arranged = [plan.grid.arrange(codec.latents(pixels)) for pixels in pictures]
        return _Packed([record for record, _ in arranged], sum(count for _, count in arranged), "")

    with Workers(jobs) as workers:
        return workers.each(one, samples)


def _head_digest(data: bytes, plan: PackPlan) -> str:
    from laconic.learn.shard import PREAMBLE, meta_size

    size = meta_size("shard", data[: PREAMBLE.size])
    meta = data[PREAMBLE.size : PREAMBLE.size + size]
    return read_head("shard", data[: PREAMBLE.size], meta, plan.grid, len(plan.preparation.views)).digest


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _about(sample: Sample, error: Exception) -> Exception:
    """The same error with the sample's name in front, unless it stands there."""
    text = _reason(error)
    return UnsupportedInput(text if sample.key in text else f"{sample.key}: {text}")


def _record_name(index: int) -> str:
    return f"shard-{index:05d}.json"


def load_record(plan: PackPlan, index: int, destination: str) -> ShardRecord | None:
    """Return the record of a shard that is complete at the destination, None where it is still to be made."""
    place = join(destination, _record_name(index))
    if not locations.exists(place):
        return None
    try:
        record = ShardRecord.from_json(read_json(place))
    except (LaconicError, KeyError, TypeError, ValueError):
        return None
    shard = join(destination, record.entry.file)
    if record.plan != plan.digest or not locations.exists(shard) or locations.size_of(shard) != record.entry.bytes:
        return None
    return record if hashlib.sha256(locations.view_bytes(shard)).hexdigest() == record.entry.sha256 else None


def finish(plan: PackPlan, records: Sequence[ShardRecord], destination: str) -> Manifest:
    """Write the manifest of a data set whose shards are all there.

    Raises
    ------
    UsageError
        A shard is missing, or of another plan, or a class has no readable picture.
    """
    ordered = sorted(records, key=lambda record: record.index)
    if [record.index for record in ordered] != list(range(plan.shards)):
        missing = sorted(set(range(plan.shards)) - {record.index for record in ordered})
        raise UsageError(f"shards are missing or doubled: {missing[:5] or 'doubled'}")
    if any(record.plan != plan.digest for record in ordered):
        raise UsageError("a shard was made from another plan")
    quarantine = [item for record in ordered for item in record.quarantine]
    lost = {key for key, _ in quarantine}
    counts = np.bincount([sample.label for sample in plan.samples if sample.key not in lost], minlength=1)
    counts = np.pad(counts, (0, max(0, len(plan.classes) - len(counts))))
    for label, name in enumerate(plan.classes):
        if not counts[label] and any(sample.label == label for sample in plan.samples):
            raise UsageError(f"the class {name!r} has no picture that can be read")
    manifest = Manifest(
        fingerprint=plan.fingerprint,
        grid=plan.grid,
        preparation=plan.preparation,
        effort=plan.effort,
        store=plan.store,
        key=plan.key,
        classes=plan.classes,
        class_counts=tuple(counts.tolist()),
        shards=tuple(record.entry for record in ordered),
        quarantine=tuple(quarantine),
        saturated=sum(record.saturated for record in ordered),
        sums=tuple(sum(column) for column in zip(*(record.sums for record in ordered), strict=True)),
        squares=tuple(sum(column) for column in zip(*(record.squares for record in ordered), strict=True)),
    )
    write_json(join(destination, MANIFEST), manifest.to_json())
    return manifest


def pack(
    plan: PackPlan,
    destination: str,
    *,
    jobs: int | None = None,
    part: tuple[int, int] = (1, 1),
    resume: bool = False,
    report: Callable[[ShardRecord, bool], None] | None = None,
    make: Callable[[PackPlan, Sequence[int], str], Iterable[ShardRecord]] | None = None,
) -> Manifest | None:
    """Pack a data set, or one part of n of it, into a folder or URL.

    Parameters
    ----------
    part : (i, n)
        Make the shards i - 1, i - 1 + n, ... only; whoever finds all shards there writes the manifest.
    resume : bool
        Go on where a run with the same plan has stopped: complete shards are kept.
    report : callable, optional
        Called with each shard's record and whether it was there already.
    make : callable, optional
        Makes the shards that are missing, somewhere else: (plan, their numbers, destination) -> their records in any
        order (`ray_engine.make_on_ray`). None makes them here, with `jobs` threads.

    Returns
    -------
    Manifest, or None while parts are missing

    Raises
    ------
    UsageError
        The destination holds something already and `resume` is not set, or it was made from another plan.
    """
    number, parts = part
    if not 1 <= number <= parts:
        raise UsageError(f"part {number} of {parts} does not exist")
    locations.make_folder(destination)
    place = join(destination, PLAN)
    if locations.exists(place):
        found = read_json(place)
        if found != json.loads(json.dumps(plan.to_json())):
            raise UsageError(
                f"{destination} was packed from another source or with other options: {_difference(found, plan)}"
            )
        if not resume and parts == 1:
            raise UsageError(f"{destination} holds this data set already, whole or in part; --resume goes on with it")
    elif locations.exists(join(destination, MANIFEST)):
        raise UsageError(f"{destination} holds another data set")
    else:
        write_json(place, plan.to_json())
    missing: list[int] = []
    for index in range(number - 1, plan.shards, parts):
        record = load_record(plan, index, destination)
        if record is None:
            missing.append(index)
        elif report is not None:
            report(record, True)
    here = (pack_shard(plan, index, destination, jobs=jobs) for index in missing)
    for record in here if make is None else make(plan, missing, destination):
        if report is not None:
            report(record, False)
    records = [load_record(plan, index, destination) for index in range(plan.shards)]
    whole = [record for record in records if record is not None]
    return finish(plan, whole, destination) if len(whole) == plan.shards else None


def _difference(found: dict[str, Any], plan: PackPlan) -> str:
    ours = json.loads(json.dumps(plan.to_json()))
    names = [name for name in ours if found.get(name) != ours[name]]
    return ", ".join(names) or "version"
