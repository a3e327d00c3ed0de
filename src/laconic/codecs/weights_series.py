"""`laconic.weights.Series`: the checkpoints of a run in one file, each as a difference to the one before.

>>> series = lac.weights.Series("run.lac", keyframe_every=10)
>>> series.append(arrays)                  # bit-exact; or bpw=, size=, max_error=
>>> len(series), series[-1]["head.weight"]
>>> series.open(3)["head.weight"]          # reads and decodes this tensor only, from the key frame on

Every so many checkpoints one is coded by itself, a key frame: to decode any other one goes from the key frame before
it forward. A lossy checkpoint differs from what the one before it decodes to, so errors do not add up.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from laconic.codecs.array_base import LoadedBase
from laconic.codecs.array_reader import MAX_DESCRIBED, Reader, arrays_of
from laconic.codecs.array_writer import shrink
from laconic.container.series import (
    HEAD,
    Checkpoint,
    body_hash,
    head_of,
    read_checkpoints,
    read_series_start,
    series_start,
)
from laconic.errors import CorruptStream, UnsupportedInput, UsageError
from laconic.signals import atomic
from laconic.signals.tensors import Arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.codecs.array_base import AbstractBase
    from laconic.codecs.array_reader import WeightsInfo

__all__ = ["DEFAULT_KEYFRAME_EVERY", "Series"]

DEFAULT_KEYFRAME_EVERY = 10


class Series(Sequence["dict[str, NDArray[Any]]"]):
    """A file of checkpoints: ``series[i]`` is {name: array}, ``len(series)`` their number, `append` adds one.

    An append that is cut short, whatever the reason, leaves the checkpoints before it as they were. Only one process
    may append at a time; others may read meanwhile, and see what was there when they opened the file.

    Parameters
    ----------
    path : path
        A local file. One that does not exist is made by the first `append`.
    keyframe_every : int, optional
        Of a new file: how many checkpoints from one key frame to the next, 1 to 1,048,576; default 10. More of them
        make a larger file and quicker access.
    max_bytes : int, optional
        Bytes that one checkpoint may decode to, see `Reader`.
    jobs : int, optional
        Threads; None is one for each core. Never changes the bytes.

    Raises
    ------
    FormatError
        The file is damaged or no series.
    UsageError
        `keyframe_every` is another one than that of the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keyframe_every: int | None = None,
        max_bytes: int | None = None,
        jobs: int | None = None,
    ) -> None:
        self._path = Path(path)
        self._max_bytes, self._jobs = max_bytes, jobs
        self._checkpoints: list[Checkpoint] = []
        self._latest: tuple[int, Arrays] | None = None
        self._start = 0
        if keyframe_every is not None and not 1 <= keyframe_every <= 2**20:
            raise UsageError(f"key frames come every 1 to {2**20} checkpoints, not {keyframe_every}")
        self._every = keyframe_every or DEFAULT_KEYFRAME_EVERY
        if self._path.exists():
            with self._path.open("rb") as stream:
                self._scan(stream)
            if keyframe_every not in {None, self._every}:
                raise UsageError(f"{path} has key frames every {self._every}, not {keyframe_every}")

    def __len__(self) -> int:
        return len(self._checkpoints)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return {tensor.name: tensor.array() for tensor in self.expand(index).tensors}

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        return (self[i] for i in range(len(self)))

    @property
    def keyframe_every(self) -> int:
        """How many checkpoints from one key frame to the next."""
        return self._every

    @property
    def hashes(self) -> tuple[str, ...]:
        """For each checkpoint the first half of the SHA-256 of its bytes, in hexadecimal digits."""
        return tuple(one.digest.hex() for one in self._checkpoints)

    def append(self, arrays: Arrays | Mapping[str, Any], **settings: Any) -> WeightsInfo:
        """Add a checkpoint; on return it is on the disk.

        Parameters
        ----------
        arrays : mapping of str to array, or Arrays
        **settings
            One of `bpw`, `size`, `lossless`, `max_error` of `shrink`, and `effort`; lossless without any.

        Raises
        ------
        UsageError, UnsupportedInput, TargetUnreachable
            As `shrink` has it; nothing is written.
        CorruptStream
            The file is damaged.
        OSError
            It cannot be written, or another process appends to it.
        """
        if not {"bpw", "size", "lossless", "max_error"} & set(settings):
            settings["lossless"] = True
        arrays = arrays if isinstance(arrays, Arrays) else arrays_of(arrays)
        if not self._path.exists():
            with atomic.replacing(self._path) as stream:
                stream.write(series_start(self._every))
        with self._path.open("r+b") as stream, _alone(stream):
            end = self._scan(stream)
            number = len(self)
            base = LoadedBase(self.expand(number - 1)) if number % self._every else None
            body = shrink(arrays, base=base, jobs=self._jobs, **settings)
            stream.truncate(end)  # a tail
            stream.seek(end)
            stream.write(bytes(HEAD) + body)
            _flush(stream)
            # From here on it counts: its bytes are on the disk before the head that vouches for them.
            stream.seek(end)
            stream.write(head_of(number, body))
            _flush(stream)
            self._scan(stream)
        with Reader(body, base=base, max_bytes=self._max_bytes) as reader:
            self._latest = (number, arrays if settings.get("lossless") else _expanded(reader, self._jobs))
            return reader.info()

    def open(self, index: int) -> Reader:
        """Open a checkpoint without decoding any tensor; the chain from its key frame on is followed for each that is
        asked for.
        """
        number = self._number(index)
        if not self._based(number):
            return self._reader(number, None)
        self._check_chain(number)
        return self._reader(number, self.open(number - 1))

    def expand(self, index: int) -> Arrays:
        """Decode a checkpoint into its tensors, their kinds and metadata.

        Raises
        ------
        IndexError
            There is none of this number.
        CorruptStream
            Its bytes, or those of one it differs from, are damaged.
        """
        number = self._number(index)
        chain = [number]
        while not self._is_latest(chain[-1]) and self._based(chain[-1]):
            self._check_chain(chain[-1])
            chain.append(chain[-1] - 1)
        for place in reversed(chain):
            if not self._is_latest(place):
                base = LoadedBase(self._latest[1]) if self._latest and self._is_latest(place - 1) else None
                with Reader(self._body(place), base=base, max_bytes=self._max_bytes) as reader:
                    self._latest = (place, _expanded(reader, self._jobs))
        assert self._latest is not None
        return self._latest[1]

    def inspect(self, index: int) -> WeightsInfo:
        """Describe a checkpoint without decoding it; `base` is None for a key frame."""
        with self._reader(self._number(index), None, MAX_DESCRIBED) as reader:
            return reader.info()

    def verify(self) -> None:
        """Decode everything, and compare it with its checksums.

        Raises
        ------
        FormatError
            Something is damaged.
        """
        self._latest = None
        for number in range(len(self)):
            self.expand(number)

    def _scan(self, stream: BinaryIO) -> int:
        """Take note of checkpoints that are new, and return where they end."""
        if not self._start:
            start = read_series_start(stream)
            self._every, self._start = start.keyframe_every, start.size
        end = self._checkpoints[-1].end if self._checkpoints else self._start
        for one in read_checkpoints(stream, end, len(self._checkpoints)):
            self._checkpoints.append(one)
            end = one.end
        return end

    def _number(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self._path} holds {len(self)} checkpoints, and none of number {index}")
        return index % len(self)

    def _is_latest(self, number: int) -> bool:
        return self._latest is not None and self._latest[0] == number

    def _based(self, number: int) -> bool:
        return self.inspect(number).base is not None

    def _check_chain(self, number: int) -> None:
        if number == 0 or number % self._every == 0:
            raise CorruptStream(f"checkpoint {number}", None, "a key frame", "differences to another one")

    def _reader(self, number: int, base: AbstractBase | None, max_bytes: int | None = None) -> Reader:
        one = self._checkpoints[number]
        window = io.BufferedReader(_Window(self._path, one))
        try:
            return Reader(window, base=base, max_bytes=max_bytes or self._max_bytes)
        except UnsupportedInput as error:
            raise CorruptStream(f"checkpoint {number}", one.offset, "a file of arrays", str(error)) from error

    def _body(self, number: int) -> bytes:
        one = self._checkpoints[number]
        with self._path.open("rb") as stream:
            stream.seek(one.offset)
            body = stream.read(one.size)
        if (found := body_hash(body)) != one.digest:
            raise CorruptStream(f"hash of checkpoint {number}", one.offset, one.digest.hex(), found.hex())
        return body


class _Window(io.RawIOBase):
    """The bytes of one checkpoint as a file."""

    def __init__(self, path: Path, checkpoint: Checkpoint) -> None:
        super().__init__()
        self._stream = path.open("rb", buffering=0)
        self._offset, self._size, self._at = checkpoint.offset, checkpoint.size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._stream.seek(self._offset + self._at)
        data = self._stream.read(max(min(len(buffer), self._size - self._at), 0)) or b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _expanded(reader: Reader, jobs: int | None) -> Arrays:
    return Arrays(reader.form, reader.tensors(jobs=jobs), reader.metadata)


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


@contextlib.contextmanager
def _alone(stream: BinaryIO) -> Generator[None]:
    """Keep other processes from appending, where the system can."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # closing the file unlocks it
    yield
