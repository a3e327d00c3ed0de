# pyright: basic
"""Batches of latents for training: one global order, exact epochs, and a position that survives anything.

The order of an epoch depends on the seed alone (`order.py`). Step s takes the samples at places s B W .. (s + 1) B W of
it, of which rank r takes every W-th; so each sample comes exactly once in an epoch, with any number of ranks and
workers. The position is {manifest, seed, epoch, samples}: it names the data set by its contents and counts what all
ranks have been given, so a run goes on elsewhere, with other workers, another batch size or another number of ranks.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from laconic.errors import UsageError
from laconic.learn.augment import Augment, Mirror, add_noise, mixup
from laconic.learn.order import epoch_order, random_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laconic.learn.dataset import LatentDataset

__all__ = ["Batch", "Loader"]

VIEWS = ("first", "random", "all")


class Batch(NamedTuple):
    """What one step gives.

    Attributes
    ----------
    latents : Tensor (B, C, h, w)
        float32 in pixel values, or int8 symbols.
    labels : Tensor (B,) int64, or (B, classes) float32 after mixup
    indices : Tensor (B,) int64
        Which samples these are.
    """

    latents: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor


class _Request(NamedTuple):
    """One batch that is to be made, by any process."""

    indices: np.ndarray
    views: np.ndarray
    seed: int


class _Batches(Dataset):
    """Makes batches; this is what workers hold."""

    def __init__(self, dataset: LatentDataset, dtype: str, augment: Augment | None) -> None:
        self.dataset, self.dtype, self.augment = dataset, dtype, augment
        self.scales = torch.from_numpy(dataset.scales.copy())
        grid = dataset.manifest.grid
        self.mirror = Mirror(grid.layout[: dataset.channels], grid.stride) if augment and augment.mirror else None
        self.labels = torch.from_numpy(dataset.labels)

    def __getitem__(self, request: _Request) -> Batch:
        indices = torch.from_numpy(request.indices)
        latents = torch.from_numpy(self.dataset.symbols(request.indices, request.views))
        labels = self.labels[indices]
        generator = torch.Generator().manual_seed(request.seed)
        if self.augment is not None:
            latents = self.augment.spatial(latents, self.mirror, generator)
        if self.dtype != "int8":
            latents = latents.to(torch.float32) * self.scales[:, None, None]
            if self.augment is not None and self.augment.noise:
                latents = add_noise(latents, self.scales, self.augment.noise, generator)
            if self.augment is not None and self.augment.mixup and len(latents):
                classes = len(self.dataset.classes)
                latents, labels = mixup(latents, labels, classes, self.augment.mixup, generator)
        return Batch(latents, labels, indices)


class Loader:
    """Iterates over one epoch after the other; `laconic.learn.loader` makes it.

    Parameters
    ----------
    dataset : LatentDataset
    batch_size : int
        Samples of each rank in a step.
    shuffle : bool
        Otherwise samples come in the order of their keys.
    seed : int
    num_workers : int
        Processes; 0 reads in this one, which is fastest for the store `fast`.
    rank, world : int
        Which of how many processes this is. All ranks make the same number of steps; in the last one a batch may be
        smaller, or empty.
    dtype : str
        `float32` in pixel values, or `int8` symbols (a quarter of the memory; models.py has stems that take them).
    augment : Augment, optional
    views : str
        Of each sample: `first`, `random` (one, anew in every epoch) or `all` (an epoch is that much longer).
    drop_last : bool
        Leave out the last, incomplete step.
    context : str, optional
        How workers start: `fork`, `spawn` or `forkserver`; None is Python's choice.
    persistent_workers : bool
        Keep workers between epochs.

    Raises
    ------
    UsageError
        A number out of range.
    """

    def __init__(
        self,
        dataset: LatentDataset,
        *,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        num_workers: int = 0,
        rank: int = 0,
        world: int = 1,
        dtype: str = "float32",
        augment: Augment | None = None,
        views: str = "first",
        drop_last: bool = False,
        context: str | None = None,
        persistent_workers: bool = False,
    ) -> None:
        if batch_size < 1 or num_workers < 0 or not 0 <= rank < world:
            raise UsageError(f"batches of {batch_size}, {num_workers} workers, rank {rank} of {world} do not exist")
        if dtype not in ("float32", "int8"):
            raise UsageError(f"dtype is {dtype!r}, expected float32 or int8")
        if views not in VIEWS:
            raise UsageError(f"views is {views!r}, expected {', '.join(VIEWS)}")
        if dtype == "int8" and augment is not None and (augment.noise or augment.mixup):
            raise UsageError("noise and mixup need latents of float32")
        self.dataset, self.batch_size, self.shuffle, self.seed = dataset, batch_size, shuffle, seed
        self.rank, self.world, self.views, self.drop_last = rank, world, views, drop_last
        self.epoch, self.samples = 0, 0
        self._count = len(dataset) * (dataset.views if views == "all" else 1)
        self._requests = _Requests(self)
        self._torch = DataLoader(
            _Batches(dataset, dtype, augment),
            batch_size=None,
            sampler=self._requests,
            num_workers=num_workers,
            multiprocessing_context=context if num_workers else None,
            persistent_workers=persistent_workers and num_workers > 0,
        )

    def __len__(self) -> int:
        """Steps of a whole epoch; the same for every rank."""
        return self._steps(0)

    def _steps(self, samples: int) -> int:
        step = self.batch_size * self.world
        left = self._count - samples
        return left // step if self.drop_last else -(-left // step)

    def __iter__(self) -> Iterator[Batch]:
        """Go on with the current epoch where it stands, to its end; then the next one is due."""
        steps = self._steps(self.samples)
        for _, batch in zip(range(steps), self._torch, strict=True):
            self.samples = min(self.samples + self.batch_size * self.world, self._count)
            yield batch
        self.epoch, self.samples = self.epoch + 1, 0

    def requests(self) -> Iterator[_Request]:
        """What is left of the epoch for this rank."""
        order = epoch_order(self._count, seed=self.seed, epoch=self.epoch, shuffle=self.shuffle)
        views = self.dataset.views
        step = self.batch_size * self.world
        start = self.samples
        for number in range(self._steps(start)):
            first = start + number * step
            places = order[first : first + step][self.rank :: self.world]
            if self.views == "all":
                samples, view = places // views, places % views
            else:
                samples, view = places, np.zeros_like(places)
                if self.views == "random":
                    view = (random_words(samples, self.seed, self.epoch, 1) % np.uint64(views)).astype(np.int64)
            words = random_words(np.array([first * self.world + self.rank]), self.seed, self.epoch, 2)
            yield _Request(samples, view, int(words[0] >> np.uint64(1)))

    def state_dict(self) -> dict[str, Any]:
        """Where the run stands; plain data. Batches that were prepared but not given out do not count."""
        return {
            "manifest": self.dataset.manifest.digest,
            "seed": self.seed,
            "epoch": self.epoch,
            "samples": self.samples,
            "views": self.views,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a run stood, on this machine or another.

        Raises
        ------
        UsageError
            The state is of another data set, or none.
        """
        try:
            digest, views = state["manifest"], state["views"]
            seed, epoch, samples = int(state["seed"]), int(state["epoch"]), int(state["samples"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"not the state of a loader: {error}") from error
        if digest != self.dataset.manifest.digest:
            raise UsageError(f"the state is of the data set {digest}, this one is {self.dataset.manifest.digest}")
        if views != self.views or not 0 <= samples <= self._count or epoch < 0:
            raise UsageError(f"the state does not fit: views {views}, epoch {epoch}, {samples} samples seen")
        self.seed, self.epoch, self.samples = seed, epoch, samples


class _Requests:
    """The sampler that torch asks for. It does not keep the loader alive: workers end when the loader goes."""

    def __init__(self, loader: Loader) -> None:
        self._loader = weakref.ref(loader)

    @property
    def loader(self) -> Loader:
        loader = self._loader()
        assert loader is not None
        return loader

    def __iter__(self) -> Iterator[_Request]:
        return self.loader.requests()

    def __len__(self) -> int:
        return self.loader._steps(self.loader.samples)
