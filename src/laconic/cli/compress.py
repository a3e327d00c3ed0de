"""`laconic compress`: photos to .lac files."""

from __future__ import annotations

import errno
import io
import math
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from laconic.cli import options
from laconic.cli.batch import Outcome, may_write, remove_input, run_batch, skipped, target_of, warm_up
from laconic.cli.plan import STANDARD, Job, Naming, make_plan, split_second_positional
from laconic.cli.units import show_size

if TYPE_CHECKING:
    import argparse

    from laconic.cli.plan import Plan
    from laconic.codecs.inspection import Info
    from laconic.signals.image import Image
    from laconic.signals.rows import RowSource

__all__ = ["configure", "run"]

SUFFIX = ".lac"


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic compress`."""
    parser.example = "laconic compress photo.jpg -q 80 -o photo.lac"
    parser.description = (
        "Compress photos: JPEG, PNG, TIFF, WebP, BMP, GIF, PPM, .npy; 8 or 16 bits, gray, RGB, with alpha or without.\n"
        "Profile, EXIF and XMP are kept; orientation is applied. Of several pictures in a file the first is taken.\n"
        "Without a target it takes -q 75."
    )
    options.add_batch_options(parser, "photos")
    group = parser.add_argument_group("how small, how good (at most one of the first five)")
    target = group.add_mutually_exclusive_group()
    target.add_argument(
        "-q",
        "--quality",
        metavar="0..100",
        type=options.in_range(int, 0, 100),
        help="100 is best; 90 is hard to tell from the original, 75 good for viewing, 60 small enough for web pages",
    )
    target.add_argument("--bpp", metavar="BITS", type=_positive, help="bits per pixel of the whole file, at most")
    target.add_argument("--psnr", metavar="DB", type=_positive, help="peak signal-to-noise ratio in RGB, at least")
    target.add_argument(
        "--size", metavar="BYTES", type=options.in_bytes, help="size of the file, at most: 20000, 20kB, 1.5MB, 64KiB"
    )
    target.add_argument("--lossless", action="store_true", help="every bit of every sample comes back")
    group.add_argument(
        "-e",
        "--effort",
        metavar="1..10",
        type=options.in_range(int, 1, 10),
        help="higher is slower and smaller at the same quality. 1 rounds plainly; 2 and 3 weigh the error of each "
        "symbol against its bits; 4 and 5 search the best path of dependent quantization; 6 also asks for the better "
        "network, which takes more than twice the time to decompress, and has details foretold; 7 to 10 code the "
        "picture 1, 2, 4 and 8 times more, without what that network will add: each time two or three times what 6 "
        "takes. With --lossless 1 to 6 are one, and 7 to 10, which predict samples one by one where that is smaller: "
        "slower both ways (default: 7)",
    )
    group.add_argument(
        "--enhance",
        dest="network",
        choices=["auto", "off", "fast", "best", "ssim"],
        default="auto",
        help="what decompress runs over the picture to take back a part of the loss: auto is fast, best from "
        "effort 6 on, and ssim with --tune ssim; `laconic decompress -h` says what each costs (default: auto)",
    )
    group.add_argument(
        "--tune",
        choices=["psnr", "ssim"],
        help="what errors are weighed by: psnr, or ssim for MS-SSIM, where coarse structure counts more than the "
        "finest detail, and errors less where there is contrast (default: psnr)",
    )
    output = options.add_output_options(parser)
    output.add_argument("--input-format", metavar="NAME", help="refuse inputs of another format (png, jpeg, tiff, ...)")
    output.add_argument("--output-format", choices=["lac"], help="there is one; lets an output have any name")
    metadata = options.add_metadata_options(parser)
    metadata.add_argument("--icc", metavar="FILE", help="store this color profile instead of the input's")
    metadata.add_argument("--exif", metavar="FILE", help="store this EXIF instead of the input's")
    metadata.add_argument("--xmp", metavar="FILE", help="store this XMP instead of the input's")
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compress what the command line names and return the exit code."""
    from laconic.signals import formats

    console = options.console_of(arguments)
    inputs: list[str] = arguments.inputs
    output = split_second_positional(inputs, arguments.output, frozenset({SUFFIX}))
    naming = Naming(formats.readable_suffixes(), SUFFIX, counts_others=True)
    plan = make_plan(inputs, output, naming, recursive=arguments.recursive)
    options.check_streams(arguments, plan)
    if not arguments.output_format:
        _check_names(plan)
    if arguments.input_format:
        formats.by_name(arguments.input_format)
    work = _Compression(
        settings=_settings(arguments),
        kept=options.kept_metadata(arguments),
        replaced=_replacements(arguments),
        input_format=arguments.input_format,
        force=arguments.force,
        no_clobber=arguments.no_clobber,
        remove=arguments.rm,
    )
    return run_batch(plan, work.perform, console)


@dataclass(frozen=True)
class _Compression:
    """Everything the options say about each file."""

    settings: dict[str, Any]
    kept: frozenset[str]
    replaced: dict[str, bytes]
    input_format: str | None
    force: bool
    no_clobber: bool
    remove: bool

    def perform(self, job: Job) -> Outcome:
        """Compress one file."""
        import laconic
        from laconic.signals import locations

        assert job.target is not None
        if not may_write(job, force=self.force, no_clobber=self.no_clobber):
            return skipped(job)
        warm_up()
        start = time.perf_counter()
        rows, size_in = self._rows(job.source)
        if rows is not None:
            outcome, notes = self._compress_rows(job, rows, size_in, start), rows.notes
            if not self.remove:
                return outcome
            laconic.verify(job.target)  # it is too large to be compared
            return remove_input(outcome, job, notes)
        image, size_in = self._load(job.source)
        loaded = time.perf_counter()
        codec = laconic.ImageCodec(**self.settings)
        data = codec.encode(image.pixels, icc=image.icc, exif=image.exif, xmp=image.xmp)
        encoded = time.perf_counter()
        with target_of(job, force=self.force) as target:
            locations.write_bytes(target, data, force=self.force)
        written = time.perf_counter()
        times = {"load": loaded - start, "encode": encoded - loaded, "write": written - encoded}
        outcome = _outcome(job, laconic.inspect(data), size_in, image.notes, times)
        if not self.remove:
            return outcome
        _read_back(job, data)
        return remove_input(outcome, job, image.notes)

    def _rows(self, source: str) -> tuple[RowSource | None, int]:
        """The rows of a file that is too large to be held, None for others; and its size in bytes."""
        from laconic.signals import locations, row_files

        rows = None if source == STANDARD else row_files.open_rows(source, format=self.input_format)
        if rows is None:
            return None, 0
        self._check_profile(rows.channels)
        return replace(rows.keeping(self.kept), **self.replaced), locations.size_of(source)

    def _compress_rows(self, job: Job, rows: RowSource, size_in: int, start: float) -> Outcome:
        """Compress a picture that passes by in rows: loading, coding and writing are one."""
        import laconic
        from laconic.codecs.files import compress_rows

        codec = laconic.ImageCodec(**self.settings)
        with target_of(job, force=self.force) as target:
            info = compress_rows(codec, rows, target, force=self.force)
        times = {"load": 0.0, "encode": time.perf_counter() - start, "write": 0.0}
        return _outcome(job, info, size_in, rows.notes, times)

    def _check_profile(self, channels: int) -> None:
        from laconic.errors import UsageError
        from laconic.signals import profiles

        icc = self.replaced.get("icc")
        if icc is not None and not profiles.describes(icc, channels):
            raise UsageError(f"the given color profile is not for {'gray' if channels <= 2 else 'RGB'} pixels")

    def _load(self, source: str) -> tuple[Image, int]:
        from laconic.signals import image as images
        from laconic.signals import locations

        if source == STANDARD:
            data = sys.stdin.buffer.read()
            stream = _Named(data)
            loaded = images.load(stream, format=self.input_format)
            size = len(data)
        else:
            loaded = images.load(source, format=self.input_format)
            size = locations.size_of(source)
        self._check_profile(loaded.pixels.shape[2])
        return replace(loaded.keeping(self.kept), **self.replaced), size


class _Named(io.BytesIO):
    """Bytes from stdin, with a name for messages."""

    name = "stdin"


def _read_back(job: Job, data: bytes) -> None:
    """Raise unless the output on disk is what was written and decodes."""
    import laconic
    from laconic.signals import locations

    assert job.target is not None
    if locations.read_bytes(job.target) != data:
        raise OSError(errno.EIO, f"it does not hold what was written; {job.source} is kept", job.target)
    laconic.verify(data)


def _check_names(plan: Plan) -> None:
    """Refuse outputs that other programs would take for pictures.

    Raises
    ------
    UsageError
        An output's name ends as that of a picture file.
    """
    from laconic.errors import UsageError
    from laconic.signals import formats

    for job in plan.jobs:
        suffix = PurePath(job.target or "").suffix
        if suffix.lower() in formats.readable_suffixes():
            raise UsageError(
                f"{job.target} would hold a .lac file: name it so, or insist with --output-format lac "
                "(`laconic decompress` writes pictures)"
            )


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `laconic.ImageCodec` that the options name.

    Raises
    ------
    UsageError
        A network that does not exist; asked before any work is done.
    """
    if arguments.network in {"fast", "best", "ssim"}:
        options.check_network(arguments.network, lossless=arguments.lossless)
    names = ("quality", "bpp", "psnr", "size", "effort", "network", "tune")
    settings = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.lossless:
        settings["lossless"] = True
    settings["jobs"] = options.jobs_of(arguments)
    return settings


def _replacements(arguments: argparse.Namespace) -> dict[str, bytes]:
    from laconic.errors import UsageError
    from laconic.signals import exif

    given = {name: getattr(arguments, name) for name in ("icc", "exif", "xmp")}
    files = {name: Path(path).read_bytes() for name, path in given.items() if path is not None}
    if "exif" in files:
        bare = exif.bare(files["exif"])
        if bare is None:
            raise UsageError(f"{arguments.exif} is no EXIF: it must begin with `II*`, `MM` or `Exif`")
        # The pixels that are stored are upright, whatever the foreign EXIF says.
        files["exif"] = exif.upright_exif(bare) or bare
    if "icc" in files and files["icc"][36:40] != b"acsp":
        raise UsageError(f"{arguments.icc} is no ICC profile")
    return files


def _outcome(job: Job, info: Info, size_in: int, notes: tuple[str, ...], times: dict[str, float]) -> Outcome:
    size = info.bytes_total
    if size > size_in:
        notes = (*notes, _larger(size / size_in, lossless=info.lossless))
    pixels = info.height * info.width
    speed = pixels / 1e6 / max(times["encode"], 1e-9)
    record: dict[str, Any] = {
        "input": job.source,
        "output": job.target,
        "bytes_in": size_in,
        "bytes_out": size,
        "width": info.width,
        "height": info.height,
        "channels": info.channels,
        "bit_depth": info.bit_depth,
        "bpp": round(info.bpp, 6),
        "megapixels_per_second": round(speed, 3),
        "seconds": {name: round(value, 6) for name, value in times.items()},
        "notes": list(notes),
        "codec": info.codec,
        "model": info.model,
        "lossless": info.lossless,
        "quality": info.quality,
        "network": info.network,
    }
    line = (
        f"{job.source} -> {job.target}  {show_size(size_in)} -> {show_size(size)}  {info.bpp:.3f} bpp  {speed:.1f} MP/s"
    )
    remarks = [f"{info.width} x {info.height}, {info.channels} channels of {info.bit_depth} bits"]
    remarks.append(", ".join(f"{name} {1000 * value:.0f} ms" for name, value in times.items()))
    return Outcome(line, record, size_in, size, pixels, notes=notes, remarks=tuple(remarks))


def _larger(times: float, *, lossless: bool) -> str:
    """Say that a file has grown, and why that can be."""
    advice = "every bit is stored, also what an earlier lossy compression made up" if lossless else "lower -q"
    return f"the output is {times:.1f} times as large as the input: {advice}"


def _positive(text: str) -> float:
    import argparse

    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value
