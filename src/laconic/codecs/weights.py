"""`laconic.weights`: models and arrays in `.lac` files, one tensor at a time if need be.

>>> import laconic as lac
>>> lac.weights.shrink_file("model.safetensors", "model.lac", bpw=2.5)
>>> arrays = lac.weights.load("model.lac")                 # {name: array}
>>> head = lac.weights.open("model.lac")["head.weight"]    # reads the bytes of this tensor only
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laconic.codecs.array import Bound
from laconic.codecs.array_reader import MAX_DESCRIBED, Reader, TensorInfo, WeightsInfo, base_of
from laconic.codecs.array_writer import shrink
from laconic.codecs.weights_curve import CurvePoint, rd_curve
from laconic.codecs.weights_series import Series
from laconic.signals import array as array_files
from laconic.signals import locations
from laconic.signals.tensors import Arrays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from laconic.codecs.array_reader import BaseLike
    from laconic.signals.locations import Source, Target

__all__ = [
    "Bound",
    "CurvePoint",
    "Reader",
    "Series",
    "TensorInfo",
    "WeightsInfo",
    "base_of",
    "expand",
    "expand_file",
    "inspect",
    "load",
    "open",
    "rd_curve",
    "shrink",
    "shrink_file",
    "stream",
]


def open(  # noqa: A001  # lac.weights.open, as for any file
    source: Source, *, base: BaseLike | None = None, max_bytes: int | None = None
) -> Reader:
    """Open a file of arrays without decoding any; see `Reader`."""
    return Reader(source, base=base, max_bytes=max_bytes)


def load(
    source: Source, *, base: BaseLike | None = None, max_bytes: int | None = None, jobs: int | None = None
) -> dict[str, NDArray[Any]]:
    """Decode all arrays of a file: name -> array. The only array of an `.npy` file has the name ""."""
    with Reader(source, base=base, max_bytes=max_bytes) as reader:
        return {tensor.name: tensor.array() for tensor in reader.tensors(jobs=jobs)}


def stream(
    source: Source, *, base: BaseLike | None = None, max_bytes: int | None = None
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield (name, array) one after the other, with the memory of one tensor."""
    with Reader(source, base=base, max_bytes=max_bytes) as reader:
        for name in reader:
            yield name, reader[name]


def inspect(source: Source) -> WeightsInfo:
    """Describe a file without decoding it."""
    with Reader(source, max_bytes=MAX_DESCRIBED) as reader:
        return reader.info()


def expand(
    source: Source, *, base: BaseLike | None = None, max_bytes: int | None = None, jobs: int | None = None
) -> Arrays:
    """Decode a file into its tensors, their kinds and metadata; `signals.array.save` writes them."""
    with Reader(source, base=base, max_bytes=max_bytes) as reader:
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


def expand_file(source: Source, target: Target, *, force: bool = False, **settings: Any) -> Arrays:
    """Decode a file into `.npy`, `.npz` or `.safetensors`, by the ending of the target; settings as for `expand`.

    Raises
    ------
    OutputExists
        The target exists and `force` is not set.
    FormatError, UnsupportedInput
        A damaged file; tensors that the form cannot hold.
    """
    arrays = expand(source, **settings)
    array_files.save(target, arrays, force=force)
    return arrays
