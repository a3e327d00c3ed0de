"""`laconic bench`: laconic and its peers over a folder of photos, in one run, in real bytes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laconic.cli import options
from laconic.errors import OutputExists
from laconic.signals.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.measure.curves import Curve

__all__ = ["configure", "run"]


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic bench`."""
    parser.example = "laconic bench photos/ --against jpeg,webp,avif -o report"
    parser.description = (
        "Measure laconic and other codecs on the photos of a folder, in one run: whole files in bytes, PSNR in RGB\n"
        "(mean of decibels), MS-SSIM, SSIMULACRA2, encode and decode time on one thread, BD-rates (PCHIP over log\n"
        "rate). Writes bench.json, bench.csv (every photo and quality), bench.png and bench.svg; `laconic report`\n"
        'makes a page of them. The peers come with: pip install "laconic[bench]"'
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder of photos")
    parser.add_argument(
        "--against",
        metavar="LIST",
        default="jpeg,webp,avif,jxl",
        help="peers, of jpeg, mozjpeg, jpegli, webp, avif (both tunings), avif-psnr, avif-s3, avif-s3-psnr, jxl, "
        "jxl-e9, hevc, jpeg2000, or `all`; speed 3, effort 9 and hevc take seconds per photo and quality. What can not "
        "run here is left out with a word why (default: %(default)s)",
    )
    parser.add_argument(
        "--metrics",
        metavar="LIST",
        type=_metrics,
        default=_metrics("psnr,ms-ssim,ssimulacra2"),
        help="of psnr, ms-ssim and ssimulacra2, which takes a second or more per photo and quality (default: all)",
    )
    parser.add_argument(
        "--qualities",
        metavar="LIST",
        type=_qualities,
        help="qualities of laconic, such as 20,50,80; peers have their own lists",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path("bench-report"), help="where the results go"
    )
    parser.add_argument("-f", "--force", action="store_true", help="replace existing results")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="keep the peers' results there for later runs; the result says which codecs came from it",
    )
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, write the results and return the exit code."""
    # Imported here, so that `laconic bench -h` works and starts quickly without the peers.
    from laconic.measure import comparison, roster
    from laconic.measure.curves import as_csv
    from laconic.measure.extras import need
    from laconic.measure.plot import plot

    console = options.console_of(arguments)
    named = roster.named(f"laconic,{arguments.against}")
    needed = ["bjontegaard", "matplotlib", *(["ssimulacra2"] if "ssimulacra2" in arguments.metrics else [])]
    for module in needed:
        need(module, "for `laconic bench`")
    left_out = {codec.name: why for codec in named if (why := roster.why_not(codec))}
    codecs = [codec for codec in named if codec.name not in left_out]
    for name, why in left_out.items():
        console.warn(f"{name} is left out: {why}")
    output: Path = arguments.output
    if (output / "bench.json").exists() and not arguments.force:
        raise OutputExists(output / "bench.json")
    pictures = comparison.load_pictures(arguments.folder)

    lists = {codec.name: tuple(codec.qualities) for codec in codecs}
    if arguments.qualities:
        lists["laconic"] = arguments.qualities
    total = len(pictures) * sum(map(len, lists.values()))
    curves: list[Curve] = []
    done = 0

    def advance(name: str) -> None:
        nonlocal done
        done += 1
        console.progress(done, total, name)

    for codec in codecs:
        # Only the peers may come from the cache: laconic is what is being changed and measured.
        cache = None if codec.name.startswith("laconic") else arguments.cache
        name = codec.name
        curves.append(
            comparison.measure(
                codec,
                pictures,
                lists[name],
                metrics=arguments.metrics,
                cache=cache,
                progress=lambda name=name: advance(name),
            )
        )
    console.clear()
    result = {**comparison.report(curves, pictures), "left_out": left_out}
    output.mkdir(parents=True, exist_ok=True)
    written = [output / "bench.json", output / "bench.csv"]
    texts = [json.dumps(result, indent=1, allow_nan=False) + "\n", as_csv(curves)]
    for path, text in zip(written, texts, strict=True):
        with replacing(path, force=arguments.force) as file:
            file.write(text.encode())
    written += plot(curves, output / "bench", title=f"{len(pictures)} photos, real bytes")
    if arguments.json:
        console.record(result)
    elif not arguments.quiet:
        console.result(_table(curves, result["bd_rate"], sum(picture.megapixels for picture in pictures)))
    console.line(f"wrote {', '.join(str(path) for path in written)}")
    return 0


def _qualities(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 <= number <= 100 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers from 0 to 100, such as 20,50,80")
    return numbers


_METRICS = {"psnr": "psnr-rgb", "ms-ssim": "ms-ssim-rgb", "ssimulacra2": "ssimulacra2"}


def _metrics(text: str) -> tuple[str, ...]:
    names = text.lower().split(",")
    if not set(names) <= set(_METRICS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of {', '.join(_METRICS)}")
    return tuple(figure for name, figure in _METRICS.items() if name in {"psnr", *names})


def _table(curves: Sequence[Curve], deltas: dict[str, Any], megapixels: float) -> str:
    """What the run found: one line per codec, then one per peer and metric."""
    rows = [["codec", "bits/pixel", "PSNR dB", "enc MP/s", "dec MP/s"]]
    for curve in curves:
        row = [curve.name]
        for figure, digits in (("bpp", 2), ("psnr-rgb", 1)):
            values = curve.mean(figure)
            row.append(f"{min(values):.{digits}f}-{max(values):.{digits}f}")
        for figure in ("encoding_time", "decoding_time"):
            seconds = sum(curve.mean(figure)) / len(curve.qualities) * len(curve.points)
            row.append(f"{megapixels / seconds:.{1 if megapixels > seconds else 2}f}")
        rows.append(row)
    spread = [["BD-rate of laconic against", "metric", "averaged", "median", "worst photo", "", "points", "overlap"]]
    for name, by_figure in deltas.items():
        for metric, figure in _METRICS.items():
            if figure not in by_figure:
                continue
            delta = by_figure[figure]
            spread.append(
                [
                    name.removeprefix("laconic against "),
                    metric,
                    _percent(delta["of_averaged_curves_percent"]),
                    _percent(delta["median_of_pictures_percent"]),
                    _percent(delta["worst_of_pictures_percent"]),
                    delta["worst_picture"],
                    f"{delta['points_in_overlap']}+{delta['anchor_points_in_overlap']}",
                    f"{100 * delta['overlap_of_averaged_curves']:.0f} %",
                ]
            )
    lines = [*_aligned(rows), "", *_aligned(spread)]
    lines.append("BD-rate: bytes of laconic against the codec at equal quality; nan where the curves do not meet")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "nan" if value is None else f"{value:+.1f} %"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
