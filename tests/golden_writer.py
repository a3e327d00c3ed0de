"""Writes golden files, on purpose and once: ``python tests/golden_writer.py NAME ...`` or ``--all`` for those missing.

A golden file is a promise that these bytes decode to these pixels forever, so an existing one is refused, and
`golden/index.toml` only grows. Each is named by what it protects. Files of `golden/invalid` must be refused with the
error in the index. A file that a newer format version makes obsolete stays where it is: old files decode forever.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import golden_arrays
import laconic as lac
from laconic.codecs import image, image_reference
from laconic.codecs.predicted import code_samples, predicted_header
from laconic.container import Tag, read, write
from laconic.container.chunks import frame
from laconic.container.fields import write_header
from laconic.errors import FormatError, LaconicError
from laconic.models import default_model
from laconic.signals.image import load
from laconic.transform.picture_filter import TAPS, Filter
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "golden"
INDEX = GOLDEN / "index.toml"


def photo(height: int, width: int, channels: int = 3, depth: int = 8) -> NDArray[Any]:
    """Cut a piece of an example photo; alpha and the low bits of deep pictures are made up."""
    pixels = load(ROOT / "examples" / "tea-garden.jpg").pixels[120 : 120 + height, 200 : 200 + width].astype(np.uint16)
    assert pixels.shape[:2] == (height, width)
    rows, columns = np.indices((height, width))
    ramp = ((rows * 5 + columns * 3) % 256).astype(np.uint16)[:, :, None]
    color = pixels if channels >= 3 else pixels[:, :, 1:2]
    pixels = np.concatenate([color, ramp], axis=2) if channels in (2, 4) else color
    if depth == 16:
        return pixels * 257 ^ ramp % 64
    return pixels.astype(np.uint8)


def checkers(height: int, width: int) -> NDArray[np.uint8]:
    """Return black and white squares of one pixel: the largest coefficients there are."""
    rows, columns = np.indices((height, width))
    return ((rows + columns) % 2 * 255).astype(np.uint8)


def noise(height: int, width: int, dtype: Any) -> NDArray[Any]:
    """Return noise over the whole range: escapes."""
    return np.random.default_rng(1).integers(0, int(np.iinfo(dtype).max) + 1, (height, width, 3)).astype(dtype)


def encode(pixels: NDArray[Any], *, network: str = "off", **settings: Any) -> bytes:
    """Encode, without the network unless it is what the file protects."""
    return lac.ImageCodec(network=network, **settings).encode(pixels)


def with_cuts(pixels: NDArray[Any], cuts: int, **settings: Any) -> bytes:
    """Encode with resolution groups of one's own choice."""
    codec = lac.ImageCodec(**{"network": "off", **settings})
    with Workers(1) as workers:
        analysis = image.Analysis.of(pixels, lossless=codec.lossless, workers=workers)
        code = 0 if codec.lossless else int(analysis.model.quality_codes[codec.target.quality])
        header = replace(codec.header_at(analysis, code), cuts=cuts)
        return write(header, codec.code_tiles(analysis, header, workers)[0])


def in_colors(pixels: NDArray[Any], colors: int) -> bytes:
    """Encode without loss in colors of one's own choice."""
    codec = lac.ImageCodec(lossless=True)
    with Workers(1) as workers:
        analysis = image.Analysis.of(pixels, lossless=True, workers=workers, colors=colors)
        header = codec.header_at(analysis, 0)
        return write(header, codec.code_tiles(analysis, header, workers)[0])


def predicted(pixels: NDArray[Any], tile: int | None = None) -> bytes:
    """Encode without loss sample by sample, even where the wavelet would take fewer bytes."""
    header = predicted_header(read(encode(pixels, lossless=True, effort=6)).header, tile)
    with Workers(1) as workers:
        return write(header, [code_samples(np.atleast_3d(pixels), header, workers)])


def predicted_stream(change: Callable[[bytes], bytes]) -> bytes:
    """A small file of predicted samples whose one stream was changed."""
    container = read(predicted(photo(33, 35)))
    return write(container.header, [[change(bytes(container.segments[0][0]))]])


def steps(pixels: NDArray[Any], code: int) -> bytes:
    """Encode at a step code that no quality may name."""
    codec = lac.ImageCodec(quality=50, network="off")
    with Workers(1) as workers:
        analysis = image.Analysis.of(pixels, lossless=False, workers=workers)
        header = codec.header_at(analysis, code)
        return write(header, codec.code_tiles(analysis, header, workers)[0])


