"""Claim: every effort needs fewer bytes for the same PSNR than the one below it, and what each costs in time.

    LACONIC_DATA=... python bench/efforts.py [--photos kodak] [--crop WIDTHxHEIGHT] [--every N] [--efforts LIST]

Real files of the Kodak photos at four qualities; BD-rates against effort 3 and between neighbors, the worst photo
beside the mean. Seconds are those of the processor, one thread, over all files. So that a run takes minutes, each photo
can be cut to its middle, and photos be left out; the result says so.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import record

import laconic
from laconic.codecs.targets import psnr
from laconic.measure.deltas import bd_rate

QUALITIES = (20, 40, 60, 80)
ANCHOR, STRONG = 3, 9
STRONG_BOUND = -5.0

parser = argparse.ArgumentParser()
parser.add_argument("--photos", default="kodak", help="folder within the data folder")
parser.add_argument("--crop", default="", help="only the middle of each photo, such as 384x256")
parser.add_argument("--efforts", default="1,3,5,6,7,8,9,10", help="which, ascending; 3 and 9 among them")
parser.add_argument("--every", type=int, default=1, help="2 takes every second photo")
given = parser.parse_args()
side = [int(part) for part in given.crop.split("x")] if given.crop else []


def middle(pixels: np.ndarray) -> np.ndarray:
    """The middle of a photo, as wide and high as asked for."""
    if not side:
        return pixels
    width, height = side if pixels.shape[1] >= pixels.shape[0] else side[::-1]
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


pictures = record.photos(given.photos)[:: given.every]
curves: dict[int, list[list[tuple[float, float]]]] = {}
rows: list[dict[str, Any]] = []
for effort in map(int, given.efforts.split(",")):
    seconds = megapixels = 0.0
    curves[effort] = []
    for picture in pictures:
        pixels = middle(picture.pixels)
        curve: list[tuple[float, float]] = []
        for quality in QUALITIES:
            begin = time.process_time()
            data = laconic.compress(pixels, quality=quality, effort=effort, jobs=1)
            seconds += time.process_time() - begin
            megapixels += pixels.shape[0] * pixels.shape[1] / 1e6
            curve.append((8e-6 * len(data), psnr(pixels, laconic.decompress(data, jobs=1))))
        curves[effort].append(curve)
    rows.append({"effort": effort, "processor_seconds_per_MP": round(seconds / megapixels, 3)})
    print(f"effort {effort}: {seconds / megapixels:.2f} s/MP", flush=True)


def against(effort: int, other: int) -> list[float]:
    """BD-rate of each photo, in percent."""
    found: list[float] = []
    for mine, theirs in zip(curves[effort], curves[other], strict=True):
        (rate, decibels), (other_rate, other_decibels) = (zip(*curve, strict=True) for curve in (mine, theirs))
        found.append(bd_rate(other_rate, other_decibels, rate, decibels).percent)
    return found


below: int | None = None
for row in rows:
    effort = row["effort"]
    if effort != ANCHOR:
        row["bd_rate_against_effort_3"] = round(float(np.mean(against(effort, ANCHOR))), 3)
    if below is not None:
        steps = against(effort, below)
        worst = int(np.argmax(steps))
        row["bd_rate_against_the_effort_below"] = round(float(np.mean(steps)), 3)
        row["worst_photo"] = {"name": pictures[worst].name, "bd_rate": round(steps[worst], 3)}
    below = effort
    print(row)
claims = [
    record.claim(
        "BD-rate of effort 9 against effort 3, mean of the photos, percent",
        next(row["bd_rate_against_effort_3"] for row in rows if row["effort"] == STRONG), STRONG_BOUND, at_most=True,
    ),
    record.claim(
        "BD-rate of an effort against the one below it on the worst photo, percent",
        max(row["worst_photo"]["bd_rate"] for row in rows if "worst_photo" in row), 0.0, at_most=True,
    ),
]  # fmt: skip
about = {"photos": given.photos, "count": len(pictures), "crop": given.crop or "none", "qualities": QUALITIES}
record.write("efforts", {**about, "efforts": rows, "claims": claims})
