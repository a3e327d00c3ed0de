"""The benches' own context model, written with whole-band operations, makes the very operations of the native one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laconic.codecs.image import Analysis, ImageCodec
from laconic.codecs.tiles import pixel_window, tile_coding
from laconic.container.layout import BANDS, TileGrid
from laconic.entropy import causal
from laconic.transform.workers import Workers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("context_twin", ROOT / "bench" / "context_twin.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    with Image.open(ROOT / "examples" / "circuit.jpg") as image:
        return np.asarray(image.convert("RGB"))


def coded(pixels: np.ndarray, quality: int, tile: int, effort: int = 3):
    """Symbols of a picture, its grid, cuts and parameters, and the coding that takes symbols as they are."""
    codec = ImageCodec(quality=quality, jobs=1, tile=tile, effort=effort)
    with Workers(1) as workers:
        analysis = Analysis.of(np.ascontiguousarray(pixels), lossless=False, workers=workers)
        header = codec.header_at(analysis, int(analysis.model.quality_codes[quality]))
        symbols = np.zeros(analysis.planes.shape, np.int32)
        streams, coding = codec.code_tiles(analysis, header, workers, symbols)
        told = np.zeros((2, *symbols.shape[1:]), np.int8)
        for number in range(TileGrid.of(header).count):
            causal.tables(analysis.planes, pixel_window(TileGrid.of(header), number), coding, told=told)
    parameters = analysis.model.lossy[header.parameter_set]
    zeros = np.zeros(BANDS, np.uint32)
    coding = causal.TileCoding([causal.PlaneCoding(parameters, p, p, zeros, zeros) for p in range(3)], header.cuts)
    return symbols, TileGrid.of(header), header.cuts, parameters, coding, streams, told


@pytest.mark.parametrize("quality", [0, 40, 100])
@pytest.mark.parametrize(("height", "width", "tile"), [(101, 140, 64), (131, 197, 128), (67, 129, 512), (3, 5, 512)])
def test_same_operations(twin, photo, height, width, tile, quality):
    symbols, grid, cuts, parameters, coding, *_ = coded(photo[:height, :width], quality, tile)
    for number in range(grid.count):
        found = twin.operations(symbols, grid, number, cuts, [(parameters, p, p) for p in range(3)])
        twin.check(found, causal.tables(symbols.astype(np.int16), pixel_window(grid, number), coding))


@pytest.mark.parametrize("tune", ["psnr", "ssim"])
def test_same_operations_along_a_trellis(twin, photo, tune):
    codec = ImageCodec(quality=50, jobs=1, tile=64, tune=tune)
    with Workers(1) as workers:
        analysis = Analysis.of(np.ascontiguousarray(photo[:101, :140]), lossless=False, workers=workers)
    header = codec.header_at(analysis, int(analysis.model.quality_codes[50]))
    parameters, grid = analysis.model.lossy[header.parameter_set], TileGrid.of(header)
    coding = tile_coding(header, analysis.model, codec.decisions, predicts_chroma=False)
    symbols = np.zeros(analysis.planes.shape, np.int32)
    windows = [pixel_window(grid, number) for number in range(grid.count)]
    told = np.zeros((2, *symbols.shape[1:]), np.int8)
    native = [causal.tables(analysis.planes, window, coding, symbols, told=told) for window in windows]
    assert told.any()
    assert parameters.listens
    codings, networks = [(parameters, p, p) for p in range(3)], analysis.model.contexts
    for number in range(grid.count):
        found = twin.operations(symbols, grid, number, header.cuts, codings, told, networks, header.step_code)
        twin.check(found, native[number])
    if parameters.listens:
        with pytest.raises(SystemExit, match="first difference"):
            twin.check(twin.operations(symbols, grid, 0, header.cuts, codings, told), native[0])


@pytest.mark.parametrize("effort", [3, 5])
def test_real_streams_hold_little_more_than_the_information(twin, photo, effort):
    symbols, grid, cuts, parameters, _, streams, told = coded(photo, 60, 512, effort)
    bits = [
        [one.bits for one in twin.operations(symbols, grid, number, cuts, [(parameters, p, p) for p in range(3)], told)]
        for number in range(grid.count)
    ]
    for group, of_tiles in enumerate(streams):
        for number, stream in enumerate(of_tiles):
            information = bits[number][group] / 8
            assert information <= len(stream) <= 1.01 * information + 16


def test_a_difference_is_noticed(twin, photo):
    symbols, grid, cuts, parameters, coding, *_ = coded(photo[:64, :64], 60, 512)
    native = causal.tables(symbols.astype(np.int16), pixel_window(grid, 0), coding)
    at = np.unravel_index(np.argmax(np.abs(symbols)), symbols.shape)
    symbols[at] += 1
    found = twin.operations(symbols, grid, 0, cuts, [(parameters, p, p) for p in range(3)])
    with pytest.raises(SystemExit, match="first difference"):
        twin.check(found, native)
