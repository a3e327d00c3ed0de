"""What is fitted, in which order: photos in, a model file out, stopped and resumed at any moment.

Each round goes through the parameter sets; for each set it draws photos, quantizes them as the encoder would with the
set as it stands (in the first round with a plain dead zone), and then
    weights   fits the context weights of each band on samples of neighbors and magnitudes,
    limits    counts some photos to see where "all zero" flags pay (a set for the trellis keeps those it began with),
    counts    counts photos with those weights and limits and turns the counts into tables.
The lossless set needs one round only, for its symbols do not depend on any table. Sets for the trellis come last; each
begins as the lossy set of its rates, its second quantizer as the first. Those for MS-SSIM take from them all but the
tables and the steps. At last
    mixing    fits what mixing begins with, for each lossy set, to symbols of the encoder with the finished set.
A task is a pure function of the
checkpoint and the seed, so a run that was stopped and resumed ends with the same bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from laconic.container.layout import band_place
from laconic.entropy.context_network import ContextNetwork, contexts_in
from laconic.entropy.tables import BANDS, CONTRASTS, MAX_RATIO, ParameterSet
from laconic.models import SETS
from laconic.quantize import rdo
from laconic.quantize.steps import CODES, ideal_ratio
from laconic.signals.atomic import replacing
from laconic.train import histograms
from laconic.train.counts import Counts, count_band
from laconic.train.fit import fit_weights, one_thread
from laconic.train.mixing import MixingSamples, fit_sets, sample_mixing
from laconic.train.photos import add_alpha, deepen, read_photo
from laconic.train.sampling import BandSamples, picture_weight, sample
from laconic.train.symbols import Symbols, analyze, code, fit_lowest_predictor, neutral_set, split_bands
from laconic.train.taps import compand, sources
from laconic.transform.network import Network

__all__ = ["SET_CODES", "Plan", "State", "Trainer", "step_ratio"]

CROP = (512, 512)
"""Photos are trained on as pieces of one tile's size, for contexts end at tile borders."""

DEEP_EVERY, DEEP_WEIGHT = 6, 0.01
"""Lossless: every so many photos stand in for 16-bit ones, lightly weighted, to fill the tables of large magnitudes."""

SET_CODES = (0, 240, 304, 368, 424, 480)
"""First step codes of the lossy sets of a shipped model: base steps up to 3.4, 6.7, 13, 25, 45 and beyond."""

QUALITY_STEPS = {0: 210.0, 20: 110.0, 50: 45.0, 75: 20.0, 90: 8.0, 100: 1.5}
"""Base steps, in 8-bit pixel units, of some qualities; between them the logarithm is interpolated."""


@dataclass(frozen=True)
class Plan:
    """How much work a run is, fixed when it starts.

    Parameters
    ----------
    set_codes
        First step code of each lossy set.
    rounds
        Rounds of the lossy sets; those with a trellis begin with what these found and have one.
    photos
        Photos drawn for each fit of weights; counts draw twice as many, mixing half as many.
    samples
        Samples a band takes from one photo; finer bands take up to three times as many.
    steps
        Gradient steps a band gets in the first round, and in later ones, which start from the round before.
    seed
        Of every random choice.
    """

    set_codes: tuple[int, ...] = SET_CODES
    rounds: int = 3
    photos: int = 160
    samples: int = 400
    steps: tuple[int, int] = (90, 50)
    seed: int = 0

    @classmethod
    def for_minutes(cls, minutes: float, set_codes: tuple[int, ...]) -> Plan:
        """The plan that takes about so long on two cores."""
        share = minutes / 20
        effort = min(1.0, 5 * share)
        return cls(
            set_codes,
            rounds=2 if minutes >= 8 else 1,
            photos=max(4, round(72 * min(share, 3))),
            steps=(max(8, round(90 * effort)), max(8, round(50 * effort))),
        )

    def tasks(self) -> list[tuple[int, str, str]]:
        """(round, set, stage) in order."""
        names = [f"lossy{s}" for s in range(len(self.set_codes))]
        out = [(0, "lossless", stage) for stage in ("weights", "limits", "counts")]
        for number in range(self.rounds):
            out += [(number, name, stage) for name in names for stage in ("weights", "limits", "counts")]
        trellises = [f"trellis{s}" for s in range(len(self.set_codes))]
        out += [(0, name, "counts") for name in trellises]
        out += [(1, name, stage) for name in trellises for stage in ("weights", "counts")]
        out += [(0, f"ssim{s}", "counts") for s in range(len(self.set_codes))]
        return out + [(0, f"{kind}{s}", "mixing") for kind in SETS for s in range(len(self.set_codes))]


