"""Writing a file of arrays: to a size, without loss, or with a bound on every element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from laconic.codecs.array import Bound, encode_arrays
from laconic.codecs.array_reader import arrays_of, base_of
from laconic.codecs.shrink import DEFAULT_EFFORT, shrink_to
from laconic.errors import UsageError
from laconic.signals.tensors import Arrays

if TYPE_CHECKING:
    from laconic.codecs.array_reader import BaseLike

__all__ = ["shrink"]


def shrink(
    arrays: Arrays | Mapping[str, Any],
    *,
    bpw: float | None = None,
    size: int | None = None,
    lossless: bool = False,
    max_error: float | Bound | None = None,
    base: BaseLike | None = None,
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
    base : see `base_of`
        A model from which this one was made. Tensors of the same name, kind and shape are coded as differences to it
        where that is shorter, and whoever decodes needs it too.
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
        arrays = arrays_of(arrays)
    origin = None if base is None else base_of(base)
    if lossless or max_error is not None:
        bound = max_error if isinstance(max_error, Bound) or max_error is None else Bound(float(max_error))
        return encode_arrays(arrays, bound=bound, base=origin, jobs=jobs)
    if bpw is not None:
        if not 0 < bpw < 1e6:
            raise UsageError(f"bits per weight are a number above 0, not {bpw}")
        size = int(bpw * arrays.count / 8)
    assert size is not None
    if size < 1:
        size = 1
    return shrink_to(arrays, size, effort=effort, base=origin, jobs=jobs)
