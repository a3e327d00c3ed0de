"""Training the decoder-side network.

    laconic train network --data DIR --size best --minutes 75
    python -m laconic.train.network_fit --photos DIR --output DIR --size best --minutes 75      to try variants

Loss: squared error in RGB (for the network "ssim" 1 - MS-SSIM) over that of the plain decode (the crop's and the usual
one at its rate, half and half), so that every rate counts alike and flat crops do not rule. A step takes one crop from
each part of the range of step codes; processes of one thread each share the crops as they come free, which keeps a
step's work in the caches and wastes little where other programs use the machine. Muon and AdamW, cosine to zero over
the time given, a moving average of the weights is what is kept. A checkpoint every two minutes: interrupt at any
time and continue with `--resume` (a model of the codec that changed meanwhile is taken up).

Only the held-out photos' figures may choose between variants.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from laconic.models import default_model
from laconic.train.checkpoint import load_checkpoint, replace_file
from laconic.train.decoded_crops import BLOCK, UNIT, Photos, Pool, code_range, codes_to_train, through_codec, to_blocks
from laconic.train.muon import Optimizer
from laconic.train.narrow import Watcher, narrowed
from laconic.train.network_export import from_integers
from laconic.train.network_model import DECAYED, MATRICES, SIZES, Network, Shape, fast_type, unit_step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from laconic.train.decoded_crops import Pair
    from laconic.train.narrow import Take

__all__ = ["Plan", "fit", "main"]

SIDE = 192
SSIM_SHARE = 0.1
"""Of the crops of "fast" and "best", those coded with ``tune="ssim"``."""
CHECKPOINT_SECONDS, HELD_OUT_SECONDS, LOG_STEPS = 120.0, 300.0, 100
PATIENCE = 900.0  # seconds after which a process that no longer answers ends the run
HELD_OUT_PHOTOS, HELD_OUT_SIDE, HELD_OUT_QUALITIES = 24, 320, (5, 20, 40, 60, 80, 95)


@dataclass(frozen=True)
class Plan:
    """What a run does; stored with its checkpoints."""

    size: str
    minutes: float
    steps: int = 0
    """If not 0, the schedule follows the steps, not the time: to compare variants on a busy machine."""
    batch: int = 8
    rate: float = 2e-3
    muon_rate: float = 4e-3
    warm_up: int = 100
    seed: int = 0
    limit: float = 16.0
    shipped: bool = False
    """Start from the network of this size in the shipped model, "ssim" from "best" where it has none as wide."""
    blend: float = 0.0
    """Share of the weights at the start in those that are kept: halfway between the shipped network and one trained on
    from it there may be a better one than either (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022)."""
    limit_from: float = 0.85
    """Share of the time after which activations are clamped as the integer runtime will clamp them."""


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def learning_rate(warm_up: int, step: int, done: float) -> float:
    """Return the fraction of the greatest rate: warm-up, then a cosine to almost zero."""
    return min(1.0, (step + 1) / warm_up) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, done)) * 0.99)


def to_rgb(blocks: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Turn blocks (positions, 48) of Y, Cb, Cr into R, G, B, (positions, 16) each."""
    y, cb, cr = blocks.view(-1, 3, BLOCK * BLOCK).unbind(1)
    return y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb


