"""Claim: lossless files of float32 and bfloat16 weights are within 0.5 % of ZipNN or smaller, and decode at 300 MB/s
and more on one core; one tensor is read by its own bytes.

    LACONIC_WEIGHTS=folder python bench/weights_lossless.py     # needs pip install zipnn for the peer

The folder holds .safetensors files. Each is measured as it is and, rounded, as bfloat16; beside them stand independent
Gaussian values. ZipNN gets the bytes of each tensor's words one by one, without names and shapes. Speeds count the
processor time of one thread, the fastest of three.
"""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import record

from laconic.codecs import weights
from laconic.signals import array
from laconic.signals.tensors import KINDS, Arrays, Tensor, narrowed

BFLOAT16 = next(kind for kind in KINDS if kind.name == "bfloat16")
ZIPNN_TYPES = {"float32": "float32", "bfloat16": "bfloat16"}


def subjects() -> dict[str, Arrays]:
    """What is measured, by name."""
    random = np.random.default_rng(0)
    normal = Tensor.of("w", (0.02 * random.standard_normal((2048, 2048))).astype(np.float32))
    found = {"gauss 2048 x 2048": Arrays("safetensors", (normal,), {})}
    folder = os.environ.get("LACONIC_WEIGHTS")
    if not folder:
        sys.exit("set LACONIC_WEIGHTS to a folder of .safetensors files")
    for path in sorted(Path(folder).glob("*.safetensors")):
        found[path.stem] = array.load(path)
    floats = {
        name: tuple(tensor for tensor in arrays.tensors if tensor.kind.name == "float32")
        for name, arrays in found.items()
    }
    result: dict[str, Arrays] = {}
    for name, tensors in floats.items():
        result[f"{name}, float32"] = Arrays("safetensors", tensors, {})
        halves = (Tensor(t.name, BFLOAT16, t.shape, narrowed(t.numbers(), BFLOAT16)) for t in tensors)
        result[f"{name}, bfloat16"] = Arrays("safetensors", tuple(halves), {})
    return result


def zipnn_size(arrays: Arrays) -> int | None:
    """Bytes that ZipNN makes of the tensors, None where it is not installed."""
    try:
        from zipnn import ZipNN  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    total = 0
    for tensor in arrays.tensors:
        peer = ZipNN(bytearray_dtype=ZIPNN_TYPES[tensor.kind.name], input_format="byte")
        total += min(len(peer.compress(bytearray(tensor.words.tobytes()))), tensor.nbytes)
    return total


def fastest(work: Any) -> float:
    """Seconds of processor time, the least of three."""
    times: list[float] = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


rows: list[dict[str, Any]] = []
for name, arrays in subjects().items():
    data = weights.shrink(arrays, lossless=True, jobs=1)
    with weights.open(data) as reader:
        head = reader.bytes_read
        largest = max(arrays.tensors, key=lambda tensor: tensor.nbytes).name
        reader.tensor(largest)
        touched = reader.bytes_read - head
        own = next(tensor.bytes for tensor in reader.info().tensors if tensor.name == largest)
    peer = zipnn_size(arrays)
    row = {
        "what": name,
        "bytes": arrays.nbytes,
        "laconic": len(data),
        "ratio": round(len(data) / arrays.nbytes, 5),
        "zipnn": peer,
        "to_zipnn": round(len(data) / peer, 5) if peer else None,
        "encode_MB_per_s": round(
            arrays.nbytes / 1e6 / fastest(lambda a=arrays: weights.shrink(a, lossless=True, jobs=1)), 1
        ),
        "decode_MB_per_s": round(arrays.nbytes / 1e6 / fastest(lambda d=data: weights.expand(d, jobs=1)), 1),
        "one_tensor": round(touched / own, 4),
    }
    assert [t.words.tobytes() for t in weights.expand(io.BytesIO(data)).tensors] == [
        t.words.tobytes() for t in arrays.tensors
    ]
    rows.append(row)
    print(*row.values())
large = [row for row in rows if row["bytes"] >= 1 << 22]
claims = [
    record.claim("decoding of 4 MB and more, MB/s", min(r["decode_MB_per_s"] for r in large), 300, at_most=False),
    record.claim("bytes touched for one tensor, times its own", max(r["one_tensor"] for r in rows), 1.05, at_most=True),
]
peers = [row["to_zipnn"] for row in rows if row["to_zipnn"]]
if peers:
    claims.append(record.claim("bytes over those of ZipNN, the worst file", max(peers), 1.005, at_most=True))
record.write("weights_lossless", {"claims": claims, "files": rows})
