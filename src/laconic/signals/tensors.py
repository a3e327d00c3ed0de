"""One array with its name and kind of number: what array files hold and the array codec codes.

numpy has no bfloat16 and no 8-bit floats, so a tensor keeps its bits: `words` are the numbers as unsigned integers of
the same width (least significant byte first in files), `kind` says what they mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.errors import UnsupportedInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["KINDS", "MAX_DIMENSIONS", "Arrays", "Kind", "Tensor", "kind_of"]

MAX_DIMENSIONS = 32


@dataclass(frozen=True)
class Kind:
    """A kind of number.

    `name` is numpy's word for it, or ours where numpy has none; `tag` that of safetensors; `size` is in bytes;
    `group` is "float", "integer", "unsigned" or "bits" (8-bit floats and truth values, which are kept as they are).
    """

    name: str
    tag: str
    size: int
    group: str

    @property
    def word(self) -> np.dtype[Any]:
        """The unsigned integer of the same width, least significant byte first."""
        return np.dtype(f"<u{self.size}")

    @property
    def native(self) -> np.dtype[Any] | None:
        """What numpy calls it; None for bfloat16 and 8-bit floats."""
        return None if self.name in _UNKNOWN_TO_NUMPY else np.dtype(self.name)


_UNKNOWN_TO_NUMPY = {"bfloat16", "float8_e4m3", "float8_e5m2"}

# The place in this list is the number in the file: append only.
KINDS = (
    Kind("bool", "BOOL", 1, "bits"),
    Kind("uint8", "U8", 1, "unsigned"),
    Kind("int8", "I8", 1, "integer"),
    Kind("uint16", "U16", 2, "unsigned"),
    Kind("int16", "I16", 2, "integer"),
    Kind("uint32", "U32", 4, "unsigned"),
    Kind("int32", "I32", 4, "integer"),
    Kind("uint64", "U64", 8, "unsigned"),
    Kind("int64", "I64", 8, "integer"),
    Kind("float16", "F16", 2, "float"),
    Kind("bfloat16", "BF16", 2, "float"),
    Kind("float32", "F32", 4, "float"),
    Kind("float64", "F64", 8, "float"),
    Kind("float8_e4m3", "F8_E4M3", 1, "bits"),
    Kind("float8_e5m2", "F8_E5M2", 1, "bits"),
)
_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_of(dtype: Any) -> Kind:
    """The kind of a numpy dtype.

    Raises
    ------
    UnsupportedInput
        Complex numbers, text, objects, long doubles.
    """
    name = np.dtype(dtype).name
    if name not in _BY_NAME:
        raise UnsupportedInput(f"arrays of {name} are not supported; supported are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A named array.

    Attributes
    ----------
    name : str
        Empty for the only array of an `.npy` file.
    kind : Kind
    shape : tuple of int
        Empty for a single number.
    words : ndarray (n,) of `kind.word`
        Last axis fastest.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    words: NDArray[Any]

    @classmethod
    def of(cls, name: str, array: Any) -> Tensor:
        """Take a numpy array.

        Raises
        ------
        UnsupportedInput
            See `kind_of`; more than `MAX_DIMENSIONS` axes.
        """
        array = np.asarray(array)
        kind = kind_of(array.dtype)
        if array.ndim > MAX_DIMENSIONS:
            raise UnsupportedInput(f"{name or 'the array'} has {array.ndim} axes, {MAX_DIMENSIONS} are supported")
        little = np.ascontiguousarray(array.reshape(-1).astype(array.dtype.newbyteorder("<"), copy=False))
        return cls(name, kind, tuple(array.shape), little.view(kind.word))

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes as it is stored uncompressed."""
        return self.count * self.kind.size

    @property
    def columns(self) -> int:
        """Elements of a row, where the first axis counts the rows (output channels); all of them for fewer axes."""
        return max(1, math.prod(self.shape[1:]) if len(self.shape) > 1 else self.count)

    def numbers(self) -> NDArray[Any]:
        """The values, flat, for arithmetic: bfloat16 widened to float32, which holds it exactly."""
        if self.kind.name == "bfloat16":
            return (self.words.astype(np.uint32) << np.uint32(16)).view(np.float32)
        assert self.kind.native is not None, "8-bit floats are not computed with"
        return self.words.view(self.kind.native.newbyteorder("<"))

    def array(self) -> NDArray[Any]:
        """The array in its shape, in the machine's byte order.

        bfloat16 comes as float32, which holds it exactly; 8-bit floats as uint8, their bits.
        """
        if self.kind.name == "bfloat16":
            return self.numbers().reshape(self.shape)
        native = self.kind.native or np.dtype(np.uint8)
        return self.words.view(native.newbyteorder("<")).astype(native, copy=False).reshape(self.shape)


def narrowed(values: NDArray[Any], kind: Kind) -> NDArray[Any]:
    """Finite values (n,) float32 or float64 -> words of a float kind; what is too large becomes the largest."""
    if kind.name == "bfloat16":
        most = np.float32(3.3895314e38)  # 0x7f7f: the largest bfloat16
        bits = np.clip(values, -most, most).astype(np.float32).view(np.uint32)
        odd = bits >> np.uint32(16) & np.uint32(1)
        return ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype("<u2")
    assert kind.native is not None
    most = np.finfo(kind.native).max
    if values.dtype.itemsize > kind.size:
        values = np.clip(values, -most, most)
    return values.astype(kind.native.newbyteorder("<")).view(kind.word)


@dataclass(frozen=True, eq=False)
class Arrays:
    """What an array file holds.

    `form` is "npy" (one array without a name), "npz" or "safetensors"; `metadata` are the texts of a safetensors file.
    """

    form: str
    tensors: tuple[Tensor, ...]
    metadata: Mapping[str, str]

    @property
    def count(self) -> int:
        """Number of elements of all tensors."""
        return sum(tensor.count for tensor in self.tensors)

    @property
    def nbytes(self) -> int:
        """Size of all tensors in bytes, uncompressed."""
        return sum(tensor.nbytes for tensor in self.tensors)
