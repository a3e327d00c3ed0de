"""Claim: lossless, laconic needs a quarter fewer bits than PNG, and 2 % fewer than JPEG XL effort 7.

    LACONIC_DATA=... python bench/lossless.py [--photos photos_test]

Every file is decoded and compared with its photo sample by sample.
"""

from __future__ import annotations

import argparse

import numpy as np
import record

from laconic.codecs.image import Analysis, ImageCodec
from laconic.container import write
from laconic.measure import comparison, roster
from laconic.transform.workers import Workers


def size_in_ycocg(pixels: np.ndarray) -> int:
    """Bytes of a picture in the first colors, YCoCg-R, whatever would serve it."""
    codec = ImageCodec(lossless=True, effort=6, jobs=1)
    with Workers(1) as workers:
        analysis = Analysis.of(pixels, lossless=True, workers=workers)
        header = codec.header_at(analysis, 0)
        return len(write(header, codec.code_tiles(analysis, header, workers)[0]))


parser = argparse.ArgumentParser()
parser.add_argument("--photos", default="kodak", help="folder within the data folder")
given = parser.parse_args()
pictures = record.photos(given.photos)
table = {}
for name in roster.LOSSLESS:
    codec = roster.ROSTER[name]
    points = []
    for picture in pictures:
        point, restored = comparison.measure_point(codec, picture.pixels, 100, metrics=())
        if not np.array_equal(restored, picture.pixels):
            raise SystemExit(f"{name} changed {picture.name}")
        points.append(point)
    megapixels = sum(picture.megapixels for picture in pictures)
    table[name] = {
        "description": codec.description,
        "version": codec.version(),
        "threads": codec.threads,
        "bits_per_pixel": float(np.mean([point["bpp"] for point in points])),
        "encode_MP_per_s": megapixels / sum(point["encoding_time"] for point in points),
        "decode_MP_per_s": megapixels / sum(point["decoding_time"] for point in points),
        "bytes": {picture.name: int(point["bytes"]) for picture, point in zip(pictures, points, strict=True)},
    }
    row = table[name]
    print(f"{name:18} {row['bits_per_pixel']:7.3f} bits/pixel", end="")
    print(f"  {row['encode_MP_per_s']:6.2f} / {row['decode_MP_per_s']:.2f} MP/s")
own = table["laconic-lossless-e6"]["bytes"]
without = {picture.name: size_in_ycocg(picture.pixels) for picture in pictures}
changes = sorted(100 * (own[name] / without[name] - 1) for name in own)
colors = {
    "bytes_in_ycocg": without,
    "percent": 100 * (sum(own.values()) / sum(without.values()) - 1),
    "median": float(np.median(changes)),
    "least": changes[-1],
    "most": changes[0],
}
print(f"effort 6, colors chosen against YCoCg-R: {colors['percent']:.2f} %, {changes[0]:.2f} .. {changes[-1]:.2f}")
bits = {name: row["bits_per_pixel"] for name, row in table.items()}
claims = [
    record.claim(
        "lossless bits against optimized PNG, percent",
        100 * (bits["laconic-lossless"] / bits["png"] - 1),
        -25,
        at_most=True,
    ),
    record.claim(
        "lossless bits against lossless OpenJPEG, percent",
        100 * (bits["laconic-lossless"] / bits["jpeg2000-lossless"] - 1),
        0,
        at_most=True,
    ),
    record.claim(
        "lossless bits against JPEG XL effort 7, percent",
        100 * (bits["laconic-lossless"] / bits["jxl-lossless"] - 1),
        -2,
        at_most=True,
    ),
    record.claim(
        "lossless bits of effort 6 against JPEG XL effort 7, percent",
        100 * (bits["laconic-lossless-e6"] / bits["jxl-lossless"] - 1),
        3,
        at_most=True,
    ),
    record.claim(
        "lossless bits against JPEG XL effort 9, percent",
        100 * (bits["laconic-lossless"] / bits["jxl-lossless-e9"] - 1),
        0,
        at_most=True,
    ),
]
name = "lossless" if given.photos == "kodak" else f"lossless_{given.photos}"
record.write(name, {"pictures": len(pictures), "claims": claims, "codecs": table, "colors": colors})
