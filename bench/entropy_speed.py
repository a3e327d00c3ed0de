"""Claim: the native entropy stage does 20 megapixels a second each way on one core, and beats `constriction` sixfold;
with whatever an effort adds to it, 10 megapixels a second.

    LACONIC_DATA=... python bench/entropy_speed.py [--every N]

The stage turns quantized symbols into streams and back, contexts included, at about 0.5 bits per pixel on Kodak.
The same photos are coded by constriction's ANS coder, which is handed the distribution of every symbol in advance
(Categorical, a matrix of probabilities), while our decoder has to work it out on the way. Two ways, both kept:

* `every coefficient` (the claim): one token for each of the three coefficients of a pixel, with the distribution that
  our context gives it, and the signs and raw bits; that is the picture's symbols as any coder would code them;
* `same operations`: exactly what our streams hold, flags of empty groups instead of the tokens in them; our rANS coder
  alone, with distributions known in advance as well, stands beside it.

At a few efforts the whole stage is timed too: coefficients to streams (with the search for symbols; one attempt of
the several that high efforts make) and back, with mixing and networks that see contexts where files have them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import constriction
import numpy as np
import record
from context_twin import RAW, Operations, check, operations
from numpy.typing import NDArray

import laconic
from laconic import _native
from laconic.codecs.image import Analysis, ImageCodec
from laconic.codecs.tiles import code_tile, pixel_window, tile_coding
from laconic.coder import rans
from laconic.container.layout import BANDS, TileGrid
from laconic.entropy import causal
from laconic.entropy.tables import ParameterSet
from laconic.transform.workers import Workers

RATE = 0.5
EFFORTS = (1, 3, 5, 7)
REPEATS = 5
LETTERS = 16


@dataclass(frozen=True)
class Work:
    """One photo, quantized: symbols as planes, and how they are coded without any further quantization."""

    symbols: NDArray[np.int32]
    grid: TileGrid
    parameters: ParameterSet
    cuts: int
    streams: list[tuple[bytes, ...]]

    @property
    def coding(self) -> causal.TileCoding:
        """How to code the symbols as they are."""
        zeros = np.zeros(BANDS, np.uint32)
        planes = [causal.PlaneCoding(self.parameters, p, p, zeros, zeros) for p in range(3)]
        return causal.TileCoding(planes, self.cuts)


def quantize(pixels: NDArray[np.uint8], quality: int) -> Work:
    """The symbols that the codec codes at a quality, and the streams it makes of them."""
    codec = ImageCodec(quality=quality, jobs=1, effort=3)  # symbols that quantize to themselves
    with Workers(1) as workers:
        analysis = Analysis.of(pixels, lossless=False, workers=workers)
        header = codec.header_at(analysis, int(analysis.model.quality_codes[quality]))
        symbols = np.zeros(analysis.planes.shape, np.int32)
        streams, _ = codec.code_tiles(analysis, header, workers, symbols, predicts_chroma=False)
    return Work(symbols, TileGrid.of(header), analysis.model.lossy[header.parameter_set], header.cuts, streams)


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def stage(work: Work) -> tuple[float, float]:
    """Seconds to encode and to decode one photo's symbols; both directions are checked."""
    planes, coding = work.symbols.astype(np.int16), work.coding
    windows = [pixel_window(work.grid, tile) for tile in range(work.grid.count)]

    def encode() -> list[list[bytes]]:
        return [[rans.push(ops) for ops in causal.tables(planes, window, coding)] for window in windows]

    streams = encode()
    if [tuple(group) for group in zip(*streams, strict=True)] != work.streams:
        raise SystemExit("the stage alone made other bytes than the codec")
    back = np.zeros_like(planes)

    def decode() -> None:
        for tile, window in enumerate(windows):
            causal.pop_tile(back, window, coding, streams[tile], tile)

    seconds = best(encode), best(decode)
    if not np.array_equal(back, planes):
        raise SystemExit("the stage alone gave other symbols back")
    return seconds


