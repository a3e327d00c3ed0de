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

    from laconic.measure.comparison import Curve

__all__ = ["configure", "run"]


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic bench`."""
    parser.example = "laconic bench photos/ --against jpeg,webp,avif -o report"
    parser.description = (
        "Measure laconic and other codecs on the photos of a folder, in one run: whole files in bytes, PSNR in RGB\n"
        "(mean of decibels), MS-SSIM, encode and decode time on one thread, BD-rates (PCHIP over log rate).\n"
        'Writes bench.json, bench.png and bench.svg. The peers come with: pip install "laconic[bench]"'
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder of photos")
    parser.add_argument(
        "--against",
        metavar="LIST",
        default="jpeg,webp,avif,jxl",
        help="peers, of jpeg, webp, avif (both tunings), avif-psnr, jxl, jpeg2000 (default: %(default)s)",
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
    from laconic.measure.extras import need
    from laconic.measure.plot import plot

    console = options.console_of(arguments)
    codecs = roster.named(f"laconic,{arguments.against}")
    for module in ("bjontegaard", "matplotlib", *(["imagecodecs"] * any(c.name.startswith("jxl") for c in codecs))):
        need(module, "for `laconic bench`")
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
            comparison.measure(codec, pictures, lists[name], cache=cache, progress=lambda name=name: advance(name))
        )
    console.clear()
    result = comparison.report(curves, pictures)
    output.mkdir(parents=True, exist_ok=True)
    written = [output / "bench.json"]
    with replacing(written[0], force=arguments.force) as file:
        file.write(json.dumps(result, indent=1, allow_nan=False).encode() + b"\n")
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


def _table(curves: Sequence[Curve], deltas: dict[str, Any], megapixels: float) -> str:
    """What the run found, one line per codec; BD-rates say how many bytes laconic needs against that codec."""
    rows = [["codec", "bits/pixel", "PSNR dB", "enc MP/s", "dec MP/s", "BD-rate PSNR", "BD-rate MS-SSIM"]]
    for curve in curves:
        row = [curve.codec.name]
        for figure, digits in (("bpp", 2), ("psnr-rgb", 1)):
            values = curve.mean(figure)
            row.append(f"{min(values):.{digits}f}-{max(values):.{digits}f}")
        for figure in ("encoding_time", "decoding_time"):
            seconds = sum(curve.mean(figure)) / len(curve.qualities) * len(curve.points)
            row.append(f"{megapixels / seconds:.1f}")
        for figure in ("psnr-rgb", "ms-ssim-rgb"):
            delta = deltas.get(f"laconic against {curve.codec.name}", {}).get(figure, {})
            percent = delta.get("of_averaged_curves_percent")
            row.append("-" if percent is None else f"{percent:+.1f} %")
        rows.append(row)
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([*lines, "BD-rate: bytes of laconic against the codec at equal quality, averaged curves"])
