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
from laconic.codecs import image, image_reference, search, stream
from laconic.codecs.targets import bytes_of_a_decibel, psnr
from laconic.container import read
from laconic.signals.image import load
from laconic.signals.rows import AbstractRowReader, RowSource
from laconic.transform import network

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


@pytest.mark.parametrize("judged", [0, 1 << 17])
def test_nothing_is_left_out_where_the_network_does_harm(judged: int, monkeypatch: pytest.MonkeyPatch):
    """On noise the correction leads away from the picture, so the plain attempt stands."""
    monkeypatch.setattr(search, "JUDGED_PIXELS", judged)
    monkeypatch.setattr(search, "STRIP", 24)
    pixels = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
    pixels[::2] = 255 - pixels[1::2]
    plain, searched = (lac.compress(pixels, quality=80, effort=effort) for effort in (6, 7))
    assert read(searched).segments == read(plain).segments


@pytest.mark.parametrize("judged", [0, 1 << 17])
@pytest.mark.parametrize("strip", [64, 100, 160])
def test_strips_of_targets_leave_no_seams(
    strip: int, judged: int, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(search, "JUDGED_PIXELS", judged)
    pixels = np.concatenate([photo[:130, :96], photo[130:0:-1, 20:116]])
    whole = lac.compress(pixels, quality=60, effort=7)
    assert whole != lac.compress(pixels, quality=60, effort=6)
    monkeypatch.setattr(search, "STRIP", strip)
    assert lac.compress(pixels, quality=60, effort=7) == whole


def test_targets_stay_where_lifting_has_room(photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    analyze = search.lifting.analyze

    def far_away(_around: NDArray[Any], targets: NDArray[Any], *_: Any, **__: Any) -> int:
        targets[...] = np.where(targets > 0, 32767, -32768)
        return -1

    def look(planes: NDArray[Any], kinds: Any, **rest: Any) -> None:
        seen.append(int(np.abs(planes.astype(np.int64)).max()))
        analyze(planes, kinds, **rest)

    monkeypatch.setattr(search, "precompensate", far_away)
    monkeypatch.setattr(search.lifting, "analyze", look)
    data = lac.compress(photo[:64, :64], quality=60, effort=7)
    assert seen[-1] == search.LIMIT
    assert lac.decompress(data).shape == (64, 64, 3)


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (2, 8), (4, 8), (3, 16), (2, 16)])
def test_every_kind_of_picture_is_searched(channels: int, depth: int):
    kitten = load(Path(__file__).parents[2] / "examples" / "kitten.jpg").pixels[120:270, 200:354]
    color = kitten if channels >= 3 else kitten[:, :, 1:2]
    pixels = np.concatenate([color, 255 - kitten[:, :, :1]], axis=2) if channels in (2, 4) else color
    pixels = pixels.astype(np.uint16) * 257 if depth == 16 else pixels
    plain, searched = (lac.compress(pixels, quality=40, effort=effort) for effort in (6, 9))
    assert searched != plain
    assert price(pixels, searched) < price(pixels, plain)
    if channels in (2, 4):
        assert np.array_equal(lac.decompress(searched)[:, :, -1], pixels[:, :, -1])
    small = lac.compress(pixels[:50, :70], quality=40, effort=9)
    assert np.array_equal(image_reference.decode(small).pixels, lac.decompress(small).reshape(50, 70, channels))


@pytest.mark.parametrize("judged", [0, 1 << 17])
def test_threads_and_tiles_change_no_byte(judged: int, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "JUDGED_PIXELS", judged)
    photo = photo[:140]
    expected = lac.ImageCodec(quality=40, effort=7, tile=64, jobs=1).encode(photo)
    monkeypatch.setattr(network, "TILE", 64)
    assert lac.ImageCodec(quality=40, effort=7, tile=64, jobs=3).encode(photo) == expected


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_draft_tells_what_an_attempt_would(channels: int, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch):
    pixels = np.concatenate([photo[:150], 255 - photo[:150, :, :1]], axis=2)
    pixels = np.ascontiguousarray(pixels[:, :, 4 - channels :])
    attempts: list[NDArray[Any]] = []
    move = search.move_targets

    def look(planes: NDArray[Any], *rest: Any) -> bool:
        attempts.append(planes.copy())
        return move(planes, *rest)

    monkeypatch.setattr(search, "move_targets", look)
    for judged in (0, 1 << 17):
        monkeypatch.setattr(search, "JUDGED_PIXELS", judged)
        lac.ImageCodec(quality=40, effort=7, tile=64).encode(pixels)
    assert np.array_equal(*attempts)


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


@pytest.mark.parametrize("asked", [{"network": "off"}, {"tune": "ssim"}], ids=str)
def test_what_cannot_be_searched_is_coded_once(asked: dict[str, Any], photo: NDArray[np.uint8]):
    pixels = photo[:64, :64]
    assert lac.compress(pixels, effort=10, **asked) == lac.compress(pixels, effort=6, **asked)


@pytest.mark.parametrize("least", [30.0, 40.0])
def test_targets_are_met_by_a_search_too(least: float, photo: NDArray[np.uint8]):
    # Of small pictures now the one attempt, now the other is smallest: neighboring steps are up to 0.1 dB apart.
    restored = lac.decompress(lac.compress(photo, psnr=least, effort=7))
    assert least <= psnr(photo, restored) <= least + 0.1
