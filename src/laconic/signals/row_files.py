"""Which picture files pass by in rows, and the way into each format.

Whatever cannot (interlaced PNG, palettes, turned pictures, JPEG, ...) is loaded or written whole by `image`, within its
limits.
"""

# ruff: noqa: A002 - `format` is the name users of Pillow and numpy expect.
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from laconic.errors import UsageError
from laconic.signals import exif, limits, locations, profiles
from laconic.signals.damage import naming_damage
from laconic.signals.image import recognize
from laconic.signals.rows import AbstractRowReader, AbstractRowWriter, RowSource, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from laconic.signals.formats import ImageFormat
    from laconic.signals.locations import Source
    from laconic.signals.rows import Each

__all__ = ["ROW_FORMATS", "STREAMED_PIXELS", "open_rows", "row_writer"]

ROW_FORMATS = frozenset({"pnm", "npy", "png", "tiff"})
"""By name, see `formats`."""

STREAMED_PIXELS = 1 << 25
"""Pictures above 32 megapixels pass by in rows where they can; a whole one of this size takes some 500 MB."""


class _Named(AbstractRowReader):
    """A reader whose errors name the file."""

    def __init__(self, reader: AbstractRowReader, name: str, kind: str) -> None:
        self._reader, self._name, self._kind = reader, name, kind

    def read(self, count: int) -> NDArray[Any]:
        with naming_damage(self._name, self._kind):
            return self._reader.read(count)

    def close(self) -> None:
        self._reader.close()


def open_rows(source: Source, *, format: str | None = None, above: int | None = None) -> RowSource | None:
    """Look at a file that may be too large to be held.

    Parameters
    ----------
    source : path, URL, binary file or bytes
    format : str, optional
        The format it must have, see `image.load`.
    above : int, optional
        Pixels from which it matters; None is `STREAMED_PIXELS`.

    Returns
    -------
    RowSource, or None
        None where the picture is not larger than that, or cannot pass by in rows; also where the source can be read
        only once, or would be fetched for nothing: a URL, a pipe, an open file.

    Raises
    ------
    UnsupportedInput, LimitExceeded, OSError
        As for `image.load`.
    """
    if isinstance(source, locations.PATH_TYPES):
        if locations.is_url(source) or not Path(source).is_file():
            return None
    elif not isinstance(source, bytes):
        return None
    reopen = locations.reopener(source)
    name = locations.name_of(source)
    with reopen() as stream:
        head = stream.read(16)
    kind = recognize(name, head, format)
    with naming_damage(name, kind.name):
        found = _look(kind, reopen)
        if found is None or found.pixels <= (STREAMED_PIXELS if above is None else above):
            return None
        limits.check_size(found.width, found.height)
        if (exif.orientation(found.exif) or exif.xmp_orientation(found.xmp) or 1) != 1:
            return None  # rows of the file are no rows of the upright picture, or run the other way
    reader, icc, notes = found.reader, found.icc, found.notes
    if icc is not None and not profiles.describes(icc, found.channels):
        icc, notes = None, (*notes, profiles.MISFIT)
    return replace(
        found,
        reader=lambda: _Named(reader(), name, kind.name),
        icc=icc,
        exif=exif.upright_exif(found.exif),
        xmp=exif.upright_xmp(found.xmp),
        notes=notes,
    )


def _look(kind: ImageFormat, reopen: Callable[[], BinaryIO]) -> RowSource | None:
    if kind.name == "pnm":
        from laconic.signals import netpbm_rows

        return netpbm_rows.look(reopen)
    if kind.name == "npy":
        from laconic.signals import npy

        return npy.look(reopen)
    if kind.name == "png":
        from laconic.signals import png_rows

        return png_rows.look(reopen)
    if kind.name == "tiff":
        from laconic.signals import tiff_rows

        return tiff_rows.look(reopen)
    return None


def row_writer(
    kind: ImageFormat,
    stream: BinaryIO,
    shape: tuple[int, int, int],
    dtype: Any,
    *,
    suffix: str = "",
    metadata: dict[str, bytes | None] | None = None,
    each: Each = one_by_one,
) -> AbstractRowWriter:
    """Begin a picture file.

    Parameters
    ----------
    stream : binary file
        For TIFF it must be seekable; the others are written from front to back.
    shape : (height, width, channels)
    dtype : numpy type
        uint8 or uint16.
    suffix : str
        Ending of the file's name, see `netpbm.spell_header`.
    metadata : dict, optional
        icc, exif and xmp as far as the format can carry them.
    each : callable, optional
        Where work may be shared among threads.

    Raises
    ------
    UsageError
        The format cannot hold such a picture, or is only written whole.
    """
    given = metadata or {}
    kept: dict[str, Any] = {name: given.get(name) if name in kind.metadata else None for name in ("icc", "exif", "xmp")}
    kept["exif"] = exif.bare(kept["exif"])
    if kind.name == "pnm":
        from laconic.signals import netpbm_rows

        return netpbm_rows.PnmWriter(stream, shape, dtype, suffix)
    if kind.name == "npy":
        from laconic.signals import npy

        return npy.NpyWriter(stream, shape, dtype)
    if kind.name == "png":
        from laconic.signals.png_writer import PngWriter

        return PngWriter(stream, shape, dtype, each=each, **kept)
    if kind.name == "tiff":
        from laconic.signals.tiff import TiffWriter

        return TiffWriter(stream, shape, dtype, each=each, **kept)
    raise UsageError(f"{kind.name.upper()} is not written by rows")
