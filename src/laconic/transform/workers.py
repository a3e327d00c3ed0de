"""Threads for work that releases the interpreter's lock: the same results for any number of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self, TypeVar

from laconic.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from types import TracebackType

__all__ = ["Workers", "available_cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Count the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _threads(count: int) -> ThreadPoolExecutor:
    # Imported when there is work for it: it takes as long as a fifth of this package.
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(count)


class Workers:
    """A pool of `jobs` threads that lives as long as one call, so nothing is shared between processes after a fork.

    Parameters
    ----------
    jobs : int or None
        None: one for each core. With one job everything runs in the calling thread.

    Raises
    ------
    UsageError
        Less than one job.
    """

    def __init__(self, jobs: int | None = None) -> None:
        if jobs is not None and jobs < 1:
            raise UsageError(f"jobs is {jobs}, expected at least 1")
        self.jobs = available_cores() if jobs is None else jobs
        self._pool = _threads(self.jobs) if self.jobs > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Apply `work` to every item; results in the order of the items. The first error is raised."""
        if self._pool is None or len(items) < 2:
            return [work(item) for item in items]
        return list(self._pool.map(work, items))

    def ahead(self, items: Iterator[Item]) -> Iterator[Item]:
        """Yield the same items, each one made while the one before is worked on; with one job, when asked for."""
        if self._pool is None:
            yield from items
            return
        # A thread of its own: what makes the items may call `each`, whose threads must not wait for one another.
        with _threads(1) as maker:
            done = object()
            coming = maker.submit(next, items, done)
            while (item := coming.result()) is not done:
                coming = maker.submit(next, items, done)
                yield item  # pyright: ignore[reportReturnType]  # it is not `done`

    def spans(self, size: int, least: int) -> Iterator[tuple[int, int]]:
        """Cut 0 .. size into (from, to) pieces, a few for each thread, none shorter than `least` but the last."""
        piece = max(least, -(-size // (4 * self.jobs))) if self.jobs > 1 else size
        for start in range(0, size, max(1, piece)):
            yield start, min(start + piece, size)