def picture(blocks: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Turn blocks (height * width, 48) of planes into a picture (1, 3, 4 height, 4 width) in 0 .. 255."""
    planes = torch.stack(to_rgb(blocks)).view(3, height, width, BLOCK, BLOCK)
    return planes.permute(0, 1, 3, 2, 4).reshape(1, 3, height * BLOCK, width * BLOCK) * (UNIT / 16) + 128


def structure_error(given: torch.Tensor, restored: torch.Tensor) -> torch.Tensor:
    """Return 1 - MS-SSIM (Wang, Simoncelli and Bovik 2003) of two pictures (1, 3, H, W), sides above 160."""
    from pytorch_msssim import ms_ssim

    return 1 - ms_ssim(restored, given, data_range=255)


def rgb_error(planes: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error in RGB of an error (positions, 48) of the planes."""
    r, g, b = to_rgb(planes)
    return (r.square().mean() + g.square().mean() + b.square().mean()) / 3


class Step:
    """What the processes share in one training step: parameters, gradients, and who takes which crop."""

    def __init__(self, network: Network, plan: Plan, processes: int) -> None:
        context = multiprocessing.get_context("fork")
        self.theta = torch.zeros(network.size).share_memory_()
        self.gradients = torch.zeros(processes, network.size).share_memory_()
        self.errors = torch.zeros(2, plan.batch).share_memory_()  # of the plain decode, of the enhanced
        self.typical = torch.zeros(plan.batch).share_memory_()
        self.taken = context.Value("i", 0)
        self.control = context.Array("d", [0.0, 0.0])  # step number, limit or 0
        self.barrier = context.Barrier(processes)
        self.context = context

    def take(self) -> int:
        """Return the number of the next crop that nobody works on."""
        with self.taken.get_lock():
            self.taken.value += 1
            return self.taken.value - 1


class Worker:
    """Forward and backward over crops, one at a time."""

    def __init__(self, number: int, network: Network, plan: Plan, photos: Photos, shared: Step) -> None:
        self.number, self.network, self.plan, self.shared = number, network, plan, shared
        share = 1.0 if plan.size == "ssim" else SSIM_SHARE
        self.pool = Pool(photos, codes_to_train(default_model()), plan.batch, ssim=share)

    def work(self) -> None:
        """Take crops until the batch is done, leaving the sum of gradients in this worker's row."""
        shared, plan = self.shared, self.plan
        theta = shared.theta.clone().requires_grad_()
        step, limit = int(shared.control[0]), shared.control[1] or None
        while (crop := shared.take()) < plan.batch:
            rng = np.random.default_rng((plan.seed, step, crop))
            plain, enhanced = self.errors(theta, self.pool.draw(rng, crop, SIDE), limit)
            (enhanced / (0.5 * plain + 0.5 * (float(shared.typical[crop]) or plain))).backward()
            shared.errors[0, crop], shared.errors[1, crop] = plain, float(enhanced.detach())
        row = shared.gradients[self.number]
        row.zero_() if theta.grad is None else row.copy_(theta.grad)

    def errors(
        self, theta: torch.Tensor, pair: Pair, limit: float | None, take: Take = narrowed
    ) -> tuple[float, torch.Tensor]:
        """Return the errors of the plain decode and of the enhanced one."""
        x, y = torch.from_numpy(to_blocks(pair.decoded)), torch.from_numpy(to_blocks(pair.original))
        kind = fast_type()
        folded = self.network.at(theta, pair.code, kind)
        height, width = (size // BLOCK for size in pair.decoded.shape[1:])
        correction = self.network.forward(folded, x.to(kind), height, width, limit, take)
        correction = correction.float() * unit_step(pair.code)
        if self.plan.size == "ssim":
            original, plain, better = (picture(t, height, width) for t in (y, x, x + correction))
            return max(float(structure_error(original, plain)), 1e-6), structure_error(original, better)
        error = x - y
        return max(float(rgb_error(error)), 1e-7), rgb_error(error + correction)

    def serve(self) -> None:
        """Run as a process of its own until the first one ends."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        torch.set_num_threads(1)
        try:
            while True:
                self.shared.barrier.wait(PATIENCE)
                self.work()
                self.shared.barrier.wait(PATIENCE)
        except threading.BrokenBarrierError:
            pass  # the first process has ended, or gave up waiting
        except Exception:
            traceback.print_exc()  # and let nobody wait for this process
            self.shared.barrier.abort()


class HeldOut:
    """Held-out photos, decoded once at a few qualities."""

    def __init__(self, photos: Photos, size: str) -> None:
        crops = photos.held_out(HELD_OUT_PHOTOS, HELD_OUT_SIDE)
        codes = default_model().quality_codes
        self.tune = "ssim" if size == "ssim" else "psnr"
        self.pairs = {
            q: [through_codec(crop, int(codes[q]), tune=self.tune) for crop in crops] for q in HELD_OUT_QUALITIES
        }

    def gains(self, network: Network, theta: torch.Tensor, limit: float | None) -> dict[str, float]:
        """Return quality -> mean gain in dB over the plain decode, and their mean; empty without photos.

        Of the squared error in RGB, or of 1 - MS-SSIM.
        """
        gains: dict[str, float] = {}
        if not self.pairs[HELD_OUT_QUALITIES[0]]:
            return gains
        for quality, pairs in self.pairs.items():
            gain = [self._gain(network, theta, pair, limit) for pair in pairs]
            gains[f"q{quality}"] = round(float(np.mean(gain)), 4)
        gains["mean"] = round(float(np.mean(list(gains.values()))), 4)
        return gains

    def _gain(self, network: Network, theta: torch.Tensor, pair: Pair, limit: float | None) -> float:
        x, y = torch.from_numpy(to_blocks(pair.decoded)), torch.from_numpy(to_blocks(pair.original))
        height, width = (size // BLOCK for size in pair.decoded.shape[1:])
        with torch.no_grad():
            kind = fast_type()
            folded = network.at(theta, pair.code, kind)
            better = x + network.forward(folded, x.to(kind), height, width, limit).float() * unit_step(pair.code)
            original, plain, enhanced = (picture(t, height, width).round().clamp(0, 255) for t in (y, x, better))
            if self.tune == "ssim":
                before, after = structure_error(original, plain), structure_error(original, enhanced)
            else:
                before, after = (plain - original).square().mean(), (enhanced - original).square().mean()
            return 10 * math.log10(float(before) / float(after))


class Run:
    """A training run and its files: NAME.pt (checkpoint), NAME.safetensors (average, exported), NAME.jsonl (log)."""

    def __init__(self, plan: Plan, network: Network, folder: Path, name: str, report: Callable[[str], None]) -> None:
        self.plan, self.network, self.folder, self.name = plan, network, folder, name
        self.report = report
        self.optimizer = Optimizer(
            network, DECAYED, MATRICES if plan.muon_rate else (), rate=plan.rate, muon_rate=plan.muon_rate
        )
        networks = default_model().networks
        same = plan.size in networks and len(networks[plan.size].input_weight) == network.shape.channels
        like = plan.size if same or plan.size != "ssim" else "best"
        shipped = from_integers(networks[like]) if plan.shipped else {}
        self.theta = network.resumed(shipped) if shipped else network.start(plan.seed)
        self.lacks_grains = network.shape.narrow and plan.shipped and "mix.grain" not in shipped
        self.first, self.average = self.theta.clone(), self.theta.clone()
        self.step, self.seconds, self.recent = 0, 0.0, np.zeros((2, plan.batch))
        self.gains: dict[str, float] = {}

    def find_grains(self, photos: Photos) -> None:
        """Start from the grains that suit what the network shows of photos."""
        plan, watcher = self.plan, Watcher(self.network.shape.blocks)
        worker = Worker(0, self.network, plan, photos, Step(self.network, plan, 1))
        rng = np.random.default_rng(plan.seed)
        with torch.no_grad():
            for stratum in range(plan.batch):
                worker.errors(self.theta, worker.pool.draw(rng, stratum, SIDE), plan.limit, watcher)
        self.theta = self.network.with_grains(self.theta, watcher.grains)
        self.first, self.average = self.theta.clone(), self.theta.clone()

    def save(self) -> None:
        """Write checkpoint and exported weights, each complete or not at all."""
        from safetensors.numpy import save_file

        state = {
            "plan": asdict(self.plan),
            "shape": asdict(self.network.shape),
            "codes": self.network.codes,
            "step": self.step,
            "seconds": self.seconds,
            "recent": self.recent,
            "theta": self.theta,
            "first": self.first,
            "average": self.average,
            "optimizer": self.optimizer.state,
            "gains": self.gains,
        }
        replace_file(self.folder / f"{self.name}.pt", lambda path: torch.save(state, path))
        about = {**self.network.about(), "step": str(self.step), "minutes": f"{self.seconds / 60:.1f}"}
        about |= {"limit": str(self.plan.limit), "held_out": json.dumps(self.gains)}
        about["model"] = default_model().fingerprint.hex()
        weights = self.network.export(self.kept)
        replace_file(self.folder / f"{self.name}.safetensors", lambda path: save_file(weights, path, metadata=about))

    def resume(self) -> None:
        """Continue from the checkpoint.

        Raises
        ------
        SystemExit
            There is none, or it is of another shape.
        """
        state = load_checkpoint(self.folder / f"{self.name}.pt", asdict(self.network.shape))
        self.step, self.seconds, self.gains = state["step"], state["seconds"], state["gains"]
        self.recent = state["recent"] if state["recent"].shape == self.recent.shape else self.recent
        self.first, self.theta, self.average = state["first"], state["theta"], state["average"]
        self.optimizer.state = state["optimizer"]

    def log(self, **row: Any) -> None:
        """Print a line and append it to the log."""
        row = {"step": self.step, "minutes": round(self.seconds / 60, 2), **row}
        line = json.dumps(row)
        self.report(line)
        with (self.folder / (self.name + ".jsonl")).open("a") as file:
            file.write(line + "\n")

    def train(self, photos: Photos, held_out: HeldOut, processes: int) -> None:
        """Train until the time is up or somebody interrupts."""
        plan, shared = self.plan, Step(self.network, self.plan, processes)
        workers = [Worker(number, self.network, plan, photos, shared) for number in range(processes)]
        others = [shared.context.Process(target=worker.serve, daemon=True) for worker in workers[1:]]
        for process in others:
            process.start()
        saved = looked = time.monotonic()
        started, before = time.monotonic(), self.seconds
        try:
            while not self.done:
                done = self._part()
                limited = done >= plan.limit_from
                shared.theta.copy_(self.theta)
                shared.taken.value, shared.control[0], shared.control[1] = 0, self.step, plan.limit if limited else 0.0
                shared.barrier.wait(PATIENCE)
                workers[0].work()
                shared.barrier.wait(PATIENCE)
                self._update(shared, done)
                now = time.monotonic()
                self.seconds = before + now - started
                if self.step % LOG_STEPS == 0:
                    gains = (10 * np.log10(self.recent[0] / self.recent[1])).round(3)
                    speed = round(LOG_STEPS * plan.batch * SIDE * SIDE / 1e6 / max(now - looked, 1e-3), 3)
                    looked = now
                    self.log(
                        gain=round(float(gains.mean()), 4), fine_to_coarse=gains.tolist(), megapixels_per_second=speed
                    )
                if now - saved > CHECKPOINT_SECONDS:
                    saved = now
                    if self.seconds - self.gains.get("second", -1e9) > HELD_OUT_SECONDS:
                        self.look(held_out)
                    self.save()
        except (KeyboardInterrupt, SystemExit):
            self.report("interrupted; continue with --resume")
        finally:
            shared.barrier.abort()
            self.look(held_out)
            self.save()

    @property
    def done(self) -> bool:
        """Whether the plan's time, or number of steps, is up."""
        return self._part() >= 1

    def _part(self) -> float:
        return self.step / self.plan.steps if self.plan.steps else self.seconds / (self.plan.minutes * 60)

    @property
    def kept(self) -> torch.Tensor:
        """The weights that are measured and exported."""
        return torch.lerp(self.average, self.first, self.plan.blend)

    def look(self, held_out: HeldOut) -> None:
        """Measure what is kept on held-out photos."""
        limit = self.plan.limit
        self.gains = held_out.gains(self.network, self.kept, limit) | {"second": self.seconds}
        self.log(held_out=self.gains)

    def _update(self, shared: Step, done: float) -> None:
        gradient = shared.gradients.sum(0) / self.plan.batch
        norm = float(gradient.norm())
        weight = 0.98 if self.step else 0.0
        self.recent = self.recent * weight + (1 - weight) * shared.errors.numpy()
        shared.typical.copy_(torch.from_numpy(self.recent[0]))
        if not math.isfinite(norm):
            self.log(skipped="gradient is not finite")
        else:
            gradient *= min(1.0, 1.0 / max(norm, 1e-12))
            self.optimizer.step(self.theta, gradient, learning_rate(self.plan.warm_up, self.step, done))
            self.average.lerp_(self.theta, 1 - min(0.999, (1 + self.step) / (10 + self.step)))
        self.step += 1


def fit(
    plan: Plan,
    shape: Shape,
    photos: Photos,
    folder: Path,
    name: str,
    *,
    processes: int,
    resume: bool = False,
    report: Callable[[str], None] = say,
) -> Run:
    """Train a network, or go on with training it, until the plan's time is up or somebody interrupts.

    Parameters
    ----------
    plan : Plan
    shape : Shape
    photos : Photos
    folder : Path
        Gets NAME.pt (checkpoint), NAME.safetensors (the average's weights) and NAME.jsonl (log).
    name : str
    processes : int
        That share a step's crops.
    resume : bool
        Continue from the checkpoint.
    report : callable
        Gets each line of the log as it is written.

    Returns
    -------
    Run
        `gains` are those of the held-out photos; `done` tells whether the time was up.

    Raises
    ------
    SystemExit
        Nothing to resume, or it is of another shape.
    """
    torch.set_num_threads(1)
    network = Network(shape, code_range(default_model()))
    run = Run(plan, network, folder, name, report)
    if resume:
        run.resume()
    elif run.lacks_grains:
        run.find_grains(photos)
    held_out = HeldOut(photos, plan.size)
    run.log(
        plan=asdict(plan), shape=asdict(shape), macs=round(shape.macs), parameters=network.size,
        codes=network.codes, photos=len(photos.training), model=default_model().fingerprint.hex(),
        started=time.strftime("%H:%M:%S"),
    )  # fmt: skip
    run.train(photos, held_out, processes)
    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m laconic.train.network_fit", description="Train the decoder-side network."
    )
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoints and weights go")
    parser.add_argument("--name", help="of the files; the size by default")
    parser.add_argument("--size", choices=sorted(SIZES), default="best")
    parser.add_argument("--channels", type=int, help="instead of the size's")
    parser.add_argument("--blocks", type=int, help="instead of the size's")
    parser.add_argument("--minutes", type=float, default=75.0)
    parser.add_argument("--steps", type=int, default=0, help="the length in steps instead")
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--muon-rate", type=float, default=Plan.muon_rate, help="0: AdamW alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shipped", action="store_true", help="start from the shipped network of this size")
    parser.add_argument("--blend", type=float, default=Plan.blend, help="share of the first weights in those exported")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    given.output.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        given.size,
        given.minutes,
        given.steps,
        batch=given.batch,
        rate=given.rate,
        muon_rate=given.muon_rate,
        seed=given.seed,
        shipped=given.shipped,
        blend=given.blend,
    )
    size = SIZES[given.size]
    shape = replace(size, channels=given.channels or size.channels, blocks=given.blocks or size.blocks)
    name = given.name or given.size
    fit(plan, shape, Photos(given.photos), given.output, name, processes=given.jobs, resume=given.resume)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
