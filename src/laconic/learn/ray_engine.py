"""Packing on Ray: a Ray Dataset with one shard of the plan in each row, made by workers that read and write storage.

Through Ray pass a number for each shard, and its record back: no pictures, no latents, and not the list of samples
either, which each worker reads once from the `plan.json` at the destination. A shard depends on nothing but the plan
and its number, and takes its name when it is whole; so when a worker dies Ray may make a shard anew, even twice, and
the bytes are those of a run on one machine.
(Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications", OSDI 2018.)
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pickle
import socket
import sys
import threading
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from laconic.errors import LaconicError, UsageError
from laconic.learn.manifest import join, read_json
from laconic.learn.pack_plan import PLAN, PackPlan
from laconic.learn.shard_packing import ShardRecord, load_record, pack_shard
from laconic.signals import locations

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

__all__ = ["make_on_ray"]

CONNECT_SECONDS = 10.0
"""How long a cluster has to answer; Ray alone would wait for minutes."""


def make_on_ray(
    plan: PackPlan, indices: Sequence[int], destination: str, *, address: str | None = None, jobs: int = 1
) -> Iterator[ShardRecord]:
    """Make shards on a Ray cluster; yield their records as they come.

    Parameters
    ----------
    plan : PackPlan
        As in `plan.json` at the destination.
    indices : sequence of int
    destination : str
        A folder or URL that this process and all workers reach under the same name; so are the pictures.
    address : str, optional
        Of a running cluster, as of ``ray.init``. None: the one that RAY_ADDRESS names, or Ray is started on this
        machine and stopped at the end. A connection that is open already is used as it is.
    jobs : int
        CPUs that a shard takes on its worker, and threads there.

    Raises
    ------
    UsageError
        Ray is not installed, there is no such cluster, or a worker does not reach the destination.
    UnsupportedInput, FormatError, OSError
        As for `pack_shard`, from whichever worker met it first.
    """
    if not indices:
        return
    _check_cluster(address or os.environ.get("RAY_ADDRESS"))
    place = destination if locations.is_url(destination) else str(Path(destination).resolve())
    make = partial(_make, destination=place, digest=plan.digest, folder=str(Path.cwd()), jobs=jobs)
    stdout = _Stdout()
    with contextlib.redirect_stdout(sys.stderr), _ray(address) as ray:
        rows = ray.data.from_items([{"index": index} for index in indices], override_num_blocks=len(indices))
        for row in rows.map(make, num_cpus=jobs).iter_rows():
            if row["error"]:
                raise pickle.loads(row["error"])
            record = ShardRecord.from_json(json.loads(row["record"]))
            if load_record(plan, record.index, destination) is None:
                raise UsageError(_unreached(destination, row["worker"]))
            with contextlib.redirect_stdout(stdout):
                yield record


class _Stdout(io.TextIOBase):
    """Stdout for the thread that packs, stderr for all others: Ray tells of dead workers on stdout, at any time."""

    def __init__(self) -> None:
        self._thread, self._stdout = threading.get_ident(), sys.stdout

    def write(self, text: str, /) -> int:
        return self._now().write(text)

    def flush(self) -> None:
        self._now().flush()

    def _now(self) -> TextIO:
        return self._stdout if threading.get_ident() == self._thread else sys.stderr


def _make(row: dict[str, Any], *, destination: str, digest: str, folder: str, jobs: int) -> dict[str, Any]:
    """Make one shard; what a worker does. A failure with a name travels as a value: Ray would wrap it in its own."""
    done: dict[str, Any] = {"index": row["index"], "record": "", "error": b"", "worker": os.uname().nodename}
    try:
        plan = _plan(destination, digest, done["worker"])
        with _inside(folder, plan):
            _check_pictures(plan, int(row["index"]), done["worker"])
            done["record"] = json.dumps(pack_shard(plan, int(row["index"]), destination, jobs=jobs).to_json())
    except (LaconicError, OSError) as error:
        done["error"] = pickle.dumps(error)
    return done


@lru_cache(maxsize=1)
def _plan(destination: str, digest: str, worker: str) -> PackPlan:
    """Read the plan, once for each worker."""
    place = join(destination, PLAN)
    if not locations.exists(place):
        raise UsageError(_unreached(destination, worker))
    plan = PackPlan.from_json(read_json(place))
    if plan.digest != digest:
        raise UsageError(f"{place} on {worker} is another plan: {_unreached(destination, worker)}")
    return plan


def _check_pictures(plan: PackPlan, index: int, worker: str) -> None:
    """Refuse to work where the pictures are not: all of them would end in the quarantine, like files that were lost."""
    places = [sample.location for sample in plan.samples_of(index)]
    if not any(locations.is_url(place) or Path(place).exists() for place in places):
        raise UsageError(f"the worker on {worker} has no {places[0]}: pictures must lie where all workers reach them")


def _unreached(destination: str, worker: str) -> str:
    return f"the worker on {worker} does not share {destination}: pack to storage that all workers reach"


@contextlib.contextmanager
def _inside(folder: str, plan: PackPlan) -> Generator[None]:
    """Be in the folder that relative names of pictures are meant from. A worker does one task at a time."""
    if all(locations.is_url(sample.location) or Path(sample.location).is_absolute() for sample in plan.samples[:1]):
        yield
        return
    with contextlib.chdir(folder):
        yield


@contextlib.contextmanager
def _ray(address: str | None) -> Generator[Any]:
    """Connect to a cluster, or start one on this machine; leave things as they were."""
    # Ray would report to its makers from the machine of whoever packs; who wants that says so.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray as untyped
        from ray.data import DataContext
    except ImportError as error:
        raise UsageError('packing on Ray needs it: pip install "laconic[ray]"') from error
    ray: Any = untyped
    context: Any = DataContext.get_current()
    was_open, bars = ray.is_initialized(), context.enable_progress_bars
    loggers = {"ray.data": logging.WARNING, "ray.data._internal.progress": logging.ERROR}
    levels = {name: logging.getLogger(name).level for name in loggers}
    for name, level in loggers.items():
        logging.getLogger(name).setLevel(level)
    context.enable_progress_bars = False
    try:
        if not was_open:
            options: dict[str, Any] = {"address": address} if address else {}
            try:
                ray.init(**options, log_to_driver=False, logging_level=logging.WARNING)
            except (ConnectionError, ValueError) as error:
                raise UsageError(f"the Ray cluster can not be used: {error}") from error
        yield ray
    finally:
        context.enable_progress_bars = bars
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if not was_open and ray.is_initialized():
            ray.shutdown()


def _check_cluster(address: str | None) -> None:
    """See that somebody listens at HOST:PORT or ray://HOST:PORT; other addresses are Ray's to judge."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster answers at {address}: {error}") from error