@dataclass
class State:
    """What a checkpoint holds: which task is next, how far it is, and every array so far."""

    plan: Plan
    task: int = 0
    item: int = 0
    seconds: float = 0.0
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the checkpoint; the old one stays until the new one is complete."""
        about = {"plan": asdict(self.plan), "task": self.task, "item": self.item, "seconds": self.seconds}
        with replacing(path, force=True) as file:
            np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **self.arrays)

    @classmethod
    def load(cls, path: Path) -> State:
        """Read a checkpoint."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays.pop("about").tobytes())
        for name in ("set_codes", "steps"):
            about["plan"][name] = tuple(about["plan"][name])
        return cls(Plan(**about.pop("plan")), **about, arrays=arrays)


TRELLIS_RATIO = 1.2
"""Steps with a trellis over those without at equal quality, so that a step code and a network fit both."""

SSIM_RATIO = {0: 0.59, 6: 0.79, 5: 0.40, 4: 0.385, 3: 0.39, 2: 0.495, 1: 1.15}
SSIM_DIAGONAL = {3: 0.46, 2: 0.695, 1: 1.84}
SSIM_CHROMA = 1.24
"""Steps of HL and LH, of HH where it differs, and of chroma, over those that serve PSNR where there is no contrast, by
level; 0 is the lowest band."""
SSIM_MASK = {1: (15.6, 0.5), 2: (31.6, 0.79), 3: (25.8, 0.63), 4: (20.6, 0.5), 5: (32.0, 0.57)}
"""By level (c, g): where the coarser levels have the energy E, in squared levels of 8 bits, steps are larger by
((E + c) / c)^(g / 2). If these levels foretold the variance that MS-SSIM divides by, g would be 1. Found together with
the ratios by a random search for BD-rate on held-out photos (bench/results/training.json)."""
ENERGY_UNIT = 0.41 / 256  # of a squared coefficient: its share in a pixel's variance, 16 units being a level


def ssim_ratio(ratio: np.ndarray) -> np.ndarray:
    """Turn steps (P, 19) uint16 that serve PSNR into those that serve MS-SSIM."""

    def factor(band: int) -> float:
        level, orientation = band_place(band)
        diagonal = orientation == 2 and level in SSIM_DIAGONAL
        return SSIM_DIAGONAL[level] if diagonal else SSIM_RATIO[level if orientation >= 0 else 0]

    factors = np.tile([factor(band) for band in range(BANDS)], (len(ratio), 1))
    factors[1:, 1:] *= SSIM_CHROMA
    return np.clip(np.rint(ratio * factors), 1, MAX_RATIO).astype(np.uint16)


def ssim_mask(planes: int) -> np.ndarray:
    """(planes, 5, 96) uint16 factors of the steps by level and contrast, in 1/256."""
    energy = ENERGY_UNIT * 2 ** ((np.arange(CONTRASTS) + 0.5) / 4)
    energy[0] = 0.0
    levels = [((energy + c) / c) ** (g / 2) for _, (c, g) in sorted(SSIM_MASK.items())]
    return np.tile(np.rint(256 * np.minimum(levels, 16)).astype(np.uint16), (planes, 1, 1))


def number_of(name: str) -> int:
    """Return the number at the end of the name of a set."""
    return int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))


def has_trellis(name: str) -> bool:
    """Tell whether the set of this name codes with a trellis."""
    return name.startswith(("trellis", "ssim", "foretold"))


