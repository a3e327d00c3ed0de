"""`spec/latents.md` is what the program does: a shard is read a second time here, by the document alone."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import laconic as lac
from laconic.learn import planning
from laconic.learn.packing import pack
from laconic.learn.planning import make_plan

SPEC = (Path(__file__).parents[2] / "spec" / "latents.md").read_text("utf-8")
BESIDE = [
    (0, -1, 3), (0, 1, 3), (-1, 0, 3), (1, 0, 3), (-1, -1, 2), (-1, 1, 2), (1, -1, 2), (1, 1, 2),
    (0, -2, 1), (0, 2, 1), (-2, 0, 1), (2, 0, 1), (-2, -2, 1), (-2, 2, 1), (2, -2, 1), (2, 2, 1),
]  # fmt: skip
BOUNDS = [int(n) for n in re.search(r"number of bounds ([\d, ]+) that", SPEC)[1].split(",")]


def places(layout: list[tuple[int, ...]], number: int, stride: int) -> list[tuple[int, int, int, int]]:
    plane, level, orientation, row, column = layout[number]
    m = 1 if orientation < 0 else stride >> level
    wanted: list[tuple[tuple[int, ...], int, int, int]] = []
    for rows, columns, weight in BESIDE:
        y, x = row + rows, column + columns
        wanted.append(((plane, level, orientation, y % m, x % m), y // m, x // m, weight))
    wanted += [((other, level, orientation, row, column), 0, 0, 2) for other in range(plane)]
    if orientation >= 0:
        wanted += [((plane, level, o, row, column), 0, 0, 2) for o in range(3) if o != orientation]
        if m > 1:
            wanted.append(((plane, level + 1, orientation, row // 2, column // 2), 0, 0, 3))
        else:
            wanted += [((plane, level, -1, 0, 0), y, x, 1) for y, x in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))]
    found: list[tuple[int, int, int, int]] = []
    for channel, y, x, weight in wanted:
        if channel not in layout or max(abs(y), abs(x)) > 2:
            continue
        other = layout.index(channel)
        if (other < number or (other == number and y < 0)) and sum(f[3] for f in found) + weight <= 24:
            found.append((other, y, x, weight))
    return found


def read_record(data: bytes, manifest: dict[str, Any], frequencies: np.ndarray) -> tuple[np.ndarray, int]:
    grid = manifest["transform"]["grid"]
    layout = [tuple(channel) for channel in grid["layout"]]
    h, w = grid["height"] // grid["stride"], grid["width"] // grid["stride"]
    states = [int.from_bytes(data[4 * k : 4 * k + 4], "little") for k in range(16)]
    words = np.frombuffer(data[64:], "<u2").tolist()
    starts = np.concatenate([np.zeros((len(frequencies), 1), int), np.cumsum(frequencies, axis=1)], axis=1)
    families: list[tuple[Any, ...]] = []
    escapes = 0
    coded = np.zeros((len(layout), h, w), int)
    symbols = np.zeros((len(layout), h, w), int)
    for c, (plane, level, orientation, *_) in enumerate(layout):
        key = (plane > 0, level, orientation < 0)
        families += [] if key in families else [key]
        taps = places(layout, c, grid["stride"])
        for y in range(h):
            row = [0] * w
            for x in range(w):
                total = 0
                for other, dy, dx, weight in taps:
                    if 0 <= y + dy < h and 0 <= x + dx < w:
                        total += weight * min(abs(int(coded[other, y + dy, x + dx])), 10)
                table = 14 * families.index(key) + sum(total > bound for bound in BOUNDS)
                state = states[x % 16]
                slot = state % 1024
                row[x] = int(np.searchsorted(starts[table], slot, side="right")) - 1
                state = int(frequencies[table, row[x]]) * (state // 1024) + slot - int(starts[table, row[x]])
                states[x % 16] = state * 65536 + words.pop(0) if state < 65536 else state
            for x in range(w):
                byte = words.pop(0) if row[x] == 128 else row[x]
                escapes += row[x] == 128
                coded[c, y, x] = byte - 256 if byte > 127 else byte
        symbols[c] = coded[c]
        if orientation < 0:
            for y in range(h):
                for x in range(w):
                    west = symbols[c, y, x - 1] if x else symbols[c, y - 1, x] if y else 0
                    north = symbols[c, y - 1, x] if y else west
                    corner = symbols[c, y - 1, x - 1] if x and y else (north if y else west)
                    predicted = sorted((west, north, west + north - corner))[1]
                    symbols[c, y, x] = (coded[c, y, x] + predicted + 128) % 256 - 128
    assert states == [65536] * 16
    assert not words
    return symbols, escapes


def read_fields(data: bytes, manifest: dict[str, Any]) -> np.ndarray:
    grid, key = manifest["transform"]["grid"], manifest["key"]
    h, w = grid["height"] // grid["stride"], grid["width"] // grid["stride"]
    symbols: list[int] = []
    at = 0
    for lowest, width in zip(key["lowest"], key["widths"], strict=True):
        field = [0] * (h * w)
        for bit in range(width):
            for i in range(h * w):
                field[i] |= (data[at + i // 8] >> i % 8 & 1) << bit
            at += -(-h * w // 8)
        symbols += [lowest + value for value in field]
    k = (len(data) - at) // 5
    positions = [int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "little") for i in range(k)]
    assert positions == sorted(set(positions))
    for i, position in enumerate(positions):
        byte = data[at + 4 * k + i]
        symbols[position] = byte - 256 if byte > 127 else byte
    return np.array(symbols).reshape(-1, h, w)


@pytest.mark.parametrize(("stride", "store"), [(8, "small"), (16, "small"), (8, "bits")])
def test_a_second_reader_finds_the_same(
    pictures: Path, tmp_path: Path, stride: int, store: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(planning, "MOST_FITTED", 3)  # so that other pictures have what the key does not hold
    plan = make_plan(str(pictures), stride=stride, channels=60, shard_size=30, store=store)
    assert pack(plan, str(tmp_path))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["version"], manifest["store"]) == (2, store)
    data = (tmp_path / "shard-00000.latents").read_bytes()
    assert data[:8].hex(" ") in SPEC
    numbers = np.frombuffer(data[8:24], "<u4").tolist()
    assert numbers[::3] == [2, 0]
    meta = data[24 : 24 + numbers[1]]
    assert zlib.crc32(meta) == numbers[2]
    size = int.from_bytes(meta[:4], "little")
    head = json.loads(meta[4 : 4 + size])
    n = len(head["keys"])
    table = np.frombuffer(meta[4 + size :][: 12 * n], "<u4").reshape(3, n)
    assert len(meta) - (4 + size + 12 * n) < 64
    dataset = lac.learn.open(tmp_path)
    assert dataset.labels.tolist() == table[0].tolist()
    ends = 24 + len(meta) + np.cumsum(table[2])
    assert ends[-1] == len(data)
    escapes = 0
    for index in (0, 13, 21):
        record = data[ends[index] - table[2][index] : ends[index]]
        assert zlib.crc32(record) == table[1][index]
        if store == "bits":
            found = read_fields(record, manifest)
        else:
            frequencies = np.frombuffer(base64.b64decode(manifest["key"]["frequencies"]), "<u2").reshape(-1, 256)
            families = len({(p > 0, level, o < 0) for p, level, o, *_ in manifest["transform"]["grid"]["layout"]})
            assert len(frequencies) == 14 * families
            assert set(frequencies.sum(1).tolist()) == {1024}
            found, count = read_record(record, manifest, frequencies.astype(int))
            escapes += count
        assert np.array_equal(found, dataset.symbols([index])[0])
    assert escapes or store == "bits"
