"""Reading a file of arrays: its index at once, its tensors when they are asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeAlias, cast

import numpy as np

from laconic.codecs.array import decode_block, in_parallel
from laconic.codecs.array_base import AbstractBase, LoadedBase, check_of, fingerprint_of
from laconic.container.arrays import FORM_NAMES, HEAD_BYTES, NO_ERROR, Coding, codec_of, index_size, read_index
from laconic.container.series import SERIES_CODEC
from laconic.errors import CorruptStream, MissingBase, TruncatedStream, UnsupportedInput
from laconic.signals import array as array_files
from laconic.signals import locations
from laconic.signals.tensors import KINDS, Arrays, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.container.arrays import Entry, Group, Index
    from laconic.signals.locations import Source
    from laconic.signals.tensors import Kind

    BaseLike: TypeAlias = AbstractBase | Arrays | Mapping[str, Any] | Source

__all__ = ["MAX_DESCRIBED", "Reader", "TensorInfo", "WeightsInfo", "arrays_of", "base_of"]

GROUPED = Coding.GROUPED
MAX_DESCRIBED = 2**62
"""Nothing is decoded to describe a file, and a file of our own making is no bomb: any size will do."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file.

    Attributes
    ----------
    name, kind, coding : str
    shape : tuple of int
    bytes : int
        Of its payload.
    bits_per_weight : float
    share : float
        Of the file's bytes, 0 to 1.
    snr : float or None
        Signal-to-noise ratio in decibels, in steps of 0.25 up to 63.5; None where nothing was lost.
    rank : int
        Of a correction of low rank; 0 where there is none.
    """

    name: str
    kind: str
    coding: str
    shape: tuple[int, ...]
    bytes: int
    bits_per_weight: float
    share: float
    snr: float | None
    rank: int = 0


@dataclass(frozen=True)
class WeightsInfo:
    """What a file of arrays says about itself.

    Attributes
    ----------
    codec : str
        "array".
    form : str
        What it came from: "npy", "npz" or "safetensors".
    weights : int
        Number of elements of all tensors.
    bytes_total, bytes_original : int
        Of the file, and of the tensors as they were.
    bits_per_weight : float
        Of the whole file.
    tensors : tuple of TensorInfo
    metadata : dict of str to str
    base : str or None
        Fingerprint of the base, in hexadecimal digits; None where none is needed.
    """

    codec: str
    form: str
    weights: int
    bytes_total: int
    bytes_original: int
    bits_per_weight: float
    tensors: tuple[TensorInfo, ...]
    metadata: dict[str, str]
    base: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain values, for JSON."""
        return asdict(self)


