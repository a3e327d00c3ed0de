"""No partial outputs: a file appears under its name only when it is complete.

The bytes go to a temporary file beside the target, which is then renamed. Whatever interrupts the writing (an
exception, Ctrl-C, a full disk), the temporary file is removed and the target is as it was. Without `force` the last
step is a hard link, which the operating system refuses where the name is taken: two programs cannot both win.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from laconic.errors import OutputExists

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, force: bool = False) -> Generator[BinaryIO]:
    """Open a file for writing that takes its name when the block ends without an exception.

    Parameters
    ----------
    path : str or path
        The target. A symbolic link is followed. Devices and pipes are written directly: they cannot be replaced.
    force : bool
        Replace an existing file (its permissions are kept).

    Yields
    ------
    binary file
        Readable, writable and seekable (a device or pipe: writable only).

    Raises
    ------
    OutputExists
        The target exists and `force` is not set; checked at the start and again at the end.
    OSError
        The target's folder is missing or cannot be written, the disk is full, ...
    """
    shown = os.fspath(path)
    target = Path(path)
    if target.is_symlink():
        target = target.resolve()
    mode = _mode(target)
    if mode is not None and not stat.S_ISREG(mode):
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory", str(target))
        with _naming(shown), target.open("wb", buffering=0) as stream:
            yield stream  # pyright: ignore[reportReturnType]  # a raw file offers all that is used of BinaryIO
        return
    if mode is not None and not force:
        raise OutputExists(target)
    temporary = target.with_name(f".laconic-{os.urandom(6).hex()}.tmp")
    try:
        # `x` never opens a file that is there already; the umask decides the permissions, as for any new file.
        with _naming(shown, temporary):
            with temporary.open("x+b") as stream:
                yield stream
            if mode is not None:
                temporary.chmod(stat.S_IMODE(mode))
            if force:
                temporary.replace(target)
            else:
                _claim(temporary, target)
    finally:
        # After the rename there is nothing to remove.
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def _naming(shown: str, temporary: Path | None = None) -> Generator[None]:
    """Let errors that name no file, or the temporary one, name the target as the caller wrote it."""
    try:
        yield
    except OSError as error:
        if error.filename in {None, str(temporary)}:
            error.filename = shown
        raise


def _mode(target: Path) -> int | None:
    try:
        return target.stat().st_mode
    except FileNotFoundError:
        return None


def _claim(temporary: Path, target: Path) -> None:
    """Give the file its name unless the name is taken."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError as error:
        raise OutputExists(target) from error
    except OSError:
        # File systems without hard links (FAT, some network shares): a check just before the rename must do.
        if os.path.lexists(target):
            raise OutputExists(target) from None
        temporary.replace(target)
