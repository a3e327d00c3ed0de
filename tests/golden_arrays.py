"""What the golden files of arrays and series are made from; `golden_writer.py` writes them.

Their names begin with `arrays_` or `series_`. In the index stand the number of tensors (of each checkpoint), the base
they need (another golden file), and a digest of names, kinds, shapes and words of all tensors.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs import array_reference, weights
from laconic.codecs.array import Bound, decode_block
from laconic.codecs.array_base import check_of
from laconic.codecs.array_gaps import Gaps, write_gaps
from laconic.codecs.array_low_rank import encode_low_rank
from laconic.codecs.array_points import write_points_head
from laconic.codecs.array_reader import base_of
from laconic.codecs.array_scales import write_scales
from laconic.container import arrays as container
from laconic.container.arrays import Coding, Entry
from laconic.container.chunks import Tag, frame
from laconic.container.series import HEAD, head_of, series_start
from laconic.entropy.levels import MAX_TRELLIS_TOKENS, LevelLayout, push_levels, tokens_of
from laconic.quantize.scales import Scales
from laconic.quantize.trellis import quantize
from laconic.signals.tensors import KINDS, Arrays, Tensor, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["BASES", "INVALID", "VALID", "decode", "decode_by_reference", "digest"]

BFLOAT16, FLOAT8 = (next(kind for kind in KINDS if kind.name == name) for name in ("bfloat16", "float8_e4m3"))


def gauss(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Weights as after training: independent, most of them small."""
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def field(*shape: int) -> NDArray[np.float64]:
    """Something smooth."""
    down, right = np.indices(shape) / 9
    return np.sin(down) * np.cos(right) + down / 5


def in_bfloat16(name: str, values: NDArray[np.float32]) -> Tensor:
    return Tensor(name, BFLOAT16, values.shape, narrowed(values.ravel(), BFLOAT16))


def of(*tensors: Tensor, **texts: str) -> Arrays:
    return Arrays("safetensors", tensors, texts)


@cache
def model() -> dict[str, NDArray[Any]]:
    """A network of several layers, which is a base too."""
    layers: dict[str, NDArray[Any]] = {}
    for number in range(3):
        layers[f"layer{number}.conv.weight"] = gauss(8, 6, 3, 3, seed=number)
        layers[f"layer{number}.bn.weight"] = 1 + gauss(8, seed=10 + number)
        layers[f"layer{number}.bn.bias"] = gauss(8, seed=20 + number)
        layers[f"layer{number}.bn.running_var"] = np.exp(10 * gauss(8, seed=30 + number))
        layers[f"layer{number}.bn.num_batches_tracked"] = np.array(1234, np.int64)
    return layers | {"head.weight": gauss(10, 40, seed=9).astype(np.float16), "frozen": gauss(20, 10, seed=8)}


def tuned(amount: float = 1e-4, seed: int = 0) -> dict[str, NDArray[Any]]:
    """The model after some more training."""
    random = np.random.default_rng(seed)
    return {
        name: array
        if name == "frozen"
        else array + array.dtype.type(100)
        if array.dtype.kind == "i"
        else (array * (1 + amount * random.standard_normal(array.shape))).astype(array.dtype)
        for name, array in model().items()
    }


def lossless(**arrays: Any) -> bytes:
    return weights.shrink(arrays, lossless=True)


def with_scales() -> bytes:
    """Rows and columns with steps of their own, whatever the encoder makes of them today."""
    tensor = Tensor.of("w", gauss(12, 18))
    scales = Scales(np.arange(-6, 6, dtype=np.int8), np.array([0, 3, -5, 127, 1, 2], np.int8), 3)
    steps = scales.steps(np.float32(0.02), 12, 18).ravel()
    layout = LevelLayout(18, 6, 3, MAX_TRELLIS_TOKENS, 8)
    chosen = quantize(tensor.numbers() / steps, 1.0, layout.fields)
    layout = replace(layout, tokens=tokens_of(chosen.levels, layout))
    head = bytes([6 | 3 << 4, 128 | layout.tokens, 8]) + np.float32(0.02).tobytes()
    payload = head + write_scales(scales) + push_levels(chosen.levels, layout)
    return with_check(Entry("w", 11, (12, 18), Coding.TRELLIS, len(payload), 0, 60), payload)


