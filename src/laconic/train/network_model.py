"""The decoder-side network as training sees it: one flat vector of parameters, a forward pass over one crop (torch).

It adds to the decoded planes what quantization took. Samples are gathered in 4 x 4 blocks (48 channels), pass through
residual blocks of 1x1 and depthwise 3x3 convolutions, and come back as a correction in units of the base step. One
network serves every rate: the channels of each inner 1x1 convolution are scaled and shifted by functions of the step
code, linear between 13 knots, one an octave. A crop has one code, so scales are folded into the small weight matrices
and cost nothing on the activations; an integer runtime can do the same, or fold them into its requantization.

`network_forward.py` is the same in numpy and says exactly what is computed. A narrow network's inner 1x1 convolutions
take 8-bit activations and weights in the integer runtime, and the forward pass here rounds both as it does
(`narrow.py`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from laconic.train.narrow import grain_near, narrowed, narrowed_weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from laconic.train.narrow import Take

__all__ = ["KNOTS", "SIZES", "Network", "Shape", "fast_type"]

SAMPLES = 48
KNOTS = 13
CODES_PER_KNOT = 64
SLOPE = 0.125
EXPANSION = 2
REFERENCE_STEP, DETAIL_POWER, DETAIL_GAIN, OUTPUT_GAIN = 0.1, 0.3, 1.46, -1.4
"""Scales at the start, as logarithms at a step of a tenth of the range: finer steps get more gain on details, as much
as keeps the strongest edges below 16, and the output undoes it, so that an input error of any size looks alike."""


@dataclass(frozen=True)
class Shape:
    """Width and depth. MACs a pixel: (48 * 2 * C + N * (2 C^2 + 9 C + 4 C^2)) / 16."""

    channels: int
    blocks: int
    narrow: bool = False
    """Whether the matrices of the blocks multiply numbers of 8 bits."""

    @property
    def macs(self) -> float:
        """Multiplications a pixel."""
        c = self.channels
        return (2 * SAMPLES * c + self.blocks * ((2 + 2 * EXPANSION) * c * c + 9 * c)) / 16


SIZES = {"best": Shape(64, 12, narrow=True), "fast": Shape(32, 8, narrow=True), "ssim": Shape(64, 12, narrow=True)}
"""Those of the model, and narrow from the next training on. "ssim" is as large as "best", and trained for MS-SSIM on
files with ``tune="ssim"``."""


def layout(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every parameter, in the order of the flat vector."""
    c, n, e = shape.channels, shape.blocks, EXPANSION * shape.channels
    grains = {"mix.grain": (n, c), "merge.grain": (n, c), "expand.grain": (n, c), "contract.grain": (n, e)}
    return {
        "mix.weight": (n, c, c),
        "merge.weight": (n, c, c),
        "expand.weight": (n, e, c),
        "contract.weight": (n, c, e),
        "spread.weight": (n, c, 3, 3),
        "input.weight": (c, SAMPLES),
        "output.weight": (SAMPLES, c),
        "input.scale": (KNOTS, c),
        "input.bias": (KNOTS, c),
        "mix.scale": (KNOTS, n, c),
        "mix.bias": (KNOTS, n, c),
        "expand.scale": (KNOTS, n, e),
        "expand.bias": (KNOTS, n, e),
        "output.scale": (KNOTS, SAMPLES),
        "output.bias": (KNOTS, SAMPLES),
        **(grains if shape.narrow else {}),
    }


MATRICES = ("mix.weight", "merge.weight", "expand.weight", "contract.weight")
DECAYED = (*MATRICES, "spread.weight", "input.weight", "output.weight")
LOGARITHMS = (".scale", ".grain")
FIRST_GRAIN = 8 / 127


def fast_type() -> torch.dtype:
    """Return what this processor multiplies fastest: bfloat16, or float32 where that would be emulated."""
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def unit_step(code: int) -> float:
    """Return the base step of a code in units of the whole range of a sample."""
    return 2.0 ** (code / 64 - 10)


def cosine_basis() -> np.ndarray:
    """(16, 16) orthonormal 4 x 4 cosine transform, DC first, rows over samples y * 4 + x."""
    k = np.arange(4)
    one = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / 8) * np.where(k[:, None] == 0, 0.5, math.sqrt(0.5))
    return np.einsum("ay,bx->abyx", one, one).reshape(16, 16)


