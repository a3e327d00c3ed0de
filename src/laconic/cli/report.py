"""`laconic report`: the results of `laconic bench` as one page that needs nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from laconic.cli import options
from laconic.cli.units import show_size
from laconic.errors import OutputExists, UsageError
from laconic.signals.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.cli.console import Console
    from laconic.measure.comparison import Picture
    from laconic.measure.curves import Curve
    from laconic.measure.results import Run
    from laconic.viewer.report import Scene

__all__ = ["configure", "run"]


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic report`."""
    parser.example = "laconic report bench-report/bench.json --html report.html --photos photos/"
    parser.description = (
        "Make one self-contained page of results of `laconic bench`: plots, BD-rates, speeds, and with --photos the\n"
        "pictures side by side at equal bytes, with a map of where the bits went. Several results of the same photos\n"
        "are put together; the first one's laconic is compared with all others. On the 24 Kodak photos published\n"
        'curves are drawn too. Needs pip install "laconic[bench]"'
    )
    parser.add_argument("inputs", metavar="RESULTS", nargs="+", type=Path, help="bench.json of one or several runs")
    parser.add_argument("--html", metavar="FILE", type=Path, default=Path("report.html"), help="default: %(default)s")
    parser.add_argument("--photos", metavar="DIR", type=Path, help="the folder that was measured")
    parser.add_argument(
        "--pictures",
        metavar="N",
        type=options.in_range(int, 0, 1000),
        default=6,
        help="how many photos to show, from the first one on; each adds up to a megabyte for each codec shown "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--show", metavar="LIST", help="codecs to show beside laconic (default: all measured that run here)"
    )
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing page")
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the page and return the exit code."""
    # Imported here, so that `laconic report -h` works and starts quickly without the extra.
    from laconic.measure.extras import need
    from laconic.measure.results import merge, read_run
    from laconic.measure.results_page import results_page
    from laconic.viewer.report import page

    console = options.console_of(arguments)
    need("bjontegaard", "for BD-rates")
    if arguments.show and arguments.photos is None:
        raise UsageError("--show needs --photos DIR, the folder that was measured")
    target: Path = arguments.html
    if target.exists() and not arguments.force:
        raise OutputExists(target)
    runs = [read_run(path) for path in arguments.inputs]
    scenes: list[Scene] = []
    if arguments.photos is not None:
        scenes = _scenes(arguments, runs[0], merge(runs), console)
    else:
        console.line("no pictures in the page: --photos DIR names the folder that was measured")
    text = page(results_page(runs, scenes)).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, force=arguments.force) as file:
        file.write(text)
    if arguments.json:
        console.record({"output": str(target), "bytes_out": len(text), "photos_shown": len(scenes)})
    console.line(f"wrote {target}, {show_size(len(text))}")
    return 0


def _scenes(arguments: argparse.Namespace, first: Run, curves: Sequence[Curve], console: Console) -> list[Scene]:
    from laconic.measure import roster
    from laconic.measure.results_page import RATES, scenes_of

    measured = {curve.name for curve in curves}
    codecs = [codec for codec in roster.ROSTER.values() if codec.name in measured and not codec.lossless]
    if arguments.show is not None:
        codecs = roster.named(arguments.show)
        if absent := [codec.name for codec in codecs if codec.name not in measured]:
            raise UsageError(f"{', '.join(absent)}: not in the results, which have {', '.join(sorted(measured))}")
    codecs = [codec for codec in codecs if not codec.name.startswith("laconic")]
    for codec in codecs:
        if why := roster.why_not(codec):
            console.warn(f"{codec.name} is not shown: {why}")
    codecs = [codec for codec in codecs if not roster.why_not(codec)]
    pictures = _pictures(arguments.photos, first)[: arguments.pictures]
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        console.progress(done, len(pictures) * len(RATES), "pictures")

    found = scenes_of(pictures, curves, codecs, advance)
    console.clear()
    return found


def _pictures(folder: Path, first: Run) -> list[tuple[Path, Picture]]:
    """The photos of a folder; they must be those that were measured."""
    from laconic.measure.comparison import load_pictures

    pictures = [(folder / picture.name, picture) for picture in load_pictures(folder)]
    found = [(path, picture) for path, picture in pictures if first.photos.get(picture.name) == picture.fingerprint]
    if not found:
        raise UsageError(f"{folder} holds none of the photos that were measured")
    return found