def with_structure(
    *, rank: int = 0, gaps: Gaps | None = None, scales: Scales | None = None, based: bool = False
) -> bytes:
    """A matrix 20 x 18 with a correction, rows and columns left out, and scales."""
    random = np.random.default_rng(rank)
    matrix = gauss(20, 18)
    inner = matrix if gaps is None else gaps.without(matrix)
    factors = np.ones(inner.shape, np.float32) if scales is None else scales.steps(np.float32(1), *inner.shape)
    inner, spelled = inner / factors, b""
    if rank:
        down, along = (random.standard_normal((rank, side)) * 0.2 for side in inner.shape)
        spelled, low_rank = encode_low_rank(down, along, 0.05)
        inner = inner - low_rank.added(np.zeros_like(inner), None)
    layout = LevelLayout(inner.shape[1], 6, 2, MAX_TRELLIS_TOKENS, 8)
    chosen = quantize(np.ascontiguousarray(inner).ravel(), 0.02, layout.fields)
    layout = replace(layout, tokens=tokens_of(chosen.levels, layout))
    payload = write_points_head(
        layout,
        np.float32(0.02).tobytes(),
        chosen.offsets if rank == 3 else (0,) * 6,
        has_scales=scales is not None,
        has_gaps=gaps is not None,
    )
    payload += b"" if gaps is None else write_gaps(gaps)
    payload += b"" if scales is None else write_scales(scales)
    payload += spelled + push_levels(chosen.levels, layout)
    codings = (Coding.TRELLIS, Coding.LOW_RANK), (Coding.TRELLIS_DIFFERENCE, Coding.LOW_RANK_DIFFERENCE)
    coding = codings[based][rank > 0]
    return with_check(Entry("w", 11, (20, 18), coding, len(payload), 0, 60, rank=rank), payload, based=based)


def with_check(entry: Entry, payload: bytes, *, based: bool = False) -> bytes:
    """A file of one matrix, its checksum that of what it decodes to."""
    kind, base = KINDS[entry.kind], base_of(matrix_base()) if based else None
    origin = None if base is None else base.words_like(entry.name, kind, entry.shape)
    size = [entry.count]
    words = decode_block(entry.coding, memoryview(payload), kind, size, entry.shape[1], origin, entry.rank)
    name = b"" if base is None else base.fingerprint
    return container.write_arrays(2, [replace(entry, check=check_of(words))], [payload], base=name)


def matrix_base() -> bytes:
    """What a matrix 20 x 18 was made from."""
    return lossless(w=gauss(20, 18, seed=40))


GAPS = Gaps(np.arange(20) % 5 == 3, np.arange(6) % 3 == 1, 3)
SCALES = Scales(np.arange(-8, 8, dtype=np.int8), np.array([0, 3, -5, 2], np.int8), 3)
"""Of the 16 rows and 12 columns that the gaps leave."""


