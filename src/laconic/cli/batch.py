"""One file after the other: a failure is told at once, the rest goes on, the failures are listed at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from laconic.cli.console import in_words
from laconic.cli.plan import STANDARD, Failure, Job
from laconic.cli.units import show_count, show_size
from laconic.errors import LaconicError, OutputExists, UsageError
from laconic.signals import locations

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from laconic.cli.console import Console
    from laconic.cli.plan import Plan

__all__ = [
    "Outcome",
    "data_out",
    "exit_code_of",
    "may_write",
    "remove_input",
    "run_batch",
    "skipped",
    "target_of",
    "warm_up",
]


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    `line` and `notes` are said to a person, `remarks` only with `-v`, `warnings` even with `--quiet`; `record` goes to
    `--json`. Sizes and pixels are added up for the summary. `complete` is false where only a part could be restored.
    """

    line: str
    record: dict[str, Any]
    bytes_in: int = 0
    bytes_out: int = 0
    pixels: int = 0
    complete: bool = True
    skipped: bool = False
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def run_batch(plan: Plan, perform: Callable[[Job], Outcome], console: Console, *, results: bool = False) -> int:
    """Do all jobs and say what became of them.

    Parameters
    ----------
    perform : callable
        Does one job; raises errors of our tree or of the operating system.
    results : bool
        The lines are what was asked for and go to stdout.

    Returns
    -------
    int
        0; for a single file the exit code of its error; for a batch 1 where anything failed or is incomplete.
    """
    failures = list(plan.failures)
    for failure in failures:
        _tell(console, Job(failure.source), failure.error)
    outcomes: list[Outcome] = []
    started = time.monotonic()
    try:
        for done, job in enumerate(plan.jobs):
            console.progress(done, len(plan.jobs), job.source)
            try:
                outcome = perform(job)
            except BrokenPipeError:
                raise
            except Exception as error:
                failures.append(Failure(job.source, error))
                _tell(console, job, error)
                continue
            outcomes.append(outcome)
            _show(console, outcome, results=results)
    except KeyboardInterrupt:
        console.clear()
        if plan.is_batch:
            console.line(f"stopped after {len(outcomes)} of {show_count(len(plan.jobs), 'file')}")
        raise
    console.clear()
    if plan.is_batch and not results:
        _summarize(console, outcomes, time.monotonic() - started)
    if plan.left_alone:
        console.line(f"{show_count(len(plan.left_alone), 'other file')} left alone: no picture by the name")
        for path in plan.left_alone:
            console.remark(f"  {path}")
    if plan.is_batch and failures:
        total = len(plan.jobs) + len(plan.failures)
        listed = "".join(f"\n  {failure.source}" for failure in failures)
        console.error(f"{len(failures)} of {show_count(total, 'file')} failed:{listed}")
    incomplete = any(not outcome.complete for outcome in outcomes)
    if not failures:
        return int(incomplete)
    return 1 if plan.is_batch else exit_code_of(failures[0].error)


def exit_code_of(error: Exception) -> int:
    """The exit code for an error: that of our tree, 1 for everything else."""
    return error.exit_code if isinstance(error, LaconicError) else 1


def warm_up() -> None:
    """Load the codec and the model that all files share, so that no file's time contains that."""
    import laconic
    from laconic.models import default_model

    assert laconic.ImageCodec  # found on first use
    with contextlib.suppress(LaconicError):
        default_model()  # a file to be restored may name another one: then this one need not be there


def may_write(job: Job, *, force: bool, no_clobber: bool) -> bool:
    """Whether the output may be written; asked before any work is done.

    Raises
    ------
    OutputExists
        It exists, and neither `force` nor `no_clobber` is set.
    """
    target = job.target
    if target is None or target == STANDARD or force:
        return True
    if not locations.is_url(target) and locations.is_device(target):
        return True
    if not locations.exists(target):
        return True
    if no_clobber:
        return False
    raise OutputExists(target)


