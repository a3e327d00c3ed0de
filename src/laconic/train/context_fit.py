"""Training the networks that see contexts (`entropy/context_network.py`), one for each band of luma and chroma.

    python -m laconic.train.context_fit MODEL PHOTOS OUTPUT --minutes 3
    python -m laconic.train.mixing --model OUTPUT --data PHOTOS -o MIXED

MODEL's own files give the symbols: crops of the training photos, each at three step codes. A band is trained for some
minutes on what its symbols cost by the network alone, from the network that MODEL may have, chroma for half of them,
and a band of luma for a third of them on its signs (`sign_fit`). It is kept beside OUTPUT: an interrupted run goes on
with the next band. `mixing` then fits how much each opinion counts.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from laconic.codecs.image import ImageCodec
from laconic.codecs.search import move_targets
from laconic.codecs.tiles import tile_coding, wavelets
from laconic.container.layout import band_place
from laconic.entropy import causal
from laconic.entropy.context_network import (
    DECISIONS,
    HIDDEN,
    INPUTS,
    MIDDLE,
    QUANTIZERS,
    ContextNetwork,
    prefix_of,
)
from laconic.entropy.network_arrays import LAST_CODE, MOST_INPUT, MOST_UNIT
from laconic.entropy.tables import BANDS, KINDS
from laconic.models import ImageModel, load_model
from laconic.quantize import rdo
from laconic.quantize.dependent import quantizers
from laconic.train.checkpoint import replace_file
from laconic.train.counts import group_flags
from laconic.train.descent import descend
from laconic.train.modelfile import read_model, write_model
from laconic.train.photos import find_photos, read_photo
from laconic.train.sampling import picture_weight
from laconic.train.sign_fit import BandSigns, OddNetwork, quantized_signs, sample_signs, train_signs
from laconic.train.symbols import Symbols, analyze, code
from laconic.train.taps import bucket, compand, gather_context, sources, weighted_sum
from laconic.transform import lifting
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.entropy.tables import ParameterSet

__all__ = ["BandContexts", "main", "quantized", "sample_contexts", "train_band"]

SIDE, CODES_EACH, CAP, CALIBRATION = 512, 3, 8000, 100_000
QUALITIES = 98, 2
MANY = 1_000_000
"""Symbols; bands with fewer are trained as much shorter."""
SIGN_SHARE, CHROMA_SHARE = 1 / 3, 1 / 2
"""Of the time that is for signs, and for a band of chroma."""
LISTENING = ("ssim", "foretold")
"""The kinds of sets that listen; the symbols of the last are what networks are trained on."""
UNIT = 8.0
"""Inputs are divided by it, and step codes by `CODE_UNIT`, so that a network begins with sums near one."""
CODE_UNIT = 320.0
PLANES, LEVELS = 3, 6


class BandContexts:
    """Symbols of one band: inputs (N, 77) uint8; quantizer, token up to 3 (N, 2) uint8; step code; weight."""

    def __init__(self) -> None:
        self.inputs: list[NDArray[np.uint8]] = []
        self.symbols: list[NDArray[np.uint8]] = []
        self.codes: list[NDArray[np.int16]] = []
        self.weights: list[NDArray[np.float32]] = []

    @classmethod
    def of_nothing(cls) -> BandContexts:
        """A zero among zeros, where no photo has anything to code."""
        found = cls()
        found.inputs, found.symbols = [np.zeros((1, INPUTS), np.uint8)], [np.zeros((1, 2), np.uint8)]
        found.codes, found.weights = [np.zeros(1, np.int16)], [np.ones(1, np.float32)]
        return found

    def arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int16], NDArray[np.float32]]:
        """All of it, joined."""
        joined = np.concatenate
        return joined(self.inputs), joined(self.symbols), joined(self.codes), joined(self.weights)


def sample_contexts(
    into: dict[tuple[int, int], BandContexts],
    symbols: Symbols,
    parameters: ParameterSet,
    rng: np.random.Generator,
    cap: int = CAP,
) -> None:
    """Add up to `cap` symbols of each band of one picture, by plane and band."""
    companded = [[compand(band) for band in plane] for plane in symbols.q]
    for plane, band in product(range(len(companded)), range(1, BANDS)):
        m = np.abs(symbols.q[plane][band])
        if not m.size:
            continue
        src = sources(companded, plane, band)
        above, row = weighted_sum(src, parameters.weights[plane, band])
        above = above + int(parameters.bias[plane, band])
        if parameters.detail_weight is not None and plane == 0:
            above = above + int(parameters.detail_weight[0, band]) * symbols.told[band].astype(np.int64)
        kind = group_flags(m, above, int(parameters.group_limit[plane, band]))[3]
        at = np.nonzero(kind >= 0)
        if not len(at[0]):
            continue
        weight = picture_weight(symbols)
        which = quantizers(m, kind < 0)
        if len(at[0]) > cap:
            weight *= len(at[0]) / cap
            pick = rng.choice(len(at[0]), cap, replace=False)
            at = at[0][pick], at[1][pick]
        found = into.setdefault((plane, band), BandContexts())
        found.inputs.append(gather_context(companded, symbols.told, plane, band, *at))
        token = m[at] >> parameters.shift[plane, band][bucket(above[at] + row[at])]
        found.symbols.append(np.stack([which[at], np.minimum(token, DECISIONS)], 1).astype(np.uint8))
        found.codes.append(np.full(len(at[0]), symbols.code, np.int16))
        found.weights.append(np.full(len(at[0]), weight, np.float32))


class Float(nn.Module):
    """A band's network before it becomes integers."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(INPUTS + 1, HIDDEN)
        self.middle = nn.Linear(HIDDEN, MIDDLE)
        self.output = nn.Linear(MIDDLE, QUANTIZERS * DECISIONS)

    @classmethod
    def of(cls, found: ContextNetwork, orientation: int) -> Float:
        """Return what a network of integers stands for, with units of 2^-8."""
        network, o = cls(), orientation
        first = 2.0 ** -(8 + int(found.shift[o]))
        slope = torch.from_numpy(found.slope[o] * first * CODE_UNIT)
        weight = torch.from_numpy(found.weight[o] * first * UNIT)
        second, last = 2.0 ** -int(found.middle_shift[o]), 2.0 ** -(int(found.output_shift[o]) + 8)
        values = {
            "hidden.weight": torch.cat([weight, slope[:, None]], 1),
            "hidden.bias": torch.from_numpy(found.bias[o] * first) + slope,
            "middle.weight": torch.from_numpy(found.middle[o] * second),
            "middle.bias": torch.from_numpy(found.middle_bias[o] * second * 2.0**-8),
            "output.weight": torch.from_numpy(found.output[o].reshape(-1, MIDDLE) * last * 2.0**8),
            "output.bias": torch.from_numpy(found.output_bias[o].ravel() * last),
        }
        network.load_state_dict({name: value.float() for name, value in values.items()})
        return network

    def units(self, inputs: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the units (N, 64) and (N, 32) of the two layers of inputs (N, 77) and step codes (N,)."""
        given = torch.cat([inputs.float() / UNIT, (codes.float() / CODE_UNIT - 1)[:, None]], 1)
        hidden = functional.relu(self.hidden(given))
        return hidden, functional.relu(self.middle(hidden))

    def forward(self, inputs: torch.Tensor, codes: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Return the odds (N, 3) of inputs, step codes and quantizers (N,)."""
        odds = self.output(self.units(inputs, codes)[1]).view(-1, QUANTIZERS, DECISIONS)
        return odds[torch.arange(len(odds)), which]


def cost(odds: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """Bits (N,) of the decisions of tokens (N,), those above 2 being 3."""
    bits = torch.zeros(len(odds))
    for decision in range(DECISIONS):
        loss = functional.binary_cross_entropy_with_logits(
            odds[:, decision], (token == decision).float(), reduction="none"
        )
        bits = bits + loss * (token >= decision)
    return bits / float(np.log(2))


def train_band(samples: BandContexts, seconds: float, seed: int, start: Float | None = None) -> tuple[Float, float]:
    """Train a network for some seconds of processor time; returns it and the bits a symbol costs at the end."""
    torch.manual_seed(seed)
    inputs, symbols, codes, weights = (torch.from_numpy(a) for a in samples.arrays())
    weights = weights / weights.mean()
    network = start or Float()

    def loss(pick: torch.Tensor) -> torch.Tensor:
        which, token = symbols[pick, 0].long(), symbols[pick, 1].long()
        return (cost(network(inputs[pick], codes[pick], which), token) * weights[pick]).mean()

    return network, descend(network, loss, len(inputs), seconds, trained=start is not None)


def quantized(network: Float, samples: BandContexts) -> dict[str, NDArray[Any]]:
    """Return the arrays of a band's network as integers: as fine as 16-bit weights and 32-bit sums allow.

    Units are as large as leaves room for twice the largest one among some thousand symbols.
    """
    inputs, _, codes, _ = samples.arrays()
    some = np.random.default_rng(0).choice(len(inputs), min(len(inputs), CALIBRATION), replace=False)
    with torch.no_grad():
        units = network.units(torch.from_numpy(inputs[some]), torch.from_numpy(codes[some]))
    scales = [int(np.floor(np.log2(MOST_UNIT / 2 / max(float(of.max()), 1e-3)))) for of in units]
    first = network.hidden.weight.detach().double().numpy()
    weight, slope = first[:, :INPUTS] / UNIT, first[:, INPUTS] / CODE_UNIT
    bias = network.hidden.bias.detach().double().numpy() - first[:, INPUTS]
    reach = np.abs(bias) + LAST_CODE * np.abs(slope) + MOST_INPUT * np.abs(weight).sum(1)
    fine = int(np.floor(np.log2(min(32767 / np.abs(weight).max(), (2**31 - 2**16) / reach.max()))))
    coarse = min(scales[0], fine)
    arrays = {
        "weight": np.rint(weight * 2.0**fine).astype(np.int16),
        "bias": np.rint(bias * 2.0**fine + half(fine - coarse)).astype(np.int32),
        "slope": np.rint(slope * 2.0**fine).astype(np.int32),
        "shift": np.uint8(fine - coarse),
    }
    for name, layer, scale in (("middle", network.middle, scales[1]), ("output", network.output, 8)):
        weight = layer.weight.detach().double().numpy() * 2.0 ** (scale - coarse)
        bias = layer.bias.detach().double().numpy() * 2.0**scale
        sums = (np.abs(weight).sum(1) * MOST_UNIT + np.abs(bias)).max()
        more = int(np.floor(np.log2(min(32767 / np.abs(weight).max(), (2**31 - 2**21) / sums))))
        if more < 0:
            raise SystemExit("a network too steep for its integers")
        more = min(more, 30)
        arrays |= {
            name: np.rint(weight * 2.0**more).astype(np.int16),
            f"{name}_bias": np.rint(bias * 2.0**more + half(more)).astype(np.int32),
            f"{name}_shift": np.uint8(more),
        }
        coarse = scale
    return arrays | {
        "output": arrays["output"].reshape(QUANTIZERS, DECISIONS, MIDDLE),
        "output_bias": arrays["output_bias"].reshape(QUANTIZERS, DECISIONS),
    }


def half(shift: int) -> float:
    """What makes a shift round."""
    return 2.0**shift / 2


def aimed_at(
    pixels: NDArray[np.uint8], planes: NDArray[Any], model: ImageModel, step_code: int
) -> tuple[NDArray[Any], rdo.Rdo]:
    """Return coefficients as effort 7 codes them in place of those of a photo (`codecs.search`), and how it decides."""
    if "best" not in model.networks:
        return planes, rdo.TRELLIS
    codec = ImageCodec(effort=7, network="best", jobs=1)
    header, bands = codec.header_for(model, planes.shape, 8, step_code), planes.copy()
    coding, kinds = tile_coding(header, model, rdo.TRELLIS), wavelets(len(planes), lossless=False)
    causal.draft_tile(bands, (0, 0, *planes.shape[1:]), coding)
    with Workers(1) as workers:
        lifting.synthesize(bands, kinds, workers=workers)
        helps = move_targets(bands, pixels, header, model.networks["best"], workers)
        lifting.analyze(bands, kinds, workers=workers)
    weighed = replace(rdo.TRELLIS, weight=rdo.TRELLIS.weight * rdo.SEARCHED_WEIGHT)
    return (bands, weighed) if helps else (planes, rdo.TRELLIS)


def gather_samples(
    model: ImageModel, photos: Sequence[Path], seed: int = 0
) -> tuple[dict[tuple[int, int], BandContexts], dict[int, BandSigns]]:
    """Code a crop of every photo at three step codes; returns symbols by plane and band, and signs of luma by band."""
    into: dict[tuple[int, int], BandContexts] = {}
    signs: dict[int, BandSigns] = {}
    for number, path in enumerate(photos):
        rng = np.random.default_rng((seed, number))
        pixels = read_photo(path, crop=(SIDE, SIDE), seed=number)
        planes = analyze(pixels, lossless=False)
        finest, coarsest = (int(model.quality_codes[quality]) for quality in QUALITIES)
        for step_code in np.linspace(finest, coarsest, CODES_EACH + 1)[:-1].astype(int).tolist():
            step_code += int(rng.integers((coarsest - finest) // CODES_EACH))
            parameters = model.lossy[model.set_for(step_code, "foretold")]
            targets, decisions = aimed_at(pixels, planes, model, step_code)
            symbols = code(targets, parameters, step_code, decisions, details=model.details, contexts=model.contexts)
            sample_contexts(into, symbols, parameters, rng)
            sample_signs(signs, symbols, parameters, rng)
    return into, signs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m laconic.train.context_fit", description=main.__doc__)
    parser.add_argument("model", type=Path, help="the model file to begin with")
    parser.add_argument("photos", type=Path, help="a folder of photos; every fourteenth is held out")
    parser.add_argument("output", type=Path, help="the model file to write")
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="processor time for each fine band (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = load_model(given.model.read_bytes())
    kept = given.output.with_name(f"{given.output.name}.bands")
    kept.mkdir(exist_ok=True)
    samples: tuple[dict[tuple[int, int], BandContexts], dict[int, BandSigns]] | None = None
    arrays = read_model(given.model)
    for plane, level in product(range(PLANES), range(1, LEVELS + 1)):
        bands = range(1 + 3 * (LEVELS - level), 4 + 3 * (LEVELS - level))
        for band in bands:
            path = kept / f"{plane}_{band}.npz"
            if path.exists():
                continue
            if samples is None:
                samples = gather_samples(model, find_photos(given.photos)[0])
            contexts = samples[0].pop((plane, band), None) or BandContexts.of_nothing()
            share = min(1.0, sum(map(len, contexts.inputs)) / MANY) * (CHROMA_SHARE if plane else 1)
            seconds, o = 60 * given.minutes * share, band_place(band)[1]
            known = model.contexts.get((plane, level))
            network, bits = train_band(contexts, seconds, band, Float.of(known, o) if known else None)
            found, told = quantized(network, contexts), ""
            if plane == 0:
                odd = OddNetwork.of(known.signs, o) if known and known.signs else None
                signs = samples[1].pop(band)
                odd, sign_bits = train_signs(signs, SIGN_SHARE * seconds, band, odd)
                found, told = found | quantized_signs(odd, signs), f", {sign_bits:.4f} a sign"
            replace_file(path, partial(_save, found))
            sys.stdout.write(f"plane {plane}, band {band}: {bits:.4f} bits a symbol{told}\n")
            sys.stdout.flush()
        parts, prefix = [np.load(kept / f"{plane}_{band}.npz") for band in bands], prefix_of(plane, level)
        arrays |= {prefix + name: np.stack([part[name] for part in parts]) for name in parts[0].files}
        ContextNetwork.of(arrays, prefix)
        for kind, number in product(LISTENING, range(len(model.set_codes))):
            # A trellis weighs bits by what is heard, so what was heard stays until `mixing` knows better.
            if model.has(kind):
                silent = np.zeros((3, BANDS, KINDS, DECISIONS), np.int16)
                arrays.setdefault(f"{kind}{number}.context_weight", silent)
        write_model(given.output, arrays)
    return 0


def _save(arrays: dict[str, NDArray[Any]], path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


if __name__ == "__main__":
    raise SystemExit(main())
