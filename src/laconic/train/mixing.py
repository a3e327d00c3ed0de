"""Fitting what mixing begins with: a table for each decision and activity, and the weights of their logarithmic odds.

    python -m laconic.train.mixing --model photo.safetensors --data photos/ -o mixed.safetensors

gives the lossy sets of a model file what mixing needs, or fits it anew, with the weight of a network's opinion in sets
that listen to one (`context_fit.py`), and leaves all else as it is; `laconic train
image` does the same as its last stage. In a coder tables and weights go on learning; here they are fitted as if they
stood still.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from laconic.container.layout import band_place
from laconic.entropy.tables import BANDS, BUCKETS, DECISIONS, KINDS, PARTS, ParameterSet
from laconic.quantize.dependent import quantizers
from laconic.train.counts import group_flags
from laconic.train.symbols import Symbols
from laconic.train.taps import bucket, compand, gather_context, sources, weighted_sum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from laconic.entropy.context_network import ContextNetwork

__all__ = ["MixingSamples", "fit_mixing", "fit_sets", "sample_mixing"]

PART_TAPS = (slice(0, 12), slice(12, 21), slice(21, 39), slice(39, 57))
"""Taps of the own band, the parent, the siblings, the planes before."""

FITTED = (".part_freq", ".mix_weights", ".context_weight")
UNIT = 4096
MOST_WEIGHT = 8192
ODDS_LIMIT = 2047 / 256
STRENGTH = 24.0
"""Symbols that the smoothed neighbors of a bucket count for."""
RIDGE = 40.0
"""Symbols that the usual weights count for."""
USUAL = np.array([0.6, 0.2, 0.1, 0.1, 0.1])
USUAL_HEARD = np.array([[0.2, 0.1, 0.05, 0.05, 0.05, 0.75], [0.6, 0.2, 0.1, 0.1, 0.1, 0.0]])
"""With what a network makes of the context, by kind: networks know nothing of groups that wait for a first nonzero."""


class MixingSamples:
    """Symbols of one band: rows of (whole bucket, four parts' buckets, kind of the weights, quantizer, token).

    Where a network has an opinion, its odds of the three decisions in 1/256 lie beside them.
    """

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.opinions: list[np.ndarray] = []

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """(N, 8) uint8, (N,) what each stands for, and (N, 3) odds or None."""
        opinions = np.concatenate(self.opinions) if self.opinions else None
        return np.concatenate(self.rows), np.concatenate(self.weights), opinions


def sample_mixing(
    into: dict[tuple[int, int], MixingSamples],
    symbols: Symbols,
    parameters: ParameterSet,
    rng: np.random.Generator,
    cap: int,
    weight: float,
    contexts: Mapping[tuple[int, int], ContextNetwork] | None = None,
) -> None:
    """Add up to `cap` symbols a band of one picture, up to thrice as many of finer bands."""
    companded = [[compand(b) for b in plane] for plane in symbols.q]
    for p in range(len(companded)):
        for j in range(BANDS):
            q = symbols.q[p][j]
            if not q.size:
                continue
            weights, bias = parameters.weights[p, j], int(parameters.bias[p, j])
            src = sources(companded, p, j)
            sums = []
            for taps in PART_TAPS:
                alone = np.zeros_like(weights)
                alone[taps] = weights[taps]
                sums.append(weighted_sum(src, alone))
            if p == 0 and parameters.detail_weight is not None:
                # Luma has no planes before it; in their place counts what is foretold.
                sums[3] = int(parameters.detail_weight[p, j]) * symbols.told[j].astype(np.int64), sums[3][1]
            above = bias + sum(part for part, _ in sums)
            row = sums[0][1]
            m = np.abs(q)
            kind = group_flags(m, above, int(parameters.group_limit[p, j]))[3]
            ys, xs = np.nonzero(kind >= 0)
            if not len(ys):
                continue
            limit, each = cap * (3 if j > 15 else 2 if j > 12 else 1), weight
            trellis = parameters.trellis and j > 0
            which = quantizers(m, kind < 0) if trellis else np.zeros(m.shape, np.uint8)
            if len(ys) > limit:
                pick = rng.choice(len(ys), limit, replace=False)
                each = weight * len(ys) / limit
                ys, xs = ys[pick], xs[pick]
            at = ys, xs
            whole = bucket(above[at] + row[at])
            parts = [bucket(16 + part[at] + (row[at] if i == 0 else 0)) for i, (part, _) in enumerate(sums)]
            token = np.minimum(m[at] >> parameters.shift[p, j][whole], 15)
            rows = np.stack([whole, *parts, kind[at], which[at], token], 1).astype(np.uint8)
            band = into.setdefault((p, j), MixingSamples())
            band.rows.append(rows)
            band.weights.append(np.full(len(rows), each, np.float32))
            level, orientation = band_place(j)
            if j > 0 and contexts and (p, level) in contexts:
                inputs = gather_context(companded, symbols.told, p, j, *at)
                band.opinions.append(contexts[p, level].odds(inputs, symbols.code, orientation, which[at]))


def fit_mixing(
    rows: np.ndarray, weights: np.ndarray, freq: np.ndarray, opinions: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one band.

    Parameters
    ----------
    rows : (N, 8) uint8, weights : (N,)
        As of `MixingSamples`.
    freq : (K, 48, 16) uint16
        Of the set: where the tables of the whole activity begin.
    opinions : (N, 3), optional
        Odds of the decisions in 1/256.

    Returns
    -------
    part_freq (4, 48 or 96, 3) uint16, weights (2, 3, 5) int16, with opinions (2, 3, 6)
    """
    count = len(freq) // KINDS
    part_freq = np.zeros((PARTS, count * BUCKETS, DECISIONS), np.uint16)
    usual = np.stack([USUAL] * KINDS) if opinions is None else USUAL_HEARD
    mix = np.repeat(np.rint(usual * UNIT).astype(np.int16)[:, None], DECISIONS, 1)
    kind, quantizer, token = rows[:, 5], rows[:, 6].astype(np.int64), rows[:, 7]
    weights = weights / weights.mean() if len(weights) else weights
    for decision in range(DECISIONS):
        asked = token >= decision
        yes = token[asked] == decision
        w = weights[asked].astype(np.float64)
        share = freq[..., decision] / np.maximum(freq[..., decision:].sum(-1), 1)
        chances = [share[kind[asked] + KINDS * quantizer[asked], rows[asked, 0]]]
        for part in range(PARTS):
            cell = quantizer[asked] * BUCKETS + rows[asked, part + 1]
            counts = np.stack([np.bincount(cell, w * flag, count * BUCKETS) for flag in (~yes, yes)], -1)
            table = np.concatenate([_smoothed(c) for c in counts.reshape(count, BUCKETS, 2)])
            part_freq[part, :, decision] = np.clip(np.rint(table * 16384), 1, 16383)
            chances.append(table[cell])
        p = np.clip(np.stack(chances, -1), 1e-4, 1 - 1e-4)
        odds = np.clip(np.log(p / (1 - p)), -ODDS_LIMIT, ODDS_LIMIT)
        if opinions is not None:
            odds = np.column_stack([odds, opinions[asked, decision] / 256])
        for k in range(KINDS):
            here = kind[asked] == k
            fitted = _logistic(odds[here], yes[here], w[here], usual[k])
            mix[k, decision] = np.clip(np.rint(fitted * UNIT), -MOST_WEIGHT, MOST_WEIGHT)
    return part_freq, mix


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """(48,) share of yes of (48, 2) counts, drawn toward the buckets around and, where there are none, to all."""
    total = counts.sum(0) + 1
    wide = sum(
        share * np.pad(counts, ((4, 4), (0, 0)))[4 + d : 4 + d + BUCKETS]
        for d, share in zip(range(-2, 3), (0.05, 0.25, 0.4, 0.25, 0.05), strict=True)
    )
    prior = wide[:, 1] + total[1] / total.sum()
    prior /= wide.sum(1) + 1
    share = (counts[:, 1] + STRENGTH * prior) / (counts.sum(1) + STRENGTH)
    return np.clip(share, 1e-4, 1 - 1e-4)


def _logistic(x: np.ndarray, y: np.ndarray, w: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Weights of logistic regression without a constant, by damped Newton steps, drawn toward the usual ones."""

    def loss(weights: np.ndarray) -> float:
        odds = x @ weights
        return float(w @ np.logaddexp(0, np.where(y, -odds, odds)) + RIDGE / 2 * np.sum((weights - usual) ** 2))

    fitted, least = usual.copy(), loss(usual)
    for _ in range(8):
        p = 1 / (1 + np.exp(-(x @ fitted)))
        gradient = x.T @ (w * (p - y)) + RIDGE * (fitted - usual)
        curvature = (x * (w * np.maximum(p * (1 - p), 1e-3))[:, None]).T @ x + RIDGE * np.eye(len(fitted))
        step = np.linalg.solve(curvature, gradient)
        tried = next((k for k in range(6) if loss(np.clip(fitted - step / 2**k, -2, 2)) < least), None)
        if tried is None:
            break
        fitted = np.clip(fitted - step / 2**tried, -2, 2)
        least = loss(fitted)
    return fitted


def fit_sets(samples: dict[tuple[int, int], MixingSamples], parameters: ParameterSet) -> dict[str, np.ndarray]:
    """Fit all bands of a set: its arrays `part_freq` and `mix_weights`, and `context_weight` if the set listens."""
    planes, kinds = parameters.planes, parameters.freq.shape[2]
    part_freq = np.zeros((planes, BANDS, PARTS, kinds // KINDS * BUCKETS, DECISIONS), np.uint16)
    mix = np.zeros((planes, BANDS, KINDS, DECISIONS, PARTS + 1), np.int16)
    heard = np.zeros((planes, BANDS, KINDS, DECISIONS), np.int16)
    for p, j in np.ndindex(planes, BANDS):
        empty = MixingSamples()
        empty.rows, empty.weights = [np.zeros((0, 8), np.uint8)], [np.zeros(0, np.float32)]
        rows, weights, opinions = samples.get((p, j), empty).arrays()
        part_freq[p, j], fitted = fit_mixing(rows, weights, parameters.freq[p, j], opinions)
        mix[p, j] = fitted[..., : PARTS + 1]
        if opinions is not None:
            heard[p, j] = fitted[..., -1]
    found = {"part_freq": part_freq, "mix_weights": mix}
    return found | {"context_weight": heard} if parameters.listens else found


def main(arguments: list[str] | None = None) -> int:
    """Fit the mixing of every lossy set of a model file."""
    from laconic.models import SETS, completed
    from laconic.train.modelfile import read_model, write_model
    from laconic.train.photos import find_photos
    from laconic.train.recipe import Plan, State, Trainer

    parser = argparse.ArgumentParser(prog="python -m laconic.train.mixing", description=main.__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the model file to begin with")
    parser.add_argument("--data", type=Path, required=True, help="a folder of photos; every fourteenth is held out")
    parser.add_argument("--photos", type=int, default=80, help="photos for each set (default: %(default)s)")
    parser.add_argument("--first", choices=SETS, default=SETS[0], help="the first kind of sets to fit (default: all)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model file to write")
    options = parser.parse_args(arguments)
    arrays = read_model(options.model)
    codes = tuple(int(code) for code in arrays["set_codes"])
    plan = Plan(codes, photos=2 * options.photos)
    state = State(plan, arrays=completed(arrays))
    state.task = plan.tasks().index((0, f"{options.first}0", "mixing"))
    checkpoint = options.output.with_name(options.output.name + ".checkpoint")
    trainer = Trainer(find_photos(options.data)[0], checkpoint, state, report=print)
    trainer.run()
    names = [name for name in state.arrays if name.startswith(SETS) and name.endswith(FITTED)]
    write_model(options.output, arrays | {name: state.arrays[name] for name in names})
    checkpoint.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
