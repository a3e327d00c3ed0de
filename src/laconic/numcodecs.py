"""numcodecs: laconic as a codec of chunks, for Zarr version 2, Kerchunk, HDF5 by reference and others.

numcodecs finds both by entry point, under the names ``laconic_array`` and ``laconic_image``; nothing has to be
imported. Needs numcodecs: ``pip install "laconic[zarr]"``.

>>> import numcodecs
>>> codec = numcodecs.get_codec({"id": "laconic_array", "max_error": 0.01})
>>> numbers = codec.decode(codec.encode(numbers))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from numcodecs import compat as untyped

from laconic.codecs.array import Bound
from laconic.codecs.array_chunk import decode_numbers, decode_picture, encode_numbers, encode_picture
from laconic.codecs.image import DEFAULT_EFFORT, ImageCodec
from laconic.errors import UnsupportedInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codec = object
else:
    from numcodecs.abc import Codec

__all__ = ["LaconicArray", "LaconicImage"]

compat: Any = untyped


class LaconicArray(Codec):
    """Arrays of numbers, dates or truth values, without loss or with a bound on every element.

    Parameters
    ----------
    max_error : float, optional
        No element is off by more, in units of the values. None keeps every bit.

    Raises
    ------
    UsageError
        A bound that is no number above 0.
    """

    codec_id: ClassVar[str] = "laconic_array"

    def __init__(self, max_error: float | None = None) -> None:
        self.max_error = None if max_error is None else Bound(float(max_error)).value

    def encode(self, buf: Any) -> bytes:
        """Encode an array of any shape; its shape and dtype come back."""
        return encode_numbers(compat.ensure_ndarray(buf), max_error=self.max_error)

    def decode(self, buf: Any, out: Any = None) -> NDArray[Any]:
        """Decode a chunk, into `out` if that is given.

        Raises
        ------
        FormatError
            The bytes are damaged, see `laconic.errors`.
        """
        return compat.ndarray_copy(decode_numbers(_bytes(buf)), out)


class LaconicImage(Codec):
    """Chunks that are one picture each: (H, W) or (H, W, C) of uint8 or uint16, C of 1 to 4.

    Axes of length one may come before, so ``(1, H, W, 3)`` is a chunk of a film.

    Parameters
    ----------
    quality, bpp, psnr, lossless, effort, network
        As for `laconic.compress`: one target at most, and quality 75 without one.

    Raises
    ------
    UsageError
        A value out of range, or more than one target.
    """

    codec_id: ClassVar[str] = "laconic_image"

    def __init__(
        self,
        quality: int | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        lossless: bool = False,
        effort: int = DEFAULT_EFFORT,
        network: str = "auto",
    ) -> None:
        self._codec = ImageCodec(
            quality=quality, bpp=bpp, psnr=psnr, lossless=lossless, effort=effort, network=network, jobs=1
        )
        self.quality, self.bpp, self.psnr = self._codec.target.quality if not lossless else None, bpp, psnr
        self.lossless, self.effort, self.network = self._codec.lossless, effort, network

    def encode(self, buf: Any) -> bytes:
        """Encode a picture.

        Raises
        ------
        UnsupportedInput
            Another shape or dtype, or the order of Fortran, which a picture file cannot note.
        """
        array: NDArray[Any] = compat.ensure_ndarray(buf)
        if not array.flags.c_contiguous and array.flags.f_contiguous:
            raise UnsupportedInput('pictures are chunks in order "C", these are in order "F"')
        return encode_picture(array, self._codec)

    def decode(self, buf: Any, out: Any = None) -> NDArray[Any]:
        """Decode a chunk, into `out` if that is given.

        Raises
        ------
        FormatError
            The bytes are damaged, see `laconic.errors`.
        """
        return compat.ndarray_copy(decode_picture(_bytes(buf)), out)


def _bytes(buf: Any) -> bytes:
    return compat.ensure_bytes(buf)
