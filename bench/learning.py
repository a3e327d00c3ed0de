"""Claim: models train on packed latents with fewer bytes and less work than on pixels, and lose little by it.

LACONIC_DATA=... python bench/learning.py [--work DIR] [--arms A,B] [--seeds 0,1,2] [--epochs N]

LACONIC_DATA holds classify/imagenette224/{train,val}/CLASS/*.jpg. Every (arm, seed) runs in a process of its own with
one thread and is written to DIR at once, so the bench can be stopped and goes on; the validation pictures are only ever
tested on. Processor time is what is compared: it hardly depends on what else a machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from learning_arms import ARMS, Arm

from laconic.learn.classify import Schedule, Training, accuracy

BATCH, RATE = 32, 3e-3
LOADED = 1000
ROUNDS = 3
COST_EPOCHS = 3  # of an arm whose accuracy another one tells


def main() -> None:
    """Run what is missing, measure loading, write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, default=Path("build/learning"))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--one", nargs=2, metavar=("ARM", "SEED"), help="train one arm in this process")
    parser.add_argument("--load", action="store_true", help="measure loading again")
    parser.add_argument("--table", action="store_true", help="train nothing: the table of the runs that are there")
    options = parser.parse_args()
    record.data("classify", "imagenette224", "train")
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if options.one:
        train_one(work, options.one[0], int(options.one[1]), options.epochs)
        return
    if options.table:
        summarize(work, options.epochs)
        return
    arms = options.arms.split(",")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    for name in arms:
        prepared(work, name)
    if options.load or not (work / "load.json").exists():
        keep(work / "load.json", measure_loading(work, loaded(work)))
    for seed in seeds:
        for name in arms:
            if not (work / f"{name}-{seed}.json").exists():
                command = [sys.executable, __file__, "--work", str(work), "--epochs", str(options.epochs)]
                subprocess.run([*command, "--one", name, str(seed)], check=True)
    summarize(work, options.epochs)


def loaded(work: Path) -> list[str]:
    """The arms whose loading can be measured: those that store what their network takes."""
    return [name for name, arm in ARMS.items() if arm.train is None and (work / f"{name}.json").exists()]


def keep(place: Path, result: dict[str, Any]) -> None:
    """Write a result whole."""
    partial = place.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=1))
    partial.replace(place)


def prepared(work: Path, name: str) -> dict[str, Any]:
    """Make the data of an arm unless they are there."""
    place = work / f"{name}.json"
    if not place.exists():
        started = time.perf_counter()
        keep(place, ARMS[name].prepare(work))
        print(f"{name}: prepared in {time.perf_counter() - started:.1f} s", flush=True)
    return json.loads(place.read_text())


