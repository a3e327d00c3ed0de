"""Records of latents <-> few bytes, for the store `small`: static tables for a whole data set, decoded at memory speed.

Each symbol's table is chosen by the magnitudes around it: neighbors of its band coded before, the same place one level
coarser, in other orientations and in luma. The work is done in `native/grid_records.h`; here stands which neighbors
those are, and how many tables there are. Both are part of the version of the store (`shard.VERSION`), never of a file.

The tables are small and the same for all shards, so that they stay in a core's cache in whatever order samples are
read. They are fitted to some records; a symbol that they do not hold is written as it is, behind an escape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.errors import CorruptStream
from laconic.learn.grid import LOW, Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["RecordCoder", "normalize", "table_count", "taps_of"]

BITS = 10
"""Of a probability. With 12, as in version 1, tables take four times the cache, and records are 1 % smaller."""
FIRST_BITS = 12
SYMBOLS = 256
ESCAPE = 0x80
MOST_WEIGHT = 24
REACH = 2  # cells
# The largest sum of each bucket but the last; sums are of magnitudes up to 10, with weights of 24 at most.
BOUNDS = (0, 1, 2, 3, 5, 7, 10, 14, 19, 26, 36, 50, 75)
# Nearest places of the own band first: (rows, columns, weight) in coefficients of the band.
BESIDE = (
    (0, -1, 3), (0, 1, 3), (-1, 0, 3), (1, 0, 3),
    (-1, -1, 2), (-1, 1, 2), (1, -1, 2), (1, 1, 2),
    (0, -2, 1), (0, 2, 1), (-2, 0, 1), (2, 0, 1), (-2, -2, 1), (-2, 2, 1), (2, -2, 1), (2, 2, 1),
)  # fmt: skip


def taps_of(layout: Sequence[Channel], number: int, stride: int) -> list[tuple[int, int, int, int]]:
    """List (channel, row, column, weight) of the places that tell how large a symbol of a channel may be."""
    channel = layout[number]
    index = {other: place for place, other in enumerate(layout)}
    found: list[tuple[int, int, int, int]] = []

    def add(other: Channel, row: int, column: int, weight: int) -> None:
        place = index.get(other)
        if place is None or max(abs(row), abs(column)) > REACH:
            return
        before = place < number or (place == number and row < 0)
        if before and sum(tap[3] for tap in found) + weight <= MOST_WEIGHT:
            found.append((place, row, column, weight))

    phases = 1 if channel.orientation == LOW else stride >> channel.level
    for rows, columns, weight in BESIDE:
        row, y = divmod(channel.row + rows, phases)
        column, x = divmod(channel.column + columns, phases)
        add(channel._replace(row=y, column=x), row, column, weight)
    for plane in range(channel.plane):
        add(channel._replace(plane=plane), 0, 0, 2)
    if channel.orientation == LOW:
        return found
    for orientation in range(3):
        if orientation != channel.orientation:
            add(channel._replace(orientation=orientation), 0, 0, 2)
    if phases > 1:
        parent = channel._replace(level=channel.level + 1, row=channel.row // 2, column=channel.column // 2)
        add(parent, 0, 0, 3)
    else:
        low = Channel(channel.plane, channel.level, LOW, 0, 0)
        for row, column in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
            add(low, row, column, 1)
    return found


class RecordCoder:
    """The coder of records (C, h, w) of one grid.

    Parameters
    ----------
    layout : sequence of Channel
    shape : (h, w)
    stride : int
    frequencies : ndarray (T, 256) uint16, optional
        Of symbols as bytes; each row sums to 1024. None: they are still to be counted.
    first : bool
        As in version 1 of the store: rows sum to 4096, and there is no escape.

    Raises
    ------
    CorruptStream
        Frequencies that cannot be.
    """

    def __init__(
        self,
        layout: Sequence[Channel],
        shape: tuple[int, int],
        stride: int,
        frequencies: NDArray[np.uint16] | None = None,
        *,
        first: bool = False,
    ) -> None:
        taps = [taps_of(layout, number, stride) for number in range(len(layout))]
        families = {key: place for place, key in enumerate(dict.fromkeys(map(_family, layout)))}
        self.tables = table_count(layout)
        self._core: Any = _native.RecordCoder(
            len(layout),
            *shape,
            np.array([channel.orientation == LOW for channel in layout], np.uint8),
            np.cumsum([0, *map(len, taps)]).astype(np.uint16),
            np.array([tap for group in taps for tap in group], np.int32).reshape(-1, 4),
            np.array([families[_family(channel)] * (len(BOUNDS) + 1) for channel in layout], np.uint16),
            np.array(BOUNDS, np.uint8),
            self.tables,
        )
        if frequencies is not None:
            self._load(frequencies, first=first)

    def _load(self, frequencies: NDArray[np.uint16], *, first: bool) -> None:
        bits = FIRST_BITS if first else BITS
        try:
            self._core.load(np.ascontiguousarray(frequencies, np.uint16), bits, not first)
        except (ValueError, TypeError) as error:
            wanted = f"{self.tables} rows that sum to {1 << bits}"
            raise CorruptStream("frequencies", None, wanted, str(error)) from error

    def fit(self, records: Sequence[NDArray[np.int8]]) -> NDArray[np.uint16]:
        """Count the symbols of records (C, h, w), use their frequencies from now on and return them (T, 256)."""
        counts = np.zeros((self.tables, SYMBOLS), np.uint64)
        for record in records:
            self._core.count(record[None], counts)
        frequencies = np.stack([normalize(row) for row in counts])
        self._load(frequencies, first=False)
        return frequencies

    def push(self, record: NDArray[np.int8]) -> bytes:
        """Encode one record (C, h, w)."""
        return self._core.push(np.ascontiguousarray(record))

    def pop(self, data: NDArray[np.uint8], spans: NDArray[np.uint64], records: NDArray[np.int8]) -> None:
        """Decode records that lie at spans (n, 2) of (offset, size) in `data` into (n, c, h, w), c at most C.

        Raises
        ------
        CorruptStream
            Some stream does not hold its record; `offset` is its number.
        """
        try:
            bad = self._core.pop(data, spans, records)
        except ValueError as error:
            raise CorruptStream("spans of records", None, "spans within the shard", str(error)) from error
        if bad >= 0:
            raise CorruptStream("record", int(bad), "a record of this grid", "another stream")


def table_count(layout: Sequence[Channel]) -> int:
    """Return how many tables the channels have."""
    return len(set(map(_family, layout))) * (len(BOUNDS) + 1)


def _family(channel: Channel) -> tuple[bool, int, bool]:
    """Channels whose symbols are distributed alike, given the magnitudes around them."""
    return channel.plane > 0, channel.level, channel.orientation == LOW


def normalize(counts: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Return frequencies that sum to 1024; integers alone decide.

    One part is the escape's; the others go to symbols by the method of largest remainders, and symbols of less than
    half a part are left to the escape.

    Parameters
    ----------
    counts : ndarray (256,) uint64
    """
    room, total = (1 << BITS) - 1, int(counts.sum())
    shares = [int(count) * room for count in counts]
    if not total:  # nothing is known: any table will do
        shares[0], total = room, 1
    rare = [symbol for symbol, share in enumerate(shares) if 2 * share < total or symbol == ESCAPE]
    left = sum(shares[symbol] for symbol in rare)
    for symbol in rare:
        shares[symbol] = 0
    shares[ESCAPE] = left
    parts = [share // total for share in shares]
    by_remainder = sorted(range(SYMBOLS), key=lambda symbol: (-(shares[symbol] % total), symbol))
    for symbol in by_remainder[: room - sum(parts)]:
        parts[symbol] += 1
    parts[ESCAPE] += 1
    if parts[ESCAPE] > room:  # a table needs two symbols
        parts[0], parts[ESCAPE] = 1, room
    return np.array(parts, np.uint16)
