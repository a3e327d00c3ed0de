"""Every error laconic raises on purpose, in one tree.

::

    LaconicError                    1   anything below
    ├── UsageError (ValueError)     2   the call or the command line asks for something that does not exist
    ├── UnsupportedInput            1   a signal no codec here can hold: wrong shape, type, size or kind of file
    ├── FormatError                 1   bytes that are not what they should be
    │   ├── NotLaconic              3   the magic number is another one
    │   ├── NewerVersion            4   written by a later version of the format
    │   ├── CorruptStream           5   damage: which field, at which byte, what was expected and found
    │   │   └── TruncatedStream     6   the end is missing
    │   ├── MissingModel            7   the file names a model that is not installed
    │   ├── LimitExceeded           8   a size beyond what the format allows; refused before memory is taken
    │   └── MissingBase             9   the file is a difference to another one, which was not given
    ├── ModelError                  1   a model file that is damaged or of another kind
    ├── OutputExists                1   the target is there already and nobody said to replace it
    └── TargetUnreachable           1   no setting reaches the asked size, rate or quality

The number is the exit code of the command line (`exit_code`). All of them can be pickled, so they cross process
borders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CorruptStream",
    "FormatError",
    "LaconicError",
    "LimitExceeded",
    "MissingBase",
    "MissingModel",
    "ModelError",
    "NewerVersion",
    "NotLaconic",
    "OutputExists",
    "TargetUnreachable",
    "TruncatedStream",
    "UnsupportedInput",
    "UsageError",
]


class LaconicError(Exception):
    """The root: catching it catches every error raised on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(LaconicError, ValueError):
    """The call or the command line asks for something that does not exist or excludes itself."""

    exit_code = 2


class UnsupportedInput(LaconicError):
    """The signal is sound, but no codec here can hold it."""


class FormatError(LaconicError):
    """Bytes that are not what they should be."""


class NotLaconic(FormatError):
    """The file does not begin with the magic number.

    Parameters
    ----------
    found : bytes
        The first bytes of the file.
    """

    exit_code = 3

    def __init__(self, found: bytes = b"") -> None:
        self.found = bytes(found)
        shown = f"it begins with {self.found.hex(' ')}" if self.found else "it is empty"
        super().__init__(f"not a laconic file: {shown}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.found,)


class NewerVersion(FormatError):
    """The file was written by a later version of the format.

    Parameters
    ----------
    found : int
        The version the file names.
    known : int
        The newest version this program reads.
    """

    exit_code = 4

    def __init__(self, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            f"format version {found} is newer than {known}, the newest this program reads: upgrade laconic"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.found, self.known)


class CorruptStream(FormatError):
    """The bytes contradict the format or their own checksum.

    Parameters
    ----------
    field : str
        Name of the field as in `spec/format.md`.
    offset : int or None
        Where the field begins, in bytes from the start of the file (or of the part that was read, as `field` says).
        None where no byte can be named.
    expected, found : object
        What the format asks for, and what stands there.
    """

    exit_code = 5
    what: ClassVar[str] = "damaged file"

    def __init__(self, field: str, offset: int | None, expected: object, found: object) -> None:
        self.field = field
        self.offset = offset
        self.expected = expected
        self.found = found
        place = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{self.what}: {field}{place}: expected {expected}, found {found}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.offset, self.expected, self.found)


class TruncatedStream(CorruptStream):
    """The file ends before what it announces."""

    exit_code = 6
    what = "truncated file"


class MissingModel(FormatError):
    """The file names a model that is not installed.

    Parameters
    ----------
    fingerprint : bytes
        First 8 bytes of the SHA-256 of the model file.
    searched : sequence of str
        The places where a file of this fingerprint was looked for.
    """

    exit_code = 7

    def __init__(self, fingerprint: bytes, searched: Sequence[str] = ()) -> None:
        self.fingerprint = bytes(fingerprint)
        self.searched = tuple(str(place) for place in searched)
        message = f"the file needs the model {self.fingerprint.hex()}, which is not installed"
        if self.searched:
            message += f"; put the model file in one of: {', '.join(self.searched)}"
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fingerprint, self.searched)


class LimitExceeded(FormatError):
    """A size beyond what the format or the caller allows; nothing of that size was allocated.

    Parameters
    ----------
    field : str
        Name of the field or quantity.
    limit, found : int
        The largest allowed value and the announced one.
    """

    exit_code = 8

    def __init__(self, field: str, limit: int, found: int) -> None:
        self.field = field
        self.limit = limit
        self.found = found
        super().__init__(f"{field} is {found}, the limit is {limit}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.limit, self.found)


class MissingBase(FormatError):
    """The file holds differences to a base, which is not there or is another one.

    Parameters
    ----------
    fingerprint : bytes
        The base the file names.
    found : bytes
        The base that was given; empty where none was.
    """

    exit_code = 9

    def __init__(self, fingerprint: bytes, found: bytes = b"") -> None:
        self.fingerprint = bytes(fingerprint)
        self.found = bytes(found)
        given = f"the one given is {self.found.hex()}" if self.found else "give it with --base (base=)"
        super().__init__(f"the file holds differences to the base {self.fingerprint.hex()}; {given}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.fingerprint, self.found)


class ModelError(LaconicError):
    """A model file that is damaged, of another kind, or of an unknown version."""


class OutputExists(LaconicError):
    """The target exists and nobody said to replace it.

    Parameters
    ----------
    path : str
        The target.
    """

    def __init__(self, path: object) -> None:
        self.path = str(path)
        super().__init__(f"{self.path} exists already; pass --force (force=True) to replace it")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)


class TargetUnreachable(LaconicError):
    """No setting reaches the size, rate or quality that was asked for."""
