"""Claim: on the 24 Kodak photos laconic needs fewer bytes than JPEG, WebP and OpenJPEG for the same PSNR.

    LACONIC_DATA=... python bench/kodak_rd.py [--against jpeg,webp,jpeg2000,avif,jxl,hevc]

All codecs run here and now, one after the other, on one thread; ratios never mix runs. BD-rates are of averaged curves
(mean bits per pixel and mean of decibels over the photos), with the mean of the photos' own BD-rates beside them.
"""

from __future__ import annotations

import argparse

import record

from laconic.measure import comparison, roster
from laconic.measure.curves import Curve, compare
from laconic.measure.plot import plot

BOUNDS = {"jpeg": -45.0, "webp": -15.0, "jpeg2000": -2.0}

parser = argparse.ArgumentParser()
parser.add_argument("--against", default="jpeg,webp,jpeg2000,avif,jxl,hevc")
codecs = roster.named("laconic," + parser.parse_args().against)
pictures = record.kodak()
curves: list[Curve] = []
for codec in codecs:
    if why := roster.why_not(codec):
        print(f"{codec.name} is left out: {why}")
        continue
    curves.append(curve := comparison.measure(codec, pictures, metrics=("psnr-rgb", "ms-ssim-rgb")))
    speeds = [pictures[0].megapixels / seconds for seconds in curve.mean("encoding_time")]
    back = [pictures[0].megapixels / seconds for seconds in curve.mean("decoding_time")]
    print(f"{codec.name:10} {min(speeds):6.1f}-{max(speeds):.1f} MP/s encode, {min(back):.1f}-{max(back):.1f} decode")
    for figure in ("bpp", "psnr-rgb", "ms-ssim-rgb"):
        print(f"   {figure:12}", " ".join(f"{value:8.4f}" for value in curve.mean(figure)))
result = comparison.report(curves, pictures)
claims = []
for other in curves[1:]:
    delta = compare(curves[0], other)
    name = f"BD-rate (PSNR) against {other.description}, percent"
    worst, most = delta.worst
    print(
        f"{name}: {delta.averaged.percent:.2f} (photos: mean {delta.mean:.2f}, median {delta.median:.2f}, worst "
        f"{most:.2f} {worst}; overlap {delta.averaged.overlap:.2f})"
    )
    if other.name in BOUNDS:
        claims.append(record.claim(name, delta.averaged.percent, BOUNDS[other.name], at_most=True))
record.write("kodak_rd", {**result, "claims": claims})
if len(pictures) == 24:
    plot(curves, record.RESULTS / "kodak_rd", title="24 Kodak photos, real bytes, mean of decibels")
