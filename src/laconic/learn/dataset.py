"""Reading a packed data set: symbols of any samples, in any order, from a folder or a URL.

Shards are opened when they are first needed, by each process for itself; a data set can be pickled, forked and moved.
Every record is checked against its CRC-32 when a process reads it for the first time, and a shard's head against the
manifest, so damage is an error that names the file and the sample.
"""

from __future__ import annotations

import errno
import hashlib
import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from laconic.errors import CorruptStream, TruncatedStream, UsageError
from laconic.learn.manifest import Manifest, ShardEntry, join, load_manifest
from laconic.learn.record_coder import RecordCoder
from laconic.learn.shard import PREAMBLE, ShardHead, meta_size, read_head
from laconic.learn.stores import Coder, coder_of
from laconic.signals import locations

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

__all__ = ["Item", "LatentDataset", "open_dataset"]


class Item(NamedTuple):
    """One sample.

    Attributes
    ----------
    latents : Tensor (C, h, w) float32
        Dequantized, in pixel values.
    label : int
    metadata : dict
        key, class, view, index.
    """

    latents: torch.Tensor
    label: int
    metadata: dict[str, Any]


def open_dataset(location: str, *, channels: int | None = None) -> LatentDataset:
    """Open a packed data set.

    Parameters
    ----------
    location : str or path
        Folder, or URL (through fsspec).
    channels : int, optional
        Read only the first ones.

    Raises
    ------
    UsageError
        No data set there, or more channels than it has.
    CorruptStream, NewerVersion
        The manifest is damaged or of a later version.
    """
    return LatentDataset(str(location), load_manifest(str(location)), channels)


