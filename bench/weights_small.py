"""Claim: in a model of many small tensors each costs a few bytes beside its data, and they are coded no slower for it.

    LACONIC_DATA=folder python bench/weights_small.py     # needs pip install "laconic[train]"; minutes

The folder holds models/ with the ResNets for CIFAR-10 (state dicts), of whose tensors four in five are vectors of 16 to
64 numbers. Each file is made as it is now, with groups, and with every tensor in a block of its own. Files of a size
are compared by the squared error that so many bytes leave in the matrices; files without loss by their bytes.
What a tensor costs beside its data is measured on 2,000 vectors: the file, less one of a single vector of all numbers.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import record
import torch

from laconic.codecs import array_blocks, weights
from laconic.container.arrays import read_index
from laconic.signals.tensors import Arrays, Tensor


def network(depth: int) -> Arrays:
    """A ResNet as its authors left it."""
    [path] = record.data("models").glob(f"*resnet{depth}-*.th")
    state = torch.load(path, weights_only=True, map_location="cpu")["state_dict"]
    tensors = (Tensor.of(name.removeprefix("module."), value.numpy()) for name, value in state.items())
    return Arrays("safetensors", tuple(tensors), {})


def vectors(count: int) -> Arrays:
    """Vectors of 32 Gaussian numbers."""
    random = np.random.default_rng(0)
    arrays = (random.standard_normal(32).astype(np.float32) for _ in range(count))
    return Arrays(
        "safetensors", tuple(Tensor.of(f"layer{i // 5}.bn{i % 5}.bias", array) for i, array in enumerate(arrays)), {}
    )


@contextlib.contextmanager
def no_groups() -> Iterator[None]:
    """Every tensor in a block of its own."""
    before = array_blocks.MOST_OF_MEMBER, array_blocks.MOST_OF_MATRIX
    array_blocks.MOST_OF_MEMBER = array_blocks.MOST_OF_MATRIX = -1
    try:
        yield
    finally:
        array_blocks.MOST_OF_MEMBER, array_blocks.MOST_OF_MATRIX = before


def fastest(work: Any) -> float:
    """Milliseconds of processor time, the least of three."""
    times: list[float] = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(1000 * (time.process_time() - start))
    return round(min(times), 1)


def facts(arrays: Arrays, **settings: Any) -> dict[str, Any]:
    """Size, what it is made of, error and times of one file."""
    start = time.process_time()
    data = weights.shrink(arrays, jobs=1, **settings)
    encode = round(1000 * (time.process_time() - start), 1)
    index = read_index(data, file_size=len(data))
    found = weights.expand(data, jobs=1)
    matrices = [pair for pair in zip(arrays.tensors, found.tensors, strict=True) if len(pair[0].shape) > 1]
    return {
        "bytes": len(data),
        "index": index.offsets[0],
        "error": sum(float(np.square(a.numbers() - b.numbers()).sum()) for a, b in matrices),
        "encode_ms": encode,
        "decode_ms": fastest(lambda: weights.expand(data, jobs=1)),
    }


rows: list[dict[str, Any]] = []
for depth in (20, 56):
    model = network(depth)
    for settings in ({"bpw": 1.0}, {"bpw": 2.5}, {"lossless": True}):
        grouped = facts(model, **settings)
        with no_groups():
            apart = facts(model, **settings)
        what = f"ResNet-{depth}, {len(model.tensors)} tensors, {next(f'{k} {v}' for k, v in settings.items())}"
        rows.append({"what": what, "groups": grouped, "blocks of their own": apart})
        print(what, grouped, apart)
many = vectors(2000)
whole = Arrays("safetensors", (Tensor.of("all", np.concatenate([one.array() for one in many.tensors])),), {})
size = 8 * many.nbytes // 32  # of about eight bits a number
costs: dict[str, float] = {}
for what, settings in (("lossless", {"lossless": True}), ("at a size", {"size": size})):
    grouped = facts(many, **settings)
    with no_groups():
        apart = facts(many, **settings)
    rows.append({"what": f"2,000 vectors, {what}", "groups": grouped, "blocks of their own": apart})
    print(rows[-1])
for name, arrays in (("groups", many), ("one vector", whole)):
    costs[name] = len(weights.shrink(arrays, lossless=True))
beside = (costs["groups"] - costs["one vector"]) / len(many.tensors)
claims = [
    record.claim("bytes of a small tensor beside its data, lossless", beside, 4, at_most=True),
    *(
        record.claim(
            f"{row['what']}: {key} against blocks of their own",
            row["groups"][key] / row["blocks of their own"][key],
            1.0,
            at_most=True,
        )
        for row in rows
        for key in (["bytes"] if "lossless" in row["what"] else ["error"] if "ResNet" in row["what"] else [])
    ),
    *(
        record.claim(
            f"{row['what']}: time to {key} against blocks of their own",
            row["groups"][f"{key}_ms"] / row["blocks of their own"][f"{key}_ms"],
            1.0,
            at_most=True,
        )
        for row in rows
        for key in ("encode", "decode")
    ),
]
record.write("weights_small", {"claims": claims, "files": rows})
