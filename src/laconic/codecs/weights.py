"""`laconic.weights`: models and arrays in `.lac` files, one tensor at a time if need be.

>>> import laconic as lac
>>> lac.weights.shrink_file("model.safetensors", "model.lac", bpw=2.5)
>>> arrays = lac.weights.load("model.lac")                 # {name: array}
>>> head = lac.weights.open("model.lac")["head.weight"]    # reads the bytes of this tensor only
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from laconic.codecs.array import Bound, decode_tensor, encode_arrays, in_parallel
from laconic.codecs.shrink import DEFAULT_EFFORT, shrink_to
from laconic.container.arrays import FORM_NAMES, HEAD_BYTES, NO_ERROR, Coding, index_size, read_index
from laconic.errors import TruncatedStream, UsageError
from laconic.signals import array as array_files
from laconic.signals import locations
from laconic.signals.tensors import KINDS, Arrays, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.container.arrays import Index
    from laconic.signals.locations import Source, Target

__all__ = [
    "Bound",
    "Reader",
    "TensorInfo",
    "WeightsInfo",
    "expand",
    "expand_file",
    "inspect",
    "load",
    "open",
    "shrink",
    "shrink_file",
    "stream",
]


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
    """

    name: str
    kind: str
    coding: str
    shape: tuple[int, ...]
    bytes: int
    bits_per_weight: float
    share: float
    snr: float | None


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
    """

    codec: str
    form: str
    weights: int
    bytes_total: int
    bytes_original: int
    bits_per_weight: float
    tensors: tuple[TensorInfo, ...]
    metadata: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain values, for JSON."""
        return asdict(self)


class Reader(Mapping[str, "NDArray[Any]"]):
    """A file of arrays whose tensors are decoded when they are asked for: ``reader["name"]``.

    Only the index is read at first, and the bytes of a tensor when it is needed. bfloat16 comes as float32, which holds
    it exactly; `tensor` gives the bits. Use it as a context manager, or close it.

    Parameters
    ----------
    source : path, URL, binary file (seekable) or bytes

    Raises
    ------
    FormatError
        The file is damaged or holds no arrays.
    """

    def __init__(self, source: Source) -> None:
        self._stream, self._owned, self.bytes_total = _opened(source)
        self.bytes_read = 0
        try:
            head = self._read(0, min(HEAD_BYTES, self.bytes_total))
            start = min(index_size(head), self.bytes_total)
            head += self._read(len(head), max(start - len(head), 0))
            self._index: Index = read_index(head, file_size=self.bytes_total)
        except BaseException:
            self.close()
            raise
        self._places = {entry.name: place for place, entry in enumerate(self._index.entries)}

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

    def tensor(self, name: str) -> Tensor:
        """Decode one tensor.

        Raises
        ------
        KeyError
            The file has none of this name.
        CorruptStream, TruncatedStream
            Its bytes are damaged or missing.
        """
        place = self._places[name]
        return decode_tensor(self._index.entries[place], memoryview(self._payload(place)))

    def tensors(self, *, jobs: int | None = None) -> tuple[Tensor, ...]:
        """Decode all tensors, `jobs` at a time; None is one for each core."""
        payloads = [self._payload(place) for place in range(len(self))]
        pairs = zip(self._index.entries, payloads, strict=True)
        return tuple(in_parallel(lambda pair: decode_tensor(pair[0], memoryview(pair[1])), pairs, jobs))

    def info(self) -> WeightsInfo:
        """What the index says; nothing is decoded."""
        entries = self._index.entries
        tensors = tuple(
            TensorInfo(
                name=entry.name,
                kind=KINDS[entry.kind].name,
                coding=Coding(entry.coding).name.lower(),
                shape=entry.shape,
                bytes=entry.size,
                bits_per_weight=8 * entry.size / max(entry.count, 1),
                share=entry.size / self.bytes_total,
                snr=None if entry.noise == NO_ERROR else entry.noise / 4,
            )
            for entry in entries
        )
        weights = sum(entry.count for entry in entries)
        return WeightsInfo(
            codec="array",
            form=self.form,
            weights=weights,
            bytes_total=self.bytes_total,
            bytes_original=sum(entry.nbytes for entry in entries),
            bits_per_weight=8 * self.bytes_total / max(weights, 1),
            tensors=tensors,
            metadata=self.metadata,
        )

    def _payload(self, place: int) -> bytes:
        begin, end = self._index.offsets[place : place + 2]
        return self._read(begin, end - begin)

    def _read(self, begin: int, size: int) -> bytes:
        self._stream.seek(begin)
        data = self._stream.read(size)
        self.bytes_read += len(data)
        if len(data) != size:
            raise TruncatedStream("file", begin + len(data), f"{size} bytes", len(data))
        return data


