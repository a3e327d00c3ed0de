"""`laconic pack`: a data set of pictures to latents that models train on."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from laconic.cli import options
from laconic.cli.units import show_count, show_size
from laconic.errors import UsageError

if TYPE_CHECKING:
    from laconic.cli.console import Console
    from laconic.learn.pack_plan import PackPlan
    from laconic.learn.shard_packing import ShardRecord

__all__ = ["configure", "run"]


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic pack`."""
    parser.example = "laconic pack photos/train packed/train --size 224"
    parser.description = (
        "Compress a data set once, to train on its latents: quantized wavelet coefficients on a grid of 1/8 or 1/16\n"
        "of the picture. The output is a folder of shards and a manifest, for `laconic.learn.open`. A run that was\n"
        "killed goes on with --resume and ends with the same bytes."
    )
    parser.add_argument(
        "source", metavar="SRC", help="the pictures: a folder, a CSV table, tar files, or a URL of them"
    )
    parser.add_argument("destination", metavar="DST", help="the folder or URL to pack into")
    group = parser.add_argument_group("what is packed")
    group.add_argument(
        "--layout",
        choices=["folder", "csv", "webdataset"],
        default="folder",
        help="folder: one folder for each class (default); csv: columns path and label; webdataset: tar files of "
        "KEY.jpg and KEY.cls",
    )
    group.add_argument(
        "--size",
        metavar="PIXELS",
        type=options.in_range(int, 8, 4096, " pixels"),
        help="scale the shorter side to this and cut out the center; without it all pictures must be of one size",
    )
    group.add_argument(
        "--views", metavar="LIST", default="", help="further fixed views of each picture: flip, crop4 (four corners)"
    )
    group.add_argument(
        "--on-error",
        choices=["skip", "fail"],
        default="skip",
        help="unreadable pictures go to the quarantine list of the manifest (default), or stop the run",
    )
    group.add_argument(
        "--like",
        metavar="DIR",
        help="take transform and classes from this data set: validation data must be packed like training data",
    )
    group = parser.add_argument_group("how")
    group.add_argument(
        "-q",
        "--quality",
        metavar="Q",
        type=options.in_range(int, 0, 100),
        default=60,
        help="0 to 100, as in `laconic compress` (default: 60)",
    )
    group.add_argument(
        "--stride",
        metavar="PIXELS",
        type=int,
        choices=[8, 16],
        default=8,
        help="a cell of the grid is a square of 8 (default) or 16 pixels",
    )
    group.add_argument(
        "--channels",
        metavar="N",
        type=options.in_range(int, 1, 768),
        default=48,
        help="channels kept, coarse to fine: of stride 8, 12 are a quarter of the resolution, 48 half, 192 all "
        "(default: 48)",
    )
    group.add_argument(
        "--store",
        choices=["fast", "bits", "small"],
        default="small",
        help="small: entropy-coded (default); fast: one byte to a symbol, read straight from mapped memory; bits: "
        "likewise, with as few bits to a symbol as its channel needs",
    )
    group.add_argument("-e", "--effort", metavar="N", type=options.in_range(int, 1, 10), default=5, help="default: 5")
    group.add_argument(
        "--shard-size",
        metavar="N",
        type=options.in_range(int, 1, 1 << 20),
        default=1000,
        help="pictures to a shard (default: 1000)",
    )
    group = parser.add_argument_group("the run")
    group.add_argument("--shard", metavar="I/N", type=_part, default=(1, 1), help="make part I of N only, such as 2/4")
    group.add_argument("--resume", action="store_true", help="go on where a run with the same options stopped")
    group.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        type=options.jobs_type,
        help="threads, a number or `all` (default); on Ray threads and CPUs of each shard (default: 1). Never changes "
        "the bytes",
    )
    group.add_argument(
        "--engine",
        choices=["here", "ray"],
        default="here",
        help="where shards are made: here (default), or on Ray, with SRC and DST where all its workers reach them; "
        'needs pip install "laconic[ray]"',
    )
    group.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of the Ray cluster; without it the one that RAY_ADDRESS names, or Ray is started on this machine",
    )
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Pack and return the exit code."""
    from laconic.learn.packing import pack

    console = options.console_of(arguments)
    started = time.perf_counter()
    make = _engine(arguments)
    plan = plan_of(arguments)
    done: list[int] = []

    def report(record: ShardRecord, kept: bool) -> None:
        done.append(record.index)
        report_shard(console, plan, record, kept=kept)
        console.progress(len(done), plan.shards, record.entry.file)

    manifest = pack(
        plan, arguments.destination, jobs=options.jobs_of(arguments), part=arguments.shard, resume=arguments.resume,
        report=report, make=make,
    )  # fmt: skip
    console.clear()
    if manifest is None:
        console.line(f"{show_count(len(done), 'shard')} of {plan.shards} here; the manifest follows with the last part")
        return 0
    report_whole(console, arguments.destination, plan, manifest, time.perf_counter() - started)
    return 0


def _engine(arguments: argparse.Namespace) -> Any:
    """Who makes the shards; None for this process."""
    if arguments.engine == "here":
        if arguments.address is not None:
            raise UsageError("--address is that of a Ray cluster: add --engine ray")
        return None
    from functools import partial

    from laconic.learn.ray_engine import make_on_ray

    return partial(make_on_ray, address=arguments.address, jobs=options.jobs_of(arguments) or 1)


def plan_of(arguments: argparse.Namespace) -> PackPlan:
    """The plan that the options ask for."""
    from laconic.learn.manifest import load_manifest
    from laconic.learn.planning import make_plan
    from laconic.learn.preparation import view_names

    return make_plan(
        arguments.source,
        layout=arguments.layout,
        size=arguments.size,
        quality=arguments.quality,
        stride=arguments.stride,
        channels=arguments.channels,
        store=arguments.store,
        views=view_names(arguments.views),
        effort=arguments.effort,
        shard_size=arguments.shard_size,
        on_error=arguments.on_error,
        like=None if arguments.like is None else load_manifest(arguments.like),
        jobs=options.jobs_of(arguments),
    )


def report_shard(console: Console, plan: PackPlan, record: ShardRecord, *, kept: bool) -> None:
    """Say that a shard is there."""
    entry = record.entry
    if console.as_json:
        console.record(
            {
                "shard": record.index,
                "of": plan.shards,
                "output": entry.file,
                "samples": entry.count,
                "bytes": entry.bytes,
                "sha256": entry.sha256,
                "quarantined": len(record.quarantine),
                "kept": kept,
            }
        )
    for key, reason in record.quarantine:
        console.warn(f"left out: {reason if key in reason else f'{key}: {reason}'}")
    what = "is there" if kept else f"{show_count(entry.count, 'picture')}, {show_size(entry.bytes)}"
    console.line(f"{entry.file}  {what}")


def report_whole(console: Console, destination: str, plan: PackPlan, manifest: Any, seconds: float) -> None:
    """Say what a finished data set is."""
    per_sample = manifest.bytes / max(1, manifest.count)
    if console.as_json:
        console.record(
            {
                "output": destination,
                "samples": manifest.count,
                "classes": len(manifest.classes),
                "shards": len(manifest.shards),
                "shape": list(manifest.grid.shape),
                "store": manifest.store,
                "bytes": manifest.bytes,
                "quarantined": len(manifest.quarantine),
                "saturated": manifest.saturated,
                "manifest": manifest.digest,
                "model": manifest.fingerprint,
                "seconds": round(seconds, 3),
            }
        )
    lost = f", {len(manifest.quarantine)} left out" if manifest.quarantine else ""
    shape = " x ".join(map(str, plan.grid.shape))
    classes = f"{len(manifest.classes)} class{'' if len(manifest.classes) == 1 else 'es'}"
    console.line(
        f"{destination}  {show_count(manifest.count, 'picture')} of {classes}{lost}  "
        f"{shape}  {show_size(round(per_sample))} each, {show_size(manifest.bytes)} in all  {seconds:.1f} s"
    )


def _part(text: str) -> tuple[int, int]:
    number, slash, parts = text.partition("/")
    if slash and number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts) <= 1 << 20:
        return int(number), int(parts)
    raise argparse.ArgumentTypeError(f"{text!r} is not a part such as 2/4")
