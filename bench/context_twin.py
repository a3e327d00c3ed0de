"""The context model once more, in numpy, for symbols that are all known: which table codes each symbol.

`native/causal.h` goes symbol by symbol; here every rule is an operation on whole bands, and tables learn all at once,
use by use; only mixing goes decision by decision, for its weights learn from each. It serves the benches that need the
distribution of each symbol (entropy_speed.py, estimate.py), and it is a third opinion on the format: `check` demands
the very operations that the native coder makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from laconic.container.layout import BANDS, TileGrid, band_place, groups, low_size
from laconic.entropy.context_network import ContextNetwork
from laconic.entropy.mixing_reference import ODDS, STRETCHED
from laconic.entropy.network_arrays import MOST_INPUT
from laconic.entropy.sign_network import most_sign_inputs
from laconic.entropy.tables import ParameterSet
from laconic.quantize.dependent import quantizers

TOTAL, BUCKETS, TOKENS, ESCAPE, GROUP = 16384, 48, 16, 15, 16
OWN = [(dy, dx) for dy in (-2, -1) for dx in range(-2, 3)] + [(0, -2), (0, -1)]
WIDE = 5
SQUARE = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
# Rows of a band's tables: tokens but 0 by kind and bucket, then whether a token is 0 likewise, group flags, and signs.
ZEROS, FLAGS, SIGNS, MIXED = 4 * BUCKETS, 8 * BUCKETS, 9 * BUCKETS, 9 * BUCKETS + 8 * 27
ROWS = MIXED + 6  # mixed decisions by kind and number
RAW = 4 * BANDS * ROWS
"""Tables of n raw bits are numbered RAW + n."""
WHOLE = 1 << 24
SILENT = 1 << 20
"""In place of odds where no network speaks."""
RATES = np.array([5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7])


Odds = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], NDArray[np.int32]]


@dataclass(frozen=True)
class Operations:
    """What one stream codes, in order.

    Attributes
    ----------
    table : (n,) int64
        Number of the table: (plane * 19 + band) * ROWS + row, or RAW + n for n raw bits.
    letter : (n,) int64
        Token less 1, whether a token is not 0 (or not that of a mixed decision), flag (0: all zero), sign (0: negative)
        or the raw bits.
    start, freq : (n,) int64
        The letter's interval of 0 .. 16384.
    cumulative : (n, 17) uint16
        All intervals of the table as it stands there: where each letter begins, the last ones at 16384. Raw bits have
        none.
    """

    table: NDArray[np.int64]
    letter: NDArray[np.int64]
    start: NDArray[np.int64]
    freq: NDArray[np.int64]
    cumulative: NDArray[np.uint16]

    @property
    def bits(self) -> float:
        """The information of all letters under their tables."""
        return float(-np.log2(self.freq / TOTAL).sum())

    def packed(self) -> NDArray[np.uint32]:
        """As the native coder packs them."""
        return (self.start | self.freq << 16).astype(np.uint32)


def operations(
    symbols: NDArray[np.int32],
    grid: TileGrid,
    tile: int,
    cuts: int,
    codings: Sequence[tuple[ParameterSet, int, int]],
    told: NDArray[np.int8] | None = None,
    contexts: Mapping[tuple[int, int], ContextNetwork] | None = None,
    code: int = 0,
) -> list[Operations]:
    """The operations of one tile, one entry per resolution group.

    Parameters
    ----------
    symbols : (P, H, W) int32
        Quantized coefficients where the lifting leaves them.
    codings
        Of each plane: parameter set, index of the plane in it, number of earlier planes that serve as context.
    told : (2, H, W) int8, optional
        What is foretold of luma, magnitudes and sides, as `entropy.causal.tables` leaves it.
    contexts, code
        The networks that see contexts, by plane and level, for sets that listen, and the picture's step code.
    """
    planes, height, width = symbols.shape
    if told is None:
        told = np.zeros((2, height, width), np.int8)
    foretold = [[_cut(plane, grid, tile, j, height, width) for plane in told] for j in range(BANDS)]
    nothing = [[np.zeros_like(part) for part in both] for both in foretold]
    bands = [[_cut(symbols[p], grid, tile, j, height, width) for j in range(BANDS)] for p in range(planes)]
    for p, (parameters, index, _) in enumerate(codings):
        bands[p][0] = bands[p][0] - _predicted(bands[p][0], parameters.ll_pred[index].astype(np.int64))
    companded = [[_companded(np.abs(band)) for band in plane] for plane in bands]

    def odds_of(p: int, j: int) -> Odds | None:
        """What tells the odds of places of a band, by quantizer."""
        level, orientation = band_place(j)
        if j == 0 or not codings[p][0].listens or not contexts or (p, level) not in contexts:
            return None
        beside = [foretold[j - orientation + o][0] for o in range(3)]
        if p:
            beside = [companded[c][j] if c < p else np.zeros_like(companded[0][j]) for c in range(3)]
        inputs = _inputs(companded[p], beside, j)
        return lambda ys, xs, quantizer: contexts[p, level].odds(inputs[ys, xs], code, orientation, quantizer)

    mixes: dict[int, list[int]] = {}  # of the bands whose signs a network tells: what it and the tables count at first

    def sign_odds_of(p: int, j: int) -> NDArray[np.int64] | None:
        """The odds of minus at every place of a band."""
        level, orientation = band_place(j)
        if p or j == 0 or not codings[0][0].listens or not contexts or (0, level) not in contexts:
            return None
        network = contexts[0, level]
        if network.signs is None:
            return None
        mixes[j] = [16 * int(w) for w in network.signs.mix[orientation]]
        beside = [np.where(side < 0, -m, m) for m, side in foretold[j - orientation : j - orientation + 3]]
        inputs = _sign_inputs(bands[0], beside, j)
        odds = network.signs.odds(inputs.reshape(-1, inputs.shape[-1]), code, orientation)
        return odds.reshape(inputs.shape[:2]).astype(np.int64)

    rows: list[NDArray[np.int64]] = []
    for number, levels in enumerate(groups(cuts)):
        order = [(p, 0) for p in range(planes)] if number == 0 else []
        order += [(p, 1 + 3 * (6 - level) + o) for level in levels for p in range(planes) for o in range(3)]
        parts = [
            _band(
                bands, companded, p, j, codings[p], nothing[j] if p else foretold[j], odds_of(p, j), sign_odds_of(p, j)
            )
            for p, j in order
            if bands[p][j].size
        ]
        busy = any(bands[p][j].any() for p, j in order)
        rows.append(np.concatenate(parts, axis=1) if busy else np.zeros((4, 0), np.int64))
    # A band lies in one stream, so what its tables learn can be worked out for all streams together.
    ends = np.cumsum([row.shape[1] for row in rows])
    table, letter, cells, odds = np.concatenate(rows, axis=1)
    cumulative = _learned(table, letter, codings)
    _mix(cumulative, table, letter, cells, odds, codings)
    _mix_signs(cumulative, table, letter, odds, codings, mixes)
    place = np.arange(len(table))
    raw = table >= RAW
    letters = np.where(raw, 0, letter)
    start = cumulative[place, letters].astype(np.int64)
    freq = cumulative[place, letters + 1] - start
    bits = table[raw] - RAW
    start[raw], freq[raw] = letter[raw] << (14 - bits), np.int64(1) << (14 - bits)
    return [
        Operations(table[a:b], letter[a:b], start[a:b], freq[a:b], cumulative[a:b])
        for a, b in zip([0, *ends[:-1]], ends, strict=True)
    ]


def _first_bounds(tables: NDArray[np.int64], codings: Sequence[tuple[ParameterSet, int, int]]) -> NDArray[np.int64]:
    """(n, 17) bounds in 2^-24 that tables begin with; those of two letters stay at the end from the third on."""
    bounds = np.full((len(tables), TOKENS + 1), WHOLE, np.int64)
    bounds[:, 0] = 0
    for k, number in enumerate(tables):
        place, row = divmod(int(number), ROWS)
        plane, band = divmod(place, BANDS)
        parameters, index, _ = codings[plane]
        freq = parameters.freq[index, band].reshape(-1, TOKENS).astype(np.int64)
        if row < ZEROS and parameters.mixes:
            bounds[k, 1:TOKENS] = (np.cumsum(freq[row, 1:] * (np.arange(1, TOKENS) > 2)) << 24) // freq[row, 3:].sum()
        elif row < ZEROS:
            bounds[k, 1:TOKENS] = (np.cumsum(freq[row, 1:]) << 24) // (TOTAL - freq[row, 0])
        elif row < FLAGS:
            bounds[k, 1] = freq[row - ZEROS, 0] << 10
        elif row < SIGNS:
            bounds[k, 1] = int(parameters.group_freq[index, band, row - FLAGS]) << 10
        elif row < SIGNS + 27:
            bounds[k, 1] = int(parameters.sign_freq[index, band, row - SIGNS]) << 10
        else:
            bounds[k, 1] = int(parameters.detail_sign_freq[index, band].ravel()[row - SIGNS - 27]) << 10
    return bounds


def _learned(
    table: NDArray[np.int64],
    letter: NDArray[np.int64],
    codings: Sequence[tuple[ParameterSet, int, int]],
) -> NDArray[np.uint16]:
    """(n, 17) where the letters of each operation's table begin at the time."""
    count = len(table)
    result = np.full((count, TOKENS + 1), TOTAL, np.uint16)
    coded = np.flatnonzero((table < RAW) & (table % ROWS < MIXED))
    order = coded[np.argsort(table[coded], kind="stable")]
    if not len(order):
        return result
    names, first, number = np.unique(table[order], return_index=True, return_inverse=True)
    use = np.arange(len(order)) - first[number]
    state = _first_bounds(names, codings)
    seen = np.empty((len(order), TOKENS + 1), np.int32)
    by_use = np.argsort(use, kind="stable")
    ends = np.cumsum(np.bincount(use))
    for nth, (a, b) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        now = by_use[a:b]
        which = number[now]
        seen[now] = state[which]
        target = np.where(np.arange(TOKENS + 1) > letter[order[now], None], WHOLE, 0)
        state[which] += (target - state[which]) >> RATES[min(nth, 255) >> 4]
    letters = np.where(names[number] % ROWS < ZEROS, TOKENS - 1, 2)[:, None]
    starts = ((seen.astype(np.int64) >> 8) * (TOTAL - letters) >> 16) + np.arange(TOKENS + 1)
    starts = np.where(np.arange(TOKENS + 1) >= letters, TOTAL, starts)
    starts[:, 0] = 0
    result[order] = starts
    return result