def filtered(data: bytes, shift: int, seed: int) -> bytes:
    """Put a filter of made up taps into a file."""
    container = read(data)
    rng = np.random.default_rng(seed)
    counts = TAPS[: container.header.color_planes]
    taps = tuple(tuple(int(tap) for tap in rng.integers(-12, 13, n) * (rng.random(n) < 0.8)) for n in counts)
    return with_header(data, has_filter=True, filter=Filter(shift, taps))


VALID: dict[str, Callable[[], bytes]] = {
    "gray": lambda: encode(photo(70, 50, 1), quality=60, network="auto"),
    "gray_alpha": lambda: encode(photo(50, 70, 2), quality=60),
    "rgb": lambda: encode(photo(70, 50), quality=60, network="auto"),
    "rgba": lambda: encode(photo(50, 70, 4), quality=60, network="auto"),
    "gray_16_bit": lambda: encode(photo(50, 70, 1, 16), quality=80),
    "rgba_16_bit": lambda: encode(photo(70, 50, 4, 16), quality=60),
    "lossless_gray": lambda: encode(photo(35, 50, 1), lossless=True, effort=6),
    "lossless_rgb": lambda: encode(photo(35, 50), lossless=True, effort=6),
    "lossless_rgba": lambda: encode(photo(33, 35, 4), lossless=True, effort=6),
    "lossless_gray_alpha_16_bit": lambda: encode(photo(33, 35, 2, 16), lossless=True, effort=6),
    "lossless_rgb_16_bit": lambda: encode(photo(33, 35, 3, 16), lossless=True, effort=6),
    "one_pixel": lambda: encode(photo(1, 1), quality=60, network="auto"),
    "one_pixel_lossless_rgba_16_bit": lambda: encode(photo(1, 1, 4, 16), lossless=True, effort=6),
    "one_row": lambda: encode(photo(1, 100), quality=60, network="auto"),
    "one_column": lambda: encode(photo(100, 1), quality=60),
    "two_by_three": lambda: encode(photo(2, 3), quality=90),
    "tile_edge_64": lambda: encode(photo(64, 64), quality=40, tile=64),
    "tile_edge_65": lambda: encode(photo(65, 65, 1), quality=40, tile=64),
    "many_tiles": lambda: encode(photo(130, 100, 1), quality=50, tile=64),
    "many_tiles_rgba": lambda: encode(photo(66, 90, 4), quality=30, tile=64, network="auto"),
    "many_tiles_lossless": lambda: encode(photo(65, 67, 1), lossless=True, effort=6, tile=64),
    "flat_middle_gray": lambda: encode(np.full((70, 50, 3), 128, np.uint8), quality=60),
    "flat_white": lambda: encode(np.full((70, 50), 255, np.uint8), quality=60),
    "checkers": lambda: encode(checkers(40, 50), quality=100),
    "checkers_lossless": lambda: encode(checkers(40, 50), lossless=True, effort=6),
    "noise_lossless_16_bit": lambda: encode(noise(20, 24, np.uint16), lossless=True, effort=6),
    "noise_quality_100": lambda: encode(noise(30, 24, np.uint8), quality=100),
    "quality_0": lambda: encode(photo(70, 50), quality=0, network="auto"),
    "quality_75": lambda: encode(photo(70, 50), quality=75, network="auto"),
    "quality_100": lambda: encode(photo(35, 50), quality=100),
    "step_code_0": lambda: steps(photo(33, 35), 0),
    "step_code_767": lambda: steps(photo(70, 50), 767),
    "step_code_0_16_bit": lambda: steps(photo(33, 35, 1, 16), 0),
    "parameter_set_1": lambda: steps(photo(70, 50), int(default_model().set_codes[1])),
    "effort_1": lambda: encode(photo(70, 50), quality=60, effort=1),
    "effort_10": lambda: encode(photo(70, 50), quality=60, effort=10),
    "size_target": lambda: encode(photo(70, 50), size=700),
    "metadata": lambda: lac.ImageCodec(quality=30, network="off").encode(
        photo(20, 20), icc=b"profile " * 20, exif=b"MM\0*\0\0\0\x08", xmp=b"<x:xmpmeta/>"
    ),
    "network_off": lambda: encode(photo(70, 50), quality=40, network="off"),
    "network_fast": lambda: encode(photo(70, 50), quality=40, network="fast"),
    "network_best": lambda: encode(photo(70, 50), quality=40, network="best"),
    "network_best_gray_alpha": lambda: encode(photo(37, 50, 2), quality=20, network="best"),
    "network_best_16_bit": lambda: encode(photo(37, 50, 3, 16), quality=20, network="best"),
    **{
        f"cuts_{cuts:06b}": (lambda cuts=cuts: with_cuts(photo(70, 50, 1), cuts, quality=50))
        for cuts in (0b000000, 0b000001, 0b000010, 0b000100, 0b001000, 0b010000, 0b100000, 0b111111)
    },
    "trellis_gray": lambda: encode(photo(70, 50, 1), quality=60),
    "trellis_rgba": lambda: encode(photo(50, 70, 4), quality=60),
    "trellis_rgb_16_bit": lambda: encode(photo(70, 50, 3, 16), quality=70),
    "trellis_many_tiles": lambda: encode(photo(130, 100), quality=50, tile=64),
    "trellis_one_row": lambda: encode(photo(1, 100), quality=80),
    "trellis_quality_0": lambda: encode(photo(70, 50), quality=0),
    "trellis_quality_100": lambda: encode(photo(35, 50), quality=100),
    "trellis_noise_quality_100": lambda: encode(noise(30, 24, np.uint8), quality=100),
    "trellis_coarsest_set": lambda: steps(photo(70, 50), int(default_model().set_codes[-1])),
    "tuned_for_ssim": lambda: encode(photo(70, 50), quality=50, tune="ssim"),
    "tuned_for_ssim_16_bit": lambda: encode(photo(50, 70, 1, 16), quality=85, tune="ssim"),
    "network_ssim": lambda: encode(photo(70, 50), quality=40, tune="ssim", network="ssim"),
    "chroma_rgb": lambda: encode(photo(70, 50), quality=60, network="auto"),
    "chroma_rgb_network_fast": lambda: encode(photo(50, 70), quality=40, network="fast"),
    "chroma_rgba": lambda: encode(photo(50, 70, 4), quality=75),
    "chroma_rgb_16_bit": lambda: encode(photo(70, 50, 3, 16), quality=85),
    "chroma_many_tiles": lambda: encode(photo(130, 100), quality=80, tile=64),
    "chroma_odd_sides": lambda: encode(photo(67, 45), quality=90, tile=64),
    "chroma_one_column": lambda: encode(photo(100, 1), quality=90),
    "chroma_effort_1": lambda: encode(photo(70, 50), quality=80, effort=1),
    "chroma_effort_3": lambda: encode(photo(70, 50), quality=80, effort=3),
    "chroma_quality_100": lambda: encode(photo(35, 50), quality=100),
    "chroma_noise": lambda: encode(noise(30, 24, np.uint8), quality=95),
    "chroma_tuned_for_ssim": lambda: encode(photo(70, 50), quality=60, tune="ssim", network="auto"),
    "mixed_gray": lambda: encode(photo(70, 50, 1), quality=20),
    "masked_many_tiles": lambda: encode(photo(130, 100), quality=55, tune="ssim", tile=64),
    "masked_rgba": lambda: encode(photo(50, 70, 4), quality=35, tune="ssim"),
    "masked_rgb_16_bit": lambda: encode(photo(70, 50, 3, 16), quality=90, tune="ssim"),
    "masked_noise": lambda: encode(noise(40, 44, np.uint8), quality=70, tune="ssim"),
    "masked_one_column": lambda: encode(photo(100, 1), quality=60, tune="ssim"),
    "details_rgb": lambda: encode(photo(70, 50), quality=60, network="best"),
    "details_gray": lambda: encode(photo(70, 50, 1), quality=30, network="best"),
    "details_rgba_16_bit": lambda: encode(photo(50, 70, 4, 16), quality=75, network="best"),
    "details_many_tiles": lambda: encode(photo(130, 100), quality=50, tile=64, network="best"),
    "details_cuts": lambda: with_cuts(photo(70, 50), 0b111111, quality=70, network="best"),
    "details_one_column": lambda: encode(photo(100, 1), quality=80, network="best"),
    "details_one_pixel": lambda: encode(photo(1, 1), quality=80, network="best"),
    "details_flat": lambda: encode(np.full((70, 50, 3), 128, np.uint8), quality=60, network="best"),
    "details_checkers": lambda: encode(checkers(40, 50), quality=100, network="best"),
    "details_noise": lambda: encode(noise(30, 24, np.uint8), quality=95, network="best"),
    "details_searched": lambda: encode(photo(70, 50), quality=40, effort=8, network="best"),
    "details_tuned_for_ssim": lambda: encode(photo(70, 50), quality=50, tune="ssim", network="ssim"),
    "details_tuned_for_ssim_16_bit": lambda: encode(photo(50, 70, 1, 16), quality=85, tune="ssim"),
    "contexts_rgb": lambda: encode(photo(70, 50), quality=60, network="best"),
    "contexts_gray": lambda: encode(photo(70, 50, 1), quality=30, network="best"),
    "contexts_rgba_16_bit": lambda: encode(photo(50, 70, 4, 16), quality=75, network="best"),
    "contexts_many_tiles": lambda: encode(photo(130, 100), quality=50, tile=64, network="best"),
    "contexts_cuts": lambda: with_cuts(photo(70, 50), 0b111111, quality=70, network="best"),
    "contexts_coarse": lambda: encode(photo(130, 100), quality=3, network="best"),
    "contexts_one_column": lambda: encode(photo(100, 1), quality=80, network="best"),
    "contexts_one_pixel": lambda: encode(photo(1, 1), quality=80, network="best"),
    "contexts_checkers": lambda: encode(checkers(40, 50), quality=100, network="best"),
    "contexts_noise": lambda: encode(noise(30, 24, np.uint8), quality=95, network="best"),
    "contexts_searched": lambda: encode(photo(70, 50), quality=40, effort=8, network="best"),
    "precompensated_rgb": lambda: encode(photo(130, 100), quality=60, network="auto"),
    "precompensated_gray_alpha_16_bit": lambda: encode(photo(50, 70, 2, 16), quality=40, network="auto"),
    "precompensated_many_tiles": lambda: encode(photo(130, 100), quality=25, tile=64, network="auto"),
    "signs_rgb": lambda: encode(photo(130, 100), quality=60, network="best"),
    "signs_gray_alpha_16_bit": lambda: encode(photo(50, 70, 2, 16), quality=40, network="best"),
    "signs_many_tiles": lambda: encode(photo(130, 100), quality=85, tile=64, network="best"),
    "signs_noise": lambda: encode(noise(30, 24, np.uint8), quality=95, network="best"),
    "signs_checkers": lambda: encode(checkers(40, 50), quality=100, network="best"),
    "listening_rgb": lambda: encode(photo(130, 100), quality=70, network="best"),
    "listening_rgba_16_bit": lambda: encode(photo(50, 70, 4, 16), quality=60, network="best"),
    "listening_many_tiles": lambda: encode(photo(130, 100), quality=80, tile=64, network="best"),
    "listening_noise": lambda: encode(noise(30, 24, np.uint8), quality=95, network="best"),
    "listening_tuned_for_ssim": lambda: encode(photo(90, 70), quality=60, tune="ssim", network="ssim"),
    "listening_gray_tuned_for_ssim": lambda: encode(photo(50, 70, 1), quality=80, tune="ssim", network="ssim"),
    "colors_chosen": lambda: encode(photo(50, 100), lossless=True, effort=6),
    "colors_rgba_16_bit": lambda: in_colors(photo(33, 35, 4, 16), 28),
    **{
        f"colors_{colors}": (lambda colors=colors: in_colors(photo(33, 35), colors))
        for colors in (1, 6, 9, 14, 17, 20, 21, 24, 29)
    },
    "predicted_gray": lambda: predicted(photo(35, 50, 1)),
    "predicted_rgb": lambda: predicted(photo(35, 50)),
    "predicted_rgba": lambda: predicted(photo(33, 35, 4)),
    "predicted_gray_alpha_16_bit": lambda: predicted(photo(33, 35, 2, 16)),
    "predicted_rgb_16_bit": lambda: predicted(photo(33, 35, 3, 16)),
    "predicted_many_tiles": lambda: predicted(photo(65, 67), 64),
    "predicted_one_pixel": lambda: predicted(photo(1, 1)),
    "predicted_one_row": lambda: predicted(photo(1, 100)),
    "predicted_flat_white": lambda: predicted(np.full((40, 30), 255, np.uint8)),
    "predicted_checkers": lambda: predicted(checkers(40, 50)),
    "predicted_noise_16_bit": lambda: predicted(noise(20, 24, np.uint16)),
    "filtered_by_the_encoder": lambda: encode(photo(240, 200), quality=92, effort=7, network="fast"),
    "filtered_gray": lambda: filtered(encode(photo(70, 50, 1), quality=60, network="fast"), 6, 1),
    "filtered_rgba_16_bit": lambda: filtered(encode(photo(50, 70, 4, 16), quality=60, effort=3, network="fast"), 9, 2),
    "filtered_many_tiles": lambda: filtered(encode(photo(130, 100), quality=50, tile=64, network="fast"), 5, 3),
    "filtered_one_row": lambda: filtered(encode(photo(1, 100), quality=60, network="fast"), 6, 4),
    **golden_arrays.VALID,
}


