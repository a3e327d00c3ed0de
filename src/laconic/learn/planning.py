"""Planning a data set: from a source and options to everything that decides a byte of what is packed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from laconic.errors import LaconicError, UnsupportedInput
from laconic.learn.grid import Grid
from laconic.learn.pack_plan import DEFAULT_SHARD, PackPlan
from laconic.learn.preparation import Preparation, picture_size
from laconic.learn.samples import Sample, find_samples, read_sample
from laconic.learn.shard_packing import encode
from laconic.learn.stores import FITTED, fit_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.learn.manifest import Manifest

__all__ = ["make_plan"]

MOST_FITTED = 256
"""Samples, evenly spread, from which the key of a store is fitted. With ten times as many records are 0.1 % smaller."""


def make_plan(
    source: str,
    *,
    layout: str = "folder",
    size: int | None = None,
    quality: int = 60,
    stride: int = 8,
    channels: int = 48,
    store: str = "small",
    views: Sequence[str] = ("center",),
    effort: int = 5,
    shard_size: int = DEFAULT_SHARD,
    on_error: str = "skip",
    like: Manifest | None = None,
    jobs: int | None = 1,
) -> PackPlan:
    """Plan a data set. For the stores `bits` and `small` some pictures are encoded, to fit the store's key.

    Parameters
    ----------
    source : str
        Folder, table or tar files, see `samples.find_samples`.
    size : int, optional
        Side in pixels; the shorter side of each picture is scaled to it and the center cut out. None: all pictures have
        the size of the first.
    like : Manifest, optional
        Of another data set: its transform and its classes are taken (for validation data); `size`, `quality`,
        `stride`, `channels` and `views` are not looked at. The key of its store is taken where that is the same.
    jobs : int, optional
        Threads; None is one for each core. Never changes the plan.

    Raises
    ------
    UsageError
        An option out of range, no samples, an empty class, or `like` is of another model.
    UnsupportedInput, FormatError, OSError
        A picture that is looked at cannot be read, and `on_error` is `fail`.
    """
    samples, classes = find_samples(source, layout, None if like is None else list(like.classes))
    if like is not None:
        like.check_model()
        grid, preparation, effort = replace(like.grid, stored_steps=()), like.preparation, like.effort
    else:
        height, width = (size, size) if size is not None else _first_size(samples, on_error)
        grid = Grid(height, width, quality, stride, channels)
        preparation = Preparation(height, width, resize=size is not None, views=tuple(views))
    key = like.key if like is not None and like.store == store else {}
    plan = PackPlan(tuple(samples), tuple(classes), grid, preparation, store, key, effort, shard_size, on_error)
    return plan if key or store not in FITTED else replace(plan, key=_fitted_key(plan, jobs))


def _fitted_key(plan: PackPlan, jobs: int | None) -> dict[str, Any]:
    """The key of the plan's store, from samples that are spread over it."""
    count = min(len(plan.samples), MOST_FITTED)
    chosen = [plan.samples[number * len(plan.samples) // count] for number in range(count)]
    packed = encode(plan, chosen, jobs)
    return fit_key(plan.store, plan.grid, [record for item in packed for record in item.records])


def _first_size(samples: list[Sample], on_error: str) -> tuple[int, int]:
    """Height and width of the first picture that can be read."""
    for sample in samples:
        try:
            return picture_size(read_sample(sample), sample.key)
        except (LaconicError, OSError):
            if on_error == "fail":
                raise
    raise UnsupportedInput("none of the pictures can be read")