def at_effort(pixels: NDArray[np.uint8], quality: int, effort: int) -> tuple[float, float]:
    """Seconds to turn one photo's coefficients into streams at an effort, and back."""
    codec = ImageCodec(quality=quality, jobs=1, effort=effort)
    with Workers(1) as workers:
        analysis = Analysis.of(pixels, lossless=False, workers=workers)
    header = codec.header_at(analysis, int(analysis.model.quality_codes[quality]))
    coding = tile_coding(header, analysis.model, codec.decisions)
    grid = TileGrid.of(header)
    windows = [pixel_window(grid, tile) for tile in range(grid.count)]

    def encode() -> list[list[bytes]]:
        return [code_tile(analysis.planes, window, coding) for window in windows]

    streams = encode()
    back = np.zeros_like(analysis.planes)

    def decode() -> None:
        for tile, window in enumerate(windows):
            causal.pop_tile(back, window, coding, streams[tile], tile)

    return best(encode), best(decode)


def known(found: Operations) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """(n, 17) cumulative frequencies that each letter is coded with, and the letters; long raw bits are halved."""
    raw = found.table >= RAW
    bits = np.where(raw, found.table - RAW, 0)
    halved = np.flatnonzero(bits > 4)
    rows, letters = found.cumulative.copy(), found.letter.copy()
    rows[raw] = raw_tables(np.where(bits > 4, bits - 4, bits)[raw])
    letters[halved] >>= 4
    order = np.argsort(np.concatenate([np.arange(len(letters)), halved + 0.5]), kind="stable")
    rows = np.concatenate([rows, raw_tables(np.full(len(halved), 4))])
    letters = np.concatenate([letters, found.letter[halved] & 15])
    return rows[order], letters[order]


def raw_tables(bits: NDArray[np.int64]) -> NDArray[np.uint16]:
    """(n, 17) cumulative frequencies of numbers of 1 to 4 raw bits."""
    return np.minimum(np.arange(LETTERS + 1) << (14 - bits)[:, None], 16384).astype(np.uint16)


def by_constriction(cumulative: NDArray, letters: NDArray) -> tuple[float, float, int]:
    """Seconds to encode and decode, and bits, of letters with known tables."""
    probabilities = np.diff(cumulative.astype(np.float32), axis=1) / 16384
    model = constriction.stream.model.Categorical(perfect=False)
    symbols = letters.astype(np.int32)

    def encode() -> NDArray[np.uint32]:
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(symbols, model, probabilities)
        return coder.get_compressed()

    compressed = encode()

    def decode() -> NDArray[np.int32]:
        return constriction.stream.stack.AnsCoder(compressed).decode(model, probabilities)

    if not np.array_equal(decode(), symbols):
        raise SystemExit("constriction gave other symbols back")
    return best(encode), best(decode), 32 * len(compressed)


def by_rans(cumulative: NDArray, letters: NDArray) -> tuple[float, float, int]:
    """The same by our coder."""
    which = np.arange(len(letters), dtype=np.uint32)
    start = cumulative[which, letters]
    ops = rans.pack(start, cumulative[which, letters + 1] - start)
    stream = rans.push(ops)
    if not np.array_equal(rans.pop(stream, cumulative, which), letters):
        raise SystemExit("rANS gave other symbols back")
    return best(lambda: rans.push(ops)), best(lambda: rans.pop(stream, cumulative, which)), 8 * len(stream)


