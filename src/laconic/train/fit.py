"""Fitting the context weights of one band by gradient descent on code length (torch).

The loss is the code length the shipped tables would give: symbols fall in activity buckets, each bucket has a
histogram, and costs are interpolated between neighboring buckets so that the activity, and through it the weights, get
a gradient. Histograms follow the weights: they are re-estimated every few steps from the current activities.
"""

from __future__ import annotations

import numpy as np
import torch

from laconic.entropy.tables import BUCKETS

__all__ = ["code_length", "fit_weights", "magnitude_class", "one_thread"]

CLASSES = 48
ACTIVITY_LIMIT = 65535
_KERNEL = torch.tensor([0.05, 0.25, 0.4, 0.25, 0.05])


def one_thread() -> None:
    """Keep torch to one thread: the sums are short, a second thread waits more than it works."""
    torch.set_num_threads(1)


def magnitude_class(m: np.ndarray) -> np.ndarray:
    """Class of a magnitude: itself below 16, then four an octave; within a class symbols count as equally likely."""
    m = np.asarray(m, np.int64)
    e = np.frexp(np.maximum(m, 1).astype(np.float64))[1] - 1
    return np.minimum(np.where(m < 16, m, 16 + (e - 4) * 4 + ((m >> np.maximum(e - 2, 0)) & 3)), CLASSES - 1)


def coordinate(activity: torch.Tensor) -> torch.Tensor:
    """Continuous bucket coordinate: bucket k covers [k, k + 1), up to the difference between a line and a log."""
    return 4 * torch.log2(activity.clamp(16, ACTIVITY_LIMIT) / 16)


def _costs(u: torch.Tensor, cls: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(BUCKETS, CLASSES) bits of each class, from the smoothed histogram of samples at coordinates `u`."""
    k = u.long().clamp(0, BUCKETS - 1)
    hist = torch.zeros(BUCKETS * CLASSES).index_add_(0, k * CLASSES + cls, weight).view(BUCKETS, CLASSES)
    wide = torch.nn.functional.conv1d(hist.t()[:, None], _KERNEL[None, None], padding=2)[:, 0].t()
    total = hist.sum() / (weight.sum() / len(weight))
    unit = hist.sum() / total
    prior = wide + unit * 4 * (hist.sum(0) + 0.01 * unit) / hist.sum()
    mixed = hist + 0.2 * prior
    return -torch.log2((mixed + 1e-6 * unit) / (mixed + 1e-6 * unit).sum(1, keepdim=True))


def fit_weights(
    taps: np.ndarray,
    magnitudes: np.ndarray,
    sample_weight: np.ndarray,
    usable: np.ndarray,
    start: tuple[np.ndarray, float] | None = None,
    *,
    steps: int = 250,
    batch: int = 60_000,
    seed: int = 0,
) -> tuple[np.ndarray, int]:
    """Fit one band.

    Parameters
    ----------
    taps : (N, T) uint8
    magnitudes : (N,) int
    sample_weight : (N,) float, how many symbols a row stands for
    usable : (T,) bool, taps whose source exists

    Returns
    -------
    weights (T,) uint8 in Q8, bias
    """
    if not usable.any():
        return np.zeros(taps.shape[1], np.uint8), 16
    generator = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(taps[:, usable].astype(np.float32))
    cls = torch.from_numpy(magnitude_class(magnitudes))
    weight = torch.from_numpy(sample_weight.astype(np.float32))
    count = int(usable.sum())
    if start is None:
        root, bias = torch.full((count,), float(np.sqrt(400 / count))), 24.0
    else:
        root, bias = torch.from_numpy(np.sqrt(np.maximum(start[0][usable].astype(np.float32), 0.3))), float(start[1])
    root.requires_grad_()
    log_bias = torch.tensor(float(np.log(bias)), requires_grad=True)
    optimizer = torch.optim.Adam([{"params": [root], "lr": 0.35}, {"params": [log_bias], "lr": 0.05}])
    costs = None
    for step in range(steps):
        rate = min(1.0, (step + 1) / 10) * (0.5 + 0.5 * np.cos(np.pi * step / steps)) + 0.01
        optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = 0.35 * rate, 0.05 * rate
        pick = torch.randint(len(x), (batch,), generator=generator) if len(x) > 1.5 * batch else slice(None)
        xb, cb, wb = x[pick], cls[pick], weight[pick]
        u = coordinate(log_bias.exp().clamp(min=16) + xb @ root.square())
        if costs is None or step % 4 == 0:
            with torch.no_grad():
                fresh = _costs(u, cb, wb)
                costs = fresh if costs is None else 0.5 * costs + 0.5 * fresh
        centered = (u - 0.5).clamp(0, BUCKETS - 1.001)
        low = centered.detach().long()
        part = centered - low
        bits = costs[low, cb] * (1 - part) + costs[low + 1, cb] * part
        loss = (bits * wb).sum() / wb.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            root.clamp_(-15.9, 15.9)
            log_bias.clamp_(float(np.log(16)), float(np.log(8000)))
            room = (ACTIVITY_LIMIT - float(log_bias.exp())) / 127 - count * 0.25
            total = float(root.square().sum())
            if total > room:
                root.mul_((room / total) ** 0.5)
    weights = np.zeros(taps.shape[1], np.int64)
    weights[usable] = np.clip(np.rint(root.detach().square().numpy()), 0, 255)
    bias = max(16, round(float(log_bias.detach().exp())))
    while bias + 127 * weights.sum() > ACTIVITY_LIMIT:
        weights[np.argmax(weights)] -= 1
    return weights.astype(np.uint8), bias


def code_length(
    taps: np.ndarray, magnitudes: np.ndarray, sample_weight: np.ndarray, weights: np.ndarray, bias: int
) -> float:
    """Bits per unit of weight with integer weights and hard buckets, tables from the same samples."""
    activity = bias + taps.astype(np.float32) @ weights.astype(np.float32)
    cls = torch.from_numpy(magnitude_class(magnitudes))
    a = np.clip(activity, 16, ACTIVITY_LIMIT).astype(np.int64)
    e = np.frexp(a.astype(np.float64))[1] - 1
    k = torch.from_numpy((e - 4) * 4 + ((a >> (e - 2)) & 3))
    weight = torch.from_numpy(sample_weight.astype(np.float32))
    costs = _costs(k.float() + 0.5, cls, weight)
    return float((costs[k, cls] * weight).sum() / weight.sum())
