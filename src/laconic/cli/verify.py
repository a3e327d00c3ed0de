"""`laconic verify`: are the bytes of .lac files what was written?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from laconic.cli import options
from laconic.cli.batch import Outcome, run_batch
from laconic.cli.plan import STANDARD, Job, Naming, make_plan

if TYPE_CHECKING:
    import argparse

__all__ = ["configure", "run"]


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic verify`."""
    parser.example = "laconic verify photo.lac"
    parser.description = (
        "Check files to the last bit: structure, limits, every checksum, and that every stream decodes.\n"
        "The exit code tells: 0 intact, 5 damaged, 6 truncated, 3 no .lac file, 4 newer version, 9 weights that need\n"
        "another --base; 1 for several files."
    )
    options.add_batch_options(parser, ".lac files")
    options.add_expansion_options(parser)
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify what the command line names and return the exit code."""
    plan = make_plan(arguments.inputs, None, Naming(frozenset({".lac"})), recursive=arguments.recursive)
    settings = options.expansion_of(arguments)
    return run_batch(plan, lambda job: _verify(job, settings), options.console_of(arguments), results=True)


def _verify(job: Job, settings: dict[str, Any]) -> Outcome:
    import laconic
    from laconic.container.arrays import ARRAY_CODEC, codec_of
    from laconic.container.series import SERIES_CODEC
    from laconic.signals import locations

    data = sys.stdin.buffer.read() if job.source == STANDARD else locations.view_bytes(job.source)
    if codec_of(data) == ARRAY_CODEC:
        laconic.weights.expand(data if isinstance(data, bytes) else job.source, **settings)
    elif codec_of(data) == SERIES_CODEC and job.source != STANDARD:
        laconic.weights.Series(job.source, max_bytes=settings["max_bytes"]).verify()
    else:
        laconic.verify(data)
    name = "stdin" if job.source == STANDARD else job.source
    return Outcome(f"{name}: intact", {"input": job.source, "bytes_in": len(data), "intact": True}, len(data))
