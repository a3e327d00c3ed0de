"""Laws of the details that are foretold, with networks that are random: both programs and every processor agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic import _native
from laconic.codecs import image_reference
from laconic.coder import rans
from laconic.coder.rans_reference import RansReader
from laconic.container import read
from laconic.container.layout import BANDS, TileGrid, band_place, groups, low_size
from laconic.entropy import causal
from laconic.entropy.causal_reference import PlaneModel, TileReader
from laconic.entropy.details_reference import Foretelling
from laconic.errors import ModelError
from laconic.models import default_model, load_model
from laconic.quantize.uniform import dequantize
from laconic.transform.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from laconic.entropy.tables import ParameterSet

    Arrays = Callable[..., dict[str, Any]]

CODE, BASE, STEP, CUTS, SIDE = 300, 7000, 4000, 0b10101, 64


def windows(height: int, width: int) -> list[tuple[int, int, int, int]]:
    grid = TileGrid(height, width, SIDE)
    found = [grid.pixels(tile) for tile in range(grid.count)]
    return [(w.top, w.left, w.bottom - w.top, w.right - w.left) for w in found]


def places(height: int, width: int, tile: int) -> list[tuple[slice, slice]]:
    """Return where the bands of a tile lie in the array of all bands."""
    found: list[tuple[slice, slice]] = []
    for band in range(BANDS):
        window = TileGrid(height, width, SIDE).window(tile, band)
        level, orientation = band_place(band)
        down = low_size(height, level) if orientation in (1, 2) else 0
        right = low_size(width, level) if orientation in (0, 2) else 0
        found.append((slice(window.top + down, window.bottom + down), slice(window.left + right, window.right + right)))
    return found


def coding_of(parameters: ParameterSet, planes: int, networks: dict[int, Network], *, wide: bool) -> causal.TileCoding:
    factor = 257 if wide else 1
    steps, lambdas = np.full(BANDS, STEP * factor, np.uint32), np.full(BANDS, 300, np.uint32)
    each = [causal.PlaneCoding(parameters, p, p if p < 3 else 0, steps, lambdas) for p in range(planes)]
    return causal.TileCoding(
        each, CUTS, detail_step=BASE * factor,
        details={level: network.native(CODE) for level, network in networks.items()},
    )  # fmt: skip


def coefficients(seed: int, shape: tuple[int, int, int], dtype: Any) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    factor = 1 if dtype == np.int16 else 256
    return np.clip(rng.laplace(0, 30, shape) * factor, -30_000 * factor, 30_000 * factor).astype(dtype)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize(("trellis", "mixes"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((1, 1, 1), (1,)),
        ((1, 64, 64), (1, 2, 3)),
        ((3, 70, 50), (1, 2, 3)),
        ((4, 65, 131), (1, 3)),
        ((2, 3, 100), (2,)),
        ((3, 100, 1), (6, 1)),
    ],
)
def test_both_decoders_find_the_encoders_symbols(
    shape: tuple[int, int, int], levels: tuple[int, ...], trellis: bool, mixes: bool, dtype: Any,
    network_arrays: Arrays, random_parameters: Callable[..., ParameterSet],
):  # fmt: skip
    wide = dtype == np.int32
    networks = {level: Network.of(network_arrays(level, 16, 32, 2), "") for level in levels}
    parameters = random_parameters(1, 4, trellis=trellis, mixes=mixes, foretells=True)
    coding = coding_of(parameters, shape[0], networks, wide=wide)
    planes, used = coefficients(1, shape, dtype), _native.instruction_set()
    found: set[tuple[bytes, bytes, bytes]] = set()
    streams: list[list[bytes]] = []
    symbols, told = np.zeros(shape, np.int32), np.zeros((2, *shape[1:]), np.int8)
    decoded = np.zeros_like(planes)
    try:
        for name in _native.instruction_sets():
            _native.use_instruction_set(name)
            symbols[...], told[...], decoded[...] = 0, 0, 0
            streams = [
                [rans.push(ops) for ops in causal.tables(planes, window, coding, symbols, told=told)]
                for window in windows(*shape[1:])
            ]
            for tile, window in enumerate(windows(*shape[1:])):
                causal.pop_tile(decoded, window, coding, streams[tile], tile)
            found.add((b"".join(b"".join(groups) for groups in streams), symbols.tobytes(), decoded.tobytes()))
    finally:
        _native.use_instruction_set(used)
    assert len(found) == 1
    models = [PlaneModel(parameters, p, p if p < 3 else 0) for p in range(shape[0])]
    step = STEP * (257 if wide else 1)
    foretelling = Foretelling(networks, CODE, coding.detail_step, [step] * BANDS, wide)
    for tile, groups_of_tile in enumerate(streams):
        at = places(*shape[1:], tile)
        reader = TileReader(models, [decoded[0][place].shape for place in at], foretell=foretelling)  # type: ignore[misc]
        for group, of_levels in enumerate(groups(CUTS)):
            if groups_of_tile[group]:
                stream = RansReader(groups_of_tile[group])
                reader.pop_group(stream, of_levels, lowest=group == 0)
                stream.finish()
        low, high = foretelling.limits
        for plane in range(shape[0]):
            for band, place in enumerate(at):
                assert np.array_equal(symbols[plane][place], reader.symbols[plane][band])
                value = dequantize(reader.symbols[plane][band], step, reader.offsets[plane][band] if band else 0)
                assert np.array_equal(decoded[plane][place], np.clip(value, low, high))
        for level in levels:
            first = 1 + 3 * (6 - level)
            for o, (magnitude, side) in enumerate(foretelling(level, reader.symbols[0], reader.offsets[0]) or []):
                assert np.array_equal(told[0][at[first + o]], magnitude)
                assert np.array_equal(told[1][at[first + o]], side)
    if min(shape[1:]) > 60:
        assert len(np.unique(told[1])) > 4
        blind = coding_of(parameters, shape[0], {}, wide=wide)
        assert [rans.push(ops) for ops in causal.tables(planes, windows(*shape[1:])[0], blind)] != streams[0]


def test_nothing_takes_no_bytes(network_arrays: Arrays, random_parameters: Callable[..., ParameterSet]):
    networks = {1: Network.of(network_arrays(3, 16, 16, 1), "")}
    coding = coding_of(random_parameters(1, 4, foretells=True), 1, networks, wide=False)
    nothing = np.zeros((1, SIDE, SIDE), np.int16)
    streams = [rans.push(ops) for ops in causal.tables(nothing, (0, 0, SIDE, SIDE), coding)]
    assert not any(streams)
    decoded = nothing.copy()
    causal.pop_tile(decoded, (0, 0, SIDE, SIDE), coding, streams)
    assert not decoded.any()


@pytest.mark.parametrize("tune", ["psnr", "ssim"])
def test_files_of_the_trellis_know_what_is_foretold_and_both_decoders_agree(photo: NDArray[np.uint8], tune: str):
    model = default_model()
    kinds = {model.kind_of(number) for number, of in enumerate(model.lossy) if of.foretells}
    assert kinds == {"foretold", "ssim"}
    assert set(model.details) == {1, 2, 3}
    for quality in (5, 50, 90):
        network = "ssim" if tune == "ssim" else "best"
        data = lac.ImageCodec(quality=quality, tile=64, network=network, tune=tune).encode(photo[:130, :90])
        assert model.lossy[read(data).header.parameter_set].foretells
        assert np.array_equal(image_reference.decode(data).pixels, lac.decompress(data))


def test_a_network_that_is_not_there_foretells_nothing(random_parameters: Callable[..., ParameterSet]):
    planes, window = coefficients(2, (3, 64, 64), np.int16), (0, 0, 64, 64)
    knows, plain = (random_parameters(1, 4, foretells=foretells) for foretells in (True, False))
    codings = [coding_of(parameters, 3, {}, wide=False) for parameters in (knows, plain)]
    streams = [[rans.push(ops) for ops in causal.tables(planes, window, coding)] for coding in codings]
    assert streams[0] == streams[1]


def test_regions_and_scales_are_those_of_the_whole(photo: NDArray[np.uint8]):
    data = lac.ImageCodec(quality=50, tile=64).encode(photo[:144, :200])
    whole = lac.decompress(data)
    assert np.array_equal(lac.decompress(data, region=(70, 50, 101, 60)), whole[50:110, 70:171])
    assert lac.decompress(data, scale=2).shape == (36, 50, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detail2.output_scale": None}, "no array detail2.output_scale"),
        ({"detail1.": None, "detail2.": None, "detail3.": None}, "take networks"),
        ({"foretold2.detail_weight": None}, "no array foretold2.detail_weight"),
        ({"ssim2.detail_weight": np.zeros((3, 18), np.uint8)}, "ssim2.detail_weight"),
        ({"foretold2.": None}, "as many sets"),
        (
            {
                "lossless.detail_weight": np.zeros((4, 19), np.uint8),
                "lossless.detail_sign_freq": np.full((4, 19, 7, 27), 8192, np.uint16),
            },
            "lossless set",
        ),
    ],
)
def test_models_whose_details_cannot_be_used_are_refused(
    changes: dict[str, Any], message: str, altered_model: Callable[[dict[str, Any]], bytes]
):
    with pytest.raises(ModelError, match=message):
        load_model(altered_model(changes))


@pytest.mark.parametrize(("name", "value"), [("detail_weight", 255), ("detail_sign_freq", 0)])
def test_values_that_would_overflow_or_code_nothing_are_refused(
    name: str, value: int, random_arrays: Callable[..., dict[str, NDArray[Any]]]
):
    from laconic.entropy.tables import ParameterSet

    arrays = random_arrays(1, 3, foretells=True)
    arrays["weights"][0, 17] = np.where(np.arange(57) < 12, 42, 0)
    assert ParameterSet.of(arrays | {"detail_weight": arrays["detail_weight"] * 0}).native
    arrays[name][0, 17] = value
    with pytest.raises(ModelError, match="in band 17"):
        _ = ParameterSet.of(arrays).native
