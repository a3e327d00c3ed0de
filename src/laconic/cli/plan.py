"""Which files a command works on, and where each output goes.

Inputs are files, folders (with `-r`), globs the shell left alone, URLs, or `-`. Everything that can be seen to go wrong
before work begins becomes a failure of that input: a missing file, a folder without `-r`, two inputs that would be
written to the same place.
"""

from __future__ import annotations

import errno
import glob
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from laconic.errors import LaconicError, UnsupportedInput, UsageError
from laconic.signals import locations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["STANDARD", "Failure", "Job", "Naming", "Plan", "make_plan", "split_second_positional"]

STANDARD = "-"


@dataclass(frozen=True)
class Job:
    """One input and where its output goes; `-` is stdin or stdout, None where the command writes nothing."""

    source: str
    target: str | None = None


@dataclass(frozen=True)
class Failure:
    """An input that was not worked on, and why."""

    source: str
    error: Exception


@dataclass(frozen=True)
class Plan:
    """What is to be done, in order, what cannot be, and which files of folders have an ending that is not asked for."""

    jobs: tuple[Job, ...]
    failures: tuple[Failure, ...]
    left_alone: tuple[str, ...] = ()

    @property
    def is_batch(self) -> bool:
        """Whether there is more than one input: then failures are collected and the exit code is 1."""
        return len(self.jobs) + len(self.failures) > 1


@dataclass(frozen=True)
class Naming:
    """How inputs are recognized in a folder and outputs are named.

    `suffixes` are the endings taken from a folder and replaced in the name of the output; `target_suffix` is the
    ending of the output, None where the command writes nothing. With `counts_others` a person could have meant the
    other files of a folder too, so they are told of them.
    """

    suffixes: frozenset[str]
    target_suffix: str | None = None
    counts_others: bool = False


@dataclass(frozen=True)
class _Found:
    source: str
    inside: str  # path within the output folder, still with the input's ending


def split_second_positional(inputs: list[str], output: str | None, output_suffixes: frozenset[str]) -> str | None:
    """Take the second of two arguments as the output if it can be nothing else; removes it from `inputs`.

    Returns
    -------
    str or None
        The output.
    """
    if output is None and len(inputs) == 2:
        second = inputs[1]
        if second == STANDARD or PurePath(second).suffix.lower() in output_suffixes:
            return inputs.pop()
    return output


def make_plan(inputs: Sequence[str], output: str | None, naming: Naming, *, recursive: bool) -> Plan:
    """Find all inputs and name all outputs.

    Raises
    ------
    UsageError
        One output for several inputs.
    """
    found: list[_Found] = []
    failures: list[Failure] = []
    others: list[str] = []
    folders = [given for given in inputs if given != STANDARD and Path(given).is_dir()]
    several = len(inputs) > 1
    for given in inputs:
        try:
            expanded = list(_expand(given, naming, others, recursive=recursive, keep_name=len(folders) > 1))
        except (LaconicError, OSError) as error:
            failures.append(Failure(given, error))
            continue
        several = several or len(expanded) > 1 or given in folders or _is_pattern(given)
        found += expanded
    if naming.target_suffix is None:
        return Plan(tuple(Job(one.source) for one in found), tuple(failures))
    if several and output is not None:
        if output == STANDARD and len(found) > 1:
            raise UsageError("several outputs cannot share stdout; name a folder with -o")
        if output != STANDARD and Path(output).exists() and not Path(output).is_dir():
            raise UsageError(f"{output} is a file; several outputs need a folder")
    jobs: list[Job] = []
    taken: dict[str, str] = {}
    for one in dict.fromkeys(found):
        target = _target(one, output, naming, several=several)
        place = os.path.normcase(os.path.realpath(target)) if target != STANDARD else target
        if place in taken and target != STANDARD:
            first = taken[place]
            message = f"its output {target} is that of {first} already; do it alone, with another -o"
            failures.append(Failure(one.source, UsageError(message)))
        elif one.source != STANDARD and place == os.path.normcase(os.path.realpath(one.source)):
            failures.append(Failure(one.source, UsageError("the output would replace the input")))
        else:
            taken[place] = one.source
            jobs.append(Job(one.source, target))
    return Plan(tuple(jobs), tuple(failures), tuple(others) if naming.counts_others else ())


def _expand(given: str, naming: Naming, others: list[str], *, recursive: bool, keep_name: bool) -> Iterator[_Found]:
    if given == STANDARD:
        yield _Found(STANDARD, "stdin")
    elif locations.is_url(given):
        yield _Found(given, PurePath(given.split("?", 1)[0]).name)
    elif Path(given).is_dir():
        if not recursive:
            raise UsageError(f"{given} is a folder; pass -r to take all it contains")
        yield from _walk(Path(given), naming, Path(given).resolve().name if keep_name else "", others)
    elif os.path.lexists(given):
        yield _Found(given, PurePath(given).name)
    elif _is_pattern(given):
        yield from _matches(given, naming, others, recursive=recursive)
    else:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), given)


def _is_pattern(given: str) -> bool:
    return glob.has_magic(given) and not os.path.lexists(given)


def _walk(folder: Path, naming: Naming, prefix: str, others: list[str]) -> Iterator[_Found]:
    empty = True
    for place, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(place, name)
            suffix = path.suffix.lower()
            if suffix in naming.suffixes:
                empty = False
                yield _Found(str(path), str(PurePath(prefix) / path.relative_to(folder)))
            elif suffix != naming.target_suffix:
                others.append(str(path))
    if empty:
        raise UnsupportedInput(f"{folder} contains no file that ends in {', '.join(sorted(naming.suffixes))}")


def _matches(pattern: str, naming: Naming, others: list[str], *, recursive: bool) -> Iterator[_Found]:
    fixed = Path()
    for part in PurePath(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        fixed /= part
    empty = True
    for match in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207  # Path.glob refuses absolute patterns
        path = Path(match)
        if path.is_file():
            empty = False
            yield _Found(match, str(path.relative_to(fixed)))
        elif recursive and "**" not in pattern:
            empty = False
            yield from _walk(path, naming, path.name, others)
    if empty:
        raise FileNotFoundError(errno.ENOENT, "no file matches", pattern)


def _target(one: _Found, output: str | None, naming: Naming, *, several: bool) -> str:
    assert naming.target_suffix is not None
    if output is None:
        return STANDARD if one.source == STANDARD else _renamed(one.source, naming, naming.target_suffix)
    if output == STANDARD or not (several or output.endswith(("/", os.sep)) or Path(output).is_dir()):
        return output
    if locations.is_url(output):
        return f"{output.rstrip('/')}/{PurePath(_renamed(one.inside, naming, naming.target_suffix)).as_posix()}"
    return str(Path(output) / _renamed(one.inside, naming, naming.target_suffix))


def _renamed(path: str, naming: Naming, suffix: str) -> str:
    ending = PurePath(path).suffix
    return (path[: -len(ending)] if ending and ending.lower() in naming.suffixes else path) + suffix
