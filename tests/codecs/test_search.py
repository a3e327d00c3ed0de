"""The encoder's search: files that are never worse, and the same for any number of threads and tiles."""

from __future__ import annotations

import io
import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic.codecs import image, image_reference, stream
from laconic.codecs.targets import bytes_of_a_decibel, psnr
from laconic.container import read
from laconic.models import default_model
from laconic.signals.image import load
from laconic.signals.rows import AbstractRowReader, RowSource
from laconic.transform import network_gradient
from laconic.transform.network import Network
from laconic.transform.network_gradient import wanted_planes
from laconic.transform.network_reference import correct
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray


def price(pixels: NDArray[Any], data: bytes) -> float:
    """The logarithm of what a file is worth in bytes, given its PSNR."""
    code = read(data).header.step_code
    return math.log(len(data)) - bytes_of_a_decibel(code) * psnr(pixels, lac.decompress(data).reshape(pixels.shape))


@pytest.mark.parametrize("quality", [40, 70])
def test_more_passes_are_never_worse(quality: int, photo: NDArray[np.uint8]):
    pixels = photo[:112, :128]
    prices = [price(pixels, lac.compress(pixels, quality=quality, effort=effort)) for effort in range(6, 10)]
    # The search compares streams, files have some fifty bytes more.
    assert all(later <= sooner + 1e-3 for sooner, later in itertools.pairwise(prices))


def test_the_search_saves_bytes_where_there_are_any_to_save():
    saved: list[float] = []
    for name in ("hallway", "kitten"):
        pixels = np.ascontiguousarray(
            load(Path(__file__).parents[2] / "examples" / f"{name}.jpg").pixels[120:232, 200:328]
        )
        plain, searched = (lac.compress(pixels, quality=40, effort=effort) for effort in (6, 9))
        saved.append(price(pixels, plain) - price(pixels, searched))
    assert min(saved) >= 0
    assert sum(saved) > 0.03


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (2, 8), (4, 8), (3, 16), (2, 16)])
def test_every_kind_of_picture_is_searched(channels: int, depth: int):
    kitten = load(Path(__file__).parents[2] / "examples" / "kitten.jpg").pixels[120:270, 200:354]
    color = kitten if channels >= 3 else kitten[:, :, 1:2]
    pixels = np.concatenate([color, 255 - kitten[:, :, :1]], axis=2) if channels in (2, 4) else color
    pixels = pixels.astype(np.uint16) * 257 if depth == 16 else pixels
    plain, searched = (lac.compress(pixels, quality=40, effort=effort) for effort in (6, 9))
    assert searched != plain
    assert price(pixels, searched) < price(pixels, plain)
    restored = lac.decompress(searched)
    assert np.array_equal(image_reference.decode(searched).pixels, restored.reshape(pixels.shape))
    if channels in (2, 4):
        assert np.array_equal(restored.reshape(pixels.shape)[:, :, -1], pixels[:, :, -1])


def test_threads_and_tiles_change_no_byte(photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch):
    photo = photo[:140]
    expected = lac.ImageCodec(quality=40, effort=7, tile=64, jobs=1).encode(photo)
    monkeypatch.setattr(network_gradient, "TILE", 64)
    assert lac.ImageCodec(quality=40, effort=7, tile=64, jobs=3).encode(photo) == expected


class Rows(AbstractRowReader):
    def __init__(self, pixels: NDArray[Any]) -> None:
        self.pixels = pixels

    def read(self, count: int) -> NDArray[Any]:
        return self.pixels[:count]

    def close(self) -> None:
        self.pixels = self.pixels[:0]


@pytest.mark.parametrize("largest", [1 << 25, 1])
def test_rows_give_the_bytes_of_the_whole(photo: NDArray[np.uint8], largest: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image, "MAX_SEARCHED_PIXELS", largest)
    codec = lac.ImageCodec(quality=40, effort=7, tile=64)
    source = RowSource(*photo.shape, photo.dtype.type, lambda: Rows(photo))
    sink = io.BytesIO()
    whole = codec.encode(photo)
    if largest > 1:
        with stream.encode_rows(codec, source) as spool:
            spool.write(sink)
        assert sink.getvalue() == whole
    else:
        assert whole == lac.ImageCodec(quality=40, effort=6, tile=64).encode(photo)


