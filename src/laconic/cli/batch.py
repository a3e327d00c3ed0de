"""One file after the other: a failure is told at once, the rest goes on, the failures are listed at the end."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

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
    "prepare_folder",
    "run_batch",
    "skipped",
]


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    `line` and `notes` are said to a person, `remarks` only with `-v`; `record` goes to `--json`. Sizes and pixels are
    added up for the summary. `complete` is false where only a part could be restored.
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
        _tell(console, failure.source, failure.error)
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
                _tell(console, job.source, error)
                continue
            outcomes.append(outcome)
            _show(console, outcome, results=results)
    except KeyboardInterrupt:
        console.clear()
        if plan.is_batch:
            console.line(f"stopped after {len(outcomes)} of {show_count(len(plan.jobs), 'file')}")
        raise
    console.clear()
    if plan.is_batch:
        if not results:
            _summarize(console, outcomes, time.monotonic() - started)
        if failures:
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


def prepare_folder(target: str) -> None:
    """Make the folder an output goes to (a mirrored tree may need many)."""
    if target != STANDARD and not locations.is_url(target):
        Path(target).parent.mkdir(parents=True, exist_ok=True)


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
    for note in outcome.notes:
        console.line(f"  note: {note}")
    for remark in outcome.remarks:
        console.remark(f"  {remark}")


def _tell(console: Console, source: str, error: Exception) -> None:
    message = _message(source, error)
    if console.as_json:
        console.record(
            {"input": source, "error": type(error).__name__, "message": message, "exit_code": exit_code_of(error)}
        )
    console.error(message, error)


def _message(source: str, error: Exception) -> str:
    name = "stdin" if source == STANDARD else source
    if isinstance(error, OSError) and error.errno is not None:
        where = error.filename if error.filename is not None else name
        place = where if isinstance(where, str) else str(cast("object", where))
        return f"{place}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"{name}: not enough memory"
    if isinstance(error, LaconicError):
        text = str(error)
        return text if name in text else f"{name}: {text}"
    return f"{name}: internal error, please report it: {type(error).__name__}: {error} (-vv shows where)"


def _summarize(console: Console, outcomes: list[Outcome], seconds: float) -> None:
    done = [outcome for outcome in outcomes if not outcome.skipped]
    if not done:
        return
    size_in, size_out = sum(outcome.bytes_in for outcome in done), sum(outcome.bytes_out for outcome in done)
    speed = sum(outcome.pixels for outcome in done) / 1e6 / max(seconds, 1e-9)
    left_out = len(outcomes) - len(done)
    note = f", {left_out} skipped" if left_out else ""
    console.line(
        f"{show_count(len(done), 'file')}{note}: {show_size(size_in)} -> {show_size(size_out)} "
        f"in {seconds:.1f} s, {speed:.1f} MP/s with reading and writing"
    )