def with_trellis(arrays: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Return the first arrays of a set for the trellis: those of the lossy set of its rates."""
    new = {k: arrays[f"lossy{number}.{k}"].copy() for k in ("weights", "bias", "group_limit", "shift", "group_freq")}
    new |= {k: arrays[f"lossy{number}.{k}"].copy() for k in ("sign_freq", "ll_pred")}
    freq, recon, ratio = (arrays[f"lossy{number}.{k}"] for k in ("freq", "recon", "ratio"))
    new["freq"] = np.concatenate([freq, freq], 2)
    new["recon"] = np.concatenate([recon // 2, np.minimum(recon // 2 + 32, 63)], 2).astype(np.int8)
    new["ratio"] = np.rint(ratio * TRELLIS_RATIO).astype(np.uint16)
    new["ratio"][:, 0] = ratio[:, 0]  # the lowest band has no trellis
    return {f"trellis{number}.{k}": v for k, v in new.items()}


def for_ssim(arrays: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Return the first arrays of a set for MS-SSIM: those of the trellis set of its rates, but for the steps."""
    prefix = f"trellis{number}."
    new = {k.replace("trellis", "ssim"): v.copy() for k, v in arrays.items() if k.startswith(prefix)}
    ratio = arrays[f"{prefix}ratio"]
    return new | {f"ssim{number}.ratio": ssim_ratio(ratio), f"ssim{number}.mask": ssim_mask(len(ratio))}


def step_ratio() -> np.ndarray:
    """(3, 19) uint16 step of each band over the base step, in 1/4096."""
    return np.maximum(1, np.rint(4096 * ideal_ratio(3))).astype(np.uint16)


def quality_codes() -> np.ndarray:
    """(101,) uint16 step code of each quality."""
    steps = np.exp(np.interp(np.arange(101), list(QUALITY_STEPS), np.log(list(QUALITY_STEPS.values()))))
    return np.clip(np.rint(64 * np.log2(steps / 0.25)), 0, CODES - 1).astype(np.uint16)


class Trainer:
    """Runs a plan on photos.

    Parameters
    ----------
    photos : list of paths
    checkpoint : path
        Saved here every few seconds of work.
    state
        From `State.load` or fresh.
    report : callable
        Takes one line on what was done.
    """

    def __init__(
        self, photos: list[Path], checkpoint: Path, state: State, *, report: Callable[[str], None] = lambda _: None
    ) -> None:
        self.photos, self.checkpoint, self.state, self.report = photos, checkpoint, state, report
        self.details: dict[int, Network] = {}
        self.contexts: dict[tuple[int, int], ContextNetwork] = {}
        self._saved = self._resumed = time.monotonic()

    def run(self, seconds: float = np.inf) -> bool:
        """Work until the plan is done, or `seconds` have passed and every set has tables; returns if it is done."""
        one_thread()
        deadline = time.monotonic() + seconds
        self._save(force=True)
        tasks = self.state.plan.tasks()
        while self.state.task < len(tasks):
            number, name, stage = tasks[self.state.task]
            started = time.monotonic()
            finished = getattr(self, f"_{stage}")(number, name, deadline if self.usable() else np.inf)
            if not finished:
                self._save(force=True)
                return False
            self.state.task, self.state.item = self.state.task + 1, 0
            self._save(force=True)
            self.report(f"round {number} {name} {stage}: {time.monotonic() - started:.0f} s")
        return True

    def usable(self) -> bool:
        """Whether every set has tables, so that a model can be exported."""
        count = len(self.state.plan.set_codes)
        names = ["lossless", *(f"{kind}{s}" for kind in SETS if kind != "foretold" for s in range(count))]
        return all(f"{name}.freq" in self.state.arrays for name in names)

    def model(self) -> dict[str, np.ndarray]:
        """The arrays of the model file."""
        out = {k: v for k, v in self.state.arrays.items() if k.startswith((*SETS, "lossless."))}
        out["set_codes"] = np.asarray(self.state.plan.set_codes, np.uint16)
        out["quality_code"] = quality_codes()
        return out

    def _save(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._saved > 15:
            self.state.seconds += now - self._resumed
            self._saved = self._resumed = now
            self.state.save(self.checkpoint)

    # -- one photo ------------------------------------------------------------------------------------------------

    def _draw(self, number: int, name: str, stage: str, item: int) -> tuple[Symbols, float, np.random.Generator]:
        """Symbols of the photo that is item `item` of a task, and what each of them weighs."""
        key = [self.state.plan.seed, number, *name.encode(), *stage.encode(), item]
        rng = np.random.default_rng(key)
        path = self.photos[int(np.random.default_rng(key[:-1]).permutation(len(self.photos))[item % len(self.photos)])]
        lossless = name == "lossless"
        pixels = read_photo(path, halve=lossless and item % 3 > 0, crop=CROP, seed=int(rng.integers(1 << 30)))
        if lossless:
            deep = stage == "counts" and item % DEEP_EVERY == 0
            pixels = add_alpha(pixels, rng)
            planes = analyze(deepen(pixels, rng) if deep else pixels, lossless=True)
            symbols = code(planes, self._current(name), None, rdo.Rdo(0.0))
            return symbols, DEEP_WEIGHT if deep else 1.0, rng
        trellis = has_trellis(name)
        low, high = self._codes(number_of(name))
        first = f"{name}.freq" not in self.state.arrays and not trellis
        parameters = self._current(name)
        best = rdo.SSIM if name.startswith("ssim") else rdo.TRELLIS
        decisions = rdo.PLAIN if first else best if trellis else rdo.SCALAR
        details = self._details() if parameters.foretells else None
        contexts = self._contexts() if parameters.listens else None
        planes, at = analyze(pixels, lossless=False), int(rng.integers(low, high))
        symbols = code(planes, parameters, at, decisions, details=details, contexts=contexts)
        return symbols, picture_weight(symbols), rng

    def _codes(self, number: int) -> tuple[int, int]:
        """Step codes a lossy set is trained on: its own and a little beyond."""
        starts = self.state.plan.set_codes
        low = starts[number] - 16 if number else 96
        high = starts[number + 1] + 16 if number + 1 < len(starts) else 640
        return low, high

    def _current(self, name: str) -> ParameterSet:
        """The set as the round before left it."""
        if has_trellis(name) and f"{name}.freq" not in self.state.arrays:
            first = with_trellis if name.startswith("trellis") else for_ssim
            self.state.arrays |= first(self.state.arrays, number_of(name))
        if f"{name}.freq" in self.state.arrays:
            return ParameterSet.of(self.state.arrays, f"{name}.")
        if f"{name}.ll_pred" not in self.state.arrays:
            self.state.arrays[f"{name}.ll_pred"] = self._fit_lowest(name)
        planes = 4 if name == "lossless" else 3
        return neutral_set(planes, self.state.arrays[f"{name}.ll_pred"], None if planes == 4 else step_ratio())

    def _fit_lowest(self, name: str) -> np.ndarray:
        lossless = name == "lossless"
        bands: list[list[np.ndarray]] = [[] for _ in range(4 if lossless else 3)]
        rng = np.random.default_rng(self.state.plan.seed)
        for path in self.photos[:: max(1, len(self.photos) // 40)]:
            pixels = read_photo(path)
            planes = analyze(add_alpha(pixels, rng) if lossless else pixels, lossless=lossless)
            for p, plane in enumerate(planes):
                bands[p].append(split_bands(plane)[0])
        return np.stack([fit_lowest_predictor(b) for b in bands])

    # -- the stages -----------------------------------------------------------------------------------------------

    def _weights(self, number: int, name: str, deadline: float) -> bool:
        samples: dict[tuple[int, int], BandSamples] = {}
        for item in range(self.state.plan.photos):
            if time.monotonic() > deadline:
                return False
            symbols, weight, rng = self._draw(number, name, "weights", item)
            sample(samples, symbols, rng, self.state.plan.samples, weight)
        planes = 4 if name == "lossless" else 3
        arrays = self.state.arrays
        if self.state.item == 0:
            arrays["next.weights"] = np.zeros((planes, BANDS, 57), np.uint8)
            arrays["next.bias"] = np.full((planes, BANDS), 16, np.uint16)
        for item, (p, j) in enumerate(sorted(samples)):
            if item < self.state.item:
                continue
            if time.monotonic() > deadline:
                return False
            taps, magnitudes, weights = samples.pop((p, j)).arrays()
            start = None
            if f"{name}.weights" in arrays:
                start = arrays[f"{name}.weights"][p, j], float(arrays[f"{name}.bias"][p, j])
            steps = self.state.plan.steps[start is not None]
            fitted, bias = fit_weights(
                taps, magnitudes, weights, taps.max(0) > 0, start, steps=steps, seed=self.state.plan.seed
            )
            arrays["next.weights"][p, j], arrays["next.bias"][p, j] = fitted, bias
            self.state.item = item + 1
            self._save()
        return True

    def _count(self, number: int, name: str, stage: str, total: int, deadline: float) -> Counts | None:
        """Count `total` photos, keeping the counts in the checkpoint; None if the deadline came first."""
        arrays = self.state.arrays
        trellis = has_trellis(name)
        if trellis:
            self._keep(name)
        planes = len(arrays["next.weights"])
        counts = Counts.zeros(planes, trellis=trellis)
        if self.state.item:
            counts = Counts(**{k: arrays[f"counts.{k}"] for k in counts.arrays()})
        arrays.update({f"counts.{k}": v for k, v in counts.arrays().items()})
        limits = arrays.get("next.group_limit", np.zeros((planes, BANDS), np.uint16))
        for item in range(self.state.item, total):
            if time.monotonic() > deadline:
                return None
            symbols, weight, _ = self._draw(number, name, stage, item)
            companded = [[compand(b) for b in plane] for plane in symbols.q]
            for p, j in np.ndindex(planes, BANDS):
                q = symbols.q[p][j]
                if q.size:
                    model = arrays["next.weights"][p, j], int(arrays["next.bias"][p, j]), int(limits[p, j])
                    other = symbols.q[p - 1][j] if p in (1, 2) else None
                    src = sources(companded, p, j)
                    heavy = arrays.get(f"{name}.detail_weight")
                    told = None if heavy is None or p else int(heavy[p, j]) * symbols.told[j].astype(np.int32)
                    count_band(counts, (p, j), q, src, model, other, symbols.values[p][j], weight, told)
            self.state.item = item + 1
            self._save()
        for k in counts.arrays():
            del arrays[f"counts.{k}"]
        return counts

    def _keep(self, name: str) -> None:
        """Keep of a set what no stage of this round has fitted anew."""
        self._current(name)
        for k in ("weights", "bias", "group_limit"):
            self.state.arrays.setdefault(f"next.{k}", self.state.arrays[f"{name}.{k}"])

    def _limits(self, number: int, name: str, deadline: float) -> bool:
        counts = self._count(number, name, "limits", max(2, self.state.plan.photos // 6), deadline)
        if counts is None:
            return False
        limits = [[histograms.group_limit(band) for band in plane] for plane in counts.groups]
        self.state.arrays["next.group_limit"] = np.asarray(limits, np.uint16)
        return True

    def _counts(self, number: int, name: str, deadline: float) -> bool:
        counts = self._count(number, name, "counts", 2 * self.state.plan.photos, deadline)
        if counts is None:
            return False
        arrays = self.state.arrays
        lossless = name == "lossless"
        new: dict[str, Any] = {k: arrays.pop(f"next.{k}") for k in ("weights", "bias", "group_limit")}
        for k in ("freq", "shift", "group_freq", "sign_freq", "recon"):
            new[k] = []
        for p, j in np.ndindex(len(counts.signs), BANDS):
            freq, shift = histograms.magnitude_tables(
                counts.magnitudes[p, j], new["weights"][p, j], int(new["bias"][p, j])
            )
            new["freq"].append(freq)
            new["shift"].append(shift)
            new["group_freq"].append(histograms.group_table(counts.flags[p, j]))
            new["sign_freq"].append(histograms.sign_table(counts.signs[p, j]))
            new["recon"].append(histograms.reconstruction_table(counts.gaps[p, j] * (0 if lossless or j == 0 else 1)))
        for k, v in new.items():
            array = np.asarray(v)
            arrays[f"{name}.{k}"] = array if array.shape[:2] == counts.signs.shape[:2] else array.reshape(
                *counts.signs.shape[:2], *array.shape[1:]
            )  # fmt: skip
        if name.startswith("lossy"):
            arrays[f"{name}.ratio"] = step_ratio()
        return True

    def _details(self) -> dict[int, Network]:
        """The networks that foretell details, by level."""
        if not self.details:
            levels = {int(name[len("detail")]) for name in self.state.arrays if name.startswith("detail")}
            self.details = {level: Network.of(self.state.arrays, f"detail{level}.") for level in levels}
        return self.details

    def _contexts(self) -> dict[tuple[int, int], ContextNetwork]:
        """The networks that see contexts, by plane and level."""
        if not self.contexts:
            self.contexts = contexts_in(self.state.arrays)
        return self.contexts

    def _mixing(self, number: int, name: str, deadline: float) -> bool:
        if name.startswith("foretold") and f"{name}.freq" not in self.state.arrays:
            return True  # a model whose details nothing foretells
        samples: dict[tuple[int, int], MixingSamples] = {}
        parameters = self._current(name)
        for item in range(max(2, self.state.plan.photos // 2)):
            if time.monotonic() > deadline:
                return False
            symbols, weight, rng = self._draw(number, name, "mixing", item)
            contexts = self._contexts() if parameters.listens else None
            sample_mixing(samples, symbols, parameters, rng, 4 * self.state.plan.samples, weight, contexts)
        self.state.arrays |= {f"{name}.{k}": v for k, v in fit_sets(samples, parameters).items()}
        return True
