"""A region is the same crop of the whole picture to the last bit, at any scale; a scale is a low band, seen."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic.codecs import image_reference
from laconic.container import read, write
from laconic.errors import UsageError
from laconic.transform import color_reference, lifting_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from laconic.models import ImageModel

KINDS = [*product((1, 2, 3, 4), (8,), (False, True)), (4, 16, False), (3, 16, True)]


def ceil_shift(value: int, shift: int) -> int:
    return -(-value >> shift)


def cropped(whole: NDArray[Any], region: tuple[int, int, int, int], scale: int) -> NDArray[Any]:
    x, y, width, height = region
    return whole[
        y >> scale : ceil_shift(y + height, scale),
        x >> scale : ceil_shift(x + width, scale),
    ]


@pytest.mark.parametrize(("channels", "depth", "lossless"), KINDS)
def test_a_region_is_a_crop_at_every_scale(
    channels: int, depth: int, lossless: bool, variants: Callable[..., NDArray[Any]]
):
    pixels = variants(141, 199, channels, depth)
    effort = 6 if lossless else 7  # by the wavelet; predicted samples have tests of their own
    codec = lac.ImageCodec(quality=None if lossless else 70, lossless=lossless, tile=64, effort=effort)
    data = codec.encode(pixels)
    rng = np.random.default_rng(channels)
    for scale in range(6):
        whole = lac.decompress(data, scale=scale)
        assert whole.shape[:2] == (ceil_shift(141, scale), ceil_shift(199, scale))
        regions = [(0, 0, 199, 141), (198, 140, 1, 1), (0, 0, 1, 1), (63, 63, 2, 2), (0, 70, 199, 1), (100, 0, 1, 141)]
        for _ in range(8):
            x, y = int(rng.integers(199)), int(rng.integers(141))
            regions.append((x, y, int(rng.integers(1, 200 - x)), int(rng.integers(1, 142 - y))))
        for region in regions:
            found = lac.decompress(data, region=region, scale=scale, jobs=int(rng.integers(1, 4)))
            assert np.array_equal(found, cropped(whole, region, scale)), (region, scale)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (65, 2), (33, 47)])
def test_small_pictures_have_regions_and_scales_too(size: tuple[int, int], variants: Callable[..., NDArray[Any]]):
    height, width = size
    data = lac.compress(variants(height, width, 3, 8), quality=60)
    for scale in range(6):
        whole = lac.decompress(data, scale=scale)
        assert whole.shape[:2] == (ceil_shift(height, scale), ceil_shift(width, scale))
        region = (width // 2, height // 2, width - width // 2, height - height // 2)
        assert np.array_equal(lac.decompress(data, region=region, scale=scale), cropped(whole, region, scale))


@pytest.mark.parametrize(("channels", "lossless"), [(3, False), (4, False), (2, True)])
def test_a_scale_is_the_low_band_by_the_reference(
    channels: int, lossless: bool, variants: Callable[..., NDArray[Any]], monkeypatch: pytest.MonkeyPatch
):
    codec = lac.ImageCodec(quality=None if lossless else 60, lossless=lossless, network="off", effort=6)
    data = codec.encode(variants(77, 101, channels, 8))
    decoded = image_reference.decode(data)
    for scale in range(1, 6):
        monkeypatch.setattr(lifting_reference, "LEVELS", 6 - scale)
        low = decoded.coefficients[:, : ceil_shift(77, scale), : ceil_shift(101, scale)]
        alpha = channels in (2, 4)
        planes = [
            lifting_reference.synthesize(plane, reversible=lossless or (alpha and number == channels - 1))
            for number, plane in enumerate(low)
        ]
        expected = color_reference.synthesize(np.stack(planes), lossless=lossless)
        assert np.array_equal(lac.decompress(data, scale=scale), expected)


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (3, 8), (4, 8), (3, 16)])
def test_a_region_through_the_network_is_a_crop_too(
    channels: int, depth: int, networked: ImageModel, variants: Callable[..., NDArray[Any]]
):
    assert "fast" in networked.networks
    pixels = variants(141, 199, channels, depth)
    data = lac.ImageCodec(quality=30, tile=64).encode(pixels)
    whole = lac.decompress(data)
    assert np.array_equal(whole.reshape(pixels.shape), image_reference.decode(data).pixels)
    assert not np.array_equal(whole, lac.decompress(data, network="off"))
    if channels == 4:
        assert np.array_equal(whole[:, :, 3], pixels[:, :, 3])
    rng = np.random.default_rng(depth)
    for _ in range(25):
        x, y = int(rng.integers(199)), int(rng.integers(141))
        region = (x, y, int(rng.integers(1, 200 - x)), int(rng.integers(1, 142 - y)))
        assert np.array_equal(lac.decompress(data, region=region), cropped(whole, region, 0)), region
    # A smaller scale is without the network; another network than the file's may be asked for, if there is one.
    assert np.array_equal(lac.decompress(data, scale=1), lac.decompress(data, scale=1, network="off"))
    with pytest.raises(UsageError):
        lac.decompress(data, network="best")


def test_the_network_changes_no_stream(networked: ImageModel, photo: NDArray[np.uint8]):
    files = [read(lac.ImageCodec(quality=40, network=name).encode(photo)) for name in ("off", "fast")]
    assert networked.networks
    assert [container.header.network for container in files] == [0, 1]
    first, second = ([[bytes(part or b"") for part in group] for group in file.segments] for file in files)
    assert first == second


def test_only_the_needed_tiles_and_groups_are_read(photo: NDArray[np.uint8]):
    """Damage outside of what a view needs, found by its stream's own content only, does no harm."""
    data = lac.ImageCodec(quality=70, tile=64, network="off").encode(photo)
    container = read(data)
    far = [[bytes(part or b"") for part in group] for group in container.segments]
    far[-1][-1] = b"\xff" * 9  # (the coarsest levels are needed far around: they are small)
    bad = write(container.header, far, container.metadata)
    with pytest.raises(lac.errors.CorruptStream):
        lac.decompress(bad)
    assert np.array_equal(lac.decompress(bad, region=(0, 0, 50, 50)), lac.decompress(data)[:50, :50])

    fine = [[bytes(part or b"") for part in group] for group in container.segments]
    fine[-1] = [b"\xff" * 9] * len(fine[-1])
    bad = write(container.header, fine, container.metadata)
    assert np.array_equal(lac.decompress(bad, scale=1), lac.decompress(data, scale=1))


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 201, 10),
        (0, 0, 10, 145),
        (-1, 0, 5, 5),
        (0, 0, 0, 5),
        (200, 0, 1, 1),
        (0, 0, 1),
        (0.5, 0, 1, 1),
        "abcd",
        7,
        (0, 0, float("nan"), 1),
        (0, 0, True, 1),
        (0, 0, None, 1),
        (0, 0, 1 << 70, 1),
    ],
    ids=str,
)
def test_regions_outside_the_picture_are_refused(region: Any, photo: NDArray[np.uint8]):
    data = lac.compress(photo, quality=10)
    with pytest.raises(UsageError):
        lac.decompress(data, region=region)


@pytest.mark.parametrize("scale", [-1, 6, 1000, 0.5, 1.0, "1", True])
def test_other_scales_are_refused(scale: Any, photo: NDArray[np.uint8]):
    data = lac.compress(photo, quality=10)
    with pytest.raises(UsageError):
        lac.decompress(data, scale=scale)
