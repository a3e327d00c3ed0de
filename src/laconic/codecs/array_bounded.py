"""The coding of an array with a bound on every element's error: uniform steps, prediction in steps, adaptive tables.

A value becomes the nearest whole multiple k of twice the bound; what is coded are differences of k between neighbors
(Lorenzo prediction, as in SZ), exactly, so errors never add up. The encoder then restores the array as the decoder
will, and every element that misses the bound by rounding, or is no number at all, is kept bit by bit.

    payload:  step       f64, for integers u64
              predictor  u8     0 none, 1 along rows, 2 along rows and down columns
              contexts   u8 | tokens u8 | scale u8      as in trellis payloads
              exceptions leb128
              length     leb128, stream of the levels
              if there are exceptions: length leb128, their places as lossless differences; their words, lossless
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array_lossless import decode_words, encode_words
from laconic.container.cursor import Cursor, varint
from laconic.entropy.levels import (
    CONTEXTS,
    MAX_SCALAR_TOKENS,
    SCALES,
    LevelLayout,
    most_levels,
    pop_levels,
    push_levels,
    scale_of,
    tokens_of,
)
from laconic.errors import CorruptStream
from laconic.signals.tensors import Tensor, narrowed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.signals.tensors import Kind

__all__ = ["decode_bounded", "encode_bounded"]

FREE, ROWS, PLANE = 0, 1, 2
LARGEST = 1 << 27
"""Of |k|: a prediction from three neighbors then stays within what a level can be."""
MOST_EXCEPTIONS = 0.3
MOST_STEP = 2**62
"""Of integers: products with a level then stay within 64 bits where they are within the kind."""


def encode_bounded(tensor: Tensor, bound: float, base: NDArray[Any] | None = None) -> bytes | None:
    """Encode so that no element is off by more than `bound`.

    Parameters
    ----------
    tensor : Tensor
        Of floats or integers.
    bound : float
        Above 0, in units of the values. Infinities and NaN come back exactly.
    base : ndarray (n,) of words, optional
        Of floats: what is coded are the differences to these.

    Returns
    -------
    bytes or None
        None where lossless coding is the better choice: nothing to gain, or too many exceptions.
    """
    values = tensor.numbers()
    step = _step(tensor.kind, bound)
    if step is None or not len(values):
        return None
    origin = _origin(tensor.kind, base)
    with np.errstate(all="ignore"):
        steps = _to_steps(values if origin is None else values.astype(np.float64) - origin, step)
    wrong = ~_within(values, _restored(steps, step, tensor.kind, origin), bound)
    places = np.flatnonzero(wrong)
    if len(places) > MOST_EXCEPTIONS * len(values):
        return None
    steps[places] = 0
    trials = [_stream(steps, predictor, tensor.columns) for predictor in (FREE, ROWS, PLANE)]
    predictor = int(np.argmin([len(stream) for _, stream in trials]))
    layout, stream = trials[predictor]
    head = struct.pack("<d" if tensor.kind.group == "float" else "<Q", step)
    head += bytes([predictor, layout.contexts, layout.tokens, layout.scale])
    payload = head + varint(len(places)) + varint(len(stream)) + stream
    if len(places):
        gaps = encode_words(places.astype("<u8"), len(places), rotate=False)
        words = encode_words(tensor.words[places], len(places), rotate=tensor.kind.group == "float")
        payload += varint(len(gaps)) + gaps + words
    return payload


def decode_bounded(
    payload: memoryview, kind: Kind, count: int, columns: int, base: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Decode the words of an array, the inverse of `encode_bounded`.

    Raises
    ------
    CorruptStream
        The payload is damaged.
    """
    cursor = Cursor(payload)
    is_float = kind.group == "float"
    [step] = struct.unpack("<d" if is_float else "<Q", cursor.take(8, "step"))
    if (
        not (0 < step < (np.inf if is_float else MOST_STEP))
        or kind.group == "bits"
        or (base is not None and not is_float)
    ):
        raise CorruptStream("step", None, "a number above 0", step)
    predictor, contexts, tokens, scale = (cursor.u8(f) for f in ("predictor", "contexts", "tokens", "scale"))
    if predictor > PLANE or contexts >= CONTEXTS or not 2 <= tokens <= MAX_SCALAR_TOKENS or scale >= SCALES:
        raise CorruptStream("bounded parameters", None, "lawful ones", (predictor, contexts, tokens, scale))
    exceptions = cursor.varint("exceptions")
    if exceptions > count:
        raise CorruptStream("exceptions", None, f"at most {count}", exceptions)
    stream = cursor.take(cursor.varint("levels length"), "levels")
    if count > most_levels(len(stream)):
        raise CorruptStream("levels", None, f"at most {most_levels(len(stream))}", count)
    gaps = cursor.take(cursor.varint("places length"), "places") if exceptions else memoryview(b"")
    rest = cursor.take(cursor.left, "exceptions")
    if len(rest) and not exceptions:
        raise CorruptStream("exceptions", None, "none", f"{len(rest)} bytes")
    levels = pop_levels(stream, count, LevelLayout(columns, 0, contexts, tokens, scale))
    words = _restored(_integrated(levels, predictor, columns), step, kind, _origin(kind, base))
    if exceptions:
        places = decode_words(gaps, exceptions, 8, exceptions, rotate=False)
        if int(places.max()) >= count:
            raise CorruptStream("places", None, f"below {count}", int(places.max()))
        words[places.astype(np.int64)] = decode_words(rest, exceptions, kind.size, exceptions, rotate=is_float)
    return words


