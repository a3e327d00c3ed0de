# pyright: basic
"""The comparison that says whether latents are worth it: the same pictures in every form of `arms.py`, end to end.

Each arm is prepared once, what loading and training cost is measured for all of them in turn (`arm_speed.py`), and
each is trained with every seed, in a process of its own with one thread. Whatever is finished lies in the work folder
at once, so a run can be stopped and goes on. Validation pictures are only ever tested on.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from laconic.errors import UsageError
from laconic.learn.arm import SPLITS, Source
from laconic.learn.arm_speed import SPEEDS, arm_speeds
from laconic.learn.arms import ARMS
from laconic.learn.classify import Schedule, Training, accuracy

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ARMS", "QUICK", "ComparisonPlan", "Source", "compare", "measure_speeds", "result_table", "rows"]

RATE = 3e-3
MEMORY_STEPS = 20
QUICK = ("pictures", "pixels", "pixels-grid", "latents", "latents-small")
SETUP = "comparison.json"


@dataclass(frozen=True)
class ComparisonPlan:
    """What decides a comparison.

    Parameters
    ----------
    source : Source
    arms : tuple of str
        Of `ARMS`; one whose accuracy another one tells needs that one too.
    seeds : tuple of int
    epochs, batch : int
    """

    source: Source
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 12
    batch: int = 32

    def __post_init__(self) -> None:
        for name in self.arms:
            if name not in ARMS:
                raise UsageError(f"no arm {name!r}: there are {', '.join(ARMS)}")
            if ARMS[name].same_as and ARMS[name].same_as not in self.arms:
                raise UsageError(f"the arm {name} needs {ARMS[name].same_as} beside it, which tells its accuracy")
        if not self.arms or not self.seeds or self.epochs < 1 or self.batch < 1:
            raise UsageError("a comparison needs arms, seeds and epochs")

    def setup(self) -> dict[str, Any]:
        """What all results in a work folder have in common."""
        source = {name: value for name, value in asdict(self.source).items() if name != "work"}
        counts = {split: len(self.source.samples(split)[0]) for split in SPLITS}
        precision = {"rate": RATE, "threads": 1, "precision": "bfloat16"}
        data = {**counts, "classes": len(self.source.classes)}
        return {"epochs": self.epochs, "batch": self.batch, **precision, "source": source, "data": data}


def compare(plan: ComparisonPlan, report: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run what is missing and return {setup, arms: {name: row}}.

    Raises
    ------
    UsageError
        The work folder holds another comparison, or something else.
    RuntimeError
        Training an arm failed; what it said went to stderr.
    """
    work = plan.source.work
    work.mkdir(parents=True, exist_ok=True)
    setup = json.loads(json.dumps(plan.setup()))
    if (work / SETUP).exists():
        found = json.loads((work / SETUP).read_text())
        other = [name for name in setup if found.get(name) != setup[name]]
        if other:
            raise UsageError(f"{work} holds a comparison with other settings: {', '.join(other)}")
    elif any(work.iterdir()):
        raise UsageError(f"{work} holds something else than a comparison")
    else:
        keep(work / SETUP, setup)
    for name in plan.arms:
        prepare(plan.source, name, report)
    measure_speeds(plan, report)
    for seed in plan.seeds:
        for name in plan.arms:
            if ARMS[name].same_as and seed != plan.seeds[0]:
                continue
            if not result_place(work, name, seed).exists():
                _train_elsewhere(plan, name, seed, plan.epochs)
                result = json.loads(result_place(work, name, seed).read_text())
                right = "" if result["accuracy"] is None else f", {100 * result['accuracy']:.1f} % right"
                report(f"{name}, seed {seed}: {result['epochs'][-1]['cpu_seconds']:.1f} s of an epoch{right}")
    return {"setup": setup, "arms": rows(plan)}


