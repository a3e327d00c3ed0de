"""Writing and checking the model file: integer arrays in safetensors, laid out as the codec reads them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from laconic.signals.atomic import replacing

__all__ = ["METADATA", "check_set", "read_model", "write_model"]

_TYPES = {"uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "int32": "I32"}
METADATA = {"kind": "laconic.image", "version": "6"}


def write_model(path: Path, arrays: dict[str, np.ndarray], *, force: bool = True) -> None:
    """Write `arrays` as safetensors, atomically and with the same bytes for the same arrays."""
    header: dict[str, object] = {"__metadata__": METADATA}
    offset = 0
    names = sorted(arrays)
    for name in names:
        a = arrays[name]
        place = [offset, offset + a.nbytes]
        header[name] = {"dtype": _TYPES[a.dtype.name], "shape": list(a.shape), "data_offsets": place}
        offset = place[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path, force=force) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            file.write(arrays[name].astype(arrays[name].dtype.newbyteorder("<")).tobytes())


def read_model(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_model` wrote."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    types = {v: k for k, v in _TYPES.items()}
    out = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            raw = np.frombuffer(data[8 + length + begin : 8 + length + end], types[entry["dtype"]])
            out[name] = raw.reshape(entry["shape"]).copy()
    return out


def check_set(arrays: dict[str, np.ndarray], prefix: str) -> list[str]:
    """Return what is wrong with one parameter set, in words; an empty list means it is valid."""
    get = lambda name: arrays[f"{prefix}.{name}"].astype(np.int64)  # noqa: E731
    wrong = []
    if (get("bias") < 16).any() or (get("bias") + 127 * get("weights").sum(-1) > 65535).any():
        wrong.append("activity leaves 16..65535")
    freq = get("freq")
    if (freq.sum(-1) != 1 << 14).any() or (freq[..., [0, 15]] < 1).any():
        wrong.append("frequency rows must sum to 16384 with a nonzero zero and escape")
    wrong += [
        f"{name} leaves 1..16383"
        for name in ("group_freq", "sign_freq")
        if (get(name) < 1).any() or (get(name) > 16383).any()
    ]
    if (get("shift") > 8).any() or (np.diff(get("shift"), axis=-1) < 0).any():
        wrong.append("shifts must rise with the bucket")
    if f"{prefix}.ratio" in arrays and (get("ratio") < 1).any():
        wrong.append("a step ratio is zero")
    return wrong
