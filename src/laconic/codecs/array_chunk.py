"""A chunk of an array store (Zarr, N5, HDF5) <-> the bytes of a `.lac` file, in one of two ways.

Numbers of any shape go through the array codec, without loss or with a bound on every element; a chunk that is a
picture may go through the image codec. Either way a chunk is a whole `.lac` file: it describes itself, and
`laconic expand` or `laconic decompress` read it without the store.

A dtype that the array codec does not know is stored as one that it knows, and named in the metadata of the file:

    dtype   as in ``numpy.dtype.str``: another byte order, dates (as int64), complex numbers (two floats each)
    order   F where the last axis was the slowest in memory; the elements themselves are always in C order
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array import Bound, encode_arrays
from laconic.codecs.array_reader import Reader
from laconic.codecs.image import ImageCodec
from laconic.codecs.image_decoder import restore_container
from laconic.container import read
from laconic.container.arrays import FORM_NAMES, read_index
from laconic.errors import CorruptStream, UnsupportedInput
from laconic.signals.tensors import KINDS, Arrays, Tensor, kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_numbers", "check_picture", "decode_numbers", "decode_picture", "encode_numbers", "encode_picture"]

_SPELLED = re.compile(r"[<>|][biufcmM][0-9]{1,2}(\[[0-9]{0,9}[a-zA-Z]{1,7}\])?")


def check_numbers(dtype: np.dtype[Any]) -> None:
    """Refuse a dtype that `encode_numbers` does not take.

    Raises
    ------
    UnsupportedInput
        Texts, objects, records, long doubles.
    """
    _stored(dtype)


def encode_numbers(array: NDArray[Any], *, max_error: float | None = None) -> bytes:
    """Encode an array of any shape.

    Parameters
    ----------
    array : ndarray
        Of truth values, integers, floats, complex numbers or dates, in any byte order.
    max_error : float, optional
        No element is off by more, in units of the values; of complex numbers, no part. None keeps every bit, and so
        are dates and truth values kept in any case.

    Raises
    ------
    UnsupportedInput
        Another dtype.
    UsageError
        A bound that is no number above 0.
    """
    array = np.asarray(array)
    stored = _stored(array.dtype)
    bound = None if max_error is None else Bound(max_error)
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    plain = native.reshape(-1).view(stored).reshape(_stored_shape(array.shape, array.dtype))
    tensor = Tensor.of("", plain)
    if array.dtype.kind not in "iufc" or not tensor.count:
        bound = None
    about: dict[str, str] = {}
    if array.dtype != stored:
        about["dtype"] = array.dtype.str
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        about["order"] = "F"
    return encode_arrays(Arrays("npy", (tensor,), about), bound=bound, jobs=1)


def decode_numbers(
    data: bytes | memoryview, *, shape: tuple[int, ...] | None = None, dtype: np.dtype[Any] | None = None
) -> NDArray[Any]:
    """Decode an array, the inverse of `encode_numbers`.

    Parameters
    ----------
    data : bytes-like
    shape, dtype : optional
        What the store expects; anything else is refused before memory is taken for it. Byte orders may differ: the
        array comes in the one that is asked for.

    Raises
    ------
    FormatError
        The bytes are damaged, or hold something else.
    """
    view = memoryview(data).cast("B")
    asked = None if shape is None or dtype is None else math.prod(shape) * dtype.itemsize
    index = read_index(view, file_size=len(view), max_bytes=asked)
    if len(index.entries) != 1 or FORM_NAMES[index.form] != "npy":
        raise CorruptStream("chunk", None, "one array", f"{len(index.entries)} of {FORM_NAMES[index.form]}")
    [entry] = index.entries
    kind = KINDS[entry.kind]
    if kind.native is None:
        raise CorruptStream("dtype", None, "a kind of number that numpy knows", kind.name)
    found = _named(index.metadata["dtype"]) if "dtype" in index.metadata else kind.native
    if _stored(found) != kind.native:
        raise CorruptStream("dtype", None, f"one that is stored as {_stored(found)}", kind.native)
    if dtype is not None and dtype.newbyteorder("=") != found.newbyteorder("="):
        raise CorruptStream("dtype of a chunk", None, dtype, found)
    pairs = found.kind == "c"
    if pairs and entry.shape[-1:] != (2,):
        raise CorruptStream("shape", None, "pairs of floats", entry.shape)
    wanted = entry.shape[:-1] if pairs else entry.shape
    if shape is not None and wanted != tuple(shape):
        raise CorruptStream("shape of a chunk", None, tuple(shape), wanted)
    with Reader(bytes(view), max_bytes=asked) as reader:
        plain = reader.tensor(entry.name).array()
    native = np.ascontiguousarray(plain).reshape(-1).view(found.newbyteorder("=")).reshape(wanted)
    array = native.astype(dtype or found, copy=False)
    return np.asfortranarray(array) if index.metadata.get("order") == "F" else array


def check_picture(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int, int]:
    """Tell (H, W, C) of a chunk that is a picture: (H, W) or (H, W, C), after any axes of length one.

    Raises
    ------
    UnsupportedInput
        Another shape, or samples other than uint8 and uint16.
    """
    if dtype.name not in {"uint8", "uint16"}:
        raise UnsupportedInput(f"a picture of {dtype}, expected uint8 or uint16")
    sides = tuple(shape)
    while len(sides) > 2 and sides[0] == 1 and not (len(sides) == 3 and 1 <= sides[2] <= 4):
        sides = sides[1:]
    if len(sides) == 2:
        sides = (*sides, 1)
    if len(sides) != 3 or not 1 <= sides[2] <= 4 or not all(sides):
        raise UnsupportedInput(f"a chunk of shape {tuple(shape)}, expected one picture: (H, W) or (H, W, 1 to 4)")
    return sides[0], sides[1], sides[2]


def encode_picture(array: NDArray[Any], codec: ImageCodec) -> bytes:
    """Encode a chunk that is a picture, see `check_picture`; as `ImageCodec.encode`.

    Raises
    ------
    UnsupportedInput
        Another shape or dtype.
    TargetUnreachable
        No step reaches the asked rate or PSNR.
    """
    return codec.encode(array.reshape(check_picture(array.shape, array.dtype)))


def decode_picture(
    data: bytes | memoryview, *, shape: tuple[int, ...] | None = None, dtype: np.dtype[Any] | None = None, jobs: int = 1
) -> NDArray[Any]:
    """Decode a picture, the inverse of `encode_picture`.

    Parameters
    ----------
    data : bytes-like
    shape, dtype : optional
        As for `decode_numbers`. Without them it is (H, W) or (H, W, C) of uint8 or uint16.
    jobs : int
        Threads.

    Raises
    ------
    FormatError
        The bytes are damaged, or hold something else.
    """
    container = read(data)
    header = container.header
    found = np.dtype(np.uint8 if header.depth == 8 else np.uint16)
    if dtype is not None and dtype.newbyteorder("=") != found:
        raise CorruptStream("dtype of a chunk", None, dtype, found)
    sides = header.height, header.width, header.channels
    if shape is not None and check_picture(shape, found) != sides:
        raise CorruptStream("shape of a chunk", None, tuple(shape), sides)
    pixels = restore_container(container, jobs=jobs).pixels
    return (pixels if shape is None else pixels.reshape(shape)).astype(dtype or found, copy=False)


def _stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that the array codec sees."""
    if dtype.kind in "mM":
        return np.dtype(np.int64)
    if dtype.kind == "c":
        half = np.dtype(f"f{dtype.itemsize // 2}")
        return np.dtype(kind_of(half).name)
    if dtype.kind not in "biuf":
        raise UnsupportedInput(f"arrays of {dtype} are not supported: only numbers, dates and truth values are")
    return np.dtype(kind_of(dtype).name)


def _stored_shape(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    return (*shape, 2) if dtype.kind == "c" else shape


def _named(text: str) -> np.dtype[Any]:
    """The dtype of a name in a file."""
    try:
        if _SPELLED.fullmatch(text):
            return np.dtype(text)
    except TypeError:
        pass
    raise CorruptStream("dtype", None, "as numpy spells it", text)
