"""The command-line parser, and the options that several commands share.

`argparse` of the standard library: the libraries built for this need more time to start than a photo to compress.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from laconic.cli.console import Console
from laconic.cli.plan import STANDARD
from laconic.cli.units import parse_size
from laconic.errors import UsageError
from laconic.signals.locations import is_url

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as Group  # pyright: ignore[reportPrivateUsage]  # argparse has no public name
    from collections.abc import Callable

    from laconic.cli.plan import Plan
    from laconic.codecs.array_base import AbstractBase

__all__ = [
    "METADATA",
    "CommandParser",
    "add_base_option",
    "add_batch_options",
    "add_console_options",
    "add_expansion_options",
    "add_help",
    "add_metadata_options",
    "add_output_options",
    "base_of",
    "check_network",
    "check_streams",
    "console_of",
    "expansion_of",
    "in_bytes",
    "in_range",
    "jobs_of",
    "jobs_type",
    "kept_metadata",
]

METADATA = frozenset({"exif", "xmp", "icc"})


class CommandParser(argparse.ArgumentParser):
    """A parser whose help begins with an example that works.

    Attributes
    ----------
    example : str
        The first line of the help page.
    """

    example = ""

    def __init__(self, prog: str) -> None:
        super().__init__(
            prog=prog, add_help=False, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    def format_usage(self) -> str:
        """Name the inputs only: the options follow, one by one, in the help page."""
        inputs = [action for action in self._actions if not action.option_strings]
        names = " ".join(f"{_name(action)}{'...' if action.dest == 'inputs' else ''}" for action in inputs)
        return f"usage: {self.prog} [options] {names}"

    def format_help(self) -> str:
        """Put the example above everything else."""
        self.usage = self.format_usage().removeprefix("usage: ")
        return f"{self.example}\n\n{super().format_help()}" if self.example else super().format_help()

    def error(self, message: str) -> NoReturn:
        """Name the mistake and where to look; the usage of twenty options would bury both."""
        self.exit(2, f"{self.prog}: {message}\n`{self.prog} -h` shows the options\n")


def _name(action: argparse.Action) -> str:
    return str(action.metavar or "|".join(map(str, action.choices or [action.dest])))


def in_bytes(text: str) -> int:
    """The argument type of sizes such as 5MB."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_help(parser: argparse.ArgumentParser) -> None:
    """Add -h, unless the command has placed it among its own options."""
    with contextlib.suppress(argparse.ArgumentError):
        parser.add_argument("-h", "--help", action="help", help="show this page")


def in_range(kind: Callable[[str], Any], low: float, high: float, unit: str = "") -> Callable[[str], Any]:
    """Make an argument type that accepts numbers from `low` to `high`."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}{unit}")
        return value

    return parse


def add_console_options(parser: argparse.ArgumentParser) -> None:
    """Add --json, -v, --quiet, -h."""
    group = parser.add_argument_group("messages")
    group.add_argument("--json", action="store_true", help="print one JSON object per file on stdout")
    talk = group.add_mutually_exclusive_group()
    talk.add_argument("-v", "--verbose", action="count", default=0, help="say more; -vv shows tracebacks")
    talk.add_argument("--quiet", action="store_true", help="print errors only")
    group.add_argument("-h", "--help", action="help", help="show this page")


def console_of(arguments: argparse.Namespace) -> Console:
    """Make the console that the options ask for."""
    return Console(verbose=arguments.verbose, quiet=arguments.quiet, as_json=arguments.json)


def add_batch_options(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the inputs and -r."""
    group = parser.add_argument_group("inputs")
    group.add_argument("inputs", nargs="+", metavar="INPUT", help=f"{what}; - is stdin, quoted globs are expanded")
    group.add_argument("-r", "--recursive", action="store_true", help="take folders with all they contain")


