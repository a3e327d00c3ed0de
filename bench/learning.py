"""Claim: models train on packed latents with fewer bytes and less work than on pixels, and lose little by it.

LACONIC_DATA=... python bench/learning.py [--work DIR] [--arms A,B] [--seeds 0,1,2] [--epochs N]
                                      [--speeds | --table]

LACONIC_DATA holds classify/imagenette224/{train,val}/CLASS/*.jpg. The work is that of `laconic train classify
--compare`; whatever is finished in DIR is kept, so the bench can be stopped and goes on. With --speeds the speeds of a
finished run are measured anew, which takes a few minutes of a machine that does nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import record

from laconic.learn.form_comparison import (
    ARMS,
    ComparisonPlan,
    Source,
    compare,
    measure_speeds,
    result_table,
    rows,
)


def main() -> None:
    """Run what is missing, print the table, write the claims."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, default=Path("build/learning"))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=12)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--speeds", action="store_true", help="train nothing: measure the speeds of a finished run anew")
    only.add_argument("--table", action="store_true", help="train nothing: the table of the runs that are there")
    options = parser.parse_args()
    pictures = record.data("classify", "imagenette224")
    plan = ComparisonPlan(
        Source(str(pictures / "train"), str(pictures / "val"), 224, 60, options.work),
        tuple(options.arms.split(",")),
        tuple(int(seed) for seed in options.seeds.split(",")),
        options.epochs,
    )
    if options.speeds:
        measure_speeds(plan, print, anew=True)
    is_finished = options.speeds or options.table
    result = {"setup": plan.setup(), "arms": rows(plan)} if is_finished else compare(plan, print)
    del result["setup"]["source"]  # where it lay on one machine
    print("\n".join(result_table(result["arms"])))
    record.write("learning", {"setup": result["setup"], "claims": claims(result["arms"]), "arms": result["arms"]})


def claims(arms: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What was asked, of the arms that are there."""
    made: list[dict[str, Any]] = []

    def ratio(text: str, field: str, name: str, bound: float) -> None:
        if name in arms:
            made.append(record.claim(text, arms[name][field] / arms["pictures"][field], bound, at_most=False))

    def points(text: str, name: str, other: str, bound: float, *, at_most: bool) -> None:
        if name in arms and other in arms:
            apart = 100 * (arms[name]["accuracy_mean"] - arms[other]["accuracy_mean"])
            made.append(record.claim(text, -apart if at_most else apart, bound, at_most=at_most))

    if "latents-small" in arms:
        smaller = arms["pictures"]["bytes_per_sample"] / arms["latents-small"]["bytes_per_sample"]
        made.append(record.claim("JPEG bytes over those of the store small", smaller, 3, at_most=False))
    for store, name, bound in (("fast", "latents", 8), ("bits", "latents-bits", 8), ("small", "latents-small", 2)):
        loading = f"loading from the store {store} over JPEG decoding"
        ratio(f"{loading}, warm", "load_per_cpu_s", name, bound)
        ratio(f"{loading}, cold", "load_cold_per_cpu_s", name, bound)
    if "latents-small" in arms:
        small = arms["latents-small"]
        speed = small["load_per_cpu_s"] * small["values_per_sample"] / 1e6
        made.append(record.claim("latents loaded from the store small, MB/s of a core", speed, 300, at_most=False))
    for store, name in (("fast", "latents"), ("small", "latents-small")):
        ratio(f"training samples/s from the store {store} over JPEG", "train_per_cpu_s", name, 2)
    for ending, words in (("", ""), ("-augmented", ", both augmented")):
        latents = f"latents{ending}"
        for pixels, what in (("pixels-grid", "pixels of the same grid"), ("pixels-values", "as many pixel values")):
            points(f"accuracy above {what}, points{words}", latents, pixels + ending, 5, at_most=False)
        points(f"accuracy below full pixels, points{words}", latents, f"pixels{ending}", 2, at_most=True)
    points("augmented latents below full pixels, points", "latents-augmented", "pixels", 2, at_most=True)
    return made


if __name__ == "__main__":
    main()
