"""numcodecs: laconic as a codec of chunks, for Zarr version 2, Kerchunk, HDF5 by reference and others.

numcodecs finds both by entry point, under the names ``laconic_array`` and ``laconic_image``; nothing has to be
imported. Needs numcodecs: ``pip install "laconic[zarr]"``.

>>> import numcodecs
>>> codec = numcodecs.get_codec({"id": "laconic_array", "max_error": 0.01})
>>> numbers = codec.decode(codec.encode(numbers))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numcodecs import compat as untyped

from laconic.codecs.array_chunk import decode_numbers, decode_picture, encode_numbers, encode_picture
from laconic.codecs.chunk_settings import NumberSettings, PictureSettings
from laconic.errors import UnsupportedInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codec = object
else:
    from numcodecs.abc import Codec

__all__ = ["LaconicArray", "LaconicImage"]

compat: Any = untyped


@dataclass(frozen=True)
class LaconicArray(NumberSettings, Codec):
    """Chunks of numbers, without loss or with a bound; settings and errors are those of `NumberSettings`."""

    codec_id: ClassVar[str] = "laconic_array"

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


@dataclass(frozen=True)
class LaconicImage(PictureSettings, Codec):
    """Chunks that are one picture each; settings and errors are those of `PictureSettings`."""

    codec_id: ClassVar[str] = "laconic_image"

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
        return encode_picture(array, self.picture_codec())

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
