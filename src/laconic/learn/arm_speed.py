# pyright: basic
"""How many samples a second each arm loads and trains on: all arms in turn, round after round, one process, one thread.

Processor time is what is compared. It hardly depends on what else a machine does, but a little it does, because
caches and cores are shared; so the arms take turns, and the best round of each counts.
"""

from __future__ import annotations

import os
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch

from laconic.learn.classify import Schedule, Training

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from laconic.learn.arm import Arm, Source

__all__ = ["SPEEDS", "arm_speeds"]

SPEEDS = ("load_cold_per_s", "load_cold_per_cpu_s", "load_warm_per_s", "load_per_cpu_s", "train_per_cpu_s")
"""Samples a second: loading alone, from disk and again, by the clock and by processor time; and training, with loading,
by processor time."""
LOADED = 1000  # samples of which loading is measured
LOADING_ROUNDS = 3
STEPS = 10
TRAINING_ROUNDS = 6


def arm_speeds(arms: Mapping[str, Arm], source: Source, batch: int) -> dict[str, dict[str, list[float]]]:
    """Measure arms that are prepared; {name: {of SPEEDS: a figure for each round}}."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in SPEEDS} for name in arms}
        for round_ in range(LOADING_ROUNDS):
            for name, arm in arms.items():
                for kind, figure in zip(SPEEDS, _loading(arm, source, batch, round_), strict=False):
                    found[name][kind].append(figure)
        runs = {name: _Run(arm, source, batch) for name, arm in arms.items()}
        for round_ in range(TRAINING_ROUNDS + 1):
            for name, run in runs.items():
                figure = run.advance()
                if round_:  # the first one allocates
                    found[name]["train_per_cpu_s"].append(figure)
        return found
    finally:
        torch.set_num_threads(threads)


def _loading(arm: Arm, source: Source, batch: int, seed: int) -> list[float]:
    """Samples a second of reading alone: cold by the clock and by processor time, then warm."""
    # Cold: files are opened, read from disk and checked for the first time. Warm: the same again.
    os.sync()
    _forget(arm, source)
    batches, figures = arm.batches(source, "train", batch, seed), []
    for _ in range(2):
        batches.epoch = batches.samples = 0
        seen, started, cpu = 0, time.perf_counter(), time.process_time()
        for inputs, *_ in batches:
            seen += len(inputs)
            if seen >= LOADED:
                break
        figures += [seen / (time.perf_counter() - started), seen / (time.process_time() - cpu)]
    return figures


def _forget(arm: Arm, source: Source) -> None:
    """Ask the system to drop the files of an arm from memory."""
    for path in arm.paths(source, "train"):
        descriptor = os.open(path, os.O_RDONLY)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


class _Run:
    """A model of an arm being trained, some steps at a time, on data that were read once before."""

    def __init__(self, arm: Arm, source: Source, batch: int) -> None:
        torch.manual_seed(0)
        model = arm.model(source)
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.batches = arm.batches(source, "train", batch, 0)
        self.training = Training(model, Schedule(1, len(self.batches)))
        for _ in self.batches:
            pass
        self.endless = self._endless()

    def _endless(self) -> Iterator[Any]:
        while True:
            yield from self.batches

    def advance(self) -> float:
        """Train some steps; samples a second of processor time."""
        epoch = self.training.epoch(islice(self.endless, STEPS))
        return epoch.samples / epoch.cpu_seconds
