"""Training the networks that foretell details, one for each level (`native/details.h`).

    python -m laconic.train.detail_fit --photos DIR --output DIR --level 1 --minutes 60

A network sees luma's low band of its level as decoded and foretells the three bands that split off with it. It is as
good as what it leaves is cheap to code. Tables of the coder follow the energy around a coefficient, so the loss is
what one of that energy costs: log2(1 + energy / (0.18 step^2)) / 2, the energy half that of the coefficient, half the
mean of its 3 x 3. Crops come from one decode by the shipped model, cut and turned at random; Muon and AdamW and the
average are those of `network_fit`. A checkpoint every two minutes: interrupt at any time, continue with ``--resume``.

Only the held-out photos' figures may choose between variants.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from laconic.container.layout import low_size
from laconic.models import default_model
from laconic.quantize.steps import band_steps
from laconic.train.checkpoint import load_checkpoint, replace_file
from laconic.train.decoded_crops import BLOCK, UNIT, Photos, code_range, codes_to_train, luma_through_codec, to_blocks
from laconic.train.muon import Optimizer
from laconic.train.network_export import from_integers
from laconic.train.network_fit import learning_rate, say
from laconic.train.network_model import DECAYED, MATRICES, Network, Shape, fast_type, unit_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["DetailPlan", "DetailRun", "main"]

REGION, DEPTH, USES = 512, 128, 6
SIDES = {1: 96, 2: 96, 3: 64}
"""Of a crop of the low band of each level."""
QUIET = 0.18
CHECKPOINT_SECONDS, HELD_OUT_SECONDS, LOG_STEPS = 120.0, 300.0, 100
HELD_OUT_PHOTOS, HELD_OUT_QUALITIES = 16, (5, 20, 40, 60, 80, 95)
SHAPE = Shape(64, 4)


@dataclass(frozen=True)
class DetailPlan:
    """What a run does; stored with its checkpoints."""

    level: int
    minutes: float
    batch: int = 8
    rate: float = 2e-3
    muon_rate: float = 4e-3
    warm_up: int = 100
    seed: int = 0
    limit: float = 16.0
    limit_from: float = 0.85
    shipped: bool = False


@dataclass(frozen=True, eq=False)
class Level:
    """A low band as decoded, (1, h, w), and the details beside it, (3, h, w), int16 in 1/16 pixel units.

    `steps`, (3,) float32, are those of the three bands in the same units.
    """

    low: NDArray[np.int16]
    details: NDArray[np.int16]
    steps: NDArray[np.float32]
    code: int


def level_of(pixels: NDArray[np.uint8], code: int, level: int) -> Level:
    """Code the luma of pixels (H, W, 3), sides multiples of 64, and take one level of it."""
    coefficients, low, ratio = luma_through_codec(pixels, code, level)
    height, width = pixels.shape[:2]
    h, w = low_size(height, level), low_size(width, level)
    full_h, full_w = low_size(height, level - 1), low_size(width, level - 1)
    bands = coefficients[:h, w:full_w], coefficients[h:full_h, :w], coefficients[h:full_h, w:full_w]
    first = 1 + 3 * (6 - level)
    steps = band_steps(code, ratio, depth=8)[0, first : first + 3].astype(np.float32) / 256
    return Level(low[None], np.stack(bands), steps, code)


def cost(details: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return about how many bits a coefficient of details (3, h, w) costs at steps (3,)."""
    square = details.square()[None]
    energy = (square + functional.avg_pool2d(square, 3, 1, 1, count_include_pad=False)) / 2
    return torch.log2(1 + energy[0] / (QUIET * steps.square()[:, None, None])).mean() / 2