def measure_speeds(plan: ComparisonPlan, report: Callable[[str], None] = lambda _: None, *, anew: bool = False) -> None:
    """Measure what loading and training cost, of the arms of which it is not known yet, or of all of them anew.

    The arms must have been prepared. Takes a few minutes.
    """
    work = plan.source.work
    wanted = [name for name in plan.arms if ARMS[name].train is None]
    missing = [name for name in wanted if anew or not speed_place(work, name).exists()]
    for name, figures in arm_speeds({name: ARMS[name] for name in missing}, plan.source, plan.batch).items():
        _train_elsewhere(plan, name, plan.seeds[0], 0)
        memory = json.loads(memory_place(work, name).read_text())
        keep(speed_place(work, name), {**figures, **memory})
        loading, training = max(figures["load_per_cpu_s"]), max(figures["train_per_cpu_s"])
        report(f"{name}: of a core, {loading:.0f} samples/s of loading, {training:.0f} samples/s of training")


def keep(place: Path, result: dict[str, Any]) -> None:
    """Write a result whole."""
    partial = place.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=1))
    partial.replace(place)


def result_place(work: Path, name: str, seed: int) -> Path:
    """Where the result of an arm with one seed is kept."""
    return work / f"{name}-{seed}.json"


def speed_place(work: Path, name: str) -> Path:
    """Where the speeds of an arm are kept."""
    return work / f"{name}-speed.json"


def memory_place(work: Path, name: str) -> Path:
    """Where the process that trains an arm for its memory says what it took."""
    return work / f"{name}-memory.json"


def prepare(source: Source, name: str, report: Callable[[str], None]) -> dict[str, Any]:
    """Make the data of an arm unless they are there."""
    place = source.place(f"{name}.json")
    if not place.exists():
        started = time.perf_counter()
        keep(place, ARMS[name].prepare(source))
        report(f"{name}: prepared in {time.perf_counter() - started:.1f} s")
    return json.loads(place.read_text())


def _train_elsewhere(plan: ComparisonPlan, name: str, seed: int, epochs: int) -> None:
    """Train one arm with one seed in a process of its own, so that its peak of memory is its own."""
    fields = {**asdict(plan.source), "work": str(plan.source.work)}
    words = [json.dumps(fields), name, str(seed), str(epochs), str(plan.batch)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "laconic.learn.form_comparison", *words], env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"training {name} with seed {seed} ended with {done.returncode}")