def _step(kind: Kind, bound: float) -> float | int | None:
    """Twice the bound, a little less for floats: rounding must not push the last elements over it."""
    if kind.group == "float":
        step = 2 * bound * (1 - 2**-20)
        return step if 1e-300 < step < 1e300 else None
    if kind.group == "bits" or bound < 1:
        return None
    return 2 * int(min(bound, 2**60)) + 1


def _to_steps(values: NDArray[Any], step: float) -> NDArray[np.int64]:
    """The nearest multiples, in steps; what is too large or no number becomes 0 and, later, an exception."""
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):
            scaled = np.rint(values.astype(np.float64) / step)
        return np.where(np.abs(scaled) <= LARGEST, scaled, 0).astype(np.int64)
    divisor = int(step)
    if values.dtype == np.uint64:
        quotient = (values // np.uint64(divisor) + (values % np.uint64(divisor) > divisor // 2)).astype(np.uint64)
        return np.where(quotient <= LARGEST, quotient, 0).astype(np.int64)
    wide = values.astype(np.int64)
    remainder = wide % divisor  # never negative
    quotient = wide // divisor + (remainder > divisor // 2)
    return np.where(np.abs(quotient) <= LARGEST, quotient, 0)


def _origin(kind: Kind, base: NDArray[Any] | None) -> NDArray[np.float64] | None:
    """What differences are added to, as float64."""
    return None if base is None else Tensor("", kind, base.shape, base).numbers().astype(np.float64)


def _restored(
    steps: NDArray[np.int64], step: float, kind: Kind, origin: NDArray[np.float64] | None = None
) -> NDArray[Any]:
    """Words of the multiples: one product (and one sum) in float64 and one rounding, or exact integers held within the
    kind.
    """
    if kind.group == "float":
        with np.errstate(all="ignore"):
            values = steps.astype(np.float64) * step
            return narrowed(np.nan_to_num(values if origin is None else values + origin), kind)
    assert kind.native is not None
    limits = np.iinfo(kind.native)
    if kind.name == "uint64":
        whole = np.clip(steps, 0, None).astype(np.uint64)
        most = np.uint64(limits.max // int(step))
        return np.where(whole > most, np.uint64(limits.max), whole * np.uint64(step)).astype("<u8")
    least, most = -(-int(limits.min) // int(step)), int(limits.max) // int(step)
    product = np.clip(steps, least, most) * np.int64(step)  # within 64 bits
    product = np.where(steps > most, limits.max, np.where(steps < least, limits.min, product))
    return np.clip(product, limits.min, limits.max).astype(kind.native.newbyteorder("<")).view(kind.word)


def _within(values: NDArray[Any], words: NDArray[Any], bound: float) -> NDArray[np.bool_]:
    """Which elements keep the bound. NaN and infinities never do."""
    dtype = values.dtype
    if dtype.kind == "f":
        found = (
            (words.astype(np.uint32) << np.uint32(16)).view(np.float32)
            if words.dtype.itemsize < dtype.itemsize
            else words.view(dtype)
        )
        with np.errstate(all="ignore"):
            off = np.abs(values.astype(np.float64) - found.astype(np.float64))
        # A difference in float64 is off by 2^-53 of itself at most.
        return off <= bound * (1 - 2**-50)
    found = words.view(dtype)
    off = np.where(values > found, values - found, found - values)
    # A signed difference beyond its range wraps to a large unsigned number, which is its true size.
    return off.view(np.dtype(f"<u{dtype.itemsize}")).astype(np.uint64) <= np.uint64(min(bound, 2**63))


def _stream(steps: NDArray[np.int64], predictor: int, columns: int) -> tuple[LevelLayout, bytes]:
    levels = _predicted(steps, predictor, columns).astype(np.int32)
    scale = scale_of(2 * float(np.abs(levels).mean()))
    plain = LevelLayout(columns, 0, 0, MAX_SCALAR_TOKENS, scale)
    plain = replace(plain, tokens=tokens_of(levels, plain))
    trials: list[tuple[LevelLayout, bytes]] = []
    for contexts in (0, 1, 3):
        layout = replace(plain, contexts=contexts)
        trials.append((layout, push_levels(levels, layout)))
    return min(trials, key=lambda trial: len(trial[1]))


def _predicted(steps: NDArray[np.int64], predictor: int, columns: int) -> NDArray[np.int64]:
    """Differences to the prediction."""
    if predictor == FREE:
        return steps
    levels = np.diff(steps, prepend=0)
    if predictor == PLANE and columns < len(steps):
        levels[columns:] = levels[columns:] - np.diff(steps, prepend=0)[:-columns]
    return levels


def _integrated(levels: NDArray[np.int32], predictor: int, columns: int) -> NDArray[np.int64]:
    """The inverse of `_predicted`."""
    steps = levels.astype(np.int64)
    if predictor == PLANE and columns < len(steps):
        whole = len(steps) // columns * columns
        table = steps[:whole].reshape(-1, columns)
        np.cumsum(table, axis=0, out=table)
        if whole < len(steps):
            steps[whole:] += table[-1, : len(steps) - whole]
    if predictor != FREE:
        np.cumsum(steps, out=steps)
    return steps
