from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Coding: TypeAlias = tuple[ParameterSet, int, int]

class ParameterSet:
    planes: int
    def __init__(
        self,
        weights: NDArray[np.uint8],
        bias: NDArray[np.uint16],
        group_limit: NDArray[np.uint16],
        freq: NDArray[np.uint16],
        shift: NDArray[np.uint8],
        group_freq: NDArray[np.uint16],
        sign_freq: NDArray[np.uint16],
        recon: NDArray[np.int8],
        ll_pred: NDArray[np.int16],
        part_freq: NDArray[np.uint16] | None = None,
        mix_weights: NDArray[np.int16] | None = None,
        mask: NDArray[np.uint16] | None = None,
        detail_weight: NDArray[np.uint8] | None = None,
        detail_sign_freq: NDArray[np.uint16] | None = None,
        context_weight: NDArray[np.int16] | None = None,
    ) -> None: ...

class ContextNetwork:
    def __init__(
        self,
        weight: NDArray[np.int16],
        bias: NDArray[np.int32],
        shift: int,
        middle: NDArray[np.int16],
        middle_bias: NDArray[np.int32],
        middle_shift: int,
        output: NDArray[np.int16],
        output_bias: NDArray[np.int32],
        output_shift: int,
        signs: tuple[Any, ...] | None = None,
    ) -> None: ...

class Network:
    def __init__(
        self, channels: int, expanded: int, dense: list[tuple[Any, ...]], spread: list[tuple[Any, Any, int]]
    ) -> None: ...

def instruction_sets() -> list[str]: ...
def instruction_set() -> str: ...
def use_instruction_set(name: str) -> None: ...
def push(ops: NDArray[np.uint32]) -> bytes: ...
def pop(stream: bytes, cumulative: NDArray[np.uint16], which: NDArray[np.uint32]) -> NDArray[np.uint16]: ...
def sum_filter(parts: NDArray[np.int32], from_row: int, to_row: int, sums: NDArray[np.int64]) -> None: ...
def png_unfilter(filtered: NDArray[np.uint8], above: NDArray[np.uint8], rows: NDArray[np.uint8], step: int) -> int: ...
def png_filter(rows: NDArray[np.uint8], above: NDArray[np.uint8], filtered: NDArray[np.uint8], step: int) -> None: ...
def analyze_color(
    pixels: NDArray[Any], planes: NDArray[Any], lossless: bool, from_row: int, to_row: int, colors: int
) -> None: ...
def synthesize_color(
    pixels: NDArray[Any], planes: NDArray[Any], lossless: bool, from_row: int, to_row: int, colors: int
) -> None: ...
def lift(
    plane: NDArray[Any], columns: bool, extent: int, from_line: int, to_line: int, wavelet: int, inverse: bool
) -> None: ...
def enhance_tile(
    planes: NDArray[Any],
    pixels: NDArray[Any],
    network: Network,
    step: int,
    tile: tuple[int, int, int, int],
    shift: int,
    taps: NDArray[np.int16],
) -> None: ...
def precompensate_tile(
    planes: NDArray[Any],
    targets: NDArray[Any],
    network: Network,
    step: int,
    tile: tuple[int, int, int, int],
    share: int,
) -> int: ...
def encode_tile(
    planes: NDArray[Any],
    codings: list[Coding],
    steps: NDArray[np.uint32],
    lambdas: NDArray[np.uint32],
    tile: tuple[int, int, int, int],
    cuts: int,
    predicts_chroma: bool,
    rounding: int,
    details: list[tuple[int, Network]],
    detail_step: int,
    contexts: list[tuple[int, ContextNetwork]],
    symbols: NDArray[np.int32] | None = None,
    targets: NDArray[Any] | None = None,
    told: NDArray[np.int8] | None = None,
    decoded: NDArray[Any] | None = None,
    drafts: bool = False,
) -> list[NDArray[np.uint32]]: ...
def decode_tile(
    planes: NDArray[Any],
    codings: list[Coding],
    steps: NDArray[np.uint32],
    tile: tuple[int, int, int, int],
    cuts: int,
    predicts_chroma: bool,
    details: list[tuple[int, Network]],
    detail_step: int,
    contexts: list[tuple[int, ContextNetwork]],
    streams: list[bytes | None],
) -> tuple[int, int]: ...
def encode_predicted(pixels: NDArray[Any], tile: tuple[int, int, int, int]) -> NDArray[np.uint32]: ...
def decode_predicted(pixels: NDArray[Any], tile: tuple[int, int, int, int], stream: bytes) -> int: ...

Layout: TypeAlias = tuple[int, int, int, int, int, bool]

def search_trellis(
    x: NDArray[np.float32], layout: Layout, lagrangian: float, sample: int, rounds: int, whole: bool
) -> tuple[NDArray[np.int32], list[int], float, float]: ...
def search_feedback(
    x: NDArray[np.float32],
    along: NDArray[np.float32],
    across: NDArray[np.float32],
    row_weight: NDArray[np.float32],
    column_weight: NDArray[np.float32],
    layout: Layout,
    lagrangian: float,
    rounds: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32], list[int], float, float]: ...
def tokens_of(levels: NDArray[np.int32], trellis_bits: int, shared_zero: bool) -> int: ...
def push_levels(levels: NDArray[np.int32], layout: Layout) -> bytes: ...
def pop_levels(stream: bytes, count: int, layout: Layout, offsets: list[int]) -> NDArray[np.int32]: ...
def push_differences(
    words: NDArray[Any], base: NDArray[Any], columns: int, mantissa: int
) -> tuple[int, int, bytes, bytes]: ...
def pop_differences(
    stream: NDArray[np.uint8],
    raw: NDArray[np.uint8],
    base: NDArray[Any],
    columns: int,
    mantissa: int,
    first: int,
    tokens: int,
    out: NDArray[Any],
) -> None: ...
def push_plane(plane: NDArray[np.uint8], low: int, high: int) -> bytes: ...
def pop_plane(stream: NDArray[np.uint8], low: int, high: int, out: NDArray[np.uint8]) -> None: ...
def split_words(words: NDArray[Any], planes: NDArray[np.uint8], rotate: bool) -> None: ...
def join_words(planes: NDArray[np.uint8], words: NDArray[Any], rotate: bool) -> None: ...
def pop_fields(
    data: NDArray[np.uint8],
    spans: NDArray[np.uint64],
    lowest: NDArray[np.int8],
    widths: NDArray[np.uint8],
    records: NDArray[np.int8],
) -> int: ...

class RecordCoder:
    def __init__(
        self,
        channels: int,
        rows: int,
        columns: int,
        low: NDArray[np.uint8],
        first_tap: NDArray[np.uint16],
        taps: NDArray[np.int32],
        base: NDArray[np.uint16],
        bound: NDArray[np.uint8],
        tables: int,
    ) -> None: ...
    def count(self, records: NDArray[np.int8], counts: NDArray[np.uint64]) -> None: ...
    def load(self, frequencies: NDArray[np.uint16], bits: int, escapes: bool) -> None: ...
    def push(self, record: NDArray[np.int8]) -> bytes: ...
    def pop(self, data: NDArray[np.uint8], spans: NDArray[np.uint64], records: NDArray[np.int8]) -> int: ...
