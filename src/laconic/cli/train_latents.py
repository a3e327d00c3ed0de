"""`laconic train classify` and `laconic train task`: a classifier, and a codec for one, on packed latents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laconic.errors import OutputExists, UsageError

if TYPE_CHECKING:
    import argparse

    from laconic.cli.console import Console
    from laconic.learn.dataset import LatentDataset

__all__ = ["train_for_task", "train_on_latents"]

CLASSIFIER, TASK = Path("classifier.safetensors"), Path("task.safetensors")


def train_on_latents(arguments: argparse.Namespace, console: Console) -> int:
    """Train, write the classifier and return the exit code."""
    output: Path = arguments.output or CLASSIFIER
    checkpoint = output.with_name(f"{output.name}.checkpoint")
    if output.exists() and not (arguments.force or (arguments.resume and checkpoint.exists())):
        raise OutputExists(output)
    if arguments.resume and not checkpoint.exists():
        raise UsageError(f"nothing to resume: {checkpoint} is missing")
    training, validation, chosen = _opened(arguments)
    from laconic.learn.classifier import Plan, save_classifier, train_classifier

    plan = Plan(model=arguments.model or "resnet", prefixes=arguments.prefixes, **chosen)
    if not arguments.resume:
        checkpoint.unlink(missing_ok=True)
    console.line(f"{len(training)} samples of {len(training.classes)} classes, {' x '.join(map(str, training.shape))}")
    try:
        model, figures = train_classifier(plan, training, validation, checkpoint=checkpoint, report=console.line)
    except (KeyboardInterrupt, SystemExit):
        console.warn(f"stopped; --resume goes on from {checkpoint}")
        raise
    save_classifier(output, model, plan.model, training, force=arguments.force or arguments.resume)
    checkpoint.unlink(missing_ok=True)
    shown = f"; {_right(figures, validation)}" if validation is not None else ""
    console.line(f"wrote {output}{shown}")
    if arguments.json:
        console.record({"output": str(output), "model": plan.model, "epochs": plan.epochs, **figures})
    return 0


def train_for_task(arguments: argparse.Namespace, console: Console) -> int:
    """Train a codec for a task, write it and return the exit code."""
    output: Path = arguments.output or TASK
    if output.exists() and not arguments.force:
        raise OutputExists(output)
    training, validation, chosen = _opened(arguments)
    from laconic.learn.classifier import load_classifier
    from laconic.learn.task import TaskPlan, save_task, train_task

    teacher = load_classifier(arguments.teacher, training) if arguments.teacher else None
    plan = TaskPlan(**chosen)
    if arguments.bits_weight is not None:
        plan = replace(plan, bits_weight=arguments.bits_weight)
    codec, figures = train_task(plan, training, validation, teacher, report=console.line)
    save_task(output, codec, training, force=arguments.force)
    shown = ""
    if validation is not None:
        shown = f"; {_right(figures, validation)} from files of {figures['bytes']:.0f} bytes"
    console.line(f"wrote {output}{shown}")
    if arguments.json:
        console.record({"output": str(output), "epochs": plan.epochs, **figures})
    return 0


def _opened(arguments: argparse.Namespace) -> tuple[LatentDataset, LatentDataset | None, dict[str, Any]]:
    """The data to train and to test on, and what both plans have in common.

    Raises
    ------
    UsageError
        There is no torch, or no data set.
    """
    try:
        from laconic.learn.augment import Augment
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UsageError('training needs torch: pip install "laconic[train]"') from error
    from laconic.learn.dataset import open_dataset

    training = open_dataset(str(arguments.data), channels=arguments.channels)
    validation = open_dataset(str(arguments.val), channels=arguments.channels) if arguments.val else None
    augment = Augment(mirror=True, shift=2) if arguments.augment else None
    return training, validation, {"epochs": arguments.epochs or 12, "seed": arguments.seed or 0, "augment": augment}


def _right(figures: dict[str, Any], validation: LatentDataset) -> str:
    return f"{100 * figures['accuracy']:.1f} % of {len(validation)} right"
