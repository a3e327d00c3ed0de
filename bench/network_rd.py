"""What the decoder-side networks are worth on the 24 Kodak photos.

The same files decoded without and with them, and those through network best beside files that were made for no network.

    LACONIC_DATA=... python bench/network_rd.py

BD-rates of averaged curves against decoding without a network, in PSNR and MS-SSIM, over all measured qualities and
over those between 0.1 and 1.1 bits per pixel, where most pictures are kept; and against AVIF in the same run.
"""

from __future__ import annotations

import record

from laconic.measure import comparison, roster
from laconic.measure.curves import compare
from laconic.measure.deltas import bd_rate
from laconic.models import default_model

ASKED = {"fast": {"psnr-rgb": -9.0}, "best": {"psnr-rgb": -17.0, "ms-ssim-rgb": -8.0}}
USUAL = (0.1, 1.1)
ASKED_OF_AVIF = {"avif": -13.0, "avif-psnr": -5.0}

networks = [name for name in ("fast", "best") if name in default_model().networks]
pictures = record.kodak()
names = ",".join(["laconic-off", "laconic-for-off", *(f"laconic-{name}" for name in networks), "avif"])
METRICS = ("psnr-rgb", "ms-ssim-rgb")
curves = {codec.name: comparison.measure(codec, pictures, metrics=METRICS) for codec in roster.named(names)}
claims = []
usual: dict[str, dict[str, float]] = {}
for name in networks:
    for figure, bound in ASKED[name].items():
        off, through = curves["laconic-off"], curves[f"laconic-{name}"]
        delta = bd_rate(off.mean("bpp"), off.mean(figure), through.mean("bpp"), through.mean(figure))
        middle = slice(*(sum(rate < bound for rate in off.mean("bpp")) for bound in USUAL))
        ends = [(curve.mean("bpp")[middle], curve.mean(figure)[middle]) for curve in (off, through)]
        usual.setdefault(name, {})[figure] = bd_rate(*ends[0], *ends[1]).percent
        print(f"between {USUAL[0]} and {USUAL[1]} bpp: {usual[name][figure]:.2f}")
        claims.append(
            record.claim(f"BD-rate ({figure}) of {name} against off, percent", delta.percent, bound, at_most=True)
        )
    gains = [b - a for a, b in zip(off.mean("psnr-rgb"), through.mean("psnr-rgb"), strict=True)]
    print(
        f"{name}: dB gained from quality {off.qualities[0]} to {off.qualities[-1]}:", *(f"{gain:.3f}" for gain in gains)
    )
for figure, bound in ASKED["best"].items() if "best" in networks else ():
    percent = compare(curves["laconic-best"], curves["laconic-for-off"], figure).averaged.percent
    what = f"BD-rate ({figure}) of best against files made for no network, percent"
    claims.append(record.claim(what, percent, bound, at_most=True))
for other, bound in ASKED_OF_AVIF.items():
    for name in networks:
        percent = compare(curves[f"laconic-{name}"], curves[other]).averaged.percent
        what = f"BD-rate (PSNR) of {name} against {curves[other].description}, percent"
        if name == "best":
            claims.append(record.claim(what, percent, bound, at_most=True))
        else:
            print(f"{what}: {percent:.2f}")
everyone = list(curves.values())
result = comparison.report(everyone, pictures, subject="laconic-off")
for name in networks:
    subject = f"laconic-{name}"
    others = [curve for curve in everyone if curve.name not in {f"laconic-{n}" for n in networks} - {subject}]
    result["bd_rate"] |= comparison.report(others, pictures, subject=subject)["bd_rate"]
result["bd_rate"] = {
    key: value for key, value in result["bd_rate"].items() if not key.startswith("laconic-off against laconic")
}
record.write(
    "network_rd",
    {**result, "claims": claims, "bd_rate_against_off_between_bpp": {"range": USUAL, **usual}},
)
