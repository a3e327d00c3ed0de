"""The header of an image file, declared once: read, written, limited and printed from the declaration.

Each attribute of `Header` carries a `Field` that says how it is spelled, which values it may take and what it means;
the order of the attributes is the order in the file. Attributes spelled as `BITS` share the byte named by
`Field.byte`, which has no bits that nobody claims. The table in `spec/format.md` is compared with this declaration by a
test. A filter of the picture's own stands after them (`filter_bits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, get_args, get_type_hints

from laconic.container.cursor import Cursor, varint
from laconic.container.filter_bits import read_filter, write_filter
from laconic.errors import CorruptStream, LimitExceeded, UnsupportedInput
from laconic.transform.picture_filter import Filter

__all__ = [
    "BITS",
    "LEB128",
    "MAX_PIXELS",
    "MAX_PREDICTED_PIXELS",
    "OTHER_TARGET",
    "PREDICTED",
    "RAW",
    "U8",
    "Field",
    "Header",
    "describe",
    "header_fields",
    "read_header",
    "write_header",
]

U8, LEB128, RAW, BITS = "u8", "leb128", "bytes", "bits"

MAX_PIXELS = 2**31
"""Width times height of the largest picture: every index into one plane fits a signed 32-bit integer."""

OTHER_TARGET = 255
"""Value of `Header.quality` where another target (rate, size, PSNR) or lossless mode set the step."""

PREDICTED = 255
"""Value of `Header.parameter_set` of a lossless file whose samples are predicted one by one: no wavelet, no colors."""

MAX_PREDICTED_PIXELS = 2**25
"""Width times height of the largest picture whose samples are predicted. Every sample takes a decoder equally long,
however few bytes there are: more would let a small file keep it busy for many minutes."""


@dataclass(frozen=True)
class Field:
    """How one header field is spelled and limited.

    The file holds the small number `raw`, Python sees `value = base + scale * raw`.
    """

    spelling: str
    """`U8` one byte, `LEB128`, `RAW` bytes of fixed length `high`, or `BITS` of a shared byte."""
    low: int
    high: int
    """Smallest and largest value; for `RAW` both are the length in bytes."""
    doc: str
    base: int = 0
    scale: int = 1
    also: int | None = None
    """One more value outside `low`..`high`."""
    is_size: bool = False
    """A larger value is an absurd size (`LimitExceeded`) rather than damage."""
    byte: str = ""
    first_bit: int = 0
    bit_count: int = 0

    def allows(self, value: Any) -> bool:
        """Tell whether `value` can be spelled."""
        if self.spelling == RAW:
            return isinstance(value, bytes) and len(value) == self.high
        if not isinstance(value, int):
            return False
        return value == self.also or (self.low <= value <= self.high and (value - self.base) % self.scale == 0)

    def range(self) -> str:
        """Say in words which values are allowed."""
        if self.spelling == RAW:
            return f"{self.high} bytes"
        if self.scale > 1 and self.high == self.low + self.scale:
            return f"{self.low} or {self.high}"
        words = f"{self.low}..{self.high}" + (f" in steps of {self.scale}" if self.scale > 1 else "")
        return words if self.also is None else f"{words} or {self.also}"


def _flag(bit: int, doc: str) -> Field:
    return Field(BITS, 0, 1, doc, byte="layout", first_bit=bit, bit_count=1)


@dataclass(frozen=True, kw_only=True)
class Header:
    """Everything the file says about the picture except the picture.

    Raises
    ------
    UnsupportedInput
        A value the format cannot hold.
    """

    codec: Annotated[int, Field(U8, 1, 1, "codec: 1 is the image codec")] = 1
    fingerprint: Annotated[bytes, Field(RAW, 8, 8, "first 8 bytes of the SHA-256 of the model file")]
    width: Annotated[int, Field(LEB128, 1, 65535, "width in pixels", is_size=True)]
    height: Annotated[int, Field(LEB128, 1, 65535, "height in pixels", is_size=True)]
    channels: Annotated[
        int, Field(BITS, 1, 4, "1 gray, 2 gray + alpha, 3 RGB, 4 RGBA", base=1, byte="layout", first_bit=0, bit_count=2)
    ]
    depth: Annotated[
        int, Field(BITS, 8, 16, "bits per sample", base=8, scale=8, byte="layout", first_bit=2, bit_count=1)
    ] = 8
    lossless: Annotated[bool, _flag(3, "the pixels come back exactly")] = False
    has_icc: Annotated[bool, _flag(4, "an ICC profile follows")] = False
    has_exif: Annotated[bool, _flag(5, "EXIF data follow")] = False
    has_xmp: Annotated[bool, _flag(6, "an XMP packet follows")] = False
    has_filter: Annotated[bool, _flag(7, "a filter ends the header")] = False
    quality: Annotated[int, Field(U8, 0, 100, "the quality asked for; 255: another target", also=OTHER_TARGET)] = (
        OTHER_TARGET
    )
    step_code: Annotated[int, Field(LEB128, 0, 767, "base step 0.25 * 2^(code / 64); 0 if lossless")] = 0
    parameter_set: Annotated[
        int,
        Field(
            U8,
            0,
            255,
            "which parameters of the model; of a lossless file which colors, or 255: samples are predicted",
        ),
    ] = 0
    tile: Annotated[int, Field(U8, 64, 16320, "side of a tile in pixels", scale=64)]
    cuts: Annotated[
        int, Field(BITS, 0, 63, "bit l - 1: a new group starts before level l", byte="structure", bit_count=6)
    ] = 0
    network: Annotated[
        int,
        Field(
            BITS,
            0,
            3,
            "decoder-side network: 0 none, 1 fast, 2 best, 3 ssim",
            byte="structure",
            first_bit=6,
            bit_count=2,
        ),
    ] = 0
    filter: Filter | None = None

    def __post_init__(self) -> None:
        for name, field in header_fields().items():
            value = getattr(self, name)
            if not field.allows(value):
                msg = f"{name} is {value!r}, the format allows {field.range()}"
                raise UnsupportedInput(msg)
        if self.width * self.height > MAX_PIXELS:
            msg = f"the picture has {self.width * self.height} pixels, the format allows {MAX_PIXELS}"
            raise UnsupportedInput(msg)
        if self.lossless and (self.step_code or self.network):
            msg = "a lossless file has step code 0 and no network"
            raise UnsupportedInput(msg)
        if self.predicted and self.cuts:
            msg = "a file of predicted samples has one group: cuts is 0"
            raise UnsupportedInput(msg)
        if self.predicted and self.width * self.height > MAX_PREDICTED_PIXELS:
            msg = f"a file of predicted samples has at most {MAX_PREDICTED_PIXELS} pixels"
            raise UnsupportedInput(msg)
        if self.has_filter and not self.network:
            msg = "a file without a network has no filter"
            raise UnsupportedInput(msg)
        if self.has_filter != (self.filter is not None):
            msg = "has_filter says whether there is a filter"
            raise UnsupportedInput(msg)
        if self.filter and len(self.filter.taps) != self.color_planes:
            msg = f"a filter of {len(self.filter.taps)} planes, the picture has {self.color_planes}"
            raise UnsupportedInput(msg)

    def with_filter(self, own: Filter | None) -> Header:
        """Return the header of the same picture with another filter, or with none."""
        return replace(self, has_filter=own is not None, filter=own)

    @property
    def predicted(self) -> bool:
        """Tell whether samples are predicted one by one, see `entropy.prediction`; else there is a wavelet."""
        return self.lossless and self.parameter_set == PREDICTED

    @property
    def color_planes(self) -> int:
        """1 of gray pictures, else 3."""
        return 3 if self.channels >= 3 else 1


_FIELDS: dict[str, Field] = {}


def header_fields() -> dict[str, Field]:
    """Return the declaration: attribute name -> `Field`, in file order."""
    if not _FIELDS:
        hints = get_type_hints(Header, include_extras=True)
        _FIELDS.update({item.name: get_args(hints[item.name])[1] for item in fields(Header) if item.name != "filter"})
    return _FIELDS


def write_header(header: Header) -> bytes:
    """Spell the header: the payload of the header chunk."""
    spelled = bytearray()
    shared = ""
    for name, field in header_fields().items():
        value = getattr(header, name)
        if field.spelling == RAW:
            spelled += value
            continue
        raw = (value - field.base) // field.scale
        if field.spelling == BITS:
            if shared != field.byte:
                spelled.append(0)
            spelled[-1] |= raw << field.first_bit
        else:
            spelled += varint(raw) if field.spelling == LEB128 else bytes([raw])
        shared = field.byte
    return bytes(spelled) + (write_filter(header.filter) if header.filter else b"")


def read_header(payload: memoryview, *, offset: int = 0) -> Header:
    """Read the payload of the header chunk, which begins at byte `offset` of the file.

    Raises
    ------
    CorruptStream
        A value the format does not allow, too few bytes or too many.
    LimitExceeded
        An absurd size.
    """
    cursor = Cursor(payload, base=offset)
    values: dict[str, Any] = {}
    places: dict[str, int] = {}
    shared, byte = "", 0
    for name, field in header_fields().items():
        start = cursor.offset
        if field.spelling == RAW:
            values[name] = bytes(cursor.take(field.high, name))
            continue
        if field.spelling == BITS:
            if shared != field.byte:
                byte = cursor.u8(field.byte)
            else:
                start -= 1
            raw = byte >> field.first_bit & (1 << field.bit_count) - 1
        else:
            raw = cursor.varint(name) if field.spelling == LEB128 else cursor.u8(name)
        shared = field.byte
        places[name] = start
        value = field.base + field.scale * raw
        if field.is_size and value > field.high:
            raise LimitExceeded(name, field.high, value)
        if not field.allows(value):
            raise CorruptStream(name, start, field.range(), value)
        values[name] = bool(value) if field.bit_count == 1 and field.high == 1 else value
    if values["has_filter"] and not values["network"]:
        raise CorruptStream("has_filter", places["has_filter"], "0 without a network", 1)
    if values["has_filter"]:
        values["filter"] = read_filter(cursor, 3 if values["channels"] >= 3 else 1)
    cursor.finish("header")
    pixels = values["width"] * values["height"]
    if pixels > MAX_PIXELS:
        raise LimitExceeded("pixels", MAX_PIXELS, pixels)
    if values["lossless"]:
        for name in ("step_code", "network"):
            if values[name]:
                raise CorruptStream(name, places[name], "0 in a lossless file", values[name])
        if values["parameter_set"] == PREDICTED and values["cuts"]:
            raise CorruptStream("cuts", places["cuts"], "0 where samples are predicted", values["cuts"])
        if values["parameter_set"] == PREDICTED and pixels > MAX_PREDICTED_PIXELS:
            raise LimitExceeded("pixels of predicted samples", MAX_PREDICTED_PIXELS, pixels)
    return Header(**values)


def describe(header: Header) -> list[tuple[str, str, str]]:
    """Print the header: (field name, value, meaning) for each field, in file order."""
    rows: list[tuple[str, str, str]] = []
    for name, field in header_fields().items():
        value = getattr(header, name)
        rows.append((name, value.hex() if isinstance(value, bytes) else str(value), field.doc))
    return rows
