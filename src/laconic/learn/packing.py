"""Packing: pictures -> shards of latents, each shard a pure function of the plan and its number.

A plan (`planning.py`) lists every sample in sorted order and everything that decides a byte. `pack_shard` makes one
shard, writes it under a temporary name and renames it; nothing is shared between shards, so threads, processes on many
machines and runs that were killed and started again all give the same data set. `finish` writes the manifest once every
shard is there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from laconic.errors import UsageError
from laconic.learn.manifest import MANIFEST, Manifest, join, read_json, write_json
from laconic.learn.pack_plan import PLAN, PackPlan
from laconic.learn.shard_packing import ShardRecord, load_record, pack_shard
from laconic.signals import locations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["finish", "pack"]


def finish(plan: PackPlan, records: Sequence[ShardRecord], destination: str) -> Manifest:
    """Write the manifest of a data set whose shards are all there.

    Raises
    ------
    UsageError
        A shard is missing, or of another plan, or a class has no readable picture.
    """
    ordered = sorted(records, key=lambda record: record.index)
    if [record.index for record in ordered] != list(range(plan.shards)):
        missing = sorted(set(range(plan.shards)) - {record.index for record in ordered})
        raise UsageError(f"shards are missing or doubled: {missing[:5] or 'doubled'}")
    if any(record.plan != plan.digest for record in ordered):
        raise UsageError("a shard was made from another plan")
    quarantine = [item for record in ordered for item in record.quarantine]
    lost = {key for key, _ in quarantine}
    counts = np.bincount([sample.label for sample in plan.samples if sample.key not in lost], minlength=1)
    counts = np.pad(counts, (0, max(0, len(plan.classes) - len(counts))))
    for label, name in enumerate(plan.classes):
        if not counts[label] and any(sample.label == label for sample in plan.samples):
            raise UsageError(f"the class {name!r} has no picture that can be read")
    manifest = Manifest(
        fingerprint=plan.fingerprint,
        grid=plan.grid,
        preparation=plan.preparation,
        effort=plan.effort,
        store=plan.store,
        key=plan.key,
        classes=plan.classes,
        class_counts=tuple(counts.tolist()),
        shards=tuple(record.entry for record in ordered),
        quarantine=tuple(quarantine),
        saturated=sum(record.saturated for record in ordered),
        sums=tuple(sum(column) for column in zip(*(record.sums for record in ordered), strict=True)),
        squares=tuple(sum(column) for column in zip(*(record.squares for record in ordered), strict=True)),
    )
    write_json(join(destination, MANIFEST), manifest.to_json())
    return manifest


def pack(
    plan: PackPlan,
    destination: str,
    *,
    jobs: int | None = None,
    part: tuple[int, int] = (1, 1),
    resume: bool = False,
    report: Callable[[ShardRecord, bool], None] | None = None,
    make: Callable[[PackPlan, Sequence[int], str], Iterable[ShardRecord]] | None = None,
) -> Manifest | None:
    """Pack a data set, or one part of n of it, into a folder or URL.

    Parameters
    ----------
    part : (i, n)
        Make the shards i - 1, i - 1 + n, ... only; whoever finds all shards there writes the manifest.
    resume : bool
        Go on where a run with the same plan has stopped: complete shards are kept.
    report : callable, optional
        Called with each shard's record and whether it was there already.
    make : callable, optional
        Makes the shards that are missing, somewhere else: (plan, their numbers, destination) -> their records in any
        order (`ray_engine.make_on_ray`). None makes them here, with `jobs` threads.

    Returns
    -------
    Manifest, or None while parts are missing

    Raises
    ------
    UsageError
        The destination holds something already and `resume` is not set, or it was made from another plan.
    """
    number, parts = part
    if not 1 <= number <= parts:
        raise UsageError(f"part {number} of {parts} does not exist")
    locations.make_folder(destination)
    place = join(destination, PLAN)
    if locations.exists(place):
        found = read_json(place)
        if found != json.loads(json.dumps(plan.to_json())):
            raise UsageError(
                f"{destination} was packed from another source or with other options: {_difference(found, plan)}"
            )
        if not resume and parts == 1:
            raise UsageError(f"{destination} holds this data set already, whole or in part; --resume goes on with it")
    elif locations.exists(join(destination, MANIFEST)):
        raise UsageError(f"{destination} holds another data set")
    else:
        write_json(place, plan.to_json())
    missing: list[int] = []
    for index in range(number - 1, plan.shards, parts):
        record = load_record(plan, index, destination)
        if record is None:
            missing.append(index)
        elif report is not None:
            report(record, True)
    here = (pack_shard(plan, index, destination, jobs=jobs) for index in missing)
    for record in here if make is None else make(plan, missing, destination):
        if report is not None:
            report(record, False)
    records = [load_record(plan, index, destination) for index in range(plan.shards)]
    whole = [record for record in records if record is not None]
    return finish(plan, whole, destination) if len(whole) == plan.shards else None


def _difference(found: dict[str, Any], plan: PackPlan) -> str:
    """Which options differ; the key of a store follows from the others."""
    ours = json.loads(json.dumps(plan.to_json()))
    names: list[str] = []
    for name, value in ours.items():
        theirs: Any = found.get(name)
        if name in ("grid", "preparation") and isinstance(theirs, dict):
            names += [inner for inner in value if cast("dict[str, Any]", theirs).get(inner) != value[inner]]
        elif theirs != value:
            names.append(name)
    return ", ".join([name for name in names if name != "key"] or names) or "version"
