"""What is said, and where: results and data on stdout, messages and progress on stderr.

The progress bar is drawn only on a terminal, colors only there and only without `NO_COLOR` (no-color.org).
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO, cast

from laconic.errors import OutputExists

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Console", "in_words"]

_RED, _YELLOW, _DIM, _RESET = "\x1b[1;31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"


def in_words(error: Exception) -> str:
    """What an error says, as far as a command line is concerned."""
    if isinstance(error, OutputExists):
        return f"{error.path} exists already; pass -f to replace it"
    if isinstance(error, OSError) and error.errno is not None:
        if error.filename is None:
            return str(error.strerror)
        place = error.filename if isinstance(error.filename, str) else str(cast("object", error.filename))
        return f"{place}: {error.strerror}"
    return str(error)


class Console:
    """The voice of one command.

    Parameters
    ----------
    verbose : int
        0 one line per file; 1 adds remarks and times; 2 adds tracebacks.
    quiet : bool
        Errors only.
    as_json : bool
        Records go to stdout as JSON lines; no lines per file.
    """

    def __init__(self, *, verbose: int = 0, quiet: bool = False, as_json: bool = False) -> None:
        self.verbose = verbose
        self.quiet = quiet
        self.as_json = as_json
        self._stream: TextIO = sys.stderr
        self._terminal = _is_terminal(self._stream)
        self._color = self._terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._bar = ""
        self._started = time.monotonic()

    def result(self, text: str) -> None:
        """Write what was asked for (the answer of `info`, `verify`) to stdout."""
        reconfigure: Any = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            # File names are bytes; those that are no text come out as they are.
            reconfigure(errors="surrogateescape")
        self._hide_bar()
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        self._show_bar()

    def record(self, record: Mapping[str, Any]) -> None:
        """Write one JSON line to stdout."""
        import json

        self.result(json.dumps(record, allow_nan=False))

    def line(self, text: str) -> None:
        """Say that a file is done."""
        if not self.quiet and not self.as_json:
            self._say(text)

    def remark(self, text: str) -> None:
        """Say something that matters only to those who asked (`-v`)."""
        if self.verbose and not self.quiet:
            self._say(self._painted(_DIM, text))

    def warn(self, text: str) -> None:
        """Say something a person should know although the work was done."""
        self._say(self._painted(_YELLOW, "warning: ") + text)

    def error(self, text: str, cause: Exception | None = None) -> None:
        """Say what went wrong; with `-vv` also where."""
        self._say(self._painted(_RED, "error: ") + text)
        if self.verbose > 1 and cause is not None:
            import traceback

            self._say("".join(traceback.format_exception(cause)).rstrip())

    def progress(self, done: int, total: int, name: str) -> None:
        """Show how far a batch has come."""
        if not self._terminal or self.quiet or total < 2:
            return
        self._hide_bar()
        if done >= total:
            return
        elapsed = time.monotonic() - self._started
        left = f"  {_clock(elapsed / done * (total - done))} left" if done and elapsed > 1 else ""
        filled = 20 * done // total
        text = f"[{'#' * filled}{'.' * (20 - filled)}] {done}/{total}{left}  {name}"
        self._bar = text[: shutil.get_terminal_size().columns - 1]
        self._show_bar()

    def clear(self) -> None:
        """Remove the progress bar."""
        self._hide_bar()

    def _say(self, text: str) -> None:
        bar = self._bar
        self._hide_bar()
        self._stream.write(text + "\n")
        self._stream.flush()
        self._bar = bar
        self._show_bar()

    def _hide_bar(self) -> None:
        if self._bar:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._bar = ""

    def _show_bar(self) -> None:
        if self._bar:
            self._stream.write(self._bar)
            self._stream.flush()

    def _painted(self, color: str, text: str) -> str:
        return f"{color}{text}{_RESET}" if self._color else text


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