def _mix(
    cumulative: NDArray[np.uint16],
    table: NDArray[np.int64],
    letter: NDArray[np.int64],
    cells: NDArray[np.int64],
    odds: NDArray[np.int64],
    codings: Sequence[tuple[ParameterSet, int, int]],
) -> None:
    """Fill in where the second letter of each mixed decision begins."""
    found = np.flatnonzero((table < RAW) & (table % ROWS >= MIXED))
    tables: dict[tuple[int, ...], list[int]] = {}  # bound and times learned
    weights: dict[int, list[int]] = {}
    for at in found.tolist():
        name, cell = int(table[at]), int(cells[at])
        place, row = divmod(name, ROWS)
        plane, band = divmod(place, BANDS)
        kind, decision = divmod(row - MIXED, 3)
        names = [(place, i, cell >> 8 * i & 255, decision) for i in range(5)]
        parameters, index, _ = codings[plane]
        if name not in weights:
            weights[name] = [16 * int(w) for w in parameters.mix_weights[index, band, kind, decision]]
            if odds[at] != SILENT:
                weights[name].append(16 * int(parameters.context_weight[index, band, kind, decision]))
        for i, of in enumerate(names):
            if of in tables:
                continue
            if i == 0:
                freq = parameters.freq[index, band].reshape(-1, TOKENS)[of[2]].astype(int)
                first = min(max((int(freq[decision]) << 24) // int(freq[decision:].sum()), 1 << 12), WHOLE - (1 << 12))
            else:
                first = int(parameters.part_freq[index, band, i - 1, of[2], decision]) << 10
            tables[of] = [first, 0]
        stretched = [STRETCHED[tables[of][0] >> 12] for of in names]
        if odds[at] != SILENT:
            stretched.append(int(odds[at]))
        own = weights[name]
        x = (sum(w * s for w, s in zip(own, stretched, strict=True)) + (1 << 15)) >> 16
        k, r = divmod(min(max(x, -2047), 2047), 32)
        chance = (ODDS[k + 64] * (32 - r) + ODDS[k + 65] * r) >> 5
        cumulative[at, 1] = max(1, chance >> 2)
        cumulative[at, 0] = 0
        no = int(letter[at])
        error = (0 if no else 65536) - chance
        weights[name] = [
            min(max(w + ((s * error + 16384) >> 15), -131072), 131072) for w, s in zip(own, stretched, strict=True)
        ]
        for of in names:
            bound, seen = tables[of]
            tables[of] = [bound + (((0 if no else WHOLE) - bound) >> int(RATES[seen >> 4])), min(seen + 1, 255)]


def _mix_signs(
    cumulative: NDArray[np.uint16],
    table: NDArray[np.int64],
    letter: NDArray[np.int64],
    odds: NDArray[np.int64],
    codings: Sequence[tuple[ParameterSet, int, int]],
    mixes: dict[int, list[int]],
) -> None:
    """Fill in where the second letter of each sign begins that a network tells."""
    found = np.flatnonzero((table < RAW) & (table % ROWS >= SIGNS) & (table % ROWS < MIXED) & (odds != SILENT))
    bounds: dict[int, list[int]] = {}  # and times learned
    weights = {j: list(mix) for j, mix in mixes.items()}
    for at in found.tolist():
        name, heard = int(table[at]), int(odds[at])
        if name not in bounds:
            bounds[name] = [int(_first_bounds(np.array([name]), codings)[0, 1]), 0]
        bound, seen = bounds[name]
        own = weights[name // ROWS]
        stretched = [STRETCHED[bound >> 12], heard]
        x = (sum(w * s for w, s in zip(own, stretched, strict=True)) + (1 << 15)) >> 16
        k, r = divmod(min(max(x, -2047), 2047), 32)
        chance = (ODDS[k + 64] * (32 - r) + ODDS[k + 65] * r) >> 5
        cumulative[at, :2] = 0, max(1, chance >> 2)
        no = int(letter[at])
        error = (0 if no else 65536) - chance
        weights[name // ROWS] = [
            min(max(w + ((s * error + 16384) >> 15), -131072), 131072) for w, s in zip(own, stretched, strict=True)
        ]
        bounds[name] = [bound + (((0 if no else WHOLE) - bound) >> int(RATES[seen >> 4])), min(seen + 1, 255)]


def _cut(plane: NDArray[np.int32], grid: TileGrid, tile: int, band: int, height: int, width: int) -> NDArray[np.int64]:
    level, orientation = band_place(band)
    top = low_size(height, level) if orientation in (1, 2) else 0
    left = low_size(width, level) if orientation in (0, 2) else 0
    window = grid.window(tile, band)
    return plane[top + window.top : top + window.bottom, left + window.left : left + window.right].astype(np.int64)


def _companded(m: NDArray[np.int64]) -> NDArray[np.int64]:
    e = _log2(np.maximum(m, 1))
    return np.minimum(np.where(m < 16, m, 16 + (e - 4) * 8 + ((m >> np.maximum(e - 3, 0)) & 7)), 127)


def _log2(n: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.frexp(n.astype(np.float64))[1].astype(np.int64) - 1


def _bucket(activity: NDArray[np.int64]) -> NDArray[np.int64]:
    e = _log2(activity)
    return (e - 4) * 4 + ((activity >> (e - 2)) & 3)


def _predicted(q: NDArray[np.int64], weight: NDArray[np.int64]) -> NDArray[np.int64]:
    wide = np.pad(q, ((1, 0), (1, 1)))
    west, north, northwest, northeast = wide[1:, :-2], wide[:-1, 1:-1], wide[:-1, :-2], wide[:-1, 2:]
    west, northwest, northeast = west.copy(), northwest.copy(), northeast.copy()
    west[:, 0], northwest[:, 0], northeast[:, -1] = north[:, 0], north[:, 0], north[:, -1]
    north = north.copy()
    north[0] = northwest[0] = northeast[0] = west[0]
    around = np.stack([west, north, northwest, northeast])
    prediction = (np.tensordot(weight, around, 1) + 128) >> 8
    if prediction.size:
        prediction[0, 0] = 0
    return prediction


def _moved(a: NDArray[np.int64], dy: int, dx: int, shape: tuple[int, int]) -> NDArray[np.int64]:
    """The value at (y + dy, x + dx) for every (y, x) of a shape; zero outside of `a`."""
    wide = np.pad(a, 2)[: shape[0] + 4, : shape[1] + 4]
    wide = np.pad(wide, ((0, shape[0] + 4 - wide.shape[0]), (0, shape[1] + 4 - wide.shape[1])))
    return wide[2 + dy : 2 + dy + shape[0], 2 + dx : 2 + dx + shape[1]]


def _signs(q: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(q > 0, 1, np.where(q < 0, 2, 0))


def _inputs(companded: list[NDArray[np.int64]], told: list[NDArray[np.int64]], j: int) -> NDArray[np.int64]:
    """(h, w, 77) inputs of a network that sees the context."""
    shape, orientation = companded[j].shape, (j - 1) % 3
    nothing = np.zeros(shape, np.int64)
    above = companded[j - 3 - orientation : j - orientation] if j > 3 else [nothing] * 3
    parents = [np.repeat(np.repeat(parent, 2, 0), 2, 1) for parent in above]
    siblings = [companded[j - orientation + s] if s < orientation else nothing for s in range(2)]
    planes = [_moved(companded[j], dy, dx, shape) for dy, dx in OWN]
    planes += [
        _moved(square, dy, dx, shape) for square in (parents[orientation], *siblings, *told) for dy, dx in SQUARE
    ]
    planes += [_far(of, shape, 1, 1, 1) for o, of in enumerate(parents) if o != orientation]
    planes.append(_far(companded[j], shape, 2, -1, WIDE))
    planes += [_far(of, shape, WIDE, WIDE, WIDE) for of in (*told, *parents, *siblings)]
    return np.minimum(np.stack(planes, -1), MOST_INPUT)


def _sign_inputs(symbols: list[NDArray[np.int64]], told: list[NDArray[np.int64]], j: int) -> NDArray[np.int64]:
    """(h, w, 64) inputs of a network that tells signs."""
    shape, orientation = symbols[j].shape, (j - 1) % 3
    nothing = np.zeros(shape, np.int64)
    parent = np.repeat(np.repeat(symbols[j - 3], 2, 0), 2, 1) if j > 3 else nothing
    siblings = [symbols[j - orientation + s] if s < orientation else nothing for s in range(2)]
    own = [(-2, dx) for dx in (-1, 0, 1)] + [(-1, dx) for dx in range(-2, 3)] + [(0, -2), (0, -1)]
    planes = [_moved(symbols[j], dy, dx, shape) for dy, dx in own]
    planes += [_moved(square, dy, dx, shape) for square in (parent, *siblings, *told) for dy, dx in SQUARE]
    most = most_sign_inputs()
    return np.clip(np.stack(planes, -1), -most, most)


def _far(a: NDArray[np.int64], shape: tuple[int, int], above: int, below: int, aside: int) -> NDArray[np.int64]:
    """The logarithm of twice the sum over rows y - above .. y + below, columns x - aside .. x + aside of a shape."""
    inside = np.zeros(shape, np.int64)
    part = np.minimum(a[: shape[0], : shape[1]], MOST_INPUT)
    inside[: part.shape[0], : part.shape[1]] = part
    wide = np.pad(inside, ((above, max(below, 0)), (aside, aside)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (above + below + 1, 2 * aside + 1))
    return _bucket(16 + 2 * windows.sum((-2, -1))[: shape[0]])


def _band(
    bands: list[list[NDArray[np.int64]]],
    companded: list[list[NDArray[np.int64]]],
    p: int,
    j: int,
    coding: tuple[ParameterSet, int, int],
    foretold: list[NDArray[np.int64]],
    odds: Odds | None,
    sign_odds: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """(4, n) table, letter, cells of mixing and odds of a network of everything one band codes."""
    parameters, index, color_sources = coding
    q, shape = bands[p][j], bands[p][j].shape
    m, base_table = np.abs(q), (p * BANDS + j) * ROWS
    orientation = 0 if j == 0 else (j - 1) % 3
    squares: list[NDArray[np.int64] | None] = [None] * 5
    if j >= 4:
        squares[0] = np.repeat(np.repeat(companded[p][j - 3], 2, 0), 2, 1)
    for s in range(orientation):
        squares[1 + s] = companded[p][j - orientation + s]
    for c in range(color_sources):
        squares[3 + c] = companded[c][j]
    weight = parameters.weights[index, j].astype(np.int64)
    sums = np.zeros((4, *shape), np.int64)  # own band, parent, siblings, planes before
    row = np.zeros(shape, np.int64)
    for k, (dy, dx) in enumerate(OWN):
        if weight[k]:
            (sums[0] if dy else row)[...] += weight[k] * _moved(companded[p][j], dy, dx, shape)
    for k, square in enumerate(squares):
        for i, (dy, dx) in enumerate(SQUARE):
            if square is not None and weight[12 + 9 * k + i]:
                sums[(1, 2, 2, 3, 3)[k]] += weight[12 + 9 * k + i] * _moved(square, dy, dx, shape)
    if parameters.detail_weight is not None:
        sums[3] += int(parameters.detail_weight[index, j]) * foretold[0]
    base = int(parameters.bias[index, j]) + sums.sum(0)

    # Groups of 16: which carry a flag, which are empty, and what comes before their first nonzero.
    h, w = shape
    count = -(-w // GROUP)
    fill = ((0, 0), (0, count * GROUP - w))
    cells = np.pad(m, fill).reshape(h, count, GROUP)
    mean = np.pad(base, fill).reshape(h, count, GROUP).sum(2) // GROUP
    before = (
        np.pad(m, ((0, 0), (2, 0)))[:, np.arange(count) * GROUP]
        + np.pad(m, ((0, 0), (1, 0)))[:, np.arange(count) * GROUP]
    )
    flagged = (before == 0) & (mean <= int(parameters.group_limit[index, j]))
    empty = ~cells.any(2)
    pending = np.cumsum(cells != 0, 2) - (cells != 0) == 0
    kind = (flagged[..., None] & pending).reshape(h, -1)[:, :w].astype(np.int64)
    covered = np.repeat(flagged & empty, GROUP, 1)[:, :w]

    if parameters.trellis and j > 0:
        kind += 2 * quantizers(m, covered).astype(np.int64)

    out = _Emitter(shape)
    bucket = _bucket(np.maximum(mean, 16))[flagged]
    starts = np.zeros(shape, bool)
    starts[:, ::GROUP] = flagged
    out.emit(starts, 0, base_table + FLAGS + bucket, (~empty[flagged]).astype(np.int64))

    table = kind * BUCKETS + _bucket(base + row)
    shift = parameters.shift[index, j].astype(np.int64)[table % BUCKETS]
    token = np.minimum(m >> shift, ESCAPE)
    coded = ~covered
    if parameters.mixes:
        cells = table.copy()
        for i, part in enumerate(sums):
            cells |= (_bucket(16 + part + (0 if i else row)) + kind // 2 * BUCKETS) << 8 * (i + 1)
        for decision in range(3):
            asked = coded & (token >= decision)
            name = base_table + MIXED + 3 * (kind % 2)[asked] + decision
            heard = None if odds is None else odds(*np.nonzero(asked), kind[asked] // 2)[:, decision].astype(np.int64)
            out.emit(asked, 1 + decision, name, (token[asked] > decision).astype(np.int64), cells[asked], heard)
        other = coded & (token > 2)
    else:
        out.emit(coded, 1, base_table + ZEROS + table[coded], (token[coded] > 0).astype(np.int64))
        other = coded & (token > 0)
    out.emit(other, 4, base_table + table[other], token[other] - 1)

    escaped = coded & (token == ESCAPE)
    rest = (m >> shift) + 1
    length = _log2(rest)
    out.raw(escaped, 5, length[escaped], np.full(int(escaped.sum()), 5))
    for step in range(3):
        left = length - 8 * step
        some = escaped & (left > 0)
        bits = np.minimum(left, 8)[some]
        out.raw(some, 6 + step, (rest[some] >> (left[some] - bits)) & ((1 << bits) - 1), bits)
    low = coded & (shift > 0)
    out.raw(low, 9, (m & ((1 << shift) - 1))[low], shift[low])

    third = _signs(bands[p - 1][j]) if color_sources else _moved(_signs(q), -1, -1, shape)
    flips = foretold[1] < 0
    around = [_moved(_signs(q), 0, -1, shape), _moved(_signs(q), -1, 0, shape), third]
    west, north, third = (np.where(flips & (sign > 0), 3 - sign, sign) for sign in around)
    context = 27 * np.abs(foretold[1]) + 9 * west + 3 * north + third
    nonzero = coded & (m > 0)
    heard = None if sign_odds is None else np.where(flips, -sign_odds, sign_odds)[nonzero]
    letters = ((q > 0) != flips)[nonzero].astype(np.int64)
    out.emit(nonzero, 10, base_table + SIGNS + context[nonzero], letters, None, heard)

    return out.in_order()


class _Emitter:
    """Collects the operations of one band in any order; a position and a slot 0..10 in it say where each belongs."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.position = np.arange(shape[0] * shape[1], dtype=np.int64).reshape(shape)
        self.parts: list[NDArray[np.int64]] = []

    def emit(
        self,
        where: NDArray[np.bool_],
        slot: int,
        table: NDArray[np.int64],
        letter: NDArray[np.int64],
        cells: NDArray[np.int64] | None = None,
        odds: NDArray[np.int64] | None = None,
    ) -> None:
        """Add one operation for every true position of `where`."""
        cells = np.zeros_like(letter) if cells is None else cells
        odds = np.full_like(letter, SILENT) if odds is None else odds
        self.parts.append(np.stack([self.position[where] * 11 + slot, table, letter, cells, odds]))

    def raw(self, where: NDArray[np.bool_], slot: int, value: NDArray[np.int64], bits: NDArray[np.int64]) -> None:
        """Add raw bits for every true position of `where`."""
        self.emit(where, slot, RAW + bits, value)

    def in_order(self) -> NDArray[np.int64]:
        """(4, n) table, letter, cells of mixing and odds."""
        everything = np.concatenate(self.parts, axis=1)
        return everything[1:, np.argsort(everything[0], kind="stable")]


def check(found: Sequence[Operations], native: Sequence[NDArray[np.uint32]]) -> None:
    """Demand that the native coder makes the very same operations.

    Raises
    ------
    SystemExit
        At the first group that differs.
    """
    for group, (own, theirs) in enumerate(zip(found, native, strict=True)):
        packed = own.packed()
        if not np.array_equal(packed, theirs):
            n = min(len(packed), len(theirs))
            first = int(np.argmax(packed[:n] != theirs[:n])) if (packed[:n] != theirs[:n]).any() else n
            raise SystemExit(f"group {group}: {len(packed)} and {len(theirs)} operations, first difference at {first}")
