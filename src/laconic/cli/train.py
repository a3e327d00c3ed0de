"""`laconic train`: fits the entropy model or a decoder-side network to photos, or a classifier to packed latents."""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from laconic.cli import options
from laconic.errors import OutputExists, UsageError

if TYPE_CHECKING:
    from laconic.cli.console import Console

__all__ = ["configure", "run"]

_TASK = ("teacher", "bits_weight")
_COMPARISON = ("compare", "quick", "arms", "seeds")
_LATENTS = ("val", "model", "epochs", "channels", "augment", "prefixes", "seed", *_COMPARISON, *_TASK)
# Options that have no meaning for a kind.
_STRAY = {
    "image": ("size", *_LATENTS),
    "network": ("sets", *_LATENTS),
    "classify": ("sets", "size", "minutes", "log", *_TASK),
    "task": ("sets", "size", "minutes", "log", "resume", "model", "prefixes", *_COMPARISON),
}


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic train`."""
    parser.example = "laconic train image --data photos/ --minutes 20"
    parser.description = (
        "image: fit context weights and frequency tables to the photos of a folder and write them as a model file.\n"
        "network: fit a decoder-side network and write the shipped model with that network in it.\n"
        "A run can be stopped at any moment (Ctrl-C, kill) and taken up again with --resume; a run of `image` then\n"
        "ends with the same bytes. Some photos are held out, to measure what the result is worth.\n"
        "classify: train a classifier on a data set that `laconic pack` made; with --compare, on folders of pictures\n"
        "in every form, to see in one table what latents are worth there.\n"
        "task: train a codec on it that keeps what a classifier needs, and nothing else.\n"
        'Needs torch: pip install "laconic[train]"'
    )
    parser.add_argument("kind", choices=["image", "network", "classify", "task"], help="what to train")
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        required=True,
        help="a folder of photos, a few hundred; classify, task: packed data; --compare: a folder for each class",
    )
    parser.add_argument(
        "--minutes",
        metavar="N",
        type=options.in_range(float, 0.01, 10_000, " minutes"),
        help="about how long it may take on two cores (default: 20; a network gains for hours)",
    )
    parser.add_argument("--resume", action="store_true", help="go on where the last run with this output stopped")
    parser.add_argument(
        "-o",
        "--output",
        metavar="MODEL",
        type=Path,
        help="default: photo.safetensors; of classify classifier.safetensors; of --compare the folder `comparison`",
    )
    parser.add_argument(
        "--sets",
        metavar="LIST",
        type=_codes,
        help="first step code of each lossy parameter set, such as 0,256,384",
    )
    parser.add_argument("--size", choices=["fast", "best", "ssim"], help="which network to train (default: best)")
    parser.add_argument("--log", metavar="FILE", type=Path, help="append the run and its held-out figures to this JSON")
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing model")
    group = parser.add_argument_group("classify and task")
    group.add_argument("--val", metavar="DIR", type=Path, help="packed data to test on, once, at the end")
    group.add_argument("--model", choices=["resnet", "vit"], help="which network (default: resnet)")
    group.add_argument(
        "--epochs", metavar="N", type=options.in_range(int, 1, 10_000), help="how often it sees the data (default: 12)"
    )
    group.add_argument(
        "--channels", metavar="N", type=options.in_range(int, 1, 768), help="use the first N channels only"
    )
    group.add_argument("--augment", action="store_true", help="mirror and shift the latents, anew in every epoch")
    group.add_argument(
        "--prefixes", action="store_true", help="train on random prefixes of the channels: less by heart"
    )
    group.add_argument("--teacher", metavar="FILE", type=Path, help="of task: a classifier whose answers are imitated")
    group.add_argument(
        "--bits-weight",
        metavar="W",
        type=options.in_range(float, 0, 1000),
        help="of task: what a thousand bits of a picture weigh; more makes smaller files (default: 0.03)",
    )
    group.add_argument("--seed", metavar="N", type=options.in_range(int, 0, 1 << 62), help="default: 0")
    group = parser.add_argument_group("classify --compare")
    group.add_argument(
        "--compare",
        action="store_true",
        help="pixels, cosine coefficients, latents, ... with one trunk and schedule; hours, and the same command goes "
        "on where it was stopped",
    )
    group.add_argument("--quick", action="store_true", help="five arms, one seed, three epochs: minutes")
    group.add_argument("--arms", metavar="LIST", help="only these, such as pixels,latents,latents-augmented")
    group.add_argument(
        "--seeds", metavar="N", type=options.in_range(int, 1, 100), help="how often each arm is trained (default: 3)"
    )
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, write the model and return the exit code."""
    console = options.console_of(arguments)
    for stray in _STRAY[arguments.kind]:
        if getattr(arguments, stray) not in (None, False):
            raise UsageError(f"--{stray.replace('_', '-')} does not go with `laconic train {arguments.kind}`")
    if arguments.compare:
        from laconic.cli.compare_latents import compare_forms

        return compare_forms(arguments, console)
    for stray in _COMPARISON:
        if getattr(arguments, stray) not in (None, False):
            raise UsageError(f"--{stray} goes with --compare only")
    if arguments.kind in ("classify", "task"):
        from laconic.cli.train_latents import train_for_task, train_on_latents

        return (train_for_task if arguments.kind == "task" else train_on_latents)(arguments, console)
    arguments.minutes = arguments.minutes or 20.0
    arguments.output = arguments.output or Path("photo.safetensors")
    output: Path = arguments.output
    network = arguments.kind == "network"
    size = arguments.size or "best"
    checkpoint = output.with_name(f"{output.stem}.{size}.pt" if network else f"{output.name}.checkpoint")
    if output.exists() and not (arguments.force or (arguments.resume and checkpoint.exists())):
        raise OutputExists(output)
    if arguments.resume and not checkpoint.exists():
        raise UsageError(f"nothing to resume: {checkpoint} is missing")
    return _network(arguments, console, size, checkpoint) if network else _image(arguments, console, checkpoint)


def _image(arguments: argparse.Namespace, console: Console, checkpoint: Path) -> int:
    output: Path = arguments.output
    try:
        from laconic.train.recipe import SET_CODES, Plan, State, Trainer
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UsageError('training needs torch: pip install "laconic[train]"') from error
    from laconic.train.photos import find_photos

    photos, held_out = find_photos(arguments.data)
    if not photos:
        raise UsageError(f"no photos in {arguments.data}")
    if arguments.resume:
        state = State.load(checkpoint)
    else:
        state = State(Plan.for_minutes(arguments.minutes, arguments.sets or SET_CODES))
    trainer = Trainer(photos, checkpoint, state, report=console.line)
    console.line(f"{len(photos)} photos to train on, {len(held_out)} held out")
    try:
        done = trainer.run(seconds=arguments.minutes * 60 * 1.5)
    except (KeyboardInterrupt, SystemExit):
        console.warn(f"stopped; go on with: laconic train image --data {arguments.data} -o {output} --resume")
        raise
    if not done:
        console.warn("out of time before the last round; --resume goes on where this run stopped")
    from laconic.train.modelfile import write_model

    write_model(output, trainer.model())
    console.line(f"wrote {output}")
    _measure(arguments, console, held_out or photos, trainer.state)
    if done:
        checkpoint.unlink(missing_ok=True)
    return 0


def _network(arguments: argparse.Namespace, console: Console, size: str, checkpoint: Path) -> int:
    output: Path = arguments.output
    try:
        from laconic.train import network_fit
        from laconic.train.decoded_crops import Photos
        from laconic.train.network_export import add_network
        from laconic.train.network_model import SIZES
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UsageError('training needs torch: pip install "laconic[train]"') from error
    from laconic.models import PHOTO
    from laconic.train.evaluate import append_row
    from laconic.transform.workers import available_cores

    photos = Photos(arguments.data)
    if not photos.training:
        raise UsageError(f"no photos of at least 256 x 256 in {arguments.data}")
    console.line(f"{len(photos.training)} photos to train on, {len(photos.held_paths)} held out")
    output.parent.mkdir(parents=True, exist_ok=True)
    run = network_fit.fit(
        network_fit.Plan(size, arguments.minutes),
        SIZES[size],
        photos,
        output.parent,
        checkpoint.stem,
        processes=available_cores(),
        resume=arguments.resume,
        report=console.line,
    )
    if not run.done:
        console.warn(f"stopped; go on with: laconic train network --data {arguments.data} -o {output} --resume")
        raise KeyboardInterrupt
    add_network(PHOTO, checkpoint.with_suffix(".safetensors"), size, output)
    console.line(f"wrote {output}; gained on held-out photos, dB: {run.gains}")
    if arguments.log:
        append_row(arguments.log, {"network": size, "minutes": arguments.minutes, "held_out": run.gains})
    if arguments.json:
        console.record({"output": str(output), "held_out": run.gains})
    for suffix in (".pt", ".safetensors", ".jsonl"):
        checkpoint.with_suffix(suffix).unlink(missing_ok=True)
    return 0


def _measure(arguments: argparse.Namespace, console: Console, photos: list[Path], state: object) -> None:
    """Say what the model is worth, and keep it in the log."""
    from dataclasses import asdict

    from laconic.train.evaluate import append_row, evaluate
    from laconic.train.recipe import State

    assert isinstance(state, State)
    figures = evaluate(arguments.output, photos)
    pairs = ", ".join(f"{b:.3f} bpp {p:.2f} dB" for b, p in zip(figures["bpp"], figures["psnr"], strict=True))
    console.line(f"held out: {pairs}; lossless {figures['lossless_bpp']:.3f} bpp")
    if arguments.log:
        row = {"plan": asdict(state.plan), "seconds": round(state.seconds), "held_out": figures}
        append_row(arguments.log, row)
    if arguments.json:
        console.record({"output": str(arguments.output), "held_out": figures})


def _codes(text: str) -> tuple[int, ...]:
    try:
        codes = tuple(int(part) for part in text.split(","))
    except ValueError:
        codes = ()
    if not codes or codes[0] != 0 or any(b <= a for a, b in pairwise(codes)) or codes[-1] > 767:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rising list of step codes from 0, such as 0,256,384")
    return codes
