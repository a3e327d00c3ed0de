"""`laconic info`: what a .lac file says about itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from laconic.cli import options
from laconic.cli.batch import Outcome, run_batch
from laconic.cli.plan import STANDARD, Job, Naming, make_plan
from laconic.cli.units import show_count, show_size

if TYPE_CHECKING:
    import argparse

    from laconic.codecs.inspection import Info
    from laconic.codecs.weights import Series, WeightsInfo

__all__ = ["configure", "run"]


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic info`."""
    parser.example = "laconic info photo.lac"
    parser.description = (
        "Show size, settings and parts of .lac files, of weights each tensor. No pixel and no weight is decoded."
    )
    options.add_batch_options(parser, ".lac files")
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Describe what the command line names and return the exit code."""
    plan = make_plan(arguments.inputs, None, Naming(frozenset({".lac"})), recursive=arguments.recursive)
    return run_batch(plan, _describe, options.console_of(arguments), results=True)


def _describe(job: Job) -> Outcome:
    import laconic
    from laconic.container.arrays import ARRAY_CODEC, codec_of
    from laconic.container.series import SERIES_CODEC
    from laconic.signals import locations

    data = sys.stdin.buffer.read() if job.source == STANDARD else locations.view_bytes(job.source)
    name = "stdin" if job.source == STANDARD else job.source
    if codec_of(data) == ARRAY_CODEC:
        weights = laconic.weights.inspect(data if isinstance(data, bytes) else job.source)
        return Outcome(_weights_page(name, weights), {"input": job.source, **weights.as_dict()}, len(data))
    if codec_of(data) == SERIES_CODEC and job.source != STANDARD:
        return _describe_series(job, laconic.weights.Series(job.source), len(data))
    info = laconic.inspect(data)
    return Outcome(_page(name, info), {"input": job.source, **info.as_dict()}, len(data))


def _describe_series(job: Job, series: Series, size: int) -> Outcome:
    """One line for each checkpoint."""
    infos = [series.inspect(number) for number in range(len(series))]
    lines = [
        job.source,
        f"  holds    {show_count(len(infos), 'checkpoint')}, a key frame every {series.keyframe_every}",
        f"  file     {size:,} bytes",
        "  checkpoints",
    ]
    for number, (info, digest) in enumerate(zip(infos, series.hashes, strict=True)):
        way = "difference" if info.base else "key frame"
        rate = f"{info.bits_per_weight:.3f} bits per weight"
        lines.append(f"    {number:4}  {way:10}  {info.bytes_total:>13,} bytes  {rate}  {digest}")
    record = {
        "input": job.source,
        "codec": "series",
        "bytes_total": size,
        "keyframe_every": series.keyframe_every,
        "checkpoints": [
            {"bytes": info.bytes_total, "bits_per_weight": info.bits_per_weight, "base": info.base, "hash": digest}
            for info, digest in zip(infos, series.hashes, strict=True)
        ],
    }
    return Outcome("\n".join(lines), record, size)


_KINDS = {1: "gray", 2: "gray and alpha", 3: "RGB", 4: "RGB and alpha"}


def _page(name: str, info: Info) -> str:
    """Lay the facts out for a person."""
    if info.lossless:
        setting = "lossless"
    else:
        setting = f"quality {info.quality}" if info.quality is not None else "set by another target than quality"
        setting += f" (step {info.step:.3g})" if info.step is not None else ""
        setting += ", tuned for MS-SSIM" if info.tune == "ssim" else ""
    through = info.network
    if info.filter_taps:
        through += f" and {show_count(info.filter_taps, 'tap')} of its own"
    numbered = f"{'colors' if info.lossless else 'parameter set'} {info.parameter_set}"
    how = "predicted samples" if info.predicted else numbered
    facts = [
        ("picture", f"{info.width} x {info.height}, {_KINDS[info.channels]}, {info.bit_depth} bits per sample"),
        ("setting", setting),
        ("file", f"{info.bytes_total:,} bytes, {info.bpp:.3f} bits per pixel"),
        ("codec", f"{info.codec}, model {info.model}, {how}, network {through}"),
        ("tiles", f"{show_count(info.tiles, 'tile')} of up to {info.tile} x {info.tile}"),
    ]
    lines = [name, *(f"  {label:9}{text}" for label, text in facts), "  parts"]
    width = max(len(part) for part, _ in info.parts)
    for part, size in info.parts:
        share = 100 * size / info.bytes_total
        lines.append(f"    {part:{width}}  {show_size(size):>8}  {share:5.1f} %")
    return "\n".join(lines)


def _weights_page(name: str, info: WeightsInfo) -> str:
    """Lay the tensors out for a person."""
    held = f"{show_count(info.weights, 'weight')} in {show_count(len(info.tensors), 'tensor')}, from .{info.form}"
    share = 100 * info.bytes_total / max(info.bytes_original, 1)
    size = f"{info.bytes_total:,} bytes, {info.bits_per_weight:.3f} bits per weight"
    of_original = f"{share:.1f} % of {show_size(info.bytes_original)}"
    lines = [name, f"  holds    {held}", f"  file     {size}, {of_original}"]
    if info.base:
        lines.append(f"  base     {info.base}, needed to decode it")
    lines.append("  tensors")
    rows = [
        (
            tensor.name or "(without a name)",
            f"{tensor.kind} {' x '.join(map(str, tensor.shape)) or 'number'}",
            tensor.coding + (f", rank {tensor.rank}" if tensor.rank else ""),
            f"{tensor.bits_per_weight:.2f} bits",
            "exact" if tensor.snr is None else f"{tensor.snr:.1f} dB",
            f"{100 * tensor.share:.1f} %",
        )
        for tensor in info.tensors
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        lines.append("    " + "  ".join([*left, *right]))
    return "\n".join(lines)