def train_one(work: Path, name: str, seed: int, epochs: int) -> None:
    """Train one arm with one seed and keep what it cost and what it reached."""
    arm = ARMS[name]
    if arm.train is not None:
        trained = arm.train(work, seed, epochs)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        keep(work / f"{name}-{seed}.json", {"arm": name, "seed": seed, "peak_bytes": peak, **trained})
        return
    torch.manual_seed(seed)
    model = arm.model(work).to(memory_format=torch.channels_last)
    batches = arm.batches(work, "train", BATCH, seed)
    training = Training(model, Schedule(epochs, len(batches), rate=RATE))
    history: list[dict[str, Any]] = []
    for number in range(COST_EPOCHS if arm.same_as else epochs):
        epoch = training.epoch(batches)
        right = accuracy(model, arm.batches(work, "val", 100, None)) if number == epochs - 1 else None
        history.append({**vars(epoch), "accuracy": right})
        print(name, seed, number, f"{epoch.loss:.3f} {epoch.cpu_seconds:.1f} s", right, flush=True)
    result = {
        "arm": name,
        "seed": seed,
        "accuracy": history[-1]["accuracy"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "epochs": history,
    }
    keep(work / f"{name}-{seed}.json", result)


def forget(arm: Arm, work: Path) -> None:
    """Ask the system to drop the files of an arm from memory."""
    for path in arm.paths(work, "train"):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def measure_loading(work: Path, names: list[str]) -> dict[str, Any]:
    """Samples a second of reading alone, all arms in turn, round after round, in this process."""
    figures: dict[str, dict[str, list[float]]] = {name: {"cold": [], "warm": [], "cpu": []} for name in names}
    for round_ in range(ROUNDS):
        for name in names:
            arm = ARMS[name]
            batches = arm.batches(work, "train", BATCH, round_)
            # Cold: files are opened, read from disk and checked for the first time. Warm: the same again.
            os.sync()
            forget(arm, work)
            for kind in ("cold", "warm"):
                batches.epoch = batches.samples = 0
                seen, started, cpu = 0, time.perf_counter(), time.process_time()
                for inputs, *_ in batches:
                    seen += len(inputs)
                    if seen >= LOADED:
                        break
                figures[name][kind].append(seen / (time.perf_counter() - started))
                if kind == "warm":
                    figures[name]["cpu"].append(seen / (time.process_time() - cpu))
    for name in names:
        best = {kind: max(values) for kind, values in figures[name].items()}
        print(f"{name:20} load {best['cold']:8.0f} cold {best['warm']:8.0f} warm {best['cpu']:8.0f} by processor time")
    return {name: {kind: max(values) for kind, values in row.items()} for name, row in figures.items()}


def summarize(work: Path, epochs: int) -> None:
    """One row for each arm; the claims; bench/results/learning.json."""
    loading = json.loads((work / "load.json").read_text())
    rows: dict[str, dict[str, Any]] = {}
    for name, arm in ARMS.items():
        runs = [json.loads(path.read_text()) for path in sorted(work.glob(f"{name}-[0-9].json"))]
        if not runs or not (work / f"{name}.json").exists():
            continue
        made = json.loads((work / f"{name}.json").read_text())
        cpu = statistics.median(epoch["cpu_seconds"] for run in runs for epoch in run["epochs"][1:])
        samples = runs[0]["epochs"][0]["samples"]
        judged = [json.loads(path.read_text()) for path in sorted(work.glob(f"{arm.same_as or name}-[0-9].json"))]
        scores = [run["accuracy"] for run in judged]
        rows[name] = {
            "description": arm.description,
            "bytes_per_sample": round(float(np.mean([run.get("bytes", made["bytes"]) for run in runs])), 1),
            "values_per_sample": made["values"],
            "load_cold_per_s": loading.get(name, {}).get("cold"),
            "load_warm_per_s": loading.get(name, {}).get("warm"),
            "load_per_cpu_s": loading.get(name, {}).get("cpu"),
            "train_per_cpu_s": samples / cpu,
            "cpu_s_per_epoch": cpu,
            "peak_bytes": int(max(run["peak_bytes"] for run in runs)),
            "parameters": runs[0]["parameters"],
            "accuracy_mean": float(np.mean(scores)),
            "accuracy_deviation": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
            "accuracy": scores,
            "accuracy_trained_as": arm.same_as or name,
            "seeds": [run["seed"] for run in judged],
            "pack_cpu_s": made["pack_cpu_seconds"],
            **{key: made[key] for key in made if key not in ("pack_seconds", "pack_cpu_seconds", "bytes", "values")},
        }
    base = rows["jpeg"]
    for row in rows.values():
        saved = base["cpu_s_per_epoch"] - row["cpu_s_per_epoch"]
        # What is not read by a loader of its own is no data set that pays off.
        pays = saved > 0 and row["load_per_cpu_s"] is not None
        row["break_even_epochs"] = row["pack_cpu_s"] / saved if pays else None
    for name, row in rows.items():
        print(
            f"{name:20} {row['bytes_per_sample']:9.0f} B {row['values_per_sample']:7} values "
            f"load {row['load_per_cpu_s'] or 0:7.0f}/s train {row['train_per_cpu_s']:6.0f}/s "
            f"{100 * row['accuracy_mean']:.1f} ± {100 * (row['accuracy_deviation'] or 0):.1f} % "
            f"pack {row['pack_cpu_s']:.1f} s even {row['break_even_epochs']}"
        )
    percent = {name: 100 * row["accuracy_mean"] for name, row in rows.items()}
    fast, small = rows["latents"], rows["latents-small"]
    best = max(percent.get("latents", 0), percent.get("latents-augmented", 0))
    claims = [
        record.claim(
            "JPEG bytes over those of the store small", base["bytes_per_sample"] / small["bytes_per_sample"], 3,
            at_most=False,
        ),
        record.claim(
            "loading from the store fast over JPEG decoding", fast["load_per_cpu_s"] / base["load_per_cpu_s"], 8,
            at_most=False,
        ),
        record.claim(
            "loading from the store small over JPEG decoding", small["load_per_cpu_s"] / base["load_per_cpu_s"], 2,
            at_most=False,
        ),
        record.claim(
            "training samples/s over JPEG", fast["train_per_cpu_s"] / base["train_per_cpu_s"], 2, at_most=False
        ),
        record.claim(
            "training samples/s from the store small over JPEG", small["train_per_cpu_s"] / base["train_per_cpu_s"], 2,
            at_most=False,
        ),
        record.claim(
            "accuracy above pixels of the same grid, points", percent["latents"] - percent["pixels-grid"], 5,
            at_most=False,
        ),
        record.claim(
            "accuracy above as many pixel values, points", percent["latents"] - percent["pixels-values"], 5,
            at_most=False,
        ),
        record.claim(
            "accuracy below full pixels, points", max(percent["jpeg"], percent["pixels"]) - percent["latents"], 2,
            at_most=True,
        ),
        record.claim(
            "the same with augmentation of latents", max(percent["jpeg"], percent["pixels"]) - best, 2, at_most=True
        ),
    ]  # fmt: skip
    counts = {"train": 3000, "val": 1000, "classes": 10}
    setup = {"epochs": epochs, "batch": BATCH, "rate": RATE, "threads": 1, "precision": "bfloat16", "data": counts}
    record.write("learning", {"setup": setup, "claims": claims, "arms": rows})


if __name__ == "__main__":
    main()