class LatentDataset:
    """A data set of latents, see `open_dataset`; a map-style data set of torch as it is.

    Attributes
    ----------
    manifest : Manifest
    channels : int
        How many are read.
    """

    def __init__(self, location: str, manifest: Manifest, channels: int | None = None) -> None:
        self.location = location
        self.manifest = manifest
        self.channels = manifest.grid.channels if channels is None else channels
        if not 1 <= self.channels <= manifest.grid.channels:
            raise UsageError(f"{channels} channels asked for, {location} has {manifest.grid.channels}")
        self.views = len(manifest.preparation.views)
        self._starts = np.cumsum([0, *(entry.count for entry in manifest.shards)])
        self._opened: dict[int, _Shard] = {}

    def __len__(self) -> int:
        return self.manifest.count

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name != "coder"}
        return {**kept, "_opened": {}}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.manifest.classes

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, h, w) of one sample."""
        return (self.channels, *self.manifest.grid.shape[1:])

    @property
    def scales(self) -> NDArray[np.float32]:
        """(C,) float32: symbols times these are coefficients in pixel values."""
        return self.manifest.grid.scales[: self.channels]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) int64."""
        shards = [self._shard(number).head.labels for number in range(len(self.manifest.shards))]
        labels = np.concatenate(shards)
        if len(labels) and labels.max() >= len(self.classes):
            raise CorruptStream("labels", None, f"less than {len(self.classes)}", int(labels.max()))
        return labels

    def symbols(self, indices: Sequence[int] | NDArray[Any], views: NDArray[Any] | int = 0) -> NDArray[np.int8]:
        """Read symbols (n, C, h, w) int8 of samples, in the order asked for.

        Parameters
        ----------
        indices : sequence of int
            0 .. N - 1.
        views : ndarray (n,) of int, or int
            Which view of each.

        Raises
        ------
        UsageError
            A sample or view that does not exist.
        CorruptStream, OSError
            A shard is missing or was altered; the error names it and the sample.
        """
        wanted = np.asarray(indices, np.int64)
        view = np.broadcast_to(np.asarray(views, np.int64), wanted.shape)
        if len(wanted) and (
            wanted.min() < 0 or wanted.max() >= len(self) or view.min() < 0 or view.max() >= self.views
        ):
            raise UsageError(f"samples are 0 .. {len(self) - 1} and views 0 .. {self.views - 1}")
        out = np.empty((len(wanted), *self.shape), np.int8)
        if not len(wanted):
            return out
        shards = np.searchsorted(self._starts, wanted, side="right") - 1
        groups: dict[Coder, list[_Fetched]] = {}
        for number in np.unique(shards):
            places = np.flatnonzero(shards == number)
            shard = self._shard(int(number))
            fetched = shard.fetch((wanted[places] - self._starts[number]) * self.views + view[places], places)
            groups.setdefault(shard.coder, []).append(fetched)
        for coder, parts in groups.items():
            # The entropy coder works on two records at once, wherever they lie; the others would only copy.
            for part in [_joined(parts)] if isinstance(coder, RecordCoder) else parts:
                self._decode(coder, part, out)
        return out

    def _decode(self, coder: Coder, part: _Fetched, out: NDArray[np.int8]) -> None:
        in_order = len(part.places) == len(out) and bool((np.diff(part.places) == 1).all())
        records = out if in_order else np.empty((len(part.places), *self.shape), np.int8)
        try:
            coder.pop(part.data, part.spans, records)
        except CorruptStream as error:
            name = part.names[error.offset] if error.offset is not None else "an unknown sample"
            raise CorruptStream(name, None, "a record", "another") from error
        if not in_order:
            out[part.places] = records

    def __getitem__(self, index: int) -> Item:
        return self.item(index)

    def item(self, index: int, view: int = 0) -> Item:
        """Read one sample; the latents are dequantized."""
        import torch

        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        symbols = self.symbols([index], view)[0]
        dequantized = symbols.astype(np.float32) * self.scales[:, None, None]
        latents: torch.Tensor = torch.from_numpy(dequantized)  # pyright: ignore[reportUnknownMemberType]
        label = int(self.labels[index])
        name = self.manifest.preparation.views[view]
        metadata = {"key": self.key(index), "class": self.classes[label], "view": name, "index": index}
        return Item(latents, label, metadata)

    def key(self, index: int) -> str:
        """The name of a sample."""
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._shard(number).head.keys[index - int(self._starts[number])]

    def decode(self, index: int, view: int = 0) -> NDArray[np.uint8]:
        """Return the pixels (H, W, 3) uint8 that the latents of a sample stand for."""
        return self.manifest.grid.pixels(self.symbols([index], view)[0])

    def verify(self) -> None:
        """Read every byte and compare it with the manifest.

        Raises
        ------
        CorruptStream, OSError
            A shard is missing or was altered.
        """
        for entry in self.manifest.shards:
            place = join(self.location, entry.file)
            found = hashlib.sha256(locations.view_bytes(place)).hexdigest()
            if found != entry.sha256:
                raise CorruptStream(f"{place}: SHA-256", None, entry.sha256, found)

    @cached_property
    def coder(self) -> Coder:
        """What decodes the records of all shards; in version 1 those of `small` have their own."""
        return coder_of(self.manifest.store, self.manifest.grid, self.manifest.key)

    def _shard(self, number: int) -> _Shard:
        shard = self._opened.get(number)
        if shard is None:
            place = join(self.location, self.manifest.shards[number].file)
            try:
                shard = _Shard(place, self.manifest.shards[number], self)
            except FileNotFoundError as error:
                held = f"samples {self._starts[number]} to {self._starts[number + 1] - 1}"
                raise FileNotFoundError(errno.ENOENT, f"a shard is missing, with {held}", place) from error
            self._opened[number] = shard
        return shard