def open(source: Source) -> Reader:  # noqa: A001  # lac.weights.open, as for any file
    """Open a file of arrays without decoding any; see `Reader`."""
    return Reader(source)


def load(source: Source, *, jobs: int | None = None) -> dict[str, NDArray[Any]]:
    """Decode all arrays of a file: name -> array. The only array of an `.npy` file has the name ""."""
    with Reader(source) as reader:
        return {tensor.name: tensor.array() for tensor in reader.tensors(jobs=jobs)}


def stream(source: Source) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield (name, array) one after the other, with the memory of one tensor."""
    with Reader(source) as reader:
        for name in reader:
            yield name, reader[name]


def inspect(source: Source) -> WeightsInfo:
    """Describe a file without decoding it."""
    with Reader(source) as reader:
        return reader.info()


def shrink(
    arrays: Arrays | Mapping[str, Any],
    *,
    bpw: float | None = None,
    size: int | None = None,
    lossless: bool = False,
    max_error: float | Bound | None = None,
    effort: int = DEFAULT_EFFORT,
    jobs: int | None = None,
) -> bytes:
    """Encode arrays; exactly one of `bpw`, `size`, `lossless` and `max_error` says how.

    Parameters
    ----------
    arrays : mapping of str to array, or Arrays
    bpw : float
        Bits per weight of the whole file.
    size : int
        Bytes of the whole file.
    lossless : bool
        Every bit comes back.
    max_error : float or Bound
        No element is off by more: in units of the values, or ``Bound(0.001, is_relative=True)`` of each tensor's range.
        NaN and infinities come back exactly.
    effort : int
        1 to 10: 5 searches 64 trellis states, 8 and more 256.
    jobs : int, optional
        Threads; None is one for each core. Never changes the bytes.

    Raises
    ------
    UsageError
        Not exactly one target, or one out of range.
    UnsupportedInput
        Kinds of numbers that no codec here can hold.
    TargetUnreachable
        The size is below the smallest possible; the error names that.
    """
    if sum([bpw is not None, size is not None, lossless, max_error is not None]) != 1:
        raise UsageError("exactly one of bpw, size, lossless and max_error is needed")
    if not 1 <= effort <= 10:
        raise UsageError(f"effort is 1 to 10, not {effort}")
    if not isinstance(arrays, Arrays):
        arrays = Arrays("npz", tuple(Tensor.of(name, value) for name, value in arrays.items()), {})
    if lossless or max_error is not None:
        bound = max_error if isinstance(max_error, Bound) or max_error is None else Bound(float(max_error))
        return encode_arrays(arrays, bound=bound, jobs=jobs)
    if bpw is not None:
        if not 0 < bpw < 1e6:
            raise UsageError(f"bits per weight are a number above 0, not {bpw}")
        size = int(bpw * arrays.count / 8)
    assert size is not None
    if size < 1:
        size = 1
    return shrink_to(arrays, size, effort=effort, jobs=jobs)


def expand(source: Source, *, jobs: int | None = None) -> Arrays:
    """Decode a file into its tensors, their kinds and metadata; `signals.array.save` writes them."""
    with Reader(source) as reader:
        return Arrays(reader.form, reader.tensors(jobs=jobs), reader.metadata)


def shrink_file(source: Source, target: Target, *, force: bool = False, **settings: Any) -> WeightsInfo:
    """Encode an `.npy`, `.npz` or `.safetensors` file; settings as for `shrink`.

    Raises
    ------
    OutputExists
        The target exists and `force` is not set.
    UsageError, UnsupportedInput, TargetUnreachable
        As for `shrink`.
    """
    data = shrink(array_files.load(source), **settings)
    locations.write_bytes(target, data, force=force)
    return inspect(data)


def expand_file(source: Source, target: Target, *, force: bool = False, jobs: int | None = None) -> Arrays:
    """Decode a file into `.npy`, `.npz` or `.safetensors`, by the ending of the target.

    Raises
    ------
    OutputExists
        The target exists and `force` is not set.
    FormatError, UnsupportedInput
        A damaged file; tensors that the form cannot hold.
    """
    arrays = expand(source, jobs=jobs)
    array_files.save(target, arrays, force=force)
    return arrays


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
