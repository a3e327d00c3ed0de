"""Netpbm files: PGM, PPM and PAM with samples of up to 16 bits (Pillow keeps 8 bits of color only).

Formats: pgm(5), ppm(5), pam(5) of the Netpbm manual. Samples of 16 bits are big-endian. The bitmaps P1 and P4 are left
to Pillow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from laconic.errors import UnsupportedInput, UsageError
from laconic.signals import limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PnmHeader", "check_length", "load_pnm", "read_header", "spell_header", "stretched"]

_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]+)")
_TUPLE_TYPES = {1: "GRAYSCALE", 2: "GRAYSCALE_ALPHA", 3: "RGB", 4: "RGB_ALPHA"}


class PnmHeader(NamedTuple):
    """What stands before the samples.

    `largest` is the value of a full sample, `start` the place of the first one in bytes.
    """

    width: int
    height: int
    channels: int
    largest: int
    start: int

    @property
    def stored(self) -> Any:
        """Type of a binary sample in the file."""
        return np.dtype(np.uint8 if self.largest < 256 else ">u2")


def load_pnm(data: bytes) -> NDArray[Any]:
    """Read P2, P3, P5, P6 or P7.

    Returns
    -------
    ndarray (H, W, C)
        uint8 where the largest sample value is below 256, else uint16; other ranges are stretched to the full one.

    Raises
    ------
    UnsupportedInput
        A header that makes no sense, or samples that are missing.
    LimitExceeded
        More pixels than laconic holds.
    """
    header = read_header(data)
    limits.check_size(header.width, header.height)
    count = header.width * header.height * header.channels
    if data[:2] in {b"P2", b"P3"}:
        words = re.sub(rb"#[^\n\r]*", b"", data[header.start :]).split(maxsplit=count)[:count]
        if len(words) < count or not all(word.isdigit() and len(word) <= 5 for word in words):
            raise UnsupportedInput(f"netpbm samples: {len(words)} of {count} are there, or some are no numbers")
        samples = np.array(words, dtype=np.uint32)
    else:
        check_length(header, len(data) - header.start)
        samples = np.frombuffer(data, header.stored, count, header.start)
    return stretched(samples, header.largest).reshape(header.height, header.width, header.channels)


def read_header(data: bytes) -> PnmHeader:
    """Read the header of a file by its first bytes.

    Raises
    ------
    UnsupportedInput
        It makes no sense.
    """
    header = PnmHeader(*(_pam_header(data) if data[:2] == b"P7" else _pnm_header(data)))
    if not 1 <= header.largest <= 65_535 or not 1 <= header.channels <= 4:
        raise UnsupportedInput(f"netpbm header: {header.channels} channels with samples up to {header.largest}")
    return header


def check_length(header: PnmHeader, length: int) -> None:
    """Refuse a file with less than all binary samples.

    Raises
    ------
    UnsupportedInput
        It ends too early.
    """
    needed = header.width * header.height * header.channels * header.stored.itemsize
    if length < needed:
        raise UnsupportedInput(f"truncated: {length} of {needed} bytes of samples are there")


def stretched(samples: NDArray[Any], largest: int) -> NDArray[Any]:
    """Return samples of 0 .. largest as uint8 or uint16 over its whole range.

    Raises
    ------
    UnsupportedInput
        A sample above that.
    """
    if int(samples.max()) > largest:
        raise UnsupportedInput(f"a netpbm sample is {samples.max()}, the header allows {largest}")
    full = 255 if largest < 256 else 65_535
    if largest != full:
        samples = (samples.astype(np.uint32) * full + largest // 2) // largest
    return samples.astype(np.uint8 if full == 255 else np.uint16, copy=False)


def spell_header(shape: tuple[int, ...], dtype: Any, suffix: str) -> bytes:
    """Spell the header of a picture (H, W, C).

    P5 for gray, P6 for RGB, P7 where the suffix is `.pam` or there is alpha.

    Raises
    ------
    UsageError
        Alpha asked to go into `.ppm`, `.pgm` or `.pbm`.
    """
    height, width, channels = shape
    largest = int(np.iinfo(dtype).max)
    if suffix == ".pam" or channels in {2, 4}:
        if suffix in {".ppm", ".pgm", ".pbm"}:
            raise UsageError(f"{suffix[1:].upper()} cannot hold transparency; write .pam, .png or .tiff")
        header = (
            f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {largest}\n"
            f"TUPLTYPE {_TUPLE_TYPES[channels]}\nENDHDR\n"
        )
    else:
        header = f"{'P5' if channels == 1 else 'P6'}\n{width} {height}\n{largest}\n"
    return header.encode()


def _pnm_header(data: bytes) -> tuple[int, int, int, int, int]:
    values: list[int] = []
    place = 2
    for _ in range(3):
        match = _TOKEN.match(data, place, place + 10_000)
        if match is None or not match[1].isdigit() or len(match[1]) > 10:
            raise UnsupportedInput("netpbm header: width, height and largest sample are expected")
        values.append(int(match[1]))
        place = match.end()
    # Exactly one white space stands between the header and binary samples.
    return values[0], values[1], 1 if data[:2] in {b"P2", b"P5"} else 3, values[2], place + 1


def _pam_header(data: bytes) -> tuple[int, int, int, int, int]:
    end = data.find(b"ENDHDR\n", 0, 10_000)
    fields: dict[bytes, int] = {}
    for line in data[3 : max(end, 3)].split(b"\n"):
        words = line.split()
        if len(words) == 2 and words[1].isdigit() and len(words[1]) <= 10:
            fields[words[0]] = int(words[1])
    try:
        return (fields[b"WIDTH"], fields[b"HEIGHT"], fields[b"DEPTH"], fields[b"MAXVAL"], end + 7)
    except KeyError as error:
        raise UnsupportedInput("PAM header: WIDTH, HEIGHT, DEPTH, MAXVAL and ENDHDR are expected") from error