class _Shard:
    """An open shard: its head, a view of its records, and which of them were checked."""

    def __init__(self, place: str, entry: ShardEntry, owner: LatentDataset) -> None:
        manifest = owner.manifest
        self.place = place
        self.remote = locations.is_url(place)
        size = locations.size_of(place)
        if size != entry.bytes:
            raise TruncatedStream(place, size, f"{entry.bytes} bytes", f"{size} bytes")
        self.mapped: NDArray[np.uint8] = (
            np.empty(0, np.uint8) if self.remote else np.memmap(place, np.uint8, "r", shape=(size,))
        )
        preamble = self._span(0, PREAMBLE.size)
        meta = self._span(PREAMBLE.size, meta_size(place, preamble))
        self.head: ShardHead = read_head(place, preamble, meta, manifest.grid, owner.views)
        if self.head.digest != entry.head_sha256:
            raise CorruptStream(f"{place}: SHA-256 of the head", None, entry.head_sha256, self.head.digest)
        if self.head.size != size or len(self.head.keys) != entry.count or self.head.store != manifest.store:
            raise CorruptStream(f"{place}: head", None, f"{entry.count} samples in {size} bytes", "others")
        self.views = owner.views
        self.checked = np.zeros(len(self.head.checksums), bool)
        if self.head.frequencies is not None:
            grid = manifest.grid
            self.coder: Coder = RecordCoder(grid.layout, grid.shape[1:], grid.stride, self.head.frequencies, first=True)
        else:
            self.coder = owner.coder

    def _span(self, offset: int, size: int) -> bytes:
        if not self.remote:
            return self.mapped[offset : offset + size].tobytes()
        filesystem, path = locations.file_system(self.place)
        data: bytes = filesystem.cat_file(path, start=offset, end=offset + size)
        return data

    def fetch(self, records: NDArray[np.int64], places: NDArray[np.int64]) -> _Fetched:
        """Find records by number, checked; `places` are theirs in what was asked for."""
        data, spans = self.mapped, self.head.spans[records]
        if self.remote:
            data, spans = self._download(spans)
        for place in np.flatnonzero(~self.checked[records]).tolist():
            offset, size = spans[place].tolist()
            self._check(int(records[place]), data[offset : offset + size])
        return _Fetched(data, spans, places, (_Names(self, records),))

    def _download(self, spans: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        filesystem, path = locations.file_system(self.place)
        starts = [int(offset) for offset in spans[:, 0]]
        ends = [int(offset + size) for offset, size in spans]
        parts: list[bytes] = filesystem.cat_ranges([path] * len(starts), starts, ends)
        for part, start, end in zip(parts, starts, ends, strict=True):
            if len(part) != end - start:
                raise TruncatedStream(self.place, start, f"{end - start} bytes", len(part))
        stops = np.cumsum([len(part) for part in parts]).astype(np.uint64)
        sizes = spans[:, 1]
        return np.frombuffer(b"".join(parts), np.uint8), np.stack([stops - sizes, sizes], axis=1)

    def _check(self, record: int, data: NDArray[np.uint8]) -> None:
        expected, found = int(self.head.checksums[record]), zlib.crc32(cast("Any", data))
        if found != expected:
            offset = int(self.head.spans[record, 0])
            raise CorruptStream(
                f"{self.place}: checksum of {self._name(record)}", offset, f"{expected:08x}", f"{found:08x}"
            )
        self.checked[record] = True

    def _name(self, record: int) -> str:
        return f"the sample {self.head.keys[record // self.views]!r}"

    def name(self, record: int) -> str:
        """Of a record, for an error."""
        return f"{self.place}: record of {self._name(record)}"


class _Names(NamedTuple):
    """What errors call records, in the order of `_Fetched`; made only when there is one."""

    shard: _Shard
    records: NDArray[np.int64]

    def listed(self) -> list[str]:
        return [self.shard.name(int(record)) for record in self.records]


class _Fetched(NamedTuple):
    """Records: their spans (n, 2) of (offset, size) in `data`, and where they belong in what was asked for."""

    data: NDArray[np.uint8]
    spans: NDArray[np.uint64]
    places: NDArray[np.int64]
    named: tuple[_Names, ...]

    @property
    def names(self) -> list[str]:
        return [name for part in self.named for name in part.listed()]


def _joined(parts: list[_Fetched]) -> _Fetched:
    """Records of several shards side by side."""
    if len(parts) == 1:
        return parts[0]
    pieces = [part.data[start : start + size] for part in parts for start, size in part.spans.tolist()]
    sizes = np.concatenate([part.spans[:, 1] for part in parts])
    return _Fetched(
        np.concatenate(pieces),
        np.stack([np.cumsum(sizes) - sizes, sizes], axis=1).astype(np.uint64),
        np.concatenate([part.places for part in parts]),
        tuple(name for part in parts for name in part.named),
    )
