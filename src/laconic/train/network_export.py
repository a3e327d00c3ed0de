"""A trained network to the integers of a model file.

Each weight array becomes 16-bit with the largest exponent that fits; scales and shifts become 1/65536. Of a narrow
network grains become fineness, and the weights they meet count steps of them.
`transform/network.py`
folds them for a step and bounds the sums; nothing else is lost on the way, so the integers follow the floats closely
(`network_forward.py` is what they are compared with).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from laconic.train.modelfile import read_model, write_model
from laconic.train.network_forward import load_network
from laconic.transform.network import NARROW_ONE, SCALE_BITS, Network

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_network", "from_integers", "to_integers"]

LARGEST = 32000  # a little below 2^15, so that rounding never reaches it
MOST_BITS = 20
UNIT = 16.0  # of activations, which 16 bits reach to
DENSE = ("input", "mix", "merge", "expand", "contract", "output")
SCALED = ("input", "mix", "expand", "output")


def to_integers(arrays: dict[str, np.ndarray], about: dict[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays of `laconic.transform.network.Network`.

    Parameters
    ----------
    arrays, about : dict
        As `network_forward.load_network` reads them.
    """
    integers: dict[str, np.ndarray] = {}
    exponents: list[int] = []
    for name in (*DENSE, "spread"):
        weight = arrays[f"{name}.weight"]
        if f"{name}.grain" in arrays:
            fineness = np.clip(np.rint(UNIT / arrays[f"{name}.grain"]), 1, NARROW_ONE - 1)
            integers[f"{name}_fineness"] = fineness.astype(np.int16)
            weight = weight * (UNIT / fineness)[:, None].astype(np.float32)
        if name == "spread":
            weight = weight.reshape(*weight.shape[:2], 9)
        exponent = min(MOST_BITS, int(np.floor(np.log2(LARGEST / np.abs(weight).max()))))
        integers[f"{name}_weight"] = np.rint(weight * 2.0**exponent).astype(np.int16)
        exponents.append(exponent)
    for name in SCALED:
        for part in ("scale", "bias"):
            integers[f"{name}_{part}"] = np.rint(arrays[f"{name}.{part}"] * (1 << SCALE_BITS)).astype(np.int32)
    integers["exponents"] = np.array(exponents, np.uint8)
    integers["codes"] = np.array([int(about["first_code"]), int(about["last_code"])], np.uint16)
    return integers


def from_integers(network: Network) -> dict[str, np.ndarray]:
    """Return the float arrays that `to_integers` would make a network of: training goes on from a model file.

    Parameters
    ----------
    network : laconic.transform.network.Network

    Returns
    -------
    dict of str to ndarray float32
        As `network_model.Network.export` returns them.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, exponent in zip((*DENSE, "spread"), network.exponents.tolist(), strict=True):
        weight = getattr(network, f"{name}_weight").astype(np.float32) * np.float32(2.0**-exponent)
        if (fineness := getattr(network, f"{name}_fineness", None)) is not None:
            grain = (UNIT / fineness).astype(np.float32)
            arrays[f"{name}.grain"], weight = grain, weight / grain[:, None]
        arrays[f"{name}.weight"] = weight.reshape(*weight.shape[:2], 3, 3) if name == "spread" else weight
    for name in SCALED:
        for part in ("scale", "bias"):
            integers = getattr(network, f"{name}_{part}")
            arrays[f"{name}.{part}"] = (integers / (1 << SCALE_BITS)).astype(np.float32)
    return arrays


def add_network(model: Path, weights: Path, name: str, output: Path) -> None:
    """Write a model file with a trained network in it.

    Parameters
    ----------
    model : Path
        The model file to add to; a network of the same name in it is replaced.
    weights : Path
        Exported floats.
    name : str
        "fast", "best" or "ssim", or "detail1" to "detail6" for one that foretells details.
    output : Path

    Raises
    ------
    ModelError
        Weights that no integer runtime can hold.
    """
    integers = to_integers(*load_network(weights))
    network = Network.of(integers, "")
    for code in range(0, 768, 16):
        network.native(code)  # refuses what could overflow
    arrays = {key: value for key, value in read_model(model).items() if not key.startswith(f"{name}.")}
    arrays |= {f"{name}.{key}": value for key, value in integers.items()}
    write_model(output, arrays)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: ``python -m laconic.train.network_export MODEL WEIGHTS NAME OUTPUT``."""
    parser = argparse.ArgumentParser(
        prog="python -m laconic.train.network_export", description="Put a trained network into a model file."
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("name", choices=["fast", "best", "ssim", *(f"detail{level}" for level in range(1, 7))])
    parser.add_argument("output", type=Path)
    given = parser.parse_args(arguments)
    add_network(given.model, given.weights, given.name, given.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
