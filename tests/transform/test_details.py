"""Laws of the details that are foretold, with networks that are random: both programs and every processor agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic import _native
from laconic.codecs import image_reference
from laconic.coder import rans
from laconic.container.layout import BANDS, TileGrid, band_place, low_size
from laconic.entropy import causal
from laconic.errors import ModelError
from laconic.models import PHOTO, default_model, load_model
from laconic.transform.details_reference import add_details
from laconic.transform.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from laconic.entropy.tables import ParameterSet

    Arrays = Callable[..., dict[str, Any]]

CODE, STEP = 300, 7000
SIDE = 64


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


def coding_of(
    parameters: ParameterSet, planes: int, details: dict[int, Network], *, wide: bool, cuts: int = 0b10101
) -> causal.TileCoding:
    factor = 257 if wide else 1
    steps = np.full(BANDS, 4000 * factor, np.uint32)
    each = [
        causal.PlaneCoding(parameters, p, p if p < 3 else 0, steps, np.full(BANDS, 300, np.uint32))
        for p in range(planes)
    ]
    return causal.TileCoding(
        each, cuts, predicts_chroma=planes >= 3, detail_step=STEP * factor,
        details={level: network.native(CODE) for level, network in details.items()},
    )  # fmt: skip


def coefficients(seed: int, shape: tuple[int, int, int], dtype: Any) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    factor = 1 if dtype == np.int16 else 256
    return np.clip(rng.laplace(0, 60, shape) * factor, -30_000 * factor, 30_000 * factor).astype(dtype)


def decoded(streams: Sequence[Sequence[bytes | None]], coding: causal.TileCoding, like: NDArray[Any]) -> NDArray[Any]:
    planes = np.zeros_like(like)
    for tile, window in enumerate(windows(*like.shape[1:])):
        causal.pop_tile(planes, window, coding, streams[tile], tile)
    return planes


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize("trellis", [False, True])
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
def test_what_is_foretold_is_added_to_what_remained(
    shape: tuple[int, int, int], levels: tuple[int, ...], trellis: bool, dtype: Any,
    network_arrays: Arrays, random_parameters: Callable[..., ParameterSet],
):  # fmt: skip
    networks = {level: Network.of(network_arrays(level, 16, 32, 2), "") for level in levels}
    parameters = random_parameters(1, 4, trellis=trellis)
    coding = coding_of(parameters, shape[0], networks, wide=dtype == np.int32)
    blind = coding_of(parameters, shape[0], {}, wide=dtype == np.int32)
    planes, used = coefficients(1, shape, dtype), _native.instruction_set()
    first: list[list[bytes]] | None = None
    try:
        for name in _native.instruction_sets():
            _native.use_instruction_set(name)
            targets = planes.copy()
            streams = [
                [rans.push(ops) for ops in causal.tables(planes, window, coding, targets=targets)]
                for window in windows(*shape[1:])
            ]
            first = first or streams
            assert streams == first
            # The same streams mean the same symbols without the networks, which is what remained.
            remained = decoded(streams, blind, planes)
            whole = decoded(streams, coding, planes)
            expected, foretold = remained.copy(), np.zeros_like(planes[0])
            for tile in range(len(streams)):
                at = places(*shape[1:], tile)
                bands = add_details([remained[0][place] for place in at], networks, code=CODE, step=coding.detail_step)
                for place, band in zip(at, bands, strict=True):
                    expected[0][place] = band
                    foretold[place] = band - remained[0][place]
            assert np.array_equal(whole, expected)
            # And the encoder took away what the decoder adds, but where either met the limits.
            low, high = (-(1 << 15), (1 << 15) - 1) if dtype == np.int16 else (-(1 << 24), 1 << 24)
            free = (whole[0] > low) & (whole[0] < high) & (targets[0] > low) & (targets[0] < high)
            assert np.array_equal((planes[0] - targets[0])[free], foretold[free])
    finally:
        _native.use_instruction_set(used)


def test_of_empty_streams_the_details_are_what_is_foretold(
    network_arrays: Arrays, random_parameters: Callable[..., ParameterSet]
):
    networks = {1: Network.of(network_arrays(3, 16, 16, 1), "")}
    coding = coding_of(random_parameters(1, 4), 1, networks, wide=False, cuts=1)
    nothing = np.zeros((1, SIDE, SIDE), np.int16)
    at = places(SIDE, SIDE, 0)
    bands = add_details([nothing[0][place] for place in at], networks, code=CODE, step=STEP)
    assert any(band.any() for band in bands)
    found = decoded([[b"", b""]], coding, nothing)
    for place, band in zip(at, bands, strict=True):
        assert np.array_equal(found[0][place], band)
    # A group that is missing has no details.
    assert not decoded([[b"", None]], coding, nothing).any()


def test_files_of_the_trellis_for_psnr_use_details_and_both_decoders_agree(photo: NDArray[np.uint8]):
    model = default_model()
    assert {model.kind_of(number) for number in np.flatnonzero(model.detail_sets).tolist()} == {"trellis"}
    assert set(model.details) == {1, 2, 3}
    for quality in (5, 50, 90):
        data = lac.ImageCodec(quality=quality, tile=64, network="off").encode(photo[:130, :90])
        assert np.array_equal(image_reference.decode(data).pixels, lac.decompress(data))


def test_regions_and_scales_are_those_of_the_whole(photo: NDArray[np.uint8]):
    data = lac.ImageCodec(quality=50, tile=64).encode(photo[:200, :260])
    whole = lac.decompress(data)
    assert np.array_equal(lac.decompress(data, region=(70, 90, 101, 60)), whole[90:150, 70:171])
    assert lac.decompress(data, scale=2).shape == (50, 65, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detail_sets": np.full(3, 1, np.uint8)}, "detail_sets"),
        ({"detail_sets": np.full(18, 2, np.uint8)}, "detail_sets"),
        ({"detail_sets": np.ones(18, np.uint8)}, "not both"),
        ({"detail2.output_scale": None}, "no array detail2.output_scale"),
        ({"detail1.": None, "detail2.": None, "detail3.": None}, "take networks"),
    ],
)
def test_models_whose_details_cannot_be_used_are_refused(changes: dict[str, Any], message: str):
    from safetensors.numpy import load, save

    arrays = load(PHOTO.read_bytes())
    for name, value in changes.items():
        if value is None:
            arrays = {key: array for key, array in arrays.items() if not key.startswith(name)}
        else:
            arrays[name] = value
    data = save(arrays, {"kind": "laconic.image", "version": "3"})
    with pytest.raises(ModelError, match=message):
        load_model(data)
