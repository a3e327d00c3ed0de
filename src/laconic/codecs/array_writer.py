"""Writing a file of arrays: to a size, without loss, or with a bound on every element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from laconic.codecs.array import Bound, encode_arrays
from laconic.codecs.array_reader import MAX_DESCRIBED, Reader, arrays_of, base_of
from laconic.codecs.curvature import curvatures_of
from laconic.codecs.shrink import DEFAULT_EFFORT, shrink_to
from laconic.codecs.shrink_within import shrink_within
from laconic.errors import UsageError
from laconic.signals import array as array_files
from laconic.signals.tensors import Arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.codecs.array_reader import BaseLike
    from laconic.codecs.shrink import ByLayer, Repair
    from laconic.signals.locations import Source

__all__ = ["shrink"]


def shrink(
    arrays: Arrays | Mapping[str, Any],
    *,
    bpw: float | None = None,
    size: int | None = None,
    lossless: bool = False,
    max_error: float | Bound | None = None,
    kl: float | None = None,
    divergence: Callable[[dict[str, NDArray[Any]]], float] | None = None,
    base: BaseLike | None = None,
    calibration: Source | Mapping[str, Any] | None = None,
    repair: Repair | None = None,
    by_layer: ByLayer | None = None,
    structure: bool = True,
    effort: int = DEFAULT_EFFORT,
    jobs: int | None = None,
) -> bytes:
    """Encode arrays; exactly one of `bpw`, `size`, `kl`, `lossless` and `max_error` says how.

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
    kl : float
        The largest divergence allowed, in whatever unit `divergence` has; the file is about the smallest that keeps it,
        found by encoding and measuring.
    divergence : callable
        Given decoded arrays by name, returns how far a model with them is from the model: it falls as sizes grow.
        `laconic.train.shrink_model.divergence` is one.
    base : see `base_of`
        A model from which this one was made. Tensors of the same name, kind and shape are coded as differences to it
        where that is shorter, and whoever decodes needs it too.
    calibration : path, URL, binary file, bytes, or mapping of str to array
        What errors cost, as `laconic.train.calibrate.collect` finds it: many fewer bytes for the same outputs.
    repair : callable, optional
        Given the decoded arrays, returns better values for vectors among them: `laconic.train.shrink_model.Repairer`.
    by_layer : callable, optional
        Says what matrices are to become once those of the layers before are coded:
        `laconic.train.by_layer.LayerByLayer`.
    structure : bool
        Whether a matrix may get a correction of low rank, and lose rows and columns, where that makes a smaller error
        at the same bytes. Without it, coding is a little faster.
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
        The size is below the smallest possible, or the divergence below what is left when every bit comes back; the
        error names the least.
    """
    if sum([bpw is not None, size is not None, lossless, max_error is not None, kl is not None]) != 1:
        raise UsageError("exactly one of bpw, size, kl, lossless and max_error is needed")
    if (kl is None) != (divergence is None):
        raise UsageError("kl and divergence go together: a target, and what measures it")
    if (calibration is not None or repair is not None or by_layer is not None) and (lossless or max_error is not None):
        raise UsageError("calibration is for files of a size: without loss, or within a bound, nothing is weighed")
    if not 1 <= effort <= 10:
        raise UsageError(f"effort is 1 to 10, not {effort}")
    if not isinstance(arrays, Arrays):
        arrays = arrays_of(arrays)
    origin = None if base is None else base_of(base)
    if lossless or max_error is not None:
        bound = max_error if isinstance(max_error, Bound) or max_error is None else Bound(float(max_error))
        return encode_arrays(arrays, bound=bound, base=origin, jobs=jobs)
    known = None if calibration is None else curvatures_of(_mapping(calibration), arrays.tensors)
    if kl is not None:
        assert divergence is not None
        return shrink_within(
            arrays,
            kl,
            lambda data: divergence(_decoded(data, origin)),
            effort=effort,
            base=origin,
            curvatures=known,
            repair=repair,
            by_layer=by_layer,
            structure=structure,
            jobs=jobs,
        )
    if bpw is not None:
        if not 0 < bpw < 1e6:
            raise UsageError(f"bits per weight are a number above 0, not {bpw}")
        size = int(bpw * arrays.count / 8)
    assert size is not None
    return shrink_to(
        arrays,
        max(size, 1),
        effort=effort,
        base=origin,
        curvatures=known,
        repair=repair,
        by_layer=by_layer,
        structure=structure,
        jobs=jobs,
    )


def _mapping(calibration: Source | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(calibration, Mapping):
        return calibration
    return {tensor.name: tensor.array() for tensor in array_files.load(calibration).tensors}


def _decoded(data: bytes, base: BaseLike | None) -> dict[str, NDArray[Any]]:
    with Reader(data, base=base, max_bytes=MAX_DESCRIBED) as reader:
        return {tensor.name: tensor.array() for tensor in reader.tensors()}