def add_output_options(parser: argparse.ArgumentParser) -> Group:
    """Add -o, -f, -n, --rm and -j; returns their group."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="the output file; a folder for several inputs, which mirrors their tree; - is stdout. "
        "For one input the output may also stand as second argument. Default: beside the input",
    )
    clash = group.add_mutually_exclusive_group()
    clash.add_argument("-f", "--force", action="store_true", help="replace existing files")
    clash.add_argument("-n", "--no-clobber", action="store_true", help="skip inputs whose output exists")
    group.add_argument(
        "--rm",
        action="store_true",
        help="remove each input once its output is written and verified; one whose output lacks something is kept",
    )
    group.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        type=jobs_type,
        help="threads, a number or `all` (default); never changes the bytes",
    )
    return group


def check_streams(arguments: argparse.Namespace, plan: Plan) -> None:
    """Refuse what stdin and stdout cannot do.

    Raises
    ------
    UsageError
        `--rm` without a file to remove or to check; `--json` and data both on stdout.
    """
    sources = [job.source for job in plan.jobs]
    to_stdout = any(job.target == STANDARD for job in plan.jobs)
    if arguments.rm and (to_stdout or any(source == STANDARD or is_url(source) for source in sources)):
        raise UsageError("--rm works on local files only: not with -, not with URLs")
    if arguments.json and to_stdout:
        raise UsageError("--json and the data would share stdout; write to a file with -o")


def check_network(name: str, *, lossless: bool) -> None:
    """Refuse a decoder-side network that new files cannot name.

    Raises
    ------
    UsageError
        The model has none of this name, or the file has no loss to take back.
    """
    from laconic.models import default_model

    if lossless:
        raise UsageError("--lossless and --enhance exclude each other: there is no loss to take back")
    known = default_model().networks
    if name not in known:
        raise UsageError(f"the model has no network {name}; it has {', '.join(known) or 'none'}")


def jobs_of(arguments: argparse.Namespace) -> int | None:
    """The number of threads; None leaves the choice to the codec."""
    return arguments.jobs


def add_base_option(group: Group, text: str) -> None:
    """Add --base."""
    group.add_argument("--base", metavar="FILE", help=text)


def base_of(arguments: argparse.Namespace) -> AbstractBase | None:
    """The base that --base names, read once for all files; None without one.

    Raises
    ------
    UsageError, UnsupportedInput, FormatError, OSError
        It cannot be read.
    """
    if arguments.base is None:
        return None
    from laconic.codecs.weights import base_of

    return base_of(arguments.base)


def add_expansion_options(parser: argparse.ArgumentParser) -> Group:
    """Add --base and --max-bytes; returns their group."""
    group = parser.add_argument_group("weights and arrays")
    add_base_option(group, "the file that was given to `laconic shrink` as --base")
    group.add_argument(
        "--max-bytes",
        metavar="BYTES",
        type=in_bytes,
        help="refuse what decodes to more, such as 8GB (default: 256 MiB or 4096 times the file, whichever is more)",
    )
    return group


def expansion_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What --base and --max-bytes say, as keyword arguments of `laconic.weights.expand`."""
    return {"base": base_of(arguments), "max_bytes": arguments.max_bytes}


def jobs_type(text: str) -> int:
    """The argument type of -j: a number or `all`."""
    if text == "all":
        return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 1024:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number from 1 to 1024 nor `all`")


def add_metadata_options(parser: argparse.ArgumentParser) -> Group:
    """Add --keep and --strip; returns their group."""
    group = parser.add_argument_group("metadata")
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--keep", metavar="LIST", type=_metadata_list, help="keep only these of exif,xmp,icc (default: all)"
    )
    choice.add_argument("--strip", metavar="LIST", type=_metadata_list, help="drop these of exif,xmp,icc, or `all`")
    return group


def kept_metadata(arguments: argparse.Namespace) -> frozenset[str]:
    """Which of exif, xmp, icc the options keep."""
    if arguments.keep is not None:
        return arguments.keep
    return METADATA - arguments.strip if arguments.strip is not None else METADATA


def _metadata_list(text: str) -> frozenset[str]:
    if text in {"all", "none"}:
        return METADATA if text == "all" else frozenset()
    names = frozenset(text.lower().split(","))
    if not names <= METADATA:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list like exif,xmp,icc, nor `all` or `none`")
    return names