class Reader(AbstractBase, Mapping[str, "NDArray[Any]"]):
    """A file of arrays whose tensors are decoded when they are asked for: ``reader["name"]``.

    Only the index is read at first, and the bytes of a tensor when it is needed. bfloat16 comes as float32, which holds
    it exactly; `tensor` gives the bits. Use it as a context manager, or close it.

    Parameters
    ----------
    source : path, URL, binary file (seekable) or bytes
    base : see `base_of`
        What the file was coded with as `base`.
    max_bytes : int, optional
        Bytes that all tensors may decode to. The default is 256 MiB or, if that is more, 4096 bytes for each of the
        file: enough for all but models of zeros, and a small hostile file cannot ask for more.

    Raises
    ------
    FormatError
        The file is damaged or holds no arrays.
    MissingBase
        `base` is another one than the file names. One that is missing is only missed where a tensor needs it.
    LimitExceeded
        It would decode to more than `max_bytes`.
    UnsupportedInput
        It holds a series, see `Series`.
    """

    def __init__(self, source: Source, *, base: BaseLike | None = None, max_bytes: int | None = None) -> None:
        self._stream, self._owned, self.bytes_total = _opened(source)
        self._lock = threading.Lock()
        self._groups: dict[int, NDArray[Any]] = {}
        self.bytes_read = 0
        try:
            head = self._read(0, min(HEAD_BYTES, self.bytes_total))
            if codec_of(head) == SERIES_CODEC:
                raise UnsupportedInput(
                    "the file holds a series of checkpoints: see `laconic expand --checkpoint` and lac.weights.Series"
                )
            start = min(index_size(head), self.bytes_total)
            head += self._read(len(head), max(start - len(head), 0))
            self._index: Index = read_index(head, file_size=self.bytes_total, max_bytes=max_bytes)
            self._base = base_of(base) if self._index.base and base is not None else None
            if self._base is not None and self._base.fingerprint != self._index.base:
                raise MissingBase(self._index.base, self._base.fingerprint)
        except BaseException:
            self.close()
            raise
        self._places = {entry.name: place for place, entry in enumerate(self._index.entries)}
        self._begins: dict[int, int] = {}  # of the members of groups, in words
        for group in self._index.groups:
            counts = (self._index.entries[place].count for place in group.members)
            self._begins |= zip(group.members, accumulate(counts, initial=0), strict=False)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.tensor(name).array()

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owned:
            self._stream.close()

    @property
    def form(self) -> str:
        """What the file came from: "npy", "npz" or "safetensors"."""
        return FORM_NAMES[self._index.form]

    @property
    def metadata(self) -> dict[str, str]:
        """The texts a safetensors file carries."""
        return dict(self._index.metadata)

    @property
    def base(self) -> bytes:
        """Fingerprint of the base; empty where none is needed."""
        return self._index.base

    @property
    def fingerprint(self) -> bytes:
        """What names this file's tensors where they are a base: told by the index and the small tensors."""
        rows = [
            (
                entry.name,
                entry.kind,
                entry.shape,
                check_of(self._words(place)) if entry.coding is GROUPED else entry.check,
            )
            for place, entry in enumerate(self._index.entries)
        ]
        return fingerprint_of(rows)

    def words_like(self, name: str, kind: Kind, shape: tuple[int, ...]) -> NDArray[Any] | None:
        """As `AbstractBase` has it."""
        place = self._places.get(name)
        if place is None:
            return None
        entry = self._index.entries[place]
        return self._words(place) if (KINDS[entry.kind], entry.shape) == (kind, shape) else None

    def tensor(self, name: str) -> Tensor:
        """Decode one tensor; with a small one, those that share its payload.

        Raises
        ------
        KeyError
            The file has none of this name.
        CorruptStream, TruncatedStream
            Its bytes are damaged or missing.
        MissingBase
            It is coded as a difference to a base that was not given.
        """
        return self._tensor(self._places[name])

    def tensors(self, *, jobs: int | None = None) -> tuple[Tensor, ...]:
        """Decode all tensors, `jobs` at a time; None is one for each core."""
        in_parallel(self._group, range(len(self._index.groups)), jobs)
        return tuple(in_parallel(self._tensor, range(len(self)), jobs))

    def info(self) -> WeightsInfo:
        """What the index says; nothing is decoded."""
        entries, groups = self._index.entries, self._index.groups
        shared = [max(sum(entries[place].count for place in group.members), 1) for group in groups]
        tensors: list[TensorInfo] = []
        for entry in entries:
            coding, size = Coding(entry.coding), float(entry.size)
            if coding is GROUPED:
                coding = groups[entry.group].coding
                size = groups[entry.group].size * entry.count / shared[entry.group]
            one = TensorInfo(
                name=entry.name,
                kind=KINDS[entry.kind].name,
                coding=coding.name.lower(),
                shape=entry.shape,
                bytes=round(size),
                bits_per_weight=8 * size / max(entry.count, 1),
                share=size / self.bytes_total,
                snr=None if entry.noise == NO_ERROR else entry.noise / 4,
                rank=entry.rank,
            )
            tensors.append(one)
        weights = sum(entry.count for entry in entries)
        return WeightsInfo(
            codec="array",
            form=self.form,
            weights=weights,
            bytes_total=self.bytes_total,
            bytes_original=sum(entry.nbytes for entry in entries),
            bits_per_weight=8 * self.bytes_total / max(weights, 1),
            tensors=tuple(tensors),
            metadata=self.metadata,
            base=self._index.base.hex() or None,
        )

    def _tensor(self, place: int) -> Tensor:
        entry = self._index.entries[place]
        return Tensor(entry.name, KINDS[entry.kind], entry.shape, self._words(place))

    def _words(self, place: int) -> NDArray[Any]:
        """The words of the tensor at a place of the index."""
        entry = self._index.entries[place]
        if entry.coding is not GROUPED:
            return self._decoded(f"tensor {entry.name!r}", place, entry, (place,))
        begin = self._begins[place]
        return self._group(entry.group)[begin : begin + entry.count]

    def _group(self, number: int) -> NDArray[Any]:
        """The words of all members; they are kept, for the next of them."""
        if number not in self._groups:
            group = self._index.groups[number]
            self._groups[number] = self._decoded(f"group {number}", len(self) + number, group, group.members)
        return self._groups[number]

    def _decoded(self, what: str, payload: int, part: Entry | Group, members: tuple[int, ...]) -> NDArray[Any]:
        """Decode a payload and check that it is what the encoder had."""
        entries = [self._index.entries[place] for place in members]
        kind, sizes = KINDS[part.kind], [entry.count for entry in entries]
        shell = Tensor("", kind, entries[0].shape if len(entries) == 1 else (sum(sizes),), np.empty(0, kind.word))
        base = self._base_of(entries) if part.coding.needs_base else None
        begin, end = self._index.offsets[payload : payload + 2]
        content = memoryview(self._read(begin, end - begin))
        try:
            rank = entries[0].rank if part.coding.has_rank else 0
            words = decode_block(part.coding, content, kind, sizes, shell.columns, base, rank)
        except CorruptStream as error:
            raise CorruptStream(f"{what}: {error.field}", None, error.expected, error.found) from error
        if (found := check_of(words)) != part.check:
            raise CorruptStream(f"check of {what}", None, f"{part.check:#010x}", f"{found:#010x}")
        return words

    def _base_of(self, entries: list[Entry]) -> NDArray[Any]:
        """The base's words for tensors, one after the other."""
        if self._base is None:
            raise MissingBase(self._index.base)
        parts: list[NDArray[Any]] = []
        for entry in entries:
            words = self._base.words_like(entry.name, KINDS[entry.kind], entry.shape)
            if words is None:
                raise CorruptStream("base", None, f"a tensor like {entry.name!r}", "none")
            parts.append(words)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read(self, begin: int, size: int) -> bytes:
        with self._lock:
            self._stream.seek(begin)
            data = self._stream.read(size)
            self.bytes_read += len(data)
        if len(data) != size:
            raise TruncatedStream("file", begin + len(data), f"{size} bytes", len(data))
        return data


