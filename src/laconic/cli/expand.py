"""`laconic expand`: .lac files of weights and arrays back to files other programs read."""

from __future__ import annotations

import errno
import sys
import time
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from laconic.cli import options
from laconic.cli.array_outcome import array_outcome
from laconic.cli.batch import Outcome, may_write, remove_input, run_batch, skipped, target_of
from laconic.cli.plan import STANDARD, Job, Naming, make_plan, split_second_positional
from laconic.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from laconic.codecs.weights import WeightsInfo
    from laconic.signals.tensors import Arrays

__all__ = ["configure", "run"]

OUTPUTS = frozenset({".npy", ".npz", ".safetensors"})


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic expand`."""
    parser.example = "laconic expand model.lac -o model.safetensors"
    parser.description = (
        "Restore model weights and other arrays. The ending of the output chooses the format: .safetensors (default),\n"
        ".npz or .npy. numpy has no bfloat16: such tensors need .safetensors."
    )
    options.add_batch_options(parser, ".lac files")
    group = options.add_expansion_options(parser)
    group.add_argument(
        "--checkpoint",
        metavar="N",
        type=int,
        help="of a series (lac.weights.Series) the one of this number, counted from 0; -1 is the last",
    )
    output = options.add_output_options(parser)
    output.add_argument("--output-format", choices=["safetensors", "npz", "npy"], help="whatever the name says")
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Restore what the command line names and return the exit code."""
    from laconic.signals import array

    inputs: list[str] = arguments.inputs
    output = split_second_positional(inputs, arguments.output, OUTPUTS)
    wanted: str | None = arguments.output_format
    naming = Naming(frozenset({".lac"}), f".{wanted or 'safetensors'}")
    plan = make_plan(inputs, output, naming, recursive=arguments.recursive)
    options.check_streams(arguments, plan)
    if wanted is None:
        for job in plan.jobs:  # before any work
            if job.target not in {None, STANDARD}:
                array.form_of(PurePath(str(job.target)).name)
    settings = options.expansion_of(arguments) | {"jobs": options.jobs_of(arguments)}
    work = _Expansion(wanted, arguments.checkpoint, settings, arguments.force, arguments.no_clobber, arguments.rm)
    return run_batch(plan, work.perform, options.console_of(arguments))


@dataclass(frozen=True)
class _Expansion:
    """Everything the options say about each file."""

    output_format: str | None
    checkpoint: int | None
    settings: dict[str, Any]
    force: bool
    no_clobber: bool
    remove: bool

    def perform(self, job: Job) -> Outcome:
        """Restore one file."""
        from laconic.codecs import weights
        from laconic.signals import array, locations

        assert job.target is not None
        if not may_write(job, force=self.force, no_clobber=self.no_clobber):
            return skipped(job)
        start = time.perf_counter()
        data = sys.stdin.buffer.read() if job.source == STANDARD else locations.read_bytes(job.source)
        if self.checkpoint is None:
            info, arrays = weights.inspect(data), weights.expand(data, **self.settings)
        else:
            info, arrays = self._checkpoint(job, self.checkpoint)
        decoded = time.perf_counter()
        form = self.output_format or ("safetensors" if job.target == STANDARD else None)
        with target_of(job, force=self.force) as target:
            array.save(target, arrays, form=form, force=self.force)
        outcome = array_outcome(job, arrays, info, (len(data), arrays.nbytes), {"decode": decoded - start})
        if not self.remove:
            return outcome
        if self.checkpoint is not None:
            return remove_input(outcome, job, ("only one of its checkpoints was restored",))
        _read_back(job.target, arrays)
        return remove_input(outcome, job, ())

    def _checkpoint(self, job: Job, number: int) -> tuple[WeightsInfo, Arrays]:
        """One of a series.

        Raises
        ------
        UsageError
            It comes through a pipe, or there is none of this number.
        """
        from laconic.codecs.weights import Series

        if job.source == STANDARD:
            raise UsageError("a series is read from a file, not from stdin")
        series = Series(job.source, max_bytes=self.settings["max_bytes"], jobs=self.settings["jobs"])
        try:
            return series.inspect(number), series.expand(number)
        except IndexError as error:
            raise UsageError(str(error)) from error


def _read_back(target: str, arrays: Arrays) -> None:
    """Raise unless the output on disk gives back every word."""
    from laconic.signals import array

    found = {tensor.name: tensor.words.tobytes() for tensor in array.load(target).tensors}
    if list(found.values()) != [tensor.words.tobytes() for tensor in arrays.tensors]:
        raise OSError(errno.EIO, "it does not hold what was written; the input is kept", target)
