"""The documents of the coding are executed: examples, tables, every sentence the reference quotes."""

from __future__ import annotations

import math
import re
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from laconic.coder import rans
from laconic.coder.rans_reference import RansReader
from laconic.entropy import causal, causal_reference, prediction, prediction_reference, sample_mixing_reference, tables
from laconic.entropy.causal_reference import PlaneModel, TileReader
from laconic.entropy.learning_reference import RATES, Learning
from laconic.entropy.mixing_reference import ODDS, STRETCHED, squashed
from laconic.errors import CorruptStream
from laconic.quantize.dependent import NEXT_STATE
from laconic.quantize.steps import EXP2, band_steps
from laconic.transform import color, color_reference, lifting_reference
from laconic.transform.network import Network
from laconic.transform.workers import Workers

ROOT = Path(__file__).parents[1]
NAMES = ("coder", "entropy", "chroma", "details", "contexts", "masking", "network", "prediction", "format", "arrays")
CODER, ENTROPY, CHROMA, DETAILS, CONTEXTS, MASKING, NETWORK, PREDICTION, FORMAT, ARRAYS = (
    (ROOT / "spec" / f"{name}.md").read_text(encoding="utf-8") for name in NAMES
)
REFERENCES = sorted((ROOT / "src" / "laconic").glob("*/*_reference.py"))
Op = tuple[int, int]


