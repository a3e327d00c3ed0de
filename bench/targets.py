"""Claim: a file's size lands within 1.5 % below what was asked, its PSNR within 0.05 dB above, in at most six encodes.

    LACONIC_DATA=... python bench/targets.py [--photos kodak,photos_test]

Three rates and three PSNRs for every photo, at the default effort and, of the first folder, at efforts 3 and 1; sizes
of whole files, PSNR of what they restore. Beside the worst and the median error: how many were met, how many encodes it
took, and seconds for a target, decoding of trials included.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import record

import laconic
from laconic.codecs.image import DEFAULT_EFFORT, ImageCodec
from laconic.codecs.targets import PSNR_SLACK, SIZE_SLACK, psnr

if TYPE_CHECKING:
    from collections.abc import Callable

EFFORTS = (DEFAULT_EFFORT, 3, 1)
RATES, DECIBELS = (0.2, 0.7, 2.0), (29.0, 35.0, 41.0)
MOST_ENCODES = 6

parser = argparse.ArgumentParser()
parser.add_argument("--photos", default="kodak,photos_test", help="folders within the data folder")
given = parser.parse_args()
encodes = 0


def counted(encode: Callable[..., Any]) -> Callable[..., Any]:
    """Count encodes while doing them."""

    def count(*others: Any, **choices: Any) -> Any:
        global encodes
        encodes += 1
        return encode(*others, **choices)

    return count


# An encode is one or the other, by its effort.
ImageCodec.code_tiles = counted(ImageCodec.code_tiles)
ImageCodec.search_tiles = counted(ImageCodec.search_tiles)
rows: list[dict[str, Any]] = []
for number, folder in enumerate(given.photos.split(",")):
    for effort in EFFORTS if number == 0 else EFFORTS[:1]:
        for name, targets in (("bpp", RATES), ("psnr", DECIBELS)):
            errors: list[float] = []
            counts: list[int] = []
            seconds = 0.0
            for picture in record.photos(folder):
                pixels = picture.pixels
                for target in targets:
                    encodes = 0
                    start = time.perf_counter()
                    data = laconic.compress(pixels, effort=effort, **{name: target})
                    seconds += time.perf_counter() - start
                    counts.append(encodes)
                    if name == "bpp":
                        limit = int(target * pixels.shape[0] * pixels.shape[1] / 8)
                        errors.append(100 * (1 - len(data) / limit))
                    else:
                        errors.append(psnr(pixels, laconic.decompress(data)) - target)
            slack = 100 * SIZE_SLACK if name == "bpp" else PSNR_SLACK
            rows.append(
                {
                    "photos": folder,
                    "effort": effort,
                    "target": name,
                    "targets": targets,
                    "unit": "percent of the bytes left over" if name == "bpp" else "dB above",
                    "error_median": round(float(np.median(errors)), 4),
                    "error_worst": round(max(errors), 4),
                    "error_least": round(min(errors), 4),
                    "met": sum(0 <= error <= slack for error in errors),
                    "of": len(errors),
                    "encodes_mean": round(float(np.mean(counts)), 2),
                    "encodes_most": max(counts),
                    "seconds_mean": round(seconds / len(counts), 2),
                }
            )
            print(rows[-1], flush=True)
default = [row for row in rows if row["effort"] == DEFAULT_EFFORT]
claims = [
    record.claim(
        "bytes left over at the default effort, worst photo, percent",
        max(row["error_worst"] for row in default if row["target"] == "bpp"), 100 * SIZE_SLACK, at_most=True,
    ),
    record.claim(
        "dB above the PSNR asked for at the default effort, worst photo",
        max(row["error_worst"] for row in default if row["target"] == "psnr"), PSNR_SLACK, at_most=True,
    ),
    record.claim("the least of all errors: never on the wrong side", min(row["error_least"] for row in rows), 0.0,
                 at_most=False),
    record.claim("encodes for a target at the default effort", max(row["encodes_most"] for row in default),
                 MOST_ENCODES, at_most=True),
]  # fmt: skip
record.write("targets", {"landings": rows, "claims": claims})