def train_one(source: Source, name: str, seed: int, epochs: int, batch: int) -> None:
    """Train one arm with one seed and keep what it cost and what it reached.

    An arm whose accuracy another one tells is trained for one epoch. Without epochs some steps are made, for the memory
    that they take.
    """
    torch.set_num_threads(1)
    arm, place = ARMS[name], result_place(source.work, name, seed)
    if arm.train is not None:
        trained = arm.train(source, seed, epochs)
        keep(place, {"arm": name, "seed": seed, "peak_bytes": _peak(), **trained})
        return
    torch.manual_seed(seed)
    model = arm.model(source)
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    batches = arm.batches(source, "train", batch, seed)
    training = Training(model, Schedule(max(1, epochs), len(batches), rate=RATE))
    if not epochs:
        training.epoch(islice(batches, MEMORY_STEPS))
        keep(memory_place(source.work, name), {"peak_bytes": _peak()})
        return
    history: list[dict[str, Any]] = []
    for number in range(1 if arm.same_as else epochs):
        epoch = training.epoch(batches)
        is_last = number == epochs - 1 and not arm.same_as
        right = accuracy(model, arm.batches(source, "val", 100, None)) if is_last else None
        history.append({**vars(epoch), "accuracy": right})
    result = {
        "arm": name,
        "seed": seed,
        "accuracy": history[-1]["accuracy"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "peak_bytes": _peak(),
        "epochs": history,
    }
    keep(place, result)


def _peak() -> int:
    """Most memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # what the system counts for a child begins with what its parent had
        return next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def rows(plan: ComparisonPlan) -> dict[str, dict[str, Any]]:
    """One row for each arm that has results."""
    work, table = plan.source.work, {}
    for name in plan.arms:
        arm = ARMS[name]
        runs = _runs(plan, name)
        judged = _runs(plan, arm.same_as) if arm.same_as else runs
        if not runs or not judged:
            continue
        made = json.loads((work / f"{name}.json").read_text())
        speeds = json.loads(speed_place(work, name).read_text()) if arm.train is None else {}
        best = {
            kind: max(speeds[kind]) for kind in SPEEDS if kind in speeds
        }  # what disturbs a round only ever slows it
        samples = runs[0]["epochs"][0]["samples"]
        if "train_per_cpu_s" not in best:
            cpu = statistics.median(epoch["cpu_seconds"] for run in runs for epoch in run["epochs"])
            best["train_per_cpu_s"] = samples / cpu
        scores = [run["accuracy"] for run in judged]
        table[name] = {
            "description": arm.description,
            "bytes_per_sample": round(float(np.mean([run.get("bytes", made["bytes"]) for run in runs])), 1),
            "values_per_sample": made["values"],
            **{kind: best.get(kind) for kind in SPEEDS},
            "cpu_s_per_epoch": samples / best["train_per_cpu_s"],
            "peak_bytes": speeds["peak_bytes"] if speeds else int(max(run["peak_bytes"] for run in runs)),
            "parameters": runs[0]["parameters"],
            "accuracy_mean": float(np.mean(scores)),
            "accuracy_deviation": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
            "accuracy": scores,
            "accuracy_trained_as": arm.same_as or name,
            "seeds": [run["seed"] for run in judged],
            "pack_cpu_s": made["pack_cpu_seconds"],
        }
    base = table.get("pictures")
    for row in table.values():
        saved = base["cpu_s_per_epoch"] - row["cpu_s_per_epoch"] if base else 0.0
        # What is not read by a loader of its own is no data set that pays off.
        pays = saved > 0 and row["load_per_cpu_s"] is not None
        row["break_even_epochs"] = row["pack_cpu_s"] / saved if pays else None
    return table


def _runs(plan: ComparisonPlan, name: str) -> list[dict[str, Any]]:
    places = [result_place(plan.source.work, name, seed) for seed in plan.seeds]
    return [json.loads(place.read_text()) for place in places if place.exists()]


def result_table(table: dict[str, dict[str, Any]]) -> list[str]:
    """The rows for people to read, the first line their heads."""
    heads = ("arm", "bytes", "values", "cold/s", "warm/s", "warm/cpu s", "train/cpu s", "cpu s/epoch", "peak MB")
    lines: list[tuple[str, ...]] = [(*heads, "right, %", "pack s", "even")]
    for name, row in table.items():
        deviation = row["accuracy_deviation"]
        right = f"{100 * row['accuracy_mean']:.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")
        rates = (row["load_cold_per_s"], row["load_warm_per_s"], row["load_per_cpu_s"], row["train_per_cpu_s"])
        even = row["break_even_epochs"]
        lines.append(
            (
                name, f"{row['bytes_per_sample']:.0f}", str(row["values_per_sample"]),
                *("-" if rate is None else f"{rate:.0f}" for rate in rates), f"{row['cpu_s_per_epoch']:.2f}",
                f"{row['peak_bytes'] / 1e6:.0f}", right, f"{row['pack_cpu_s']:.1f}",
                "-" if even is None else f"{even:.2f}",
            )
        )  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]


def main() -> None:
    """Train one arm, as `compare` asks for: source, arm, seed, epochs, batch."""
    fields, name, seed, epochs, batch = sys.argv[1:]
    loaded = json.loads(fields)
    train_one(Source(**{**loaded, "work": Path(loaded["work"])}), name, int(seed), int(epochs), int(batch))


if __name__ == "__main__":
    main()
