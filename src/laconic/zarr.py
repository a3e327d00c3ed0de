"""Zarr version 3: laconic as the array-to-bytes codec of an array, found by entry point.

Chunks are whole `.lac` files. The codecs stand in the place of the serializer, for they need the shape of a chunk and
the kind of its numbers; no compressor is needed behind them. Needs zarr: ``pip install "laconic[zarr]"``.

>>> import zarr
>>> from laconic.zarr import LaconicArray
>>> zarr.create_array("fields.zarr", data=fields, serializer=LaconicArray(max_error=0.01), compressors=None)

The names ``laconic_array`` and ``laconic_image`` are not in the registry of Zarr extensions: whoever reads such an
array needs laconic.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarr.abc.codec import ArrayBytesCodec

from laconic.codecs.array_chunk import (
    check_numbers,
    check_picture,
    decode_numbers,
    decode_picture,
    encode_numbers,
    encode_picture,
)
from laconic.codecs.chunk_settings import NumberSettings, PictureSettings
from laconic.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

__all__ = ["LaconicArray", "LaconicImage"]


class _ChunkCodec(ArrayBytesCodec):
    """What both codecs have in common: chunks of any size, and a configuration that is their fields."""

    codec_name: ClassVar[str]
    is_fixed_size: ClassVar[Any] = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the codec that the metadata of an array describe.

        Raises
        ------
        UsageError
            They describe another codec, or options of a later version.
        """
        if data.get("name") != cls.codec_name:
            raise UsageError(f"the codec {data.get('name')!r} is not {cls.codec_name}")
        configuration = dict(data.get("configuration") or {})
        if unknown := sorted(set(configuration) - {field.name for field in fields(cls)}):
            raise UsageError(f"{cls.codec_name} has no option {', '.join(unknown)}: the array needs a newer laconic")
        return cls(**configuration)

    def to_dict(self) -> dict[str, Any]:
        """Describe this codec for the metadata of an array."""
        return {"name": self.codec_name, "configuration": asdict(self)}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Not known before a chunk is encoded."""
        raise NotImplementedError


@dataclass(frozen=True)
class LaconicArray(NumberSettings, _ChunkCodec):
    """Chunks of numbers, without loss or with a bound; settings and errors are those of `NumberSettings`."""

    codec_name: ClassVar[str] = "laconic_array"

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:  # noqa: ARG002  # Zarr's
        """Refuse a data type that cannot be held.

        Raises
        ------
        UnsupportedInput
            Texts, records, raw bits.
        """
        check_numbers(dtype.to_native_dtype())

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        data = await asyncio.to_thread(encode_numbers, chunk_data.as_numpy_array(), max_error=self.max_error)
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        array = await asyncio.to_thread(decode_numbers, chunk_data.to_bytes(), **_expected(chunk_spec))
        return chunk_spec.prototype.nd_buffer.from_numpy_array(array)


@dataclass(frozen=True)
class LaconicImage(PictureSettings, _ChunkCodec):
    """Chunks that are one picture each; settings and errors are those of `PictureSettings`."""

    codec_name: ClassVar[str] = "laconic_image"

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse chunks that are no pictures.

        Raises
        ------
        UnsupportedInput
            See `laconic.codecs.array_chunk.check_picture`.
        """
        check_picture(getattr(chunk_grid, "chunk_shape", shape), dtype.to_native_dtype())

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        data = await asyncio.to_thread(encode_picture, chunk_data.as_numpy_array(), self.picture_codec())
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        array = await asyncio.to_thread(decode_picture, chunk_data.to_bytes(), **_expected(chunk_spec))
        return chunk_spec.prototype.nd_buffer.from_numpy_array(array)


def _expected(chunk_spec: ArraySpec) -> dict[str, Any]:
    return {"shape": chunk_spec.shape, "dtype": chunk_spec.dtype.to_native_dtype()}