def series(count: int, every: int, tail: bytes = b"", **settings: Any) -> bytes:
    """The file of a series."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.lac"
        for number in range(count):
            arrays = {"w": gauss(12, 10) + 1e-4 * gauss(12, 10, seed=number), "step": np.array(number)}
            weights.Series(path, keyframe_every=every).append(arrays, **settings)
        return path.read_bytes() + tail


VALID: dict[str, Callable[[], bytes]] = {
    "arrays_lossless_float32": lambda: lossless(w=gauss(40, 30)),
    "arrays_lossless_bfloat16": lambda: weights.shrink(of(in_bfloat16("w", gauss(40, 30))), lossless=True),
    "arrays_lossless_float16": lambda: lossless(w=gauss(40, 30).astype(np.float16)),
    "arrays_lossless_float64": lambda: lossless(w=field(20, 30)),
    "arrays_lossless_integers": lambda: lossless(
        **{
            name: (100 * field(20, 30) + 100).astype(name)
            for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
        }
    ),
    "arrays_lossless_down_columns": lambda: lossless(x=np.cumsum(np.round(900 * gauss(90, 8)), axis=0).astype(int)),
    "arrays_lossless_smooth_floats": lambda: lossless(x=field(60, 40).astype(np.float32)),
    "arrays_lossless_bool_and_float8": lambda: weights.shrink(
        of(
            Tensor.of("b", gauss(30, 30) > 0.1),
            Tensor("f", FLOAT8, (30, 30), (gauss(900).view(np.uint32) >> 24).astype("<u1")),
        ),
        lossless=True,
    ),
    "arrays_lossless_long_plane": lambda: lossless(x=(20 * gauss(150, 120)).astype(np.int8)),
    "arrays_max_error_absolute": lambda: weights.shrink({"x": field(30, 40).astype(np.float32)}, max_error=1e-3),
    "arrays_max_error_relative": lambda: weights.shrink(
        {"x": field(30, 40), "y": gauss(20, 20), "h": field(20, 20).astype(np.float16)},
        max_error=Bound(1e-3, is_relative=True),
    ),
    "arrays_max_error_integers": lambda: weights.shrink(
        {
            "i": (1000 * field(30, 40)).astype(np.int32),
            "u": (2.0**62 * (1 + np.sin(np.arange(300) / 30))).astype(np.uint64),
        },
        max_error=5,
    ),
    "arrays_max_error_of_nan_and_infinities": lambda: weights.shrink(
        {"x": np.where(gauss(30, 30) > 0.25, np.inf, np.where(gauss(30, 30) < -0.25, np.nan, field(30, 30)))},
        max_error=1e-4,
    ),
    "arrays_max_error_bfloat16": lambda: weights.shrink(
        of(in_bfloat16("w", field(30, 30).astype(np.float32))), max_error=0.02
    ),
    "arrays_trellis_default": lambda: weights.shrink({"w": gauss(40, 50)}, bpw=3),
    "arrays_trellis_fast": lambda: weights.shrink({"w": gauss(40, 50)}, bpw=3, effort=1),
    "arrays_trellis_slow": lambda: weights.shrink({"w": gauss(40, 50)}, bpw=3, effort=10),
    "arrays_trellis_low_rate": lambda: weights.shrink({"w": gauss(60, 50)}, bpw=0.7),
    "arrays_trellis_high_rate": lambda: weights.shrink({"w": gauss(30, 30)}, bpw=12),
    "arrays_trellis_rows_of_many_sizes": lambda: weights.shrink(
        {"w": gauss(60, 40) * np.float32(2) ** np.arange(60, dtype=np.float32)[:, None].clip(0, 9)}, bpw=2.5
    ),
    "arrays_trellis_float16": lambda: weights.shrink({"w": gauss(40, 40).astype(np.float16)}, bpw=3),
    "arrays_trellis_bfloat16": lambda: weights.shrink(of(in_bfloat16("w", gauss(40, 40))), bpw=3),
    "arrays_trellis_float64": lambda: weights.shrink({"w": gauss(40, 40).astype(np.float64)}, bpw=3),
    "arrays_trellis_scales": with_scales,
    "arrays_base_of_a_matrix": matrix_base,
    "arrays_low_rank": lambda: with_structure(rank=2),
    "arrays_low_rank_chosen_by_the_encoder": lambda: weights.shrink(
        {"w": 5 * gauss(60, 2, seed=1) @ gauss(2, 70, seed=2) + 0.02 * gauss(60, 70)}, bpw=1.5
    ),
    "arrays_low_rank_scales_and_gaps": lambda: with_structure(rank=3, gaps=GAPS, scales=SCALES),
    "arrays_low_rank_difference": lambda: with_structure(rank=1, gaps=GAPS, based=True),
    "arrays_gaps": lambda: with_structure(gaps=GAPS),
    "arrays_gaps_in_rows": lambda: with_structure(gaps=Gaps(np.arange(20) > 7, np.zeros(18, np.bool_))),
    "arrays_gaps_in_columns_of_a_difference": lambda: with_structure(
        gaps=Gaps(np.zeros(20, np.bool_), np.arange(18) < 5), based=True
    ),
    "arrays_model_at_bits_per_weight": lambda: weights.shrink(model(), bpw=4),
    "arrays_model_at_a_size": lambda: weights.shrink(model(), size=1100),
    "arrays_base": lambda: lossless(**model()),
    "arrays_difference_lossless": lambda: weights.shrink(tuned(), lossless=True, base=model()),
    "arrays_difference_far": lambda: weights.shrink(tuned(0.05), lossless=True, base=model()),
    "arrays_difference_at_a_rate": lambda: weights.shrink(tuned(0.05), bpw=3, base=model()),
    "arrays_difference_within_a_bound": lambda: weights.shrink(tuned(), max_error=1e-5, base=model()),
    "arrays_base_of_all_kinds": lambda: lossless(**kinds()),
    "arrays_difference_of_all_kinds": lambda: weights.shrink(kinds(1), lossless=True, base=kinds()),
    "arrays_without_any": lambda: lossless(),
    "arrays_empty_tensor": lambda: lossless(none=np.zeros((0, 3), np.float32), zero=np.zeros((4, 0, 2), np.int8)),
    "arrays_single_numbers": lambda: lossless(f=np.float32(1.5), i=np.int64(-7), h=np.float16(0.1)),
    "arrays_nan_and_infinities": lambda: lossless(
        x=np.array([[0x7FC01234, 0xFF800000, 0x7F800000, 0xFFFFFFFF, 0x80000000, 1]] * 20, np.uint32).view(np.float32)
    ),
    "arrays_constants": lambda: lossless(ones=np.ones((40, 50)), zeros=np.zeros((30, 30), np.float16)),
    "arrays_many_small_tensors": lambda: lossless(
        **{f"block{i // 5}.part{i % 5}.bias": gauss(4 + i % 9, seed=i) for i in range(150)}
    ),
    "arrays_many_small_tensors_at_a_rate": lambda: weights.shrink(
        {f"block{i // 5}.part{i % 5}.bias": gauss(4 + i % 9, seed=i) for i in range(150)}, bpw=8
    ),
    "arrays_names_and_metadata": lambda: weights.shrink(
        of(*(Tensor.of(name, np.arange(3)) for name in ("", "ä", "ä.ö", "x" * 300, "模型.weight")), by="me", ü="ß"),
        lossless=True,
    ),
    "arrays_npy": lambda: weights.shrink(Arrays("npy", (Tensor.of("", gauss(9, 9)),), {}), lossless=True),
    "series_lossless": lambda: series(5, 2),
    "series_at_a_rate": lambda: series(3, 10, bpw=5),
    "series_with_a_tail": lambda: series(2, 10, tail=bytes(HEAD) + b"what an append left behind"),
    "series_without_any": lambda: series_start(10),
}


def kinds(seed: int = 0) -> dict[str, NDArray[Any]]:
    """Matrices of all kinds numpy knows; those of other seeds lie near."""
    random = np.random.default_rng(seed)
    whole = {name: (1000 * np.abs(gauss(16, 20)) + random.integers(0, 2, (16, 20))) for name in ("int8", "uint16")}
    whole |= {name: 1e6 * gauss(16, 20) + random.integers(-2, 2, (16, 20)) for name in ("int32", "int64")}
    floats = {
        name: gauss(16, 20).astype(np.float64) * (1 + scale * seed * random.standard_normal((16, 20)))
        for name, scale in (("float16", 1e-3), ("float32", 1e-5), ("float64", 1e-9))
    }
    with np.errstate(all="ignore"):
        return {name: array.astype(name) for name, array in {**whole, **floats}.items()}


def base() -> bytes:
    """A small file that the invalid ones are made from: a matrix, a group and a constant."""
    return lossless(w=gauss(10, 20), a=gauss(5, seed=1), b=gauss(6, seed=2), c=np.ones((9, 9)))


def changed_index(change: Callable[[list[Any]], None], data: bytes | None = None, **settings: Any) -> bytes:
    """Change entries and groups, and write the file anew."""
    data = data or base()
    index = container.read_index(data, file_size=len(data))
    parts = [*index.entries, *index.groups]
    change(parts)
    payloads = [data[a:b] for a, b in zip(index.offsets, index.offsets[1:], strict=False)]
    count = len(index.entries)
    settings = {"base": index.base} | settings
    return container.write_arrays(index.form, parts[:count], payloads, groups=parts[count:], **settings)


def changed(place: int, **changes: Any) -> bytes:
    return changed_index(lambda parts: parts.__setitem__(place, replace(parts[place], **changes)))


def index_of(columns: bytes, method: int = 0) -> bytes:
    """A file that is nothing but an index."""
    return b"\x89lac\x01" + frame(Tag.HEADER, 0, bytes([2, 2, method]) + columns)


def flipped(data: bytes, at: int, bit: int = 1) -> bytes:
    spoilt = bytearray(data)
    spoilt[at] ^= bit
    return bytes(spoilt)


def payload_changed(name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Change the payload of the first tensor of a golden recipe, its size made good."""
    data = VALID[name]()
    index = container.read_index(data, file_size=len(data))
    payloads = [data[a:b] for a, b in zip(index.offsets, index.offsets[1:], strict=False)]
    payloads[0] = change(payloads[0])
    entries = [replace(index.entries[0], size=len(payloads[0])), *index.entries[1:]]
    return container.write_arrays(index.form, entries, payloads, groups=index.groups, base=index.base)