def base_of(base: BaseLike) -> AbstractBase:
    """What is to be a base.

    Parameters
    ----------
    base : path, URL, binary file, bytes, Reader, Arrays, or mapping of str to array
        Files (`.safetensors`, `.npz`, `.npy`, `.lac`) are read whole, of an open `Reader` only what is needed.
    """
    if isinstance(base, AbstractBase):
        return base
    if isinstance(base, Arrays):
        return LoadedBase(base)
    if isinstance(base, Mapping):
        return LoadedBase(arrays_of(base))
    data = locations.read_bytes(base)
    return Reader(data) if codec_of(data) is not None else LoadedBase(array_files.load(data))


def arrays_of(arrays: Mapping[str, Any]) -> Arrays:
    """Arrays from a mapping of name to array."""
    return Arrays("npz", tuple(Tensor.of(name, value) for name, value in arrays.items()), {})


def _opened(source: Source) -> tuple[BinaryIO, bool, int]:
    """A seekable file, whether it is ours to close, and its size in bytes."""
    opened: BinaryIO
    owned = True
    if isinstance(source, locations.PATH_TYPES) and not locations.is_url(source):
        opened = Path(os.fspath(cast("str", source))).open("rb")  # noqa: SIM115  # the reader closes it
    elif not isinstance(source, (*locations.PATH_TYPES, bytes, bytearray, memoryview)) and hasattr(source, "seek"):
        opened, owned = source, False
    else:
        opened = locations.reopener(source)()
    return opened, owned, opened.seek(0, os.SEEK_END)
