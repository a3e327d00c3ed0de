"""Where bytes come from and go to: local paths, URLs (through fsspec where it is installed), open files, bytes."""

from __future__ import annotations

import contextlib
import errno
import io
import mmap
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from laconic.errors import LaconicError, OutputExists, UsageError
from laconic.signals import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = [
    "PATH_TYPES",
    "Source",
    "Target",
    "exists",
    "file_system",
    "is_device",
    "is_url",
    "make_folder",
    "name_of",
    "open_binary",
    "read_bytes",
    "reopener",
    "size_of",
    "view_bytes",
    "write_bytes",
    "writing",
]

PATH_TYPES = (str, os.PathLike)
MAPPED = 1 << 26
"""Bytes from which on a file is mapped."""

Source = str | os.PathLike[str] | BinaryIO | bytes
Target = str | os.PathLike[str] | BinaryIO


def is_url(location: object) -> bool:
    """Tell a URL (`s3://bucket/x.png`) from a path; a single letter before the colon is a Windows drive."""
    return (
        isinstance(location, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+(::[A-Za-z0-9+.-]+)*://", location) is not None
    )


def name_of(location: object) -> str:
    """A name for messages: the path, the URL, or what the open file calls itself."""
    if isinstance(location, PATH_TYPES):
        return os.fspath(cast("str", location))
    if isinstance(location, (bytes, bytearray, memoryview)):
        return f"{len(cast('bytes', location))} bytes"
    return str(getattr(location, "name", "input"))


def reopener(source: Source) -> Callable[[], BinaryIO]:
    """Return a function that opens the source at its start, as often as it is called.

    A regular local file is opened from disk each time; everything else (pipes, URLs, open files) is read into memory
    once.

    Raises
    ------
    OSError
        The source cannot be read.
    UsageError
        A URL, and fsspec is not installed.
    """
    if isinstance(source, PATH_TYPES) and not is_url(source):
        path = Path(cast("str", source))
        if path.is_file():
            return lambda: path.open("rb")
    data = read_bytes(source)
    return lambda: io.BytesIO(data)


def read_bytes(source: Source) -> bytes:
    """Read everything the source holds; see `reopener` for the errors.

    Raises
    ------
    UsageError
        Neither path, URL, open file nor bytes.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, PATH_TYPES):
        location = os.fspath(cast("str", source))
        if is_url(location):
            with _reaching(location), _fsspec().open(location, "rb") as stream:
                return stream.read()
        return Path(location).read_bytes()
    if not hasattr(source, "read"):
        raise UsageError(f"a path, a binary file or bytes are expected, not {type(source).__name__}")
    return source.read()


def view_bytes(source: Source | memoryview) -> bytes | memoryview:
    """Return everything the source holds; a large local file is mapped into memory, not read.

    While the view is in use the file must not be cut short: the system would end the process.
    """
    if isinstance(source, memoryview):
        return source
    if isinstance(source, PATH_TYPES) and not is_url(source):
        path = Path(cast("str", source))
        if path.is_file() and path.stat().st_size >= MAPPED:
            with path.open("rb") as stream:
                return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    return read_bytes(source)


def size_of(location: str | os.PathLike[str]) -> int:
    """Size in bytes of a file or of what a URL names."""
    if is_url(location):
        with _reaching(str(location)):
            filesystem, path = _fsspec().core.url_to_fs(location)
            return int(filesystem.size(path))
    return Path(location).stat().st_size


def write_bytes(target: Target, data: bytes, *, force: bool = False) -> None:
    """Write all of `data`: atomically to a path, in one piece to a URL, plainly to an open file.

    Raises
    ------
    OutputExists
        The path or URL exists and `force` is not set.
    OSError
        It cannot be written; nothing partial is left at a path.
    """
    if isinstance(target, PATH_TYPES):
        location = os.fspath(cast("str", target))
        if is_url(location):
            if not force and exists(location):
                raise OutputExists(location)
            with _reaching(location), _fsspec().open(location, "wb") as stream:
                stream.write(data)
            return
        with atomic.replacing(location, force=force) as stream:
            stream.write(data)
        return
    target.write(data)


@contextlib.contextmanager
def writing(target: Target, *, force: bool = False, seekable: bool = False) -> Generator[BinaryIO]:
    """Open a target to write what is too large to be held: a path at once or not at all, a URL at the end, an open
    file as it goes.

    Parameters
    ----------
    seekable : bool
        Where the target is not, everything is held until the end after all.

    Raises
    ------
    OutputExists
        The path or URL exists and `force` is not set.
    OSError
        It cannot be written; nothing partial is left at a path.
    """
    is_path = isinstance(target, PATH_TYPES)
    if is_path and not is_url(target) and not is_device(os.fspath(cast("str", target))):
        with atomic.replacing(cast("str", target), force=force) as stream:
            yield stream
    elif is_path and not is_url(target) and not seekable:
        with atomic.replacing(cast("str", target)) as device:
            stream = io.BufferedWriter(cast("io.RawIOBase", device))
            yield stream
            stream.flush()
            stream.detach()
    elif is_path or (seekable and not target.seekable()):
        if is_url(target) and not force and exists(cast("str", target)):
            raise OutputExists(target)
        buffer = io.BytesIO()
        yield buffer
        write_bytes(target, buffer.getvalue(), force=force)
    else:
        yield target


def exists(location: str | os.PathLike[str]) -> bool:
    """Whether a path or URL exists."""
    if is_url(location):
        with _reaching(str(location)):
            filesystem, path = _fsspec().core.url_to_fs(location)
            return bool(filesystem.exists(path))
    return os.path.lexists(location)


def file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system of a URL, and the path within it."""
    with _reaching(url):
        filesystem, path = _fsspec().core.url_to_fs(url)
        return filesystem, str(path)


@contextlib.contextmanager
def open_binary(location: str | os.PathLike[str]) -> Generator[BinaryIO]:
    """Open a path or URL to read parts of it.

    Raises
    ------
    UsageError
        A URL, and fsspec is not installed.
    OSError
        It cannot be read.
    """
    if is_url(location):
        with _reaching(str(location)), _fsspec().open(location, "rb") as stream:
            yield stream
    else:
        with Path(location).open("rb") as stream:
            yield stream


def make_folder(location: str) -> None:
    """Make a folder and those it lies in, unless it is there; object stores have no need of it."""
    if is_url(location):
        filesystem, path = file_system(location)
        with _reaching(location):
            filesystem.makedirs(path, exist_ok=True)
    else:
        Path(location).mkdir(parents=True, exist_ok=True)


def is_device(location: str) -> bool:
    """Whether a path names something other than a regular file or folder: a device, a pipe."""
    path = Path(location)
    return path.exists() and not path.is_file() and not path.is_dir()


@contextlib.contextmanager
def _reaching(url: str) -> Generator[None]:
    """Turn what the file systems behind fsspec raise into errors that name the URL."""
    try:
        yield
    except (LaconicError, MemoryError):
        raise
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url}: {error}") from error  # a package or a protocol is missing
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error) or type(error).__name__
        raise OSError(errno.EIO, reason, url) from error


def _fsspec() -> Any:
    try:
        import fsspec  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UsageError("URLs are read and written through fsspec: pip install fsspec") from error
    return fsspec  # pyright: ignore[reportUnknownVariableType]