def head_out_of_place() -> bytes:
    body = b"no file of arrays"
    return series_start(10) + head_of(1, body) + body


INVALID: dict[str, Callable[[], bytes]] = {
    "arrays_flip_in_index": lambda: flipped(base(), 20),
    "arrays_flip_in_payload": lambda: flipped(base(), len(base()) - 60),
    "arrays_cut_in_index": lambda: base()[:30],
    "arrays_cut_in_payload": lambda: base()[:-1],
    "arrays_byte_too_many": lambda: base() + b"\0",
    "arrays_newer_version": lambda: base()[:4] + b"\x02" + base()[5:],
    "arrays_unknown_form": lambda: b"\x89lac\x01" + frame(Tag.HEADER, 0, bytes([2, 3, 0, 0, 0, 0])),
    "arrays_unknown_method": lambda: index_of(bytes(3), 2),
    "arrays_index_is_no_deflate": lambda: index_of(b"\xff" * 20, 1),
    "arrays_index_of_nothing": lambda: index_of(b""),
    "arrays_two_of_a_name": lambda: changed(1, name="w"),
    "arrays_name_is_no_text": lambda: index_of(b"\0\1\0\1\xff\0\0\xff\0\0\0\0\0\0\0"),
    "arrays_name_begins_like_none": lambda: index_of(b"\0\1\5\1x\0\0\xff\0\0\0\0\0\0\0"),
    "arrays_unknown_coding": lambda: index_of(b"\0\1\0\1x\0\x09\xff\0\0\0\0\0\0\0"),
    "arrays_unknown_kind": lambda: index_of(b"\0\1\0\1x\x0f\0\xff\0\0\0\0\0\0\0"),
    "arrays_of_too_many_axes": lambda: index_of(b"\0\1\0\1x\0\0\xff\x21" + bytes(40)),
    "arrays_group_that_is_not_there": lambda: index_of(b"\0\1\0\1x\0\x11\xff\0\1\0\0\0\0\0\0"),
    "arrays_group_of_none": lambda: index_of(b"\0\1\0\1x\0\0\xff\0\1\0\0\0\0\0\0\0\0\0\0\0"),
    "arrays_group_of_two_kinds": lambda: changed(1, kind=9),
    "arrays_group_of_other_shapes": lambda: changed(1, shape=(7,)),
    "arrays_tensor_too_large": lambda: changed(3, shape=(2**32,)),
    "arrays_without_elements_too_large": lambda: changed(3, shape=(0, 2**32)),
    "arrays_too_large_together": lambda: changed(3, shape=(2**25 + 1,)),
    "arrays_another_shape": lambda: changed(0, shape=(10, 21)),
    "arrays_another_checksum": lambda: changed(0, check=5),
    "arrays_stream_too_short": lambda: payload_changed("arrays_trellis_default", lambda data: data[:30]),
    "arrays_stream_with_a_flipped_bit": lambda: payload_changed(
        "arrays_trellis_default", lambda data: flipped(data, 60)
    ),
    "arrays_trellis_step_of_zero": lambda: payload_changed(
        "arrays_trellis_default", lambda data: data[:3] + bytes(4) + data[7:]
    ),
    "arrays_trellis_of_one_bit": lambda: payload_changed("arrays_trellis_default", lambda data: b"\1" + data[1:]),
    "arrays_scale_beyond_its_range": lambda: payload_changed(
        "arrays_trellis_scales", lambda data: data[:9] + b"\x7f" + data[10:]
    ),
    "arrays_coding_beyond_all": lambda: index_of(b"\0\1\0\1x\0\x0b\xff\0\0\0\0\0\0\0"),
    "arrays_rank_of_zero": lambda: changed_index(
        lambda parts: parts.__setitem__(0, replace(parts[0], rank=0)), with_structure(rank=2)
    ),
    "arrays_rank_beyond_the_sides": lambda: changed_index(
        lambda parts: parts.__setitem__(0, replace(parts[0], rank=19)), with_structure(rank=2)
    ),
    "arrays_rank_that_is_another": lambda: changed_index(
        lambda parts: parts.__setitem__(0, replace(parts[0], rank=3)), with_structure(rank=2)
    ),
    "arrays_group_of_low_rank": lambda: changed_index(
        lambda parts: parts.__setitem__(-1, replace(parts[-1], coding=Coding.LOW_RANK))
    ),
    "arrays_correction_too_short": lambda: payload_changed(
        "arrays_low_rank", lambda data: data[:7] + b"\x05" + data[8:]
    ),
    "arrays_correction_by_no_step": lambda: payload_changed(
        "arrays_low_rank", lambda data: data[:11] + bytes(4) + data[15:]
    ),
    "arrays_correction_with_scales": lambda: payload_changed(
        "arrays_low_rank", lambda data: data[:9] + bytes([data[9] | 128]) + data[10:]
    ),
    "arrays_gaps_that_leave_nothing": lambda: payload_changed(
        "arrays_gaps_in_rows", lambda data: data[:9] + b"\xff\xff\x0f" + data[12:]
    ),
    "arrays_gaps_of_no_divisor": lambda: payload_changed("arrays_gaps", lambda data: data[:7] + b"\4" + data[8:]),
    "arrays_gaps_with_more_bits": lambda: payload_changed(
        "arrays_gaps_in_rows", lambda data: data[:11] + bytes([data[11] | 128]) + data[12:]
    ),
    "arrays_bounded_by_no_step": lambda: payload_changed(
        "arrays_max_error_absolute", lambda data: bytes(8) + data[8:]
    ),
    "arrays_difference_with_raw_bits_too_many": lambda: payload_changed(
        "arrays_difference_lossless", lambda data: data + b"\0"
    ),
    "arrays_difference_without_a_base": lambda: changed_index(
        lambda _: None, weights.shrink(tuned(), lossless=True, base=model()), base=b""
    ),
    "arrays_base_that_nobody_needs": lambda: changed_index(lambda _: None, base=bytes(16)),
    "arrays_base_is_missing": lambda: weights.shrink(tuned(), lossless=True, base=model()),
    "arrays_base_is_another": lambda: weights.shrink(tuned(), lossless=True, base=tuned(0.1)),
    "series_flip_in_the_header": lambda: flipped(series(2, 10), 9),
    "series_flip_in_a_head": lambda: flipped(series(2, 10), len(series_start(10)) + 3),
    "series_flip_in_a_body": lambda: flipped(series(2, 10), len(series(1, 10)) - 3),
    "series_with_a_head_out_of_place": head_out_of_place,
    "series_with_something_behind_it": lambda: series(1, 10, tail=b"\x20" * (HEAD + 3)),
    "series_of_no_arrays": lambda: series_start(3) + head_of(0, b"no arrays") + b"no arrays",
    "series_that_begins_with_a_difference": lambda: (
        series_start(10) + head_of(0, second_body()) + second_body()
    ),
    "series_cut_in_the_header": lambda: series_start(10)[:9],
}  # fmt: skip