@pytest.mark.parametrize("asked", [{"network": "off"}, {"tune": "ssim"}, {"lossless": True}], ids=str)
def test_what_cannot_be_searched_is_coded_once(asked: dict[str, Any], photo: NDArray[np.uint8]):
    pixels = photo[:64, :64]
    assert lac.compress(pixels, effort=10, **asked) == lac.compress(pixels, effort=6, **asked)


@pytest.mark.parametrize("least", [30.0, 40.0])
def test_targets_are_met_by_a_search_too(least: float, photo: NDArray[np.uint8]):
    pixels = photo  # of a much smaller one the PSNR of neighboring steps is up to 0.1 dB apart
    restored = lac.decompress(lac.compress(pixels, psnr=least, effort=7))
    assert least <= psnr(pixels, restored) <= least + 0.05


def linear_network() -> Network:
    """A network whose leaky ReLUs stay positive, so that it is linear but for rounding."""
    random = np.random.default_rng(3)
    c, n, e, knots = 16, 1, 16, 13

    def weights(*shape: int) -> NDArray[np.int16]:
        return random.integers(-2000, 2000, shape).astype(np.int16)

    def factors(*shape: int) -> NDArray[np.int32]:
        return np.full(shape, 1 << 16, np.int32)

    return Network(
        input_weight=weights(c, 48), mix_weight=weights(n, c, c), merge_weight=weights(n, c, c),
        expand_weight=weights(n, e, c), contract_weight=weights(n, c, e), output_weight=weights(48, c),
        spread_weight=weights(n, c, 9),
        input_scale=factors(knots, c), input_bias=np.zeros((knots, c), np.int32),
        mix_scale=factors(knots, n, c), mix_bias=factors(knots, n, c) * 4,
        expand_scale=factors(knots, n, e), expand_bias=factors(knots, n, e) * 4,
        output_scale=factors(knots, 48), output_bias=np.zeros((knots, 48), np.int32),
        exponents=np.full(7, 14, np.uint8), codes=np.array([0, 767], np.uint16),
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_the_gradient_is_that_of_the_network(dtype: Any):
    """Of a linear network N(x) = J x + b: the planes asked for less the error corrected are J' of that error."""
    network = linear_network()
    unit = 1 if dtype == np.int16 else 257
    random = np.random.default_rng(4)
    x = (random.integers(-1000, 1000, (3, 24, 20)) * unit).astype(dtype)
    code, step = 300, 400_000 * unit

    def shown(planes: NDArray[Any]) -> NDArray[np.float64]:
        return correct(planes, network, code=code, step=step).astype(np.float64)

    original = (shown(x) + random.integers(-90, 90, x.shape) * unit).astype(dtype)
    error = original - shown(x)
    with Workers(1) as workers:
        wanted = wanted_planes(x, original, network, code=code, step=step, workers=workers)
    pulled = wanted - x - error
    direction = (np.sign(pulled) * 300 * unit).astype(dtype)
    moved = (shown(x + direction) - shown(x - direction)) / 2 - direction
    expected, found = np.vdot(error, moved), np.vdot(pulled, direction)
    assert abs(expected) > 0.01 * np.linalg.norm(error) * np.linalg.norm(moved)
    assert found == pytest.approx(expected, rel=0.05)


def test_the_gradient_of_the_shipped_network_lessens_the_error(photo: NDArray[np.uint8]):
    """One step of descent on the decoded planes themselves, with no quantizer between."""
    from laconic.transform import color

    network = default_model().networks["best"]
    with Workers(1) as workers:
        original = color.analyze(np.ascontiguousarray(photo[:128, :128]), lossless=False, workers=workers)
        noise = np.random.default_rng(1).integers(-60, 60, original.shape)
        x = (original + noise).astype(np.int16)
        choice = {"code": 350, "step": 45_000}
        before = np.square(original - correct(x, network, **choice).astype(np.int64)).mean()
        wanted = wanted_planes(x, original, network, **choice, workers=workers)
        nearer = (x + (wanted - x) // 2).astype(np.int16)
        after = np.square(original - correct(nearer, network, **choice).astype(np.int64)).mean()
    assert after < 0.6 * before