class Levels:
    """Levels to draw crops from, renewed bit by bit, for each of `strata` equal parts of the codes to train."""

    def __init__(self, photos: Photos, level: int, strata: int) -> None:
        self.photos, self.level, self.strata = photos, level, strata
        self.codes = codes_to_train(default_model())
        self.kept: list[list[Level]] = [[] for _ in range(strata)]

    def draw(self, rng: np.random.Generator, stratum: int) -> Level:
        """Return a crop."""
        kept = self.kept[stratum]
        if len(kept) < DEPTH // self.strata or rng.random() < 1 / USES:
            code = round(float(self.codes[int(len(self.codes) * (stratum + rng.random()) / self.strata)]))
            fresh = level_of(self.photos.draw_pixels(rng, REGION, 64), code, self.level)
            if len(kept) < DEPTH // self.strata:
                kept.append(fresh)
            else:
                kept[int(rng.integers(len(kept)))] = fresh
        whole = kept[int(rng.integers(len(kept)))]
        side = SIDES[self.level]
        height, width = whole.low.shape[1:]
        h, w = min(side, height), min(side, width)
        top, left = (
            BLOCK * int(rng.integers(0, (size - part) // BLOCK + 1)) for size, part in ((height, h), (width, w))
        )
        place = np.s_[:, top : top + h, left : left + w]
        return Level(whole.low[place], whole.details[place], whole.steps, whole.code)


class DetailRun:
    """A training run and its files: NAME.pt (checkpoint), NAME.safetensors (average, exported), NAME.jsonl (log)."""

    def __init__(self, plan: DetailPlan, network: Network, photos: Photos, folder: Path) -> None:
        self.plan, self.network, self.folder, self.name = plan, network, folder, f"detail{plan.level}"
        self.optimizer = Optimizer(network, DECAYED, MATRICES, rate=plan.rate, muon_rate=plan.muon_rate)
        shipped = default_model().details.get(plan.level) if plan.shipped else None
        self.theta = network.resumed(from_integers(shipped)) if shipped else network.start(plan.seed)
        if not shipped:
            dict(network.views(self.theta))["output.scale"].fill_(0.0)
        self.average = self.theta.clone()
        self.step, self.seconds, self.looked = 0, 0.0, -1e9
        self.levels = Levels(photos, plan.level, plan.batch)
        crops = photos.held_out(HELD_OUT_PHOTOS, 384)
        codes = default_model().quality_codes
        self.held_out = {q: [level_of(crop, int(codes[q]), plan.level) for crop in crops] for q in HELD_OUT_QUALITIES}

    def costs(self, theta: torch.Tensor, given: Level, limit: float | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the details cost as they are, and less what the network foretells of them."""
        height, width = (-(-size // BLOCK) for size in given.low.shape[1:])
        planes = np.concatenate([given.low, np.zeros_like(given.low), np.zeros_like(given.low)])
        x = torch.from_numpy(to_blocks(planes))
        kind = fast_type()
        folded = self.network.at(theta, given.code, kind)
        foretold = self.network.forward(folded, x.to(kind), height, width, limit).float() * unit_step(given.code)
        foretold = foretold.view(height, width, 3, BLOCK, BLOCK).permute(2, 0, 3, 1, 4) * UNIT
        details, steps = torch.from_numpy(given.details.astype(np.float32)), torch.from_numpy(given.steps)
        return cost(details, steps), cost(details - foretold.reshape(details.shape), steps)

    def train(self) -> None:
        """Train until the time is up or somebody interrupts."""
        plan = self.plan
        saved = logged = started = time.monotonic()
        before, recent = self.seconds, np.zeros((0, 2))
        try:
            while self._part() < 1:
                theta = self.theta.clone().requires_grad_()
                limit = plan.limit if self._part() >= plan.limit_from else None
                pairs: list[tuple[float, float]] = []
                for stratum in range(plan.batch):
                    rng = np.random.default_rng((plan.seed, self.step, stratum))
                    plain, rest = self.costs(theta, self.levels.draw(rng, stratum), limit)
                    (rest / (plain.detach() + 0.05) / plan.batch).backward()
                    pairs.append((float(plain), float(rest.detach())))
                self._update(theta)
                recent = np.concatenate([recent, pairs])[-LOG_STEPS * plan.batch :]
                now = time.monotonic()
                self.seconds = before + now - started
                if self.step % LOG_STEPS == 0:
                    saving = 1 - recent[:, 1].sum() / recent[:, 0].sum()
                    self.log(saving=round(float(saving), 4), seconds_a_step=round((now - logged) / LOG_STEPS, 3))
                    logged = now
                if now - saved > CHECKPOINT_SECONDS:
                    saved = now
                    self.save()
        except (KeyboardInterrupt, SystemExit):
            say("interrupted; continue with --resume")
        finally:
            self.looked = -1e9
            self.save()

    def _part(self) -> float:
        return self.seconds / (self.plan.minutes * 60)

    def _update(self, theta: torch.Tensor) -> None:
        gradient = theta.grad
        if gradient is None or not math.isfinite(norm := float(gradient.norm())):
            self.log(skipped="gradient is not finite")
        else:
            gradient *= min(1.0, 1.0 / max(norm, 1e-12))
            rate = learning_rate(self.plan.warm_up, self.step, self._part())
            self.optimizer.step(self.theta, gradient, rate)
            self.average.lerp_(self.theta, 1 - min(0.999, (1 + self.step) / (10 + self.step)))
        self.step += 1

    def log(self, **row: Any) -> None:
        """Print a line and append it to the log."""
        line = json.dumps({"step": self.step, "minutes": round(self.seconds / 60, 2), **row})
        say(line)
        with (self.folder / (self.name + ".jsonl")).open("a") as file:
            file.write(line + "\n")

    def look(self) -> dict[str, float]:
        """Return the share of the cost that is saved on held-out photos, by quality."""
        saved: dict[str, float] = {}
        for quality, levels in self.held_out.items():
            with torch.no_grad():
                pairs = [[float(v) for v in self.costs(self.average, level, self.plan.limit)] for level in levels]
            plain, rest = np.array(pairs).sum(0) if pairs else (1.0, 1.0)
            saved[f"q{quality}"] = round(1 - rest / plain, 4)
        return saved

    def save(self) -> None:
        """Write checkpoint and exported weights, each complete or not at all."""
        from safetensors.numpy import save_file

        about = {**self.network.about(), "level": str(self.plan.level), "step": str(self.step)}
        about |= {"model": default_model().fingerprint.hex()}
        if self.seconds - self.looked > HELD_OUT_SECONDS:
            self.looked = self.seconds
            saved = self.look()
            self.log(held_out=saved)
            about["held_out"] = json.dumps(saved)
        state = {
            "plan": asdict(self.plan), "shape": asdict(self.network.shape), "step": self.step, "seconds": self.seconds,
            "theta": self.theta, "average": self.average, "optimizer": self.optimizer.state,
        }  # fmt: skip
        replace_file(self.folder / f"{self.name}.pt", lambda path: torch.save(state, path))
        weights = self.network.export(self.average)
        replace_file(self.folder / f"{self.name}.safetensors", lambda path: save_file(weights, path, metadata=about))

    def resume(self) -> None:
        """Continue from the checkpoint.

        Raises
        ------
        SystemExit
            There is none, or it is of another shape.
        """
        state = load_checkpoint(self.folder / f"{self.name}.pt", asdict(self.network.shape))
        self.step, self.seconds = state["step"], state["seconds"]
        self.theta, self.average, self.optimizer.state = state["theta"], state["average"], state["optimizer"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m laconic.train.detail_fit", description="Train a network that foretells details."
    )
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoints and weights go")
    parser.add_argument("--level", type=int, choices=sorted(SIDES), required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=DetailPlan.rate)
    parser.add_argument("--muon-rate", type=float, default=DetailPlan.muon_rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shipped", action="store_true", help="start from the shipped network of this level")
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    given.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    plan = DetailPlan(
        given.level, given.minutes, rate=given.rate, muon_rate=given.muon_rate, seed=given.seed, shipped=given.shipped
    )
    run = DetailRun(plan, Network(SHAPE, code_range(default_model())), Photos(given.photos), given.output)
    if given.resume:
        run.resume()
    run.log(plan=asdict(plan), shape=asdict(SHAPE), model=default_model().fingerprint.hex())
    run.train()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