def _prepare_folder(target: str) -> None:
    """Make the folder an output goes to (a mirrored tree may need many).

    Raises
    ------
    OSError
        It cannot be made; the error names the output.
    """
    if target == STANDARD or locations.is_url(target):
        return
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), target) from error
    except OSError as error:
        error.filename = target
        raise


def remove_input(outcome: Outcome, job: Job, lacking: tuple[str, ...]) -> Outcome:
    """Remove the input of a job that is done, unless its output lacks something; returns what is said about that."""
    if lacking:
        return replace(
            outcome,
            record=outcome.record | {"removed": False},
            notes=tuple(note for note in outcome.notes if note not in lacking),
            warnings=(f"{job.source} is kept: {'; '.join(lacking)}",),
        )
    Path(job.source).unlink()
    remarks = (*outcome.remarks, f"removed {job.source}")
    return replace(outcome, record=outcome.record | {"removed": True}, remarks=remarks)


@contextlib.contextmanager
def data_out(*, force: bool) -> Generator[BinaryIO]:
    """The binary stdout, flushed at the end.

    Raises
    ------
    UsageError
        It is a terminal and `force` is not set.
    OSError
        It cannot be written to; the error says that it is stdout.
    """
    if sys.stdout.isatty() and not force:
        raise UsageError("binary data would garble the terminal; write to a file with -o, or insist with -f")
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        error.filename = "stdout"
        raise


@contextlib.contextmanager
def target_of(job: Job, *, force: bool) -> Generator[BinaryIO | str]:
    """Where the output of a job goes: stdout, or a path whose folder is made if need be.

    Raises
    ------
    UsageError, OSError
        Stdout is a terminal; the folder cannot be made.
    """
    assert job.target is not None
    if job.target == STANDARD:
        with data_out(force=force) as stream:
            yield stream
    else:
        _prepare_folder(job.target)
        yield job.target


def skipped(job: Job) -> Outcome:
    """The outcome of an input whose output exists under `--no-clobber`."""
    return Outcome("", {"input": job.source, "output": job.target, "skipped": True}, skipped=True)


def _show(console: Console, outcome: Outcome, *, results: bool) -> None:
    if console.as_json:
        console.record(outcome.record)
    elif outcome.line and results:
        if not console.quiet:
            console.result(outcome.line)
    elif outcome.line:
        console.line(outcome.line)
    for warning in outcome.warnings:
        console.warn(warning)
    for note in outcome.notes:
        console.line(f"  note: {note}")
    for remark in outcome.remarks:
        console.remark(f"  {remark}")


def _tell(console: Console, job: Job, error: Exception) -> None:
    message = _message(job, error)
    if console.as_json:
        console.record(
            {"input": job.source, "error": type(error).__name__, "message": message, "exit_code": exit_code_of(error)}
        )
    console.error(message, error)


def _message(job: Job, error: Exception) -> str:
    name = "stdin" if job.source == STANDARD else job.source
    if isinstance(error, OSError) and error.errno is not None:
        if error.filename == ("stdout" if job.target == STANDARD else job.target):
            return f"{name}: cannot write {in_words(error)}"
    elif isinstance(error, MemoryError):
        return f"{name}: not enough memory"
    elif not isinstance(error, LaconicError):
        return f"{name}: internal error, please report it: {type(error).__name__}: {error} (-vv shows where)"
    text = in_words(error)
    return text if text.startswith(name) else f"{name}: {text}"


def _summarize(console: Console, outcomes: list[Outcome], seconds: float) -> None:
    done = [outcome for outcome in outcomes if not outcome.skipped]
    if not done:
        return
    size_in, size_out = sum(outcome.bytes_in for outcome in done), sum(outcome.bytes_out for outcome in done)
    speed = sum(outcome.pixels for outcome in done) / 1e6 / max(seconds, 1e-9)
    left_out = len(outcomes) - len(done)
    note = f", {left_out} skipped" if left_out else ""
    pace = f", {speed:.1f} MP/s with reading and writing" if speed else ""
    console.line(
        f"{show_count(len(done), 'file')}{note}: {show_size(size_in)} -> {show_size(size_out)} in {seconds:.1f} s{pace}"
    )