class Network:
    """A shape, the places of its parameters in a flat vector, and the forward pass.

    Parameters
    ----------
    shape : Shape
    codes : (int, int)
        Least and greatest step code it is trained for; scales and shifts of codes beyond are those of the nearest.
    """

    def __init__(self, shape: Shape, codes: tuple[int, int]) -> None:
        self.shape, self.codes = shape, codes
        self.layout = layout(shape)
        self.sizes = [math.prod(dims) for dims in self.layout.values()]
        self.size = sum(self.sizes)

    def views(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """Split the flat vector (differentiably)."""
        parts = theta.split(self.sizes)
        return {name: part.view(dims) for part, (name, dims) in zip(parts, self.layout.items(), strict=True)}

    def spans(self) -> Iterator[tuple[str, slice]]:
        """Yield (name, place in the flat vector)."""
        start = 0
        for name, size in zip(self.layout, self.sizes, strict=True):
            yield name, slice(start, start + size)
            start += size

    def start(self, seed: int = 0) -> torch.Tensor:
        """Return a first flat vector: cosine transform in, nothing out, quiet residual branches."""
        rng = np.random.default_rng(seed)
        c, n = self.shape.channels, self.shape.blocks
        values = {name: np.zeros(dims, np.float32) for name, dims in self.layout.items()}

        def normal(dims: tuple[int, ...], fan: int, gain: float = 1.0) -> np.ndarray:
            return (rng.standard_normal(dims) * gain / math.sqrt(fan)).astype(np.float32)

        basis = np.kron(np.eye(3), cosine_basis())
        keep = [plane * 16 + k for k in range(16) for plane in range(3)][:c]
        details = np.array([k % 16 != 0 for k in keep] + [True] * (c - len(keep)))
        extra = normal((c - len(keep), SAMPLES), 16) @ np.diag(np.arange(SAMPLES) % 16 != 0).astype(np.float32) @ basis
        values["input.weight"][:] = np.concatenate([basis[keep], extra])
        knots = np.array([unit_step(CODES_PER_KNOT * k) for k in range(KNOTS)])
        coarseness = np.log(knots / REFERENCE_STEP)[:, None]
        values["input.scale"][:] = np.where(details, DETAIL_GAIN - DETAIL_POWER * coarseness, -0.5)
        values["output.scale"][:] = OUTPUT_GAIN - (1 - DETAIL_POWER) * coarseness
        for name in values:
            if name.endswith(".grain"):
                values[name][:] = math.log(FIRST_GRAIN)
        values["mix.weight"][:] = normal((n, c, c), c, 1.0)
        values["spread.weight"][:] = normal((n, c, 3, 3), 9, 0.7)
        values["spread.weight"][:, :, 1, 1] += 0.7
        values["merge.weight"][:] = normal((n, c, c), c, 0.5 / math.sqrt(n))
        values["expand.weight"][:] = normal((n, EXPANSION * c, c), c, 1.0)
        values["contract.weight"][:] = normal((n, c, EXPANSION * c), EXPANSION * c, 0.5 / math.sqrt(n))
        return torch.from_numpy(np.concatenate([v.ravel() for v in values.values()]))

    def resumed(self, arrays: dict[str, np.ndarray], seed: int = 0) -> torch.Tensor:
        """Return the flat vector of exported arrays: the inverse of `export`, or its continuation in a larger network.

        Channels and blocks that the arrays lack start as in `start`, and what was there hears nothing of them: the
        larger network computes what the smaller one did until training finds a use for the rest (function-preserving
        growth; Chen, Goodfellow and Shlens, Net2Net, 2016). Grains that they lack are those of the start.

        Raises
        ------
        ValueError
            Arrays of a network with more channels or blocks.
        """
        values = {name: v.numpy() for name, v in self.views(self.start(seed)).items()}
        for name, value in values.items():
            if name.endswith(".grain") and name not in arrays:
                continue
            known = np.log(np.maximum(arrays[name], 1e-6)) if name.endswith(LOGARITHMS) else arrays[name]
            if known.ndim != value.ndim or any(had > has for had, has in zip(known.shape, value.shape, strict=True)):
                raise ValueError(f"{name} has shape {known.shape}, which {value.shape} does not contain")
            if name in MATRICES or name == "output.weight":
                value[..., : known.shape[-2], known.shape[-1] :] = 0
            if name in ("merge.weight", "contract.weight"):
                value[known.shape[0] :] = 0
            value[tuple(slice(size) for size in known.shape)] = known
        return torch.from_numpy(np.concatenate([value.ravel() for value in values.values()]))

    def with_grains(self, theta: torch.Tensor, grains: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """Return the flat vector with other grains, which `grains` gives for each layer's name, (N, I)."""
        theta = theta.clone()
        for name, span in self.spans():
            if name.endswith(".grain"):
                theta[span] = grains(name.removesuffix(".grain")).log().reshape(-1)
        return theta

    def at(self, theta: torch.Tensor, code: int, dtype: torch.dtype) -> dict[str, Any]:
        """Fold the scales and shifts of a step code: what a forward pass over a crop of that code needs."""
        v = self.views(theta)
        knot, part = divmod(min(max(code, self.codes[0]), self.codes[1]), CODES_PER_KNOT)
        part /= CODES_PER_KNOT

        def between(name: str) -> torch.Tensor:
            return v[name][knot] * (1 - part) + v[name][knot + 1] * part

        def scale(name: str) -> torch.Tensor:
            table = v[name][knot : knot + 2].exp()
            return (table[0] * (1 - part) + table[1] * part)[..., None]

        cast = {
            "input.weight": v["input.weight"] * scale("input.scale"),
            "input.bias": between("input.bias"),
            "output.weight": v["output.weight"] * scale("output.scale"),
            "output.bias": between("output.bias"),
            "mix.weight": v["mix.weight"] * scale("mix.scale"),
            "mix.bias": between("mix.bias"),
            "spread.weight": v["spread.weight"][:, :, None],
            "merge.weight": v["merge.weight"].transpose(1, 2),
            "expand.weight": v["expand.weight"] * scale("expand.scale"),
            "expand.bias": between("expand.bias"),
            "contract.weight": v["contract.weight"].transpose(1, 2),
        }
        if self.shape.narrow:
            for matrix in MATRICES:
                name = matrix.removesuffix(".weight")
                grain = grain_near(v[f"{name}.grain"])
                across = name in ("merge", "contract")  # they lie with inputs first
                weight = cast[matrix].transpose(1, 2) if across else cast[matrix]
                weight = narrowed_weight(weight * grain[:, None])
                cast[matrix] = weight.transpose(1, 2) if across else weight
                cast[f"{name}.fineness"] = 1 / grain
        cast = {name: value.to(dtype) for name, value in cast.items()}
        return {n: x.unbind(0) if not n.startswith(("input", "output")) else x for n, x in cast.items()}

    def forward(
        self,
        folded: dict[str, Any],
        x: torch.Tensor,
        height: int,
        width: int,
        limit: float | None = None,
        take: Take = narrowed,
    ) -> torch.Tensor:
        """Return the correction in units of the base step.

        Parameters
        ----------
        folded : dict
            From `at`.
        x : (height * width, 48) tensor of its dtype
            Blocks of the decoded planes, see `decoded_crops.to_blocks`.
        height, width : int
            In blocks.
        limit : float, optional
            Activations are clamped to -limit .. limit after every layer, as in the integer runtime.
        take : callable
            What narrow layers do with activations, the inverse of their grains and the layer's name.

        Returns
        -------
        (height * width, 48) tensor
        """
        c = self.shape.channels
        clamp = (lambda t: t) if limit is None else (lambda t: t.clamp(-limit, limit))

        def taken(t: torch.Tensor, name: str, k: int) -> torch.Tensor:
            return take(t, folded[f"{name}.fineness"][k], name) if self.shape.narrow else t

        def hidden(h: torch.Tensor, name: str, k: int) -> torch.Tensor:
            h = taken(h, name, k)
            v = clamp(functional.linear(h, folded[f"{name}.weight"][k], folded[f"{name}.bias"][k]))
            return functional.leaky_relu(v, SLOPE, inplace=True)

        h = clamp(functional.linear(x, folded["input.weight"], folded["input.bias"]))
        for k in range(self.shape.blocks):
            u = hidden(h, "mix", k).view(1, height, width, c).permute(0, 3, 1, 2)
            u = functional.conv2d(u, folded["spread.weight"][k], padding=1, groups=c)
            u = taken(clamp(u.permute(0, 2, 3, 1).reshape(-1, c)), "merge", k)
            h = clamp(torch.addmm(h, u, folded["merge.weight"][k]))
            v = taken(hidden(h, "expand", k), "contract", k)
            h = clamp(torch.addmm(h, v, folded["contract.weight"][k]))
        return functional.linear(h, folded["output.weight"], folded["output.bias"])

    def export(self, theta: torch.Tensor) -> dict[str, np.ndarray]:
        """Return named float32 arrays, scales as plain factors; see `network_forward`."""
        with torch.no_grad():
            arrays = {name: v.detach().float().numpy().copy() for name, v in self.views(theta).items()}
        for name in arrays:
            if name.endswith(LOGARITHMS):
                arrays[name] = np.exp(arrays[name])
        return arrays

    def about(self) -> dict[str, str]:
        """Return what a file of exported weights says about itself."""
        return {
            "kind": "laconic.network.float",
            "first_code": str(self.codes[0]),
            "last_code": str(self.codes[1]),
            **{name: str(value) for name, value in asdict(self.shape).items()},
        }