def second_body() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.lac"
        path.write_bytes(series(2, 10))
        one = weights.Series(path)._checkpoints[1]  # pyright: ignore[reportPrivateUsage]
        return path.read_bytes()[one.offset : one.end]


BASES = {
    "arrays_difference_lossless": "arrays_base",
    "arrays_difference_far": "arrays_base",
    "arrays_difference_at_a_rate": "arrays_base",
    "arrays_difference_within_a_bound": "arrays_base",
    "arrays_difference_of_all_kinds": "arrays_base_of_all_kinds",
    "arrays_difference_with_raw_bits_too_many": "arrays_base",
    "arrays_difference_without_a_base": "arrays_base",
    "arrays_base_is_another": "arrays_base",
    "arrays_low_rank_difference": "arrays_base_of_a_matrix",
    "arrays_gaps_in_columns_of_a_difference": "arrays_base_of_a_matrix",
}
"""The golden file that another one needs."""


def decode(name: str, data: bytes, base: bytes | None = None) -> list[Arrays]:
    """All checkpoints of a series, or the one set of arrays of another file."""
    if not name.startswith("series_"):
        return [weights.expand(data, base=base)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.lac"
        path.write_bytes(data)
        found = weights.Series(path)
        return [found.expand(number) for number in range(len(found))]


def decode_by_reference(data: bytes, base: bytes | None = None) -> dict[str, list[int]]:
    """The words of a file of arrays, by the second decoder."""
    return array_reference.decode(data, None if base is None else array_reference.decode(base))


def digest(checkpoints: list[Arrays]) -> str:
    """SHA-256 of names, kinds, shapes and words."""
    found = hashlib.sha256()
    for arrays in checkpoints:
        for tensor in arrays.tensors:
            found.update(f"{tensor.name}\0{tensor.kind.name}\0{tensor.shape}\0".encode())
            found.update(tensor.words.astype(tensor.kind.word).tobytes())
    return found.hexdigest()
