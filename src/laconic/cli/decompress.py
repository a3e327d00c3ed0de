"""`laconic decompress`: .lac files back to pictures other programs read."""

from __future__ import annotations

import argparse
import errno
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laconic.cli import options
from laconic.cli.batch import Outcome, may_write, remove_input, run_batch, skipped, target_of, warm_up
from laconic.cli.plan import STANDARD, Job, Naming, make_plan, split_second_positional
from laconic.cli.units import show_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.cli.console import Console
    from laconic.codecs.stream import Decoding
    from laconic.container import Container
    from laconic.signals.formats import ImageFormat
    from laconic.signals.image import Image

__all__ = ["configure", "run"]

_METADATA = ("icc", "exif", "xmp")


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic decompress`."""
    parser.example = "laconic decompress photo.lac -o restored.png"
    parser.description = (
        "Restore pictures. The ending of the output chooses the format: .png (default), .tiff, .webp (lossless),\n"
        ".ppm/.pgm/.pam, .npy, .bmp, or .jpg (quality 95). 16-bit samples need .png, .tiff, .npy or .pam."
    )
    options.add_batch_options(parser, ".lac files")
    output = options.add_output_options(parser)
    output.add_argument("--input-format", choices=["lac"], default="lac", help="there is one")
    output.add_argument(
        "--output-format", metavar="NAME", help="png, tiff, webp, pnm, npy, bmp or jpeg, whatever the name says"
    )
    output.add_argument(
        "--allow-partial",
        action="store_true",
        help="restore what a damaged file still holds and say what is missing; exit code 1 if anything is",
    )
    output.add_argument(
        "--enhance",
        dest="network",
        choices=["off", "fast", "best", "ssim"],
        help="restore through this network of the file's model; default: the one the file names. The file stays as it "
        "is, only the picture changes: it comes nearer to the original at about 1.6 (fast) or 3.4 (best, and "
        "ssim, which serves MS-SSIM) times the computing time of off",
    )
    output.add_argument(
        "--region", metavar="X,Y,W,H", type=_region, help="only this part, in pixels of the full size from the top left"
    )
    output.add_argument(
        "--scale",
        metavar="1/N",
        type=_scale,
        default=0,
        help="1/2, 1/4, 1/8, 1/16 or 1/32 of width and height: decodes less, runs no network (default: 1)",
    )
    options.add_metadata_options(parser)
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Restore what the command line names and return the exit code."""
    from laconic.signals import formats
    from laconic.signals.image import check_output

    console = options.console_of(arguments)
    inputs: list[str] = arguments.inputs
    output = split_second_positional(inputs, arguments.output, formats.readable_suffixes())
    wanted: str | None = arguments.output_format
    # Before any work: can this format be written at all?
    suffix = check_output(output or "", format=wanted).suffixes[0] if wanted else ".png"
    plan = make_plan(inputs, output, Naming(frozenset({".lac"}), suffix), recursive=arguments.recursive)
    options.check_streams(arguments, plan)
    work = _Restoration(
        output_format=wanted,
        allow_partial=arguments.allow_partial,
        choices={"network": arguments.network, "region": arguments.region, "scale": arguments.scale},
        jobs=options.jobs_of(arguments),
        kept=options.kept_metadata(arguments),
        force=arguments.force,
        no_clobber=arguments.no_clobber,
        remove=arguments.rm,
        console=console,
    )
    return run_batch(plan, work.perform, console)


@dataclass(frozen=True)
class _Restoration:
    """Everything the options say about each file."""

    output_format: str | None
    allow_partial: bool
    choices: dict[str, Any]
    jobs: int | None
    kept: frozenset[str]
    force: bool
    no_clobber: bool
    remove: bool
    console: Console

    def perform(self, job: Job) -> Outcome:
        """Restore one file."""
        from laconic.codecs.files import passes_by
        from laconic.codecs.image_decoder import restore_container
        from laconic.container import read
        from laconic.signals import formats, locations
        from laconic.signals import image as images

        assert job.target is not None
        if job.target == STANDARD:
            kind = formats.by_name(self.output_format or "png")
        else:
            kind = images.check_output(job.target, format=self.output_format)
        if not may_write(job, force=self.force, no_clobber=self.no_clobber):
            return skipped(job)
        warm_up()
        start = time.perf_counter()
        data = sys.stdin.buffer.read() if job.source == STANDARD else locations.view_bytes(job.source)
        container = read(data, allow_partial=self.allow_partial)
        loaded = time.perf_counter()
        whole = self.choices["region"] is None and self.choices["scale"] == 0
        if whole and passes_by(container.header, kind):
            return self._restore_rows(job, container, kind, start, loaded)
        restored = restore_container(container, **self.choices, allow_partial=self.allow_partial, jobs=self.jobs)
        decoded = time.perf_counter()
        pixels = restored.pixels if restored.pixels.ndim == 3 else restored.pixels[..., None]
        image = images.Image(pixels, restored.icc, restored.exif, restored.xmp).keeping(self.kept)
        with target_of(job, force=self.force) as target:
            images.save(target, image, format=self.output_format, force=self.force)
        written = time.perf_counter()
        times = {"read": loaded - start, "decode": decoded - loaded, "write": written - decoded}
        left_out = _left_out(kind, image.metadata)
        outcome = self._outcome(job, container, image.pixels.shape, times, restored.missing, left_out)
        if not self.remove:
            return outcome
        lacking = (*restored.missing, *left_out)
        if self.choices["region"] or self.choices["scale"]:
            lacking += ("only a part of it was restored",)
        if kind.name == "jpeg":
            lacking += ("JPEG stores its pixels with another loss",)
        else:
            _read_back(job, image)
        return remove_input(outcome, job, lacking)

    def _restore_rows(self, job: Job, container: Container, kind: ImageFormat, start: float, loaded: float) -> Outcome:
        """Restore a picture that passes by in rows: decoding and writing are one."""
        from pathlib import PurePath

        from laconic.codecs.files import decompress_rows
        from laconic.codecs.stream import Decoding

        assert job.target is not None
        network = self.choices["network"]
        decoding = Decoding.of(container, network=network, allow_partial=self.allow_partial)
        metadata = {name: getattr(container.metadata, name) if name in self.kept else None for name in _METADATA}
        suffix = PurePath(job.target).suffix.lower()  # none of stdout
        with target_of(job, force=self.force) as target:
            decompress_rows(decoding, metadata, target, kind, suffix=suffix, force=self.force, jobs=self.jobs)
        times = {"read": loaded - start, "decode": time.perf_counter() - loaded, "write": 0.0}
        left_out = _left_out(kind, frozenset(name for name in _METADATA if metadata[name]))
        missing = tuple(decoding.damaged)
        shape = (container.header.height, *decoding.no_rows().shape[1:])
        outcome = self._outcome(job, container, shape, times, missing, left_out)
        if not self.remove:
            return outcome
        _read_rows_back(job, Decoding.of(container, network=network, allow_partial=self.allow_partial), self.jobs)
        return remove_input(outcome, job, (*missing, *left_out))

    def _outcome(
        self,
        job: Job,
        container: Container,
        shape: tuple[int, ...],
        times: dict[str, float],
        missing: tuple[str, ...],
        notes: tuple[str, ...],
    ) -> Outcome:
        """Say what is missing, and what has been done."""
        name = "stdin" if job.source == STANDARD else job.source
        for part in missing:
            self.console.warn(f"{name}: missing: {part}")
        return _outcome(job, container, shape, times, missing, notes)


def _left_out(kind: ImageFormat, metadata: frozenset[str]) -> tuple[str, ...]:
    """What of the metadata a format cannot hold, in words."""
    lost = ", ".join(sorted(metadata - kind.metadata))
    return (f"{kind.name.upper()} holds no {lost}: left out",) if lost else ()


def _read_back(job: Job, image: Image) -> None:
    """Raise unless the output on disk gives back every sample."""
    import numpy as np

    from laconic.signals import image as images

    assert job.target is not None
    found, stored = images.load(job.target).pixels, image.pixels
    if found.shape != stored.shape:
        # WebP knows no gray and drops an alpha that hides nothing; TIFF with 16-bit gray and alpha becomes color.
        found, stored = _as_rgba(found), _as_rgba(stored)
    if found.dtype != stored.dtype or not np.array_equal(found, stored):
        raise OSError(errno.EIO, f"it does not hold what was written; {job.source} is kept", job.target)


def _read_rows_back(job: Job, decoding: Decoding, jobs: int | None) -> None:
    """Raise unless the output on disk gives back every sample, row by row."""
    import numpy as np

    from laconic.signals import row_files
    from laconic.transform.workers import Workers

    assert job.target is not None
    source = row_files.open_rows(job.target, above=0)
    same = source is not None and (source.height, source.width) == (decoding.header.height, decoding.header.width)
    if source is not None and same:
        with source.reader() as reader, Workers(jobs) as workers:
            for stored in decoding.rows(workers):
                found = reader.read(len(stored))
                if found.shape != stored.shape:
                    found, stored = _as_rgba(found), _as_rgba(stored)
                same = same and found.dtype == stored.dtype and np.array_equal(found, stored)
    if not same:
        raise OSError(errno.EIO, f"it does not hold what was written; {job.source} is kept", job.target)


def _as_rgba(pixels: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    channels = pixels.shape[2]
    colors = pixels[..., :3] if channels >= 3 else pixels[..., [0, 0, 0]]
    alpha = pixels[..., -1:] if channels in {2, 4} else np.full_like(pixels[..., :1], np.iinfo(pixels.dtype).max)
    return np.concatenate([colors, alpha], axis=2)


def _outcome(
    job: Job,
    container: Container,
    shape: tuple[int, ...],
    times: dict[str, float],
    missing: tuple[str, ...],
    notes: tuple[str, ...],
) -> Outcome:
    from laconic.codecs.inspection import Info
    from laconic.signals import locations

    assert job.target is not None
    info = Info.of(container)
    height, width, channels = shape
    pixels = height * width
    speed = pixels / 1e6 / max(times["decode"], 1e-9)
    size_out = 0 if job.target == STANDARD else locations.size_of(job.target)
    record: dict[str, Any] = {
        "input": job.source,
        "output": job.target,
        "bytes_in": container.size,
        "bytes_out": size_out or None,
        "width": width,
        "height": height,
        "channels": channels,
        "bit_depth": info.bit_depth,
        "bpp": round(info.bpp, 6),
        "megapixels_per_second": round(speed, 3),
        "seconds": {name: round(value, 6) for name, value in times.items()},
        "codec": info.codec,
        "model": info.model,
        "missing": list(missing),
        "notes": list(notes),
    }
    sizes = show_size(container.size) + (f" -> {show_size(size_out)}" if size_out else "")
    line = f"{job.source} -> {job.target}  {sizes}  {info.bpp:.3f} bpp  {speed:.1f} MP/s"
    remarks = (
        f"{width} x {height}, {channels} channels of {info.bit_depth} bits",
        ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in times.items()),
    )
    return Outcome(line, record, container.size, size_out, pixels, complete=not missing, notes=notes, remarks=remarks)


def _scale(text: str) -> int:
    """From 1, 1/2, .. 1/32 to the power of two."""
    scales = {"1": 0, **{f"1/{2**k}": k for k in range(6)}}
    if text not in scales:
        raise argparse.ArgumentTypeError(f"{text!r} is none of 1, 1/2, 1/4, 1/8, 1/16, 1/32")
    return scales[text]


def _region(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,WIDTH,HEIGHT in pixels, such as 0,0,640,480")
    return tuple(map(int, parts))
