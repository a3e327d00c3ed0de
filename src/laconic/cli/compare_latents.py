"""`laconic train classify --compare`: the same pictures in every form, trained and measured, as one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from laconic.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from laconic.cli.console import Console

__all__ = ["compare_forms"]

WORK = Path("comparison")
SIZE, QUALITY = 224, 60
QUICK_EPOCHS = 3


def compare_forms(arguments: argparse.Namespace, console: Console) -> int:
    """Run what is missing of a comparison, show its table, write it beside the results and return the exit code."""
    from laconic.signals.atomic import replacing

    try:
        from laconic.learn.form_comparison import ARMS, QUICK, ComparisonPlan, Source, compare, result_table
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UsageError('training needs torch: pip install "laconic[train]"') from error

    if arguments.val is None:
        raise UsageError("--compare needs pictures to test on: --val DIR")
    for name in ("model", "channels", "augment", "prefixes", "resume", "force"):
        if getattr(arguments, name) not in (None, False):
            raise UsageError(f"--{name} does not go with --compare: the arms say what they take")
    work: Path = arguments.output or WORK
    names = tuple(arguments.arms.split(",")) if arguments.arms else QUICK if arguments.quick else tuple(ARMS)
    seeds = range(arguments.seeds or (1 if arguments.quick else 3))
    epochs = arguments.epochs or (QUICK_EPOCHS if arguments.quick else 12)
    source = Source(str(arguments.data), str(arguments.val), SIZE, QUALITY, work)
    plan = ComparisonPlan(source, names, tuple((arguments.seed or 0) + seed for seed in seeds), epochs)
    console.line(f"{len(names)} arms, {len(seeds)} seeds, {epochs} epochs; what is finished is kept in {work}")
    try:
        result = compare(plan, console.line)
    except (KeyboardInterrupt, SystemExit):
        console.warn("stopped; the same command goes on")
        raise
    with replacing(work / "table.json", force=True) as stream:
        stream.write((json.dumps(result, indent=1) + "\n").encode())
    if arguments.json:
        for name, row in result["arms"].items():
            console.record({"arm": name, **row})
    for line in result_table(result["arms"]):
        console.line(line)
    console.line(f"wrote {work / 'table.json'}")
    return 0
