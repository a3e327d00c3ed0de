"""Pictures too large to be held: their rows, read and written as they go.

A `RowSource` is what is known of such a file before its first sample: size, kind of samples, metadata. It can be opened
again and again, each time at the first row. Which formats can do this, and which variants of them, is decided by the
files of the formats; `row_files` is the door.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Self, TypeVar

import numpy as np

from laconic.errors import UnsupportedInput

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["AbstractRowReader", "AbstractRowWriter", "Each", "RawRows", "RowSource", "one_by_one"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Each(Protocol):
    """Applies a function to every item, in threads or not: such as `transform.workers.Workers.each`."""

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> list[Result]:
        """Return the results in the order of the items."""
        ...


def one_by_one(work: Callable[[Item], Result], items: Sequence[Item], /) -> list[Result]:
    """The plain way."""
    return [work(item) for item in items]


class AbstractRowReader(ABC):
    """An open file at some row."""

    @abstractmethod
    def read(self, count: int) -> NDArray[Any]:
        """Return the next `count` rows, which the picture must still have.

        Returns
        -------
        ndarray (count, W, C) uint8 or uint16, C-contiguous

        Raises
        ------
        UnsupportedInput
            Damaged or truncated.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AbstractRowWriter(ABC):
    """A picture file that is being written, from the first row to the last."""

    @abstractmethod
    def write(self, rows: NDArray[Any]) -> None:
        """Append rows (h, W, C) of the type that was announced."""

    @abstractmethod
    def finish(self) -> None:
        """Write what comes after the last row."""


@dataclass(frozen=True, eq=False)
class RowSource:
    """A picture file that can be read by rows, any number of times.

    Parameters
    ----------
    height, width, channels : int
    dtype : type
        np.uint8 or np.uint16.
    reader : callable
        Opens the file at its first row.
    icc, exif, xmp : bytes or None
        As in `image.Image`: upright, EXIF beginning with its TIFF header.
    notes : tuple of str
        What of the file is not here as it was there.
    """

    height: int
    width: int
    channels: int
    dtype: Any
    reader: Callable[[], AbstractRowReader]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    def keeping(self, kept: frozenset[str]) -> RowSource:
        """The same rows with only the named metadata (of icc, exif, xmp)."""
        dropped: dict[str, Any] = {name: None for name in ("icc", "exif", "xmp") if name not in kept}
        return replace(self, **dropped)


class RawRows(AbstractRowReader):
    """Rows of samples that stand in a file as they are.

    Parameters
    ----------
    stream : binary file
        At the first row.
    shape : (width, channels)
    stored : numpy dtype
        Of a sample in the file.
    """

    def __init__(self, stream: BinaryIO, shape: tuple[int, int], stored: Any) -> None:
        self._stream, self._shape, self._stored = stream, shape, np.dtype(stored)

    def read(self, count: int) -> NDArray[Any]:
        """See `AbstractRowReader.read`."""
        size = count * self._shape[0] * self._shape[1] * self._stored.itemsize
        data = self._stream.read(size)
        if len(data) < size:
            raise UnsupportedInput(f"truncated: {len(data)} of the next {size} bytes of samples are there")
        rows = np.frombuffer(data, self._stored).reshape(count, *self._shape)
        return rows.astype(self._stored.newbyteorder("="), copy=False)

    def close(self) -> None:
        """See `AbstractRowReader.close`."""
        self._stream.close()
