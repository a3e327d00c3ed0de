"""The decoder-side network of a model as ONNX, for those who deploy it in another runtime or in a browser.

The graph says in floating point what `spec/network.md` says in integers. Its output is near to laconic's own but not
the same on every machine: pictures that must be equal everywhere need laconic's runtime.

    planes     float32 (1, 3, H, W)    Y, Cb, Cr as the wavelet leaves them
    code       float32, a scalar       the step code of the picture, 0 .. 767
    corrected  float32 (1, 3, H, W)    the planes with the correction added

The planes are in units of 256 levels of 8 bits, and zero is mid-gray: a picture lies in about -0.5 .. 0.5. Planes of
int16 (1/16 of a level) are divided by 4096, planes of int32 (1/16 of a level of 16 bits) by 2^20; the step of the
latter is 257/256 as large, which the graph leaves out of the correction. H and W are free: the graph continues a
picture to multiples of 4 and cuts it back. Activations are limited as the integers are, and rounded where a network is
narrow; planes are not limited, as no picture comes near. One file serves every step: it holds scales and biases at 13
codes and mixes the two nearest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from laconic.transform.network import ACTIVATION_BITS, CODES_PER_KNOT, EXPONENTS, KNOTS, NARROW_ZERO, SCALE_BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.transform.network import Network

__all__ = ["to_onnx"]

OPSET, IR_VERSION = 17, 8  # of 2022: what runtimes in use can read
BLOCK, PLANES = 4, 3


def to_onnx(network: Network, *, name: str = "network", about: dict[str, str] | None = None) -> bytes:
    """Return the network as an ONNX file.

    Parameters
    ----------
    network : Network
    name : str
        Name of the graph.
    about : dict, optional
        Metadata of the file.
    """
    graph = _Graph()
    scales = _scales_at_code(graph, network)

    def layer(kind: str, x: str, k: int | None = None) -> str:
        if network.narrow and k is not None and kind in NARROW_ZERO:
            x = graph.narrowed(_label(kind, k), x, getattr(network, f"{kind}_fineness")[k], NARROW_ZERO[kind])
        return graph.limited(graph.convolved(_label(kind, k), x, _weights(network, kind, k), scales))

    h = layer("input", _blocks(graph))
    for k in range(network.blocks):
        u = layer("merge", layer("spread", graph.relu(layer("mix", h, k)), k), k)
        h = graph.limited(graph.add("Add", h, u))
        v = layer("contract", graph.relu(layer("expand", h, k)), k)
        h = graph.limited(graph.add("Add", h, v))
    _correct(graph, layer("output", h))
    return graph.file(name, {"laconic.codes": f"{network.codes[0]}..{network.codes[1]}", **(about or {})})


class _Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        limit = 2.0 ** (15 - ACTIVATION_BITS)
        self._lowest = self.constant("lowest", np.float32(-limit))
        self._highest = self.constant("highest", np.float32(limit - 2.0**-ACTIVATION_BITS))

    def constant(self, name: str, value: Any) -> str:
        """Keep a constant and return its name."""
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operation: str, *inputs: str, outputs: list[str] | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its first output."""
        outputs = outputs or [f"{operation}.{len(self._nodes)}"]
        self._nodes.append(helper.make_node(operation, list(inputs), outputs, name=outputs[0], **attributes))
        return outputs[0]

    def convolved(self, name: str, x: str, weight: NDArray[np.float32], scaled: set[str]) -> str:
        """Convolve with `weight` (O, I or 1, K, K); the channels of the layers in `scaled` are scaled and shifted."""
        outputs, inputs, side, _ = weight.shape
        y = self.add(
            "Conv",
            x,
            self.constant(f"{name}.weight", weight),
            kernel_shape=[side, side],
            pads=[side // 2] * 4,
            group=outputs if inputs == 1 else 1,
        )
        if name not in scaled:
            return y
        return self.add("Add", self.add("Mul", y, f"{name}.scale"), f"{name}.bias")

    def limited(self, x: str) -> str:
        """Limit to what the 16-bit activations hold."""
        return self.add("Clip", x, self._lowest, self._highest)

    def narrowed(self, name: str, x: str, fineness: NDArray[np.int16], zero: int) -> str:
        """Round to what the 8 bits of a narrow layer hold; its weights count their steps."""
        scale = (fineness * 2.0 ** (ACTIVATION_BITS - 15)).astype(np.float32).reshape(1, -1, 1, 1)
        steps = self.add("Round", self.add("Mul", x, self.constant(f"{name}.fineness", scale)))
        limits = (
            self.constant(f"{name}.{what}", np.float32(v)) for what, v in (("least", -zero), ("most", 255 - zero))
        )
        return self.add("Clip", steps, *limits)

    def relu(self, x: str) -> str:
        """Divide by 8 what is negative."""
        return self.add("LeakyRelu", x, alpha=0.125)

    def file(self, name: str, about: dict[str, str]) -> bytes:
        """Check the graph and return it as a file."""
        from laconic import __version__

        shape = [1, PLANES, "H", "W"]
        inputs = [
            helper.make_tensor_value_info("planes", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("code", TensorProto.FLOAT, []),
        ]
        outputs = [helper.make_tensor_value_info("corrected", TensorProto.FLOAT, shape)]
        model = helper.make_model(
            helper.make_graph(self._nodes, name, inputs, outputs, self._constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="laconic",
            producer_version=__version__,
            doc_string=__doc__ or "",
        )
        helper.set_model_props(model, about)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)


def _label(kind: str, k: int | None) -> str:
    return kind if k is None else f"{kind}{k}"


def _weights(network: Network, kind: str, k: int | None) -> NDArray[np.float32]:
    """Return the weights of a layer as convolutions take them, (O, I, 1, 1) or (C, 1, 3, 3)."""
    whole = getattr(network, f"{kind}_weight")
    weight = (whole if k is None else whole[k]) * 2.0 ** -int(network.exponents[EXPONENTS.index(kind)])
    if kind == "input":
        # Channels are plane * 16 + y * 4 + x; SpaceToDepth gives (y * 4 + x) * 3 + plane.
        weight = weight.reshape(-1, PLANES, BLOCK * BLOCK).swapaxes(1, 2).reshape(weight.shape)
    shape = (-1, 1, 3, 3) if kind == "spread" else (*weight.shape, 1, 1)
    return weight.reshape(shape).astype(np.float32)


def _scales_at_code(graph: _Graph, network: Network) -> set[str]:
    """Add what makes `step` and the scales and biases (1, O, 1, 1) of the code; return the labels of their layers."""
    octave = graph.constant("codes_per_knot", np.float32(CODES_PER_KNOT))
    # The base step is 2^(code / 64 - 2) levels, of the true code; scales know only the codes of the training.
    exponent = graph.add("Sub", graph.add("Div", "code", octave), graph.constant("ten", np.float32(10)))
    graph.add("Pow", graph.constant("two", np.float32(2)), exponent, outputs=["step"])
    first, last = (graph.constant(n, np.float32(v)) for n, v in zip(("first", "last"), network.codes, strict=True))
    place = graph.add("Div", graph.add("Clip", "code", first, last), octave)
    below = graph.add("Floor", place)
    part = graph.add("Sub", place, below)

    tables: dict[str, NDArray[np.float64]] = {}
    for kind in ("input", "mix", "expand", "output"):
        for k in [None] if kind in ("input", "output") else range(network.blocks):
            for what in ("scale", "bias"):
                table = getattr(network, f"{kind}_{what}") * 2.0**-SCALE_BITS
                tables[f"{_label(kind, k)}.{what}"] = table if k is None else table[:, k]
    sizes = [table.shape[1] for table in tables.values()]
    whole = np.concatenate(list(tables.values()), axis=1).astype(np.float32).reshape(1, KNOTS, sum(sizes), 1, 1)
    knots = graph.constant("knots", whole)
    knot = graph.add("Cast", below, to=TensorProto.INT64)
    low = graph.add("Gather", knots, knot, axis=1)
    high = graph.add("Gather", knots, graph.add("Add", knot, graph.constant("one", np.int64(1))), axis=1)
    mixed = graph.add("Add", low, graph.add("Mul", graph.add("Sub", high, low), part))
    graph.add("Split", mixed, graph.constant("sizes", np.array(sizes, np.int64)), outputs=list(tables), axis=1)
    return {label.partition(".")[0] for label in tables}


def _blocks(graph: _Graph) -> str:
    """Add what cuts the planes, continued to multiples of 4, into 48 channels of blocks."""
    side = graph.constant("side", np.int64(BLOCK))
    size = graph.add("Shape", "planes", outputs=["size"], start=2)
    missing = graph.add("Mod", graph.add("Neg", size), side)  # Mod takes the sign of the divisor
    none = graph.constant("none", np.zeros(6, np.int64))
    padded = graph.add("Pad", "planes", graph.add("Concat", none, missing, axis=0), mode="edge")
    return graph.add("SpaceToDepth", padded, blocksize=BLOCK)


def _correct(graph: _Graph, r: str) -> None:
    """Add what turns 48 channels of blocks into samples, cuts them to size and adds them to the planes."""
    spread = graph.add("DepthToSpace", r, blocksize=BLOCK, mode="CRD")
    start, axes = graph.constant("start", np.zeros(2, np.int64)), graph.constant("axes", np.array([2, 3], np.int64))
    correction = graph.add("Mul", graph.add("Slice", spread, start, "size", axes), "step")
    graph.add("Add", "planes", correction, outputs=["corrected"])
