"""Training the networks that tell signs, one for each band of luma (`native/sign_network.h`); `context_fit` runs it.

A network is odd: turn all signs around and its answer turns. Each unit is what t has above a threshold less what -t
has, where t is a weighted sum of the inputs and the threshold goes with the step code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from laconic.entropy.network_arrays import LAST_CODE, MOST_UNIT
from laconic.entropy.sign_network import SIGN_INPUTS, SIGN_UNITS, SignNetwork, most_sign_inputs
from laconic.train.descent import descend
from laconic.train.taps import gather_signs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.entropy.tables import ParameterSet
    from laconic.train.symbols import Symbols

__all__ = ["BandSigns", "OddNetwork", "quantized_signs", "sample_signs", "sign_bits", "train_signs"]

CAP = 5000
UNIT, CODE_UNIT = 4.0, 320.0
MIX_UNIT = 4096
CLEARLY = 4.0
"""By how much a network must save, in natural units of information: chance gives a weight more a half on average."""


class BandSigns:
    """Signs of one band: inputs (N, 64) int8; whether minus (N,) bool; step codes; odds of minus of the tables (N,)."""

    def __init__(self) -> None:
        self.inputs: list[NDArray[np.int8]] = []
        self.minus: list[NDArray[np.bool_]] = []
        self.codes: list[NDArray[np.int16]] = []
        self.table: list[NDArray[np.float32]] = []

    def arrays(self) -> tuple[NDArray[np.int8], NDArray[np.bool_], NDArray[np.int16], NDArray[np.float32]]:
        """All of it, joined."""
        joined = np.concatenate
        return joined(self.inputs), joined(self.minus), joined(self.codes), joined(self.table)


def sample_signs(
    into: dict[int, BandSigns], symbols: Symbols, parameters: ParameterSet, rng: np.random.Generator, cap: int = CAP
) -> None:
    """Add up to `cap` signs of each band of luma of one picture coded by a set that foretells."""
    assert parameters.detail_sign_freq is not None
    for band in range(1, len(symbols.q[0])):
        q = symbols.q[0][band]
        rows, columns = np.nonzero(q)
        if not len(rows):
            continue
        if len(rows) > cap:
            pick = rng.choice(len(rows), cap, replace=False)
            rows, columns = rows[pick], columns[pick]
        inputs = gather_signs(symbols.q[0], symbols.sides, band, rows, columns)
        found = into.setdefault(band, BandSigns())
        found.inputs.append(inputs)
        found.minus.append(q[rows, columns] < 0)
        found.codes.append(np.full(len(rows), symbols.code, np.int16))
        # What the tables say: the context and how far from zero the coefficient is foretold, turned to the other side.
        side = symbols.classes[band][rows, columns].astype(np.int64)
        around = inputs[:, [9, 5, 4]].astype(np.int64)  # west, north, northwest
        turned = np.where(side[:, None] < 0, -around, around)
        letters = np.where(turned > 0, 1, np.where(turned < 0, 2, 0)) @ np.array([9, 3, 1])
        freq = np.concatenate([parameters.sign_freq[0, band][None], parameters.detail_sign_freq[0, band]])
        share = freq[np.abs(side), letters] / 16384
        odds = np.log(share / (1 - share))
        found.table.append(np.where(side < 0, -odds, odds).astype(np.float32))


class OddNetwork(nn.Module):
    """A band's network of signs before it becomes integers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Linear(SIGN_INPUTS, SIGN_UNITS, bias=False)
        self.threshold = nn.Linear(1, SIGN_UNITS)
        self.output = nn.Linear(SIGN_UNITS, 1, bias=False)
        nn.init.constant_(self.threshold.bias, 0.5)

    @classmethod
    def of(cls, found: SignNetwork, orientation: int) -> OddNetwork:
        """Return what a network of integers stands for, with units of 2^-8."""
        network, o = cls(), orientation
        first = 2.0 ** -(8 + int(found.shift[o]))
        values = {
            "weight.weight": torch.from_numpy(found.weight[o] * first * UNIT),
            "threshold.weight": torch.from_numpy(found.slope[o][:, None] * first * CODE_UNIT),
            "threshold.bias": torch.from_numpy((found.bias[o] + found.slope[o] * CODE_UNIT) * first),
            "output.weight": torch.from_numpy(found.output[o][None] * 2.0 ** -int(found.output_shift[o])),
        }
        network.load_state_dict({name: value.float() for name, value in values.items()})
        return network

    def units(self, inputs: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the units (N, 64) of inputs (N, 64) and step codes (N,)."""
        t = self.weight(inputs.float() / UNIT)
        threshold = self.threshold((codes.float() / CODE_UNIT - 1)[:, None])
        return functional.relu(threshold + t) - functional.relu(threshold - t)

    def forward(self, inputs: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return the odds (N,) of minus."""
        return self.output(self.units(inputs, codes))[:, 0]


def sign_bits(odds: torch.Tensor, minus: torch.Tensor) -> torch.Tensor:
    """Bits (N,) of signs at their odds."""
    return functional.binary_cross_entropy_with_logits(odds, minus.float(), reduction="none") / float(np.log(2))


def train_signs(
    samples: BandSigns, seconds: float, seed: int, start: OddNetwork | None = None
) -> tuple[OddNetwork, float]:
    """Train a network for some seconds of processor time; returns it and the bits a sign costs at the end."""
    torch.manual_seed(seed)
    arrays = samples.arrays()
    kept = ~held_back(len(arrays[0]))
    inputs, minus, codes, _ = (torch.from_numpy(a[kept]) for a in arrays)
    network = start or OddNetwork()

    def loss(pick: torch.Tensor) -> torch.Tensor:
        return sign_bits(network(inputs[pick], codes[pick]), minus[pick]).mean()

    return network, descend(network, loss, len(inputs), seconds, trained=start is not None)


def quantized_signs(network: OddNetwork, samples: BandSigns) -> dict[str, NDArray[Any]]:
    """Return the arrays of a band's network of signs as integers, with what it and the tables count at first.

    Where it saves nothing clear of the signs that `train_signs` held back, beyond what counting the tables otherwise
    would, the network says nothing.
    """
    inputs, minus, codes, table = samples.arrays()
    held = held_back(len(inputs))
    with torch.no_grad():
        given = torch.from_numpy(inputs[held]), torch.from_numpy(codes[held])
        units, odds = network.units(*given), network(*given).numpy()
    both = np.stack([table[held], odds], -1).astype(np.float64)
    mix, alone = _mixed(both, minus[held], (0.1, 0.9)), _mixed(both[:, :1], minus[held], (1.0,))
    saves = _cost(both @ mix, minus[held]) < _cost(both[:, :1] @ alone, minus[held]) - CLEARLY
    weight = network.weight.weight.detach().double().numpy() / UNIT
    slope = network.threshold.weight.detach().double().numpy()[:, 0] / CODE_UNIT
    bias = network.threshold.bias.detach().double().numpy() - CODE_UNIT * slope
    reach = np.abs(bias) + LAST_CODE * np.abs(slope) + np.abs(weight) @ most_sign_inputs()
    fine = int(np.floor(np.log2(min(32767 / np.abs(weight).max(), (2**30 - 2**16) / reach.max()))))
    largest = max(float(units.abs().max()), 1e-3) if len(units) else 1.0
    coarse = min(fine, int(np.floor(np.log2(MOST_UNIT / 2 / largest))))
    output = network.output.weight.detach().double().numpy()[0] * 2.0 ** (8 - coarse)
    room = (2**31 - 2**21) / (np.abs(output).sum() * MOST_UNIT)
    more = min(30, int(np.floor(np.log2(min(32767 / np.abs(output).max(), room)))))
    if more < 0:
        raise SystemExit("a network of signs too steep for its integers")
    return {
        "sign_weight": np.rint(weight * 2.0**fine).astype(np.int16),
        "sign_bias": np.rint(bias * 2.0**fine).astype(np.int32),
        "sign_slope": np.rint(slope * 2.0**fine).astype(np.int32),
        "sign_shift": np.uint8(fine - coarse),
        "sign_output": np.rint(output * 2.0**more * saves).astype(np.int16),
        "sign_output_shift": np.uint8(more),
        "sign_mix": np.rint((mix if saves else np.array([1.0, 0.0])) * MIX_UNIT).astype(np.int16),
    }


def held_back(count: int) -> NDArray[np.bool_]:
    """Which of so many signs no network is trained on: the last of every twelve."""
    return np.arange(count) % 12 == 11


def _cost(odds: NDArray[np.float64], minus: NDArray[np.bool_]) -> float:
    """What signs cost at their odds, in natural units of information."""
    return float(np.logaddexp(0, np.where(minus, -odds, odds)).sum())


def _mixed(odds: NDArray[np.float64], minus: NDArray[np.bool_], usual: tuple[float, ...]) -> NDArray[np.float64]:
    """Weights (K,) of the odds (N, K) by logistic regression, drawn toward the usual ones."""
    weights = np.array(usual)
    for _ in range(6):
        p = 1 / (1 + np.exp(-(odds @ weights)))
        gradient = odds.T @ (p - minus) + 10 * (weights - usual)
        curvature = (odds * np.maximum(p * (1 - p), 1e-3)[:, None]).T @ odds + 10 * np.eye(len(usual))
        weights = np.clip(weights - np.linalg.solve(curvature, gradient), -1.5, 1.5)
    return weights
