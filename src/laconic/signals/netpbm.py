"""Netpbm files: PGM, PPM and PAM with samples of up to 16 bits (Pillow keeps 8 bits of color only).

Formats: pgm(5), ppm(5), pam(5) of the Netpbm manual. Samples of 16 bits are big-endian. The bitmaps P1 and P4 are left
to Pillow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from laconic.errors import UnsupportedInput, UsageError
from laconic.signals import limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_pnm", "save_pnm"]

_TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]+)")
_TUPLE_TYPES = {1: "GRAYSCALE", 2: "GRAYSCALE_ALPHA", 3: "RGB", 4: "RGB_ALPHA"}


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
    kind = data[:2]
    width, height, channels, largest, start = _pam_header(data) if kind == b"P7" else _pnm_header(data)
    limits.check_size(width, height)
    if not 1 <= largest <= 65_535 or not 1 <= channels <= 4:
        raise UnsupportedInput(f"netpbm header: {channels} channels with samples up to {largest}")
    count = width * height * channels
    if kind in {b"P2", b"P3"}:
        words = re.sub(rb"#[^\n\r]*", b"", data[start:]).split(maxsplit=count)[:count]
        if len(words) < count or not all(word.isdigit() and len(word) <= 5 for word in words):
            raise UnsupportedInput(f"netpbm samples: {len(words)} of {count} are there, or some are no numbers")
        samples = np.array(words, dtype=np.uint32)
    else:
        dtype = np.dtype(np.uint8 if largest < 256 else ">u2")
        if len(data) - start < count * dtype.itemsize:
            raise UnsupportedInput(
                f"truncated: {len(data) - start} of {count * dtype.itemsize} bytes of samples are there"
            )
        samples = np.frombuffer(data, dtype, count, start)
    if int(samples.max()) > largest:
        raise UnsupportedInput(f"a netpbm sample is {samples.max()}, the header allows {largest}")
    full = 255 if largest < 256 else 65_535
    if largest != full:
        samples = (samples.astype(np.uint32) * full + largest // 2) // largest
    return samples.astype(np.uint8 if full == 255 else np.uint16).reshape(height, width, channels)


def save_pnm(stream: BinaryIO, pixels: NDArray[Any], suffix: str) -> None:
    """Write P5 (gray), P6 (RGB) or P7 (any, chosen by the suffix `.pam` or needed for alpha).

    Raises
    ------
    UsageError
        Alpha asked to go into `.ppm`, `.pgm` or `.pbm`.
    """
    height, width, channels = pixels.shape
    largest = 255 if pixels.dtype == np.uint8 else 65_535
    if suffix == ".pam" or channels in {2, 4}:
        if suffix in {".ppm", ".pgm", ".pbm"}:
            raise UsageError(f"{suffix[1:].upper()} cannot hold transparency; write .pam, .png or .tiff")
        header = (
            f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {largest}\n"
            f"TUPLTYPE {_TUPLE_TYPES[channels]}\nENDHDR\n"
        )
    else:
        header = f"{'P5' if channels == 1 else 'P6'}\n{width} {height}\n{largest}\n"
    stream.write(header.encode())
    stored = pixels if largest == 255 else pixels.astype(">u2")
    stream.write(np.ascontiguousarray(stored).data.cast("B"))


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
