"""Claim: laconic needs fewer bytes than JPEG, WebP, JPEG 2000, AVIF, JPEG XL and HEVC intra for the same quality.

    LACONIC_DATA=... python bench/kodak_rd.py [--against jpeg,webp,jpeg2000,avif,jxl,hevc] [--photos photos_test]
                         [--without laconic-e9]

All codecs run here and now, one after the other, on one thread; ratios never mix runs. BD-rates are of averaged curves
(mean bits per pixel and mean of decibels over the photos), with the mean of the photos' own BD-rates beside them.
With the default effort go efforts 3 and 9 and ``tune="ssim"``; effort 9 takes minutes a megapixel. VVC was not run
here: its points are read from the data folder and marked so.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import record

from laconic.measure import comparison, roster
from laconic.measure.curves import Curve, compare
from laconic.measure.deltas import bd_rate
from laconic.measure.plot import plot

# Asked of the default effort: percent of PSNR BD-rate; and of tune="ssim" in MS-SSIM.
BOUNDS = {
    "jpeg": -62.0, "webp": -33.0, "jpeg2000": -2.0, "jxl": -40.0, "avif": -20.0, "avif-psnr": -12.0, "hevc": -6.0
}  # fmt: skip
SSIM_BOUND, EFFORT_BOUND, VVC_BOUND = -15.0, -5.0, 9.0
VVC = "vvenc_medium_420_10b"

parser = argparse.ArgumentParser()
parser.add_argument("--against", default="jpeg,webp,jpeg2000,avif,jxl,hevc")
parser.add_argument("--photos", default="kodak", help="folder within the data folder")
parser.add_argument("--without", default="", help="what of laconic's own to leave out")
given = parser.parse_args()
OWN = [name for name in ("laconic", "laconic-e3", "laconic-e9", "laconic-ssim") if name not in given.without.split(",")]
codecs = roster.named(f"{','.join(OWN)},{given.against}")
pictures = record.photos(given.photos)
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
own = {curve.name: curve for curve in curves if curve.name in OWN}
peers = [curve for curve in curves if curve.name not in OWN]
result = comparison.report([own["laconic"], *peers], pictures)
for name in set(OWN) & {"laconic-e9", "laconic-ssim"}:
    others = [own["laconic-e3"]] if name == "laconic-e9" else []
    result["bd_rate"] |= comparison.report([own[name], *others, *peers], pictures, name)["bd_rate"]
result["codecs"] = comparison.report(curves, pictures)["codecs"]
claims: list[dict[str, Any]] = []


def claim(subject: str, other: str, bound: float, figure: str = "psnr-rgb") -> None:
    """Print a BD-rate of this run with its spread, and keep it beside what was asked."""
    first, second = (next(curve for curve in curves if curve.name == name) for name in (subject, other))
    delta = compare(first, second, figure)
    worst, most = delta.worst
    print(
        f"{subject} against {second.description}: photos: mean {delta.mean:.2f}, median {delta.median:.2f}, worst "
        f"{most:.2f} {worst}; overlap {delta.averaged.overlap:.2f}"
    )
    name = f"BD-rate ({figure}) of {first.description} against {second.description}, percent"
    claims.append(record.claim(name, delta.averaged.percent, bound, at_most=True))


for peer in peers:
    claim("laconic", peer.name, BOUNDS.get(peer.name, 0.0))
if "laconic-e9" in own:
    claim("laconic-e9", "laconic-e3", EFFORT_BOUND)
    for peer in peers:
        print(f"effort 9 against {peer.name}: {compare(own['laconic-e9'], peer).averaged.percent:.2f}")
if any(peer.name == "avif" for peer in peers):
    claim("laconic-ssim", "avif", SSIM_BOUND, "ms-ssim-rgb")
if given.photos == "kodak" and len(pictures) == 24:
    points = json.loads(record.data("anchors", "peers_measured.json").read_text())["codecs"][VVC]
    for name in sorted({"laconic", "laconic-e9"} & set(own)):
        delta = bd_rate(points["bpp"], points["psnr"], own[name].mean("bpp"), own[name].mean("psnr-rgb"))
        text = f"BD-rate (psnr-rgb) of {own[name].description} against VVC (vvenc medium, 4:2:0), points of another run"
        claims.append(record.claim(f"{text}, percent", delta.percent, VVC_BOUND, at_most=True))
assert all(math.isfinite(entry["value"]) for entry in claims)
name = "kodak_rd" if given.photos == "kodak" else f"rd_{given.photos}"
record.write(name, {**result, "claims": claims})
if len(pictures) == 24:
    plot(curves, record.RESULTS / "kodak_rd", title="24 Kodak photos, real bytes, mean of decibels")
