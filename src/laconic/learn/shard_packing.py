"""Making one shard: pictures -> records -> a file, a pure function of the plan and the shard's number."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.image import ImageCodec
from laconic.errors import LaconicError, UnsupportedInput, UsageError
from laconic.learn.manifest import ShardEntry, join, read_json, write_json
from laconic.learn.samples import Sample, read_sample
from laconic.learn.shard import PREAMBLE, meta_size, read_head, write_shard
from laconic.learn.stores import coder_of
from laconic.models import default_model
from laconic.signals import locations
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.learn.pack_plan import PackPlan

__all__ = ["Packed", "ShardRecord", "encode", "load_record", "pack_shard"]


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
    packed = encode(plan, samples, jobs)
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
class Packed:
    """The records of one sample, a record for each view; how many symbols were saturated; why there are none."""

    records: list[NDArray[np.int8]]
    saturated: int
    reason: str


def encode(plan: PackPlan, samples: Sequence[Sample], jobs: int | None) -> list[Packed]:
    """The records of samples, or why there are none."""
    codec = ImageCodec(quality=plan.grid.quality, effort=plan.effort, jobs=1)

    def one(sample: Sample) -> Packed:
        try:
            pictures = plan.preparation.load(read_sample(sample), sample.key)
        except (LaconicError, OSError, MemoryError) as error:
            if plan.on_error == "fail":
                raise _about(sample, error) from error
            return Packed([], 0, _reason(error))
        arranged = [plan.grid.arrange(codec.latents(pixels)) for pixels in pictures]
        return Packed([record for record, _ in arranged], sum(count for _, count in arranged), "")

    with Workers(jobs) as workers:
        return workers.each(one, samples)


def _head_digest(data: bytes, plan: PackPlan) -> str:
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