def base() -> bytes:
    """A small file that the invalid ones are made from."""
    return encode(photo(65, 40, 1), quality=60, tile=64)


def stream_of(change: Callable[[bytes], bytes]) -> bytes:
    """Change the first stream and write the file anew, so that only the entropy decoder can notice."""
    container = read(base())
    streams = [[bytes(part or b"") for part in group] for group in container.segments]
    streams[0][0] = change(streams[0][0])
    return write(container.header, streams, container.metadata)


def header_with(**changes: Any) -> bytes:
    """Change the header and keep the streams."""
    return with_header(base(), **changes)


def with_header(data: bytes, **changes: Any) -> bytes:
    """The same with another file."""
    container = read(data)
    streams = [[bytes(part or b"") for part in group] for group in container.segments]
    return write(replace(container.header, **changes), streams)


def flipped(data: bytes, at: int, bit: int = 1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= bit
    return bytes(changed)


def chunk_start(number: int) -> int:
    return read(base()).chunks[number].offset


def chunk_middle(number: int) -> int:
    chunk = read(base()).chunks[number]
    return chunk.offset + chunk.size - len(chunk.payload) // 2


def header_of_a_filter() -> bytes:
    """The header of the small file, with a filter."""
    header = replace(read(base()).header, network=1).with_filter(Filter(6, ((3,) * TAPS[0],)))
    return write_header(header)


INVALID: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "only_the_magic": lambda: base()[:4],
    "png": lambda: b"\x89PNG\r\n\x1a\n" + bytes(30),
    "newer_version": lambda: base()[:4] + b"\x02" + base()[5:],
    "version_0": lambda: base()[:4] + b"\x00" + base()[5:],
    "flip_in_header": lambda: flipped(base(), chunk_middle(0)),
    "flip_in_coarse_stream": lambda: flipped(base(), chunk_middle(1)),
    "flip_in_fine_stream": lambda: flipped(base(), chunk_middle(-1)),
    "cut_in_header": lambda: base()[:12],
    "cut_between_chunks": lambda: base()[: chunk_start(2)],
    "cut_in_last_chunk": lambda: base()[:-1],
    "byte_too_many": lambda: base() + b"\0",
    "chunks_swapped": lambda: base()[: chunk_start(1)] + base()[chunk_start(2) : chunk_start(3)]
    + base()[chunk_start(1) : chunk_start(2)] + base()[chunk_start(3) :],
    "unknown_model": lambda: header_with(fingerprint=b"unknown!"),
    "unknown_parameter_set": lambda: header_with(parameter_set=255),
    "unknown_colors": lambda: with_header(in_colors(photo(33, 35), 29), parameter_set=30),
    "colors_of_gray": lambda: with_header(encode(photo(33, 35, 1), lossless=True, effort=6), parameter_set=1),
    "predicted_stream_of_no_bytes": lambda: predicted_stream(lambda _: b""),
    "predicted_stream_with_a_word_too_many": lambda: predicted_stream(lambda stream: stream + b"\0\0"),
    "predicted_stream_with_a_word_too_few": lambda: predicted_stream(lambda stream: stream[:-2]),
    "predicted_stream_with_a_flipped_bit": lambda: predicted_stream(lambda stream: flipped(stream, len(stream) // 2)),
    "filter_of_another_spelling": lambda: base()[:5]
    + frame(Tag.HEADER, 0, header_of_a_filter() + b"\0")
    + base()[chunk_start(1) :],
    "stream_of_odd_length": lambda: stream_of(lambda stream: stream + b"\0"),
    "stream_too_short_for_states": lambda: stream_of(lambda _: b"\0\0\x01\0"),
    "stream_with_low_state": lambda: stream_of(lambda stream: b"\0\0\0\0" + stream[4:]),
    "stream_with_a_word_too_many": lambda: stream_of(lambda stream: stream + b"\0\0"),
    "stream_with_a_word_too_few": lambda: stream_of(lambda stream: stream[:-2]),
    "stream_with_a_flipped_bit": lambda: stream_of(lambda stream: flipped(stream, len(stream) // 2)),
    "streams_of_a_larger_picture": lambda: header_with(height=66, width=64),
    **golden_arrays.INVALID,
}  # fmt: skip


def digest(array: NDArray[Any]) -> str:
    """Return the SHA-256 of the numbers, little-endian, in C order."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()


def base_of(name: str) -> bytes | None:
    """The golden file that another one is a difference to."""
    base = golden_arrays.BASES.get(name)
    return (GOLDEN / "valid" / f"{base}.lac").read_bytes() if base else None


def describe_arrays(name: str, data: bytes) -> dict[str, str]:
    """The same for arrays and series."""
    found = golden_arrays.decode(name, data, base_of(name))
    if not name.startswith("series_"):
        again = golden_arrays.decode_by_reference(data, base_of(name))
        for tensor in found[0].tensors:
            assert tensor.words.tolist() == again[tensor.name], f"the two decoders disagree about {tensor.name}"
    base = golden_arrays.BASES.get(name)
    return {
        "tensors": " ".join(str(len(arrays.tensors)) for arrays in found) or "no checkpoints",
        **({"base": base} if base else {}),
        "words": golden_arrays.digest(found),
    }


def is_arrays(name: str) -> bool:
    return name.startswith(("arrays_", "series_"))


def describe_valid(name: str, data: bytes) -> dict[str, str]:
    """Say what a file decodes to; both decoders must agree before it may become golden."""
    if is_arrays(name):
        return describe_arrays(name, data)
    pixels = lac.decompress(data)
    found = image_reference.decode(data)
    pixels = pixels.reshape(found.pixels.shape)
    assert pixels.dtype == found.pixels.dtype
    assert np.array_equal(pixels, found.pixels), "the two decoders disagree"
    return {
        "model": read(data).header.fingerprint.hex(),
        "shape": " ".join(map(str, pixels.shape)),
        "type": pixels.dtype.name,
        "pixels": digest(pixels),
        "symbols": digest(found.symbols),
    }


def describe_invalid(name: str, data: bytes) -> dict[str, str]:
    """Say how a file is refused."""
    base = {"base": golden_arrays.BASES[name]} if name in golden_arrays.BASES else {}
    try:
        if is_arrays(name):
            golden_arrays.decode(name, data, base_of(name))
        else:
            lac.decompress(data)
    except FormatError as error:
        field = getattr(error, "field", "")
        return {"error": type(error).__name__, **base, **({"field": field} if field else {})}
    raise AssertionError("the file is valid")


def add(kind: str, name: str) -> None:
    """Write one golden file and its entry in the index."""
    recipes, describe = (VALID, describe_valid) if kind == "valid" else (INVALID, describe_invalid)
    target = GOLDEN / kind / f"{name}.lac"
    index = INDEX.read_text("utf-8") if INDEX.exists() else ""
    if target.exists() or f"[{kind}.{name}]" in index:
        raise SystemExit(f"{target} is golden already: golden files are never written twice")
    data = recipes[name]()
    entry = {"file": hashlib.sha256(data).hexdigest(), **describe(name, data)}
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        file.write(data)
    lines = [f"{key} = {quoted(value)}" for key, value in entry.items()]
    with INDEX.open("a", encoding="utf-8") as file:
        file.write("\n".join([f"[{kind}.{name}]", *lines, "", ""]))


def quoted(value: str) -> str:
    return "'" + value.replace("'", "") + "'"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="what to write, as valid/NAME or invalid/NAME")
    parser.add_argument("--all", action="store_true", help="every recipe that has no file yet")
    chosen = parser.parse_args(arguments)
    names: list[str] = list(chosen.names)
    if chosen.all:
        everything = [f"valid/{name}" for name in VALID] + [f"invalid/{name}" for name in INVALID]
        names += [name for name in everything if not (GOLDEN / f"{name}.lac").exists()]
    for name in names:
        kind, _, stem = name.partition("/")
        try:
            add(kind, stem)
        except LaconicError as error:
            print(f"{name}: not written: {error}", file=sys.stderr)
        else:
            print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