def blocks(text: str, name: str) -> list[list[str]]:
    found = re.findall(rf"^```{name}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [[line.split("#")[0].strip() for line in block.splitlines()] for block in found]


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose header row begins with `heading`."""
    start = text.index(f"\n| {heading} |")
    rows = text[start + 1 :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def operations(lines: list[str]) -> tuple[list[Op], str, bytes]:
    """Return the operations of a block, what must come of them, and the stream."""
    ops: list[Op] = []
    for line in lines:
        match line.split():
            case ["op", start, freq]:
                ops.append((int(start), int(freq)))
            case ["raw", value, bits]:
                ops.append((int(value) << (14 - int(bits)), 1 << (14 - int(bits))))
            case ["->", "CorruptStream", *stream]:
                return ops, "CorruptStream", bytes.fromhex("".join(stream))
            case ["->", *stream]:
                return ops, "", bytes.fromhex("".join(stream))
            case _:
                pytest.fail(f"unknown line {line}")
    pytest.fail("a block without a stream")


def read_native(stream: bytes, ops: list[Op]) -> None:
    cumulative = np.array([(0, start, start + freq, 16384) for start, freq in ops], np.uint16)
    assert np.all(rans.pop(stream, cumulative, np.arange(len(ops), dtype=np.uint32)) == 1)


def read_reference(stream: bytes, ops: list[Op]) -> None:
    reader = RansReader(stream)
    for start, freq in ops:
        assert start <= reader.slot() < start + freq
        reader.take(start, freq)
    reader.finish()


def push(ops: list[Op]) -> bytes:
    starts, freqs = np.array(ops).T
    return rans.push(rans.pack(starts, freqs))


@pytest.mark.parametrize("lines", blocks(CODER, "rans"), ids=lambda lines: lines[-1])
def test_streams_of_the_coder(lines: list[str]):
    ops, error, stream = operations(lines)
    for read in (read_native, read_reference):
        if error:
            with pytest.raises(CorruptStream):
                read(stream, ops)
        else:
            read(stream, ops)
    assert (push(ops) == stream) is not bool(error)


def test_both_kinds_of_streams_are_there():
    found = [operations(lines)[1] for lines in blocks(CODER, "rans")]
    assert found.count("") >= 4
    assert found.count("CorruptStream") >= 5


def quotes() -> list[tuple[str, str]]:
    """Return what the reference decoder quotes: (file, sentence); ellipses join parts of one sentence."""
    found: list[tuple[str, str]] = []
    for path in REFERENCES:
        for comment in re.findall(r"((?:^ *# .*\n)+)", path.read_text("utf-8"), re.MULTILINE):
            words = " ".join(line.strip()[2:] for line in comment.splitlines())
            found += [(path.name, quote) for quote in re.findall(r'"([^"]*)"', words)]
    return found


@pytest.mark.parametrize("path", REFERENCES, ids=lambda path: path.stem)
def test_the_sentences_of_the_reference_are_those_of_the_specification(path: Path):
    plain = re.sub(
        r"\s+",
        " ",
        re.sub(
            r"\n\s*\*?\s*",
            " ",
            CODER + ENTROPY + CHROMA + DETAILS + CONTEXTS + MASKING + NETWORK + PREDICTION + FORMAT + ARRAYS,
        )
        .replace("`", "")
        .replace("**", ""),
    )
    sentences = [quote for name, quote in quotes() if name == path.name]
    assert sentences
    for sentence in sentences:
        part = sentence.removeprefix("... ").removesuffix(" ...").removesuffix(", ...").removesuffix("; ...")
        assert part.rstrip(".,;").replace("**", "") in plain, sentence


def test_the_table_of_arrays_is_the_program():
    shapes: dict[str, Any] = tables._SHAPES
    rows = table(ENTROPY, "array")
    assert [row[0] for row in rows] == list(shapes)
    for name, kind, shape, *_ in rows:
        sides = ["K" if name in {"freq", "recon"} and side == tables.KINDS else str(side) for side in shapes[name][1]]
        assert (kind, shape) == (shapes[name][0], ", ".join(["P", *sides]))
    assert f"0 .. {tables.MAX_RATIO}" in {row[0]: row[3] for row in rows}["ratio"]


def test_the_arrays_of_a_network_are_the_program():
    named = [name for row in table(NETWORK, "array") for name in row[0].split(", ")]
    assert named[-6:-4] == ["exponents", "codes"]
    assert sorted(named) == sorted(field.name for field in fields(Network))


def test_companding_buckets_and_steps_are_the_program():
    for m, c in table(ENTROPY, "m"):
        assert causal_reference.companded(int(m)) == int(c)
    for activity, bucket in table(ENTROPY, "activity"):
        assert causal_reference.bucket(int(activity)) == int(bucket)
    for code, ratio, depth, step in table(ENTROPY, "code"):
        found = band_steps(int(code), np.full((1, 19), int(ratio), np.uint16), depth=int(depth))
        assert int(found[0, 0]) == int(step)
    assert all(round(2**16 * 2 ** (i / 64)) == value for i, value in enumerate(EXP2))


def test_the_constants_of_the_wavelet_are_the_program():
    header = (ROOT / "native" / "lifting.h").read_text("utf-8")
    for name, value, real in table(ENTROPY, "constant"):
        assert getattr(lifting_reference, name) == int(value) == round(eval(real) * 2**15), name
        assert f"k{name.capitalize()} = {value};" in header


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def test_splits_of_signals():
    [lines] = blocks(ENTROPY, "split")
    for line in lines:
        name, signal, low, high = line.split(":")
        reversible = name.strip() == "53"
        s, d = lifting_reference.split(np.array([numbers(signal)], np.int16), reversible=reversible)
        assert (s.tolist(), d.tolist()) == ([numbers(low)], [numbers(high)])
        back = lifting_reference.join(s, d, reversible=reversible)
        assert np.abs(back - numbers(signal)).max() <= (0 if reversible else 1)


def test_colors_of_pixels():
    [lines] = blocks(ENTROPY, "color")
    for line in lines:
        name, pixel, planes = line.split(":")
        kind, *number = name.split()
        how = {"lossless": kind == "lossless", "colors": int(number[0]) if number else 0}
        given = np.array([[numbers(pixel)]], np.uint8)
        found = color.analyze(given, workers=Workers(1), **how)
        assert found.ravel().tolist() == numbers(planes)
        assert np.array_equal(color_reference.analyze(given, **how), found)
        assert np.array_equal(color.synthesize(found, workers=Workers(1), **how), given)


def test_the_example_of_a_tile():
    def full(shape: tuple[int, ...], value: int, dtype: Any) -> Any:
        return np.full((1, *shape), value, dtype)

    weights = full((19, 57), 0, np.uint8)
    weights[..., 11] = 16
    freq = full((19, 2, 48, 16), 0, np.uint16)
    freq[..., [0, 1, 2, 15]] = (8192, 4096, 1024, 3072)
    toy = tables.ParameterSet(
        weights=weights,
        bias=full((19,), 16, np.uint16),
        group_limit=full((19,), 16, np.uint16),
        freq=freq,
        shift=full((19, 48), 0, np.uint8),
        group_freq=full((19, 48), 4096, np.uint16),
        sign_freq=full((19, 27), 8192, np.uint16),
        recon=full((19, 2, 48, 3), 0, np.int8),
        ll_pred=np.array([[256, 0, 0, 0]], np.int16),
        ratio=full((19,), 0, np.uint16),
    )
    [rows], [lines] = blocks(ENTROPY, "symbols"), blocks(ENTROPY, "tile")
    symbols = np.array([[numbers(row) for row in rows]], np.int16)
    ops, _, stream = operations(lines)

    zeros = np.zeros(19, np.uint32)
    coding = causal.TileCoding([causal.PlaneCoding(toy, 0, 0, zeros, zeros)], 0)
    [found] = causal.tables(symbols, (0, 0, 2, 3), coding)
    assert [(int(op) & 0xFFFF, int(op) >> 16) for op in found] == ops
    assert rans.push(found) == stream

    planes = np.zeros_like(symbols)
    causal.pop_tile(planes, (0, 0, 2, 3), coding, [stream])
    assert np.array_equal(planes, symbols)

    shapes = [(1, 1)] + [(0, 0)] * 18
    shapes[13] = (1, 1)  # HL of level 2
    shapes[16:19] = [(1, 1), (1, 2), (1, 1)]
    reader, tile = RansReader(stream), TileReader([PlaneModel(toy, 0, 0)], shapes)
    tile.pop_group(reader, range(6, 0, -1), lowest=True)
    reader.finish()
    assert [tile.symbols[0][band].tolist() for band in (0, 13, 16, 17, 18)] == [[[5]], [[-2]], [[0]], [[0, 16]], [[0]]]


@pytest.mark.parametrize("lines", blocks(PREDICTION, "predicted"), ids=lambda lines: lines[0])
def test_the_examples_of_predicted_tiles(lines: list[str]):
    (depth, channels), *rows = (numbers(line) for line in lines[:-1])
    pixels = np.array(rows, np.uint8 if depth == 8 else np.uint16).reshape(len(rows), -1, channels)
    tile = (0, 0, *pixels.shape[:2])
    stream = bytes.fromhex(lines[-1].removeprefix("->"))
    assert rans.push(prediction.tables(pixels, tile)) == stream
    found = np.zeros_like(pixels)
    prediction.pop(found, tile, stream)
    assert np.array_equal(found, pixels)
    reader = RansReader(stream)
    assert np.array_equal(prediction_reference.decode_tile(reader, *pixels.shape, depth), pixels)
    reader.finish()


def test_the_constants_of_prediction_are_the_program():
    for name, taps in zip(
        ("own", "known"), (prediction_reference.OWN_TAPS, prediction_reference.KNOWN_TAPS), strict=True
    ):
        [row] = [row for row in table(PREDICTION, "plane") if row[0] == name]
        assert tuple((int(dy), int(dx)) for dy, dx in re.findall(r"\((-?\d), (-?\d)\)", row[1])) == taps
    for fit, *counts, block, fading in table(PREDICTION, "fit"):
        found = tuple(tuple(int(part) for part in count.split(" + ")) for count in counts)
        assert found == prediction_reference.COUNTS[int(fit)]
        assert (int(block), int(fading)) == prediction_reference.BLOCKS_AND_FADINGS[int(fit)]
    [[rates]] = blocks(PREDICTION, "rates")
    assert tuple(numbers(rates)) == sample_mixing_reference.CHANCE_RATES


def test_the_rates_of_learning():
    for times, rate in table(ENTROPY, "times learned"):
        first, last = (int(part or 255) for part in re.fullmatch(r"(\d+) \.\. ?(\d*)", times).groups())  # type: ignore[union-attr]
        assert {RATES[u >> 4] for u in range(first, last + 1)} == {int(rate)}


def test_odds_and_their_inverse_are_the_program():
    [lines] = blocks(ENTROPY, "odds")
    assert tuple(number for line in lines for number in numbers(line)) == ODDS
    assert tuple(round(65536 / (1 + math.exp(-k / 8))) for k in range(-64, 65)) == ODDS
    for number, squash, stretch in table(ENTROPY, "number"):
        assert squashed(int(number)) == int(squash)
        assert not stretch or STRETCHED[int(number)] == int(stretch)


def test_the_states_of_the_trellis_are_the_program():
    rows = [tuple(int(cell) for cell in row) for row in table(ENTROPY, "state")]
    assert rows == [(state, *following) for state, following in enumerate(NEXT_STATE)]


def test_tables_learn_as_in_the_example():
    [lines] = blocks(ENTROPY, "learn")
    for line in lines:
        freq, letters, starts = (numbers(part) for part in line.split(":"))
        toy = SimpleNamespace(freq=np.zeros((1, 1, 1)), group_freq=np.full((1, 1, 1), freq[0]), sign_freq=None)
        learning, found = Learning(toy, 0, 0), []  # type: ignore[arg-type]
        for letter in letters:
            learning.learn(("group", 0), letter)
            found.append(learning.starts(("group", 0))[1])
        assert found == starts


@pytest.mark.parametrize("text", [CODER, ENTROPY, NETWORK], ids=["coder", "entropy", "network"])
def test_the_documents_end_with_their_changes(text: str):
    assert "version 1\n" in text.splitlines()[0] + "\n"
    last = text.split("\n## ")[-1]
    assert "Changes" in last.splitlines()[0]
    assert "* **Version 1**" in last
