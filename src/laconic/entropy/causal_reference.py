"""The context model a second time, written to be read: the symbols of one tile, `spec/entropy.md` sentence by sentence.

Plain Python and numpy, no native code, no cleverness; `entropy/causal.py` calls the fast one in `native/causal.h`. It
takes the streams through any object that can name the slot of the next operation and take it, so it knows nothing of
rANS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from laconic.entropy.learning_reference import Learning, Table
from laconic.entropy.mixing_reference import DECISIONS, Mixing, SignMixing
from laconic.errors import CorruptStream
from laconic.quantize.chroma_reference import Shares
from laconic.quantize.dependent import NEXT_STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from laconic.entropy.context_reference import Opinions
    from laconic.entropy.tables import ParameterSet

    Foretell = Callable[
        [int, Sequence[NDArray[np.int64]], Sequence[NDArray[np.int64]]],
        list[tuple[NDArray[np.int64], NDArray[np.int64]]] | None,
    ]

__all__ = ["AbstractReader", "TileReader", "bucket", "companded", "predicted"]

LEVELS, BANDS = 6, 19
OWN, PARENT, SIBLING, COLOR = 0, 12, 21, 39  # where the taps of each source begin
GROUP = 16
ESCAPE = 15
LOWEST_LIMIT = (1 << 20) - 1


class AbstractReader(Protocol):
    """One stream, see `coder.rans_reference.RansReader`."""

    def slot(self) -> int:
        """Return the slot, 0 .. 16383, of the next operation."""
        ...

    def take(self, start: int, freq: int) -> None:
        """Take the next operation, whose interval is [start, start + freq)."""
        ...

    def take_raw(self, bits: int) -> int:
        """Take the next operation as a raw number of 1 .. 8 bits."""
        ...


def companded(magnitude: int) -> int:
    """Return the number, 0 .. 127, that stands for a magnitude in contexts."""
    # "c(m) = m below 16; above, with e = floor(log2 m), 16 + 8 (e - 4) + the three bits below the leading one, ..."
    if magnitude < 16:
        return magnitude
    e = magnitude.bit_length() - 1
    # "... at most 127."
    return min(16 + 8 * (e - 4) + (magnitude >> (e - 3)) % 8, 127)


def bucket(activity: int) -> int:
    """Return the bucket, 0 .. 47, of an activity of 16 .. 65535."""
    # "With e = floor(log2 a): 4 (e - 4) + the two bits below the leading one."
    e = activity.bit_length() - 1
    return 4 * (e - 4) + (activity >> (e - 2)) % 4


def clamp_lowest(value: int) -> int:
    """Limit a symbol or a prediction of the lowest band."""
    # "Symbols and predictions of the lowest band are clamped to -(2^20 - 1) .. 2^20 - 1."
    return max(-LOWEST_LIMIT, min(LOWEST_LIMIT, value))


def predicted(symbols: NDArray[Any], y: int, x: int, weights: Sequence[int]) -> int:
    """Return the prediction of a symbol of the lowest band from its neighbors W, N, NW and NE in the same tile."""
    # "The first symbol of a tile is predicted as 0."
    if y == 0 and x == 0:
        return 0
    if y == 0:
        # "In the first row all four are W."
        west = north = northwest = northeast = int(symbols[y, x - 1])
    else:
        # "Elsewhere a neighbor outside the tile is replaced by N."
        north = int(symbols[y - 1, x])
        west = int(symbols[y, x - 1]) if x > 0 else north
        northwest = int(symbols[y - 1, x - 1]) if x > 0 else north
        northeast = int(symbols[y - 1, x + 1]) if x + 1 < symbols.shape[1] else north
    # "floor((w0 W + w1 N + w2 NW + w3 NE + 128) / 256)"
    total = sum(int(weight) * q for weight, q in zip(weights, (west, north, northwest, northeast), strict=True))
    return clamp_lowest((total + 128) >> 8)


def shifted(context: NDArray[Any], dy: int, dx: int, shape: tuple[int, int]) -> NDArray[Any]:
    """Return an array of `shape` whose [y, x] is context[y + dy, x + dx], 0 outside."""
    height, width = shape
    border = 2
    rows, columns = max(context.shape[0], height) + 2 * border, max(context.shape[1], width) + 2 * border
    padded = np.zeros((rows, columns), np.int64)
    padded[border : border + context.shape[0], border : border + context.shape[1]] = context
    return padded[border + dy : border + dy + height, border + dx : border + dx + width]


def sum_3x3(context: NDArray[Any], weights: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Return for each position the weighted sum of the 3 x 3 around it, row by row from the northwest."""
    total = np.zeros(shape, np.int64)
    for tap in range(9):
        total += int(weights[tap]) * shifted(context, tap // 3 - 1, tap % 3 - 1, shape)
    return total


@dataclass(frozen=True, eq=False)
class PlaneModel:
    """What one plane is coded with.

    Parameters
    ----------
    parameters : ParameterSet
    index : int
        Which plane of the set this is.
    earlier : int
        How many of the planes before it serve as context: 0, 1 or 2.
    """

    parameters: ParameterSet
    index: int
    earlier: int


class TileReader:
    """The symbols of one tile, filled group by group.

    Parameters
    ----------
    planes : sequence of PlaneModel
    shapes : sequence of (rows, columns)
        Of the tile's part of each of the 19 bands.
    predicts_chroma : bool
        See `spec/chroma.md`.
    opinions : Opinions, optional
        What networks make of the context, for sets that listen to them (`spec/contexts.md`).
    foretell : callable, optional
        Level, and symbols and offsets of luma as far as they are read -> what is foretold of HL, LH and HH of luma:
        magnitudes and sides, see `spec/details.md`; None for a level that is not foretold.

    Attributes
    ----------
    symbols : list of list of ndarray int64
        ``symbols[plane][band]``, zero until they are read.
    offsets : list of list of ndarray int64
        How far each magnitude is drawn toward zero, in 1/64 step.
    shares : list of list of Shares
    """

    def __init__(
        self,
        planes: Sequence[PlaneModel],
        shapes: Sequence[tuple[int, int]],
        *,
        predicts_chroma: bool = False,
        foretell: Foretell | None = None,
        opinions: Opinions | None = None,
    ) -> None:
        self.planes = planes
        self.opinions = opinions
        self.predicts_chroma = predicts_chroma
        self.foretell = foretell
        self.foretold: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.shares = [[Shares() for _ in shapes] for _ in planes]
        self.symbols = [[np.zeros(shape, np.int64) for shape in shapes] for _ in planes]
        self.offsets = [[np.zeros(shape, np.int64) for shape in shapes] for _ in planes]
        # What contexts see, "0 where nothing was read": companded magnitudes, and signs 0 none, 1 plus, 2 minus.
        self.contexts = [[np.zeros(shape, np.int64) for shape in shapes] for _ in planes]
        self.signs = [[np.zeros(shape, np.int64) for shape in shapes] for _ in planes]
        self.sign_mixing: SignMixing | None = None  # of the band that is read

    def pop_group(self, reader: AbstractReader, levels: Iterable[int], *, lowest: bool) -> None:
        """Read the symbols of one resolution group.

        Raises
        ------
        CorruptStream
            The reader's, or an escape that no encoder writes.
        """
        # "Group 0 begins with the lowest band of every plane in order."
        if lowest:
            for plane in range(len(self.planes)):
                self.pop_band(reader, plane, 0)
        # "Then, level by level from coarse to fine, plane by plane: HL, LH, HH."
        for level in levels:
            found = self.foretell(level, self.symbols[0], self.offsets[0]) if self.foretell else None
            self.foretold = {1 + 3 * (LEVELS - level) + o: of for o, of in enumerate(found or ())}
            for plane in range(len(self.planes)):
                for orientation in range(3):
                    band = 1 + 3 * (LEVELS - level) + orientation
                    if self.symbols[plane][band].size:
                        if self.predicts_chroma and plane in (1, 2):
                            self.shares[plane][band] = self.pop_shares(reader, plane, band)
                        self.pop_band(reader, plane, band)

    def pop_shares(self, reader: AbstractReader, plane: int, band: int) -> Shares:
        """Read how much of its prediction a band of chroma uses."""
        # "... of luma if the tile's part of the band of luma holds any nonzero symbol; ..."
        luma = reader.take_raw(2) if self.symbols[0][band].any() else 0
        # "... then, for Cr, of the rest of Cb if that of Cb holds any. A share that is not sent is 0."
        return Shares(luma, reader.take_raw(2) if plane == 2 and self.symbols[1][band].any() else 0)

    def finished_taps(self, plane: int, band: int) -> list[NDArray[Any]]:
        """Return for every position of the band the sums of the taps on the parent, the siblings, the planes before."""
        model = self.planes[plane]
        weights = model.parameters.weights[model.index, band]
        own = self.contexts[plane]
        shape = own[band].shape
        parent, siblings, colors = (np.zeros(shape, np.int64) for _ in range(3))
        # "The parent is the band of the same orientation one level up; the taps at (y, x) see it at
        # floor(y / 2), floor(x / 2)." Levels 6 and LL have none.
        if band >= 4:
            repeated = own[band - 3].repeat(2, axis=0).repeat(2, axis=1)
            parent += sum_3x3(repeated, weights[PARENT : PARENT + 9], shape)
        # "Luma has no planes before it; in their place counts detail_weight times the magnitude that is foretold."
        if plane == 0 and band in self.foretold:
            assert model.parameters.detail_weight is not None
            colors += int(model.parameters.detail_weight[model.index, band]) * self.foretold[band][0]
        # "Siblings are the orientations of the same level read before: HL for LH, HL and LH for HH."
        orientation = (band - 1) % 3 if band else 0
        for s in range(orientation):
            taps = weights[SIBLING + 9 * s : SIBLING + 9 * s + 9]
            siblings += sum_3x3(own[band - orientation + s], taps, shape)
        # "The second and third color plane see the same band of the planes before them."
        for c in range(model.earlier):
            colors += sum_3x3(self.contexts[c][band], weights[COLOR + 9 * c : COLOR + 9 * c + 9], shape)
        return [parent, siblings, colors]

    def pop_band(self, reader: AbstractReader, plane: int, band: int) -> None:
        """Read the tile's part of one band, row by row."""
        height, width = self.symbols[plane][band].shape
        model = self.planes[plane]
        weights = model.parameters.weights[model.index, band].astype(int)
        context = self.contexts[plane][band]
        finished = self.finished_taps(plane, band)
        # "Every band of every tile begins with the frequencies of the model."
        tables = Learning(model.parameters, model.index, band)
        mixing = Mixing(model.parameters, model.index, band, tables) if model.parameters.mixes else None
        listens = plane == 0 and self.opinions is not None and model.parameters.listens
        self.sign_mixing = None
        if listens and self.opinions is not None and self.opinions.tells_signs(band):
            self.sign_mixing = SignMixing(self.opinions.sign_mix(band), tables)
        for y in range(height):
            # "Of the band itself: the row two above and the row above, from two columns left to two right ..."
            own = np.zeros(width, np.int64)
            for tap in range(10):
                dy, dx = tap // 5 - 2, tap % 5 - 2
                own += weights[OWN + tap] * shifted(context, dy, dx, (height, width))[y]
            parts = np.stack([own, *(source[y] for source in finished)])
            # "Each row is cut in groups of 16 from the tile's left edge; the last may be shorter."
            # "Every row begins in state 0."
            state = 0
            for left in range(0, width, GROUP):
                state = self.pop_group_of_16(reader, plane, band, y, left, parts, tables, mixing, state)

    def pop_group_of_16(
        self,
        reader: AbstractReader,
        plane: int,
        band: int,
        y: int,
        left: int,
        parts: NDArray[Any],
        tables: Learning,
        mixing: Mixing | None,
        state: int,
    ) -> int:
        """Read up to 16 symbols of a row; returns the state of the trellis after them."""
        model = self.planes[plane]
        parameters, index = model.parameters, model.index
        base = int(parameters.bias[index, band]) + parts.sum(0)
        trellis = parameters.trellis and band > 0
        context = self.contexts[plane][band]
        right = min(left + GROUP, context.shape[1])
        pending = zeros = False
        # "A group has a flag if the two symbols before it are zero ..."
        quiet = not any(context[y, max(left - 2, 0) : left])
        # "... and the mean of base over the group, floor(sum / 16) whatever its length, is at most the group limit."
        mean = int(base[left:right].sum()) // GROUP
        if quiet and mean <= parameters.group_limit[index, band]:
            # "The flag is the first letter for all zero, the second for not, ..."
            # "... in the table of the bucket of max(mean, 16) ..."
            zeros = self.pop_letter(reader, tables, ("group", bucket(max(mean, 16)))) == 0
            # "In a group that is not all zero, the tables of kind 1 serve up to and including its first nonzero."
            pending = not zeros
        for x in range(left, right):
            magnitude = kind = scale = 0
            negative = False
            if not zeros:
                # "... and in its own row the two symbols to the left: two left, then one left."
                west = 0
                for tap in (10, 11):
                    if x >= 12 - tap:
                        west += int(parameters.weights[index, band, tap]) * int(context[y, x - 12 + tap])
                # "In a set with a trellis, kinds 2 and 3 take the place of 0 and 1 in odd states."
                kind, scale = int(pending) + 2 * (state & 1), bucket(int(base[x]) + west)
                if mixing is not None:
                    # "The activity of a part is 16 and the sum of its taps alone; the own row is part of the own band."
                    others = [bucket(16 + int(part[x]) + (west if i == 0 else 0)) for i, part in enumerate(parts)]
                    odds = self.odds(plane, band, y, x, kind // 2)
                    token = self.pop_mixed(reader, tables, mixing, kind, [scale, *others], odds)
                else:
                    # "The first letter of its first table stands for token 0, the second for another, ..."
                    token = self.pop_letter(reader, tables, ("zero", kind, scale))
                    if token:
                        # "... which is then read in the second table, whose 15 letters are tokens 1 to 15."
                        token += self.pop_letter(reader, tables, ("rest", kind, scale))
                magnitude = self.pop_magnitude(reader, token, int(parameters.shift[index, band, scale]))
            if magnitude:
                # "The sign of a nonzero: minus is the first letter, plus the second, in the table of the sign context."
                side = int(self.foretold[band][1][y, x]) if plane == 0 and band in self.foretold else 0
                around = self.signs_around(plane, band, y, x)
                negative = self.pop_sign(reader, tables, side, around, self.sign_odds(band, y, x))
                context[y, x] = companded(magnitude)
                self.signs[plane][band][y, x] = 2 if negative else 1
                self.offsets[plane][band][y, x] = parameters.recon[index, band, kind, scale, min(magnitude, 3) - 1]
                pending = False
            value = -magnitude if negative else magnitude
            if band == 0:
                # "In the lowest band all of this codes residuals: the symbol is the prediction plus the residual."
                value = clamp_lowest(predicted(self.symbols[plane][0], y, x, parameters.ll_pred[index]) + value)
            self.symbols[plane][band][y, x] = value
            # "After a symbol the state follows the table below; after a group that is all zero it is 0."
            state = NEXT_STATE[state][magnitude & 1] if trellis and not zeros else 0
        return state

    def odds(self, plane: int, band: int, y: int, x: int, quantizer: int) -> list[int] | None:
        """Return what a network makes of a place; None where none is heard."""
        # "In a set that listens, a band with a network ..."
        listens = self.planes[plane].parameters.listens
        if self.opinions is None or not listens or not self.opinions.speaks(plane, band):
            return None
        # "Of chroma, 39 to 47 are the 3 x 3 around in the same band of luma, and 48 to 56, of Cr, in that of Cb"
        first = band - (band - 1) % 3
        told = [self.foretold[beside][0] if beside in self.foretold else None for beside in range(first, first + 3)]
        if plane > 0:
            told = [self.contexts[before][band] if before < plane else None for before in range(3)]
        inputs = self.opinions.inputs(self.contexts[plane], told, band, y, x)
        return self.opinions.odds(plane, band, inputs, quantizer)

    def sign_odds(self, band: int, y: int, x: int) -> int | None:
        """Return what a network makes of the sign at a place of luma; None where none is heard."""
        if self.opinions is None or self.sign_mixing is None:
            return None
        first = band - (band - 1) % 3
        told = [self.foretold.get(beside) for beside in range(first, first + 3)]
        return self.opinions.sign_odds(band, self.opinions.sign_inputs(self.symbols[0], told, band, y, x))

    def pop_sign(
        self, reader: AbstractReader, tables: Learning, side: int, around: Sequence[int], odds: int | None
    ) -> bool:
        """Read a sign, given the side that is foretold, -7 .. 7, W, N and X, and a network's odds of minus.

        Returns whether it is minus.
        """
        # "Where the side is negative, plus and minus change places, in W, N and X and in the sign itself."
        if side < 0:
            around = [3 - sign if sign else 0 for sign in around]
        # "9 W + 3 N + X, each 0 for zero, 1 for plus, 2 for minus."
        context = 9 * around[0] + 3 * around[1] + around[2]
        # "Where the side is not 0, the tables are those of detail_sign_freq for its magnitude."
        table: Table = ("side", abs(side) - 1, context) if side else ("sign", context)
        if odds is None or self.sign_mixing is None:
            return (self.pop_letter(reader, tables, table) == 0) != (side < 0)
        # "Where plus and minus have changed places, so has the sign of the odds."
        odds = -odds if side < 0 else odds
        _, probability = self.sign_mixing.mixed(table, odds)
        first = max(1, probability >> 2)
        letter = int(reader.slot() >= first)
        reader.take(first if letter else 0, (1 << 14) - first if letter else first)
        self.sign_mixing.learn(table, odds, letter)
        return (letter == 0) != (side < 0)

    def signs_around(self, plane: int, band: int, y: int, x: int) -> tuple[int, int, int]:
        """Return W, N and X of the context of a sign."""

        def sign(signs: NDArray[Any], row: int, column: int) -> int:
            return int(signs[row, column]) if row >= 0 and column >= 0 else 0

        own = self.signs[plane][band]
        # "X is the sign at the same place in the plane before, for a plane that sees others; else the sign northwest."
        earlier = self.planes[plane].earlier
        third = sign(self.signs[earlier - 1][band], y, x) if earlier else sign(own, y - 1, x - 1)
        return sign(own, y, x - 1), sign(own, y - 1, x), third

    @staticmethod
    def pop_letter(reader: AbstractReader, tables: Learning, table: Table) -> int:
        """Read a letter in a table as it stands."""
        # "Letter t has the interval from its own start to that of the next letter."
        starts = tables.starts(table)
        slot, letter = reader.slot(), 0
        while starts[letter + 1] <= slot:
            letter += 1
        reader.take(starts[letter], starts[letter + 1] - starts[letter])
        tables.learn(table, letter)
        return letter

    @staticmethod
    def pop_mixed(
        reader: AbstractReader,
        tables: Learning,
        mixing: Mixing,
        kind: int,
        buckets: Sequence[int],
        odds: Sequence[int] | None,
    ) -> int:
        """Read a token by decisions whose probabilities are mixed."""
        # "Up to three decisions: whether the token is 0; if not, whether it is 1; if not, whether it is 2."
        for decision in range(DECISIONS):
            _, probability = mixing.mixed(kind, buckets, decision, odds)
            # "The first letter, for yes, has the interval up to max(1, floor(probability / 4)), the second the rest."
            yes = max(1, probability >> 2)
            letter = int(reader.slot() >= yes)
            reader.take(yes if letter else 0, (1 << 14) - yes if letter else yes)
            mixing.learn(kind, buckets, decision, letter, odds)
            if letter == 0:
                return decision
        # "A token that is none of these is read in the second table of the whole activity."
        return 1 + TileReader.pop_letter(reader, tables, ("high", kind, buckets[0]))

    @staticmethod
    def pop_magnitude(reader: AbstractReader, token: int, shift: int) -> int:
        """Read what follows a token: escape, low bits."""
        high = token
        # "Token 15 is the escape: 5 raw bits n, at most 20, then the n bits below the leading one of high + 1, ..."
        if token == ESCAPE:
            n = reader.take_raw(5)
            if n > 20:
                raise CorruptStream("escape", None, "at most 20 bits", n)
            high = 1
            while n:
                # "... eight at a time as long as there are more, the highest first."
                part = min(n, 8)
                high = (high << part) + reader.take_raw(part)
                n -= part
            high -= 1
        # "A magnitude of 2^24 or more is damage."
        if (high << shift) >> 24:
            raise CorruptStream("escape", None, "a magnitude below 2^24", high << shift)
        # "Then the low bits, raw: the magnitude is high * 2^shift + low."
        return (high << shift) + (reader.take_raw(shift) if shift else 0)