def quality_near(rate: float, pictures: list) -> tuple[int, float]:
    """The quality whose mean bits per pixel come nearest to a rate."""

    def mean(quality: int) -> float:
        pixels = [p.pixels for p in pictures]
        return float(np.mean([8 * len(laconic.compress(x, quality=quality)) / (x.size // 3) for x in pixels]))

    low, high = 0, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if mean(middle) <= rate else (low, middle)
    return min(((quality, mean(quality)) for quality in (low, high)), key=lambda found: abs(found[1] - rate))


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1, help="of the photos only each Nth")
    pictures = record.kodak()[:: parser.parse_args().every]
    quality, rate = quality_near(RATE, pictures)
    pixels = sum(picture.megapixels for picture in pictures)
    seconds: dict[str, np.ndarray] = {}
    totals: dict[str, float] = {}

    def add(name: str, found: tuple[float, float], bits: float, count: int) -> None:
        seconds[name] = seconds.get(name, np.zeros(2)) + np.asarray(found)
        totals[f"{name} bits"] = totals.get(f"{name} bits", 0) + bits
        totals[f"{name} letters"] = totals.get(f"{name} letters", 0) + count

    efforts = {effort: np.zeros(2) for effort in EFFORTS}
    for picture in pictures:
        for effort in EFFORTS:
            efforts[effort] += at_effort(picture.pixels, quality, effort)
        work = quantize(picture.pixels, quality)
        add("entropy stage", stage(work), 8 * sum(len(s) for group in work.streams for s in group), 0)
        codings = [(work.parameters, p, p) for p in range(3)]
        plain = replace(work.parameters, group_limit=np.zeros_like(work.parameters.group_limit))
        planes = work.symbols.astype(np.int16)
        for tile in range(work.grid.count):
            found = operations(work.symbols, work.grid, tile, work.cuts, codings)
            check(found, causal.tables(planes, pixel_window(work.grid, tile), work.coding))
            # One stream for each resolution group, as in the file.
            for group in found:
                if len(group.table):
                    letters = known(group)
                    *times, bits = by_constriction(*letters)
                    add("constriction, same operations", times, bits, len(letters[1]))
                    *times, bits = by_rans(*letters)
                    add("rANS alone, same operations", times, bits, len(letters[1]))
            every = operations(work.symbols, work.grid, tile, work.cuts, [(plain, p, p) for p in range(3)])
            for group in every:
                if len(group.table):
                    letters = known(group)
                    *times, bits = by_constriction(*letters)
                    add("constriction, every coefficient", times, bits, len(letters[1]))
        print(picture.name, "done", flush=True)

    table = {
        name: {
            "encode_MP_per_s": pixels / t[0],
            "decode_MP_per_s": pixels / t[1],
            "bits_per_pixel": totals[f"{name} bits"] / pixels / 1e6,
        }
        | (
            {
                "letters_per_pixel": totals[f"{name} letters"] / pixels / 1e6,
                "encode_Mletters_per_s": totals[f"{name} letters"] / t[0] / 1e6,
                "decode_Mletters_per_s": totals[f"{name} letters"] / t[1] / 1e6,
            }
            if totals[f"{name} letters"]
            else {}
        )
        for name, t in seconds.items()
    }
    for name, row in table.items():
        print(name, {key: round(float(value), 4) for key, value in row.items()})
    own = table["entropy stage"]
    same, every, alone = (
        table[name]
        for name in (
            "constriction, same operations",
            "constriction, every coefficient",
            "rANS alone, same operations",
        )
    )
    claims = [
        record.claim("entropy stage, encode, MP/s on one core", own["encode_MP_per_s"], 20, at_most=False),
        record.claim("entropy stage, decode, MP/s on one core", own["decode_MP_per_s"], 20, at_most=False),
        record.claim(
            "decode, entropy stage over constriction coding every coefficient",
            own["decode_MP_per_s"] / every["decode_MP_per_s"],
            6,
            at_most=False,
        ),
        record.claim(
            "bits, entropy stage over constriction coding every coefficient",
            own["bits_per_pixel"] / every["bits_per_pixel"],
            1,
            at_most=True,
        ),
    ]
    by_effort = {
        effort: {"encode_MP_per_s": pixels / float(spent[0]), "decode_MP_per_s": pixels / float(spent[1])}
        for effort, spent in efforts.items()
    }
    for effort, speeds in by_effort.items():
        for way in ("encode", "decode"):
            what = f"whole stage at effort {effort}, {way}, MP/s on one core"
            claims.append(record.claim(what, speeds[f"{way}_MP_per_s"], 10, at_most=False))
    beside = {
        "decode: entropy stage over constriction on the same operations": own["decode_MP_per_s"]
        / same["decode_MP_per_s"],
        "decode: rANS alone over constriction on the same operations": alone["decode_MP_per_s"]
        / same["decode_MP_per_s"],
        "bits: entropy stage over constriction on the same operations": own["bits_per_pixel"] / same["bits_per_pixel"],
    }
    for name, value in beside.items():
        print(f"{name}: {value:.3f}")
    record.write(
        "entropy_speed",
        {
            "pictures": len(pictures),
            "quality": quality,
            "bits_per_pixel_of_files": rate,
            "instruction_set": _native.instruction_set(),
            "repeats": REPEATS,
            "claims": claims,
            "beside": beside,
            "measured": table,
            "by_effort": by_effort,
        },
    )


if __name__ == "__main__":
    main()
