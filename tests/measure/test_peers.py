"""Every peer makes whole files that come back, and obeys the settings its description names."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from laconic.errors import UsageError
from laconic.measure import extras, roster
from laconic.measure.hevc import Hevc
from laconic.measure.jpeg_peers import MozJpeg
from laconic.measure.metrics import psnr
from laconic.measure.peers import AVIF_PSNR, Avif, Jpeg, Jpeg2000

PEERS = [peer for name, peer in roster.ROSTER.items() if not name.startswith("laconic")]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    y, x = np.mgrid[:96, :130]
    planes = [np.sin(x / 9) + np.cos(y / 5), np.sin((x + y) / 13), np.cos(x * y / 900)]
    grain = np.random.default_rng(3).normal(0, 6, (96, 130, 3))
    return np.clip(128 + 45 * np.stack(planes, -1) + grain, 0, 255).astype(np.uint8)


def available(peer) -> None:
    if why := roster.why_not(peer):
        pytest.skip(why)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_file_comes_back(peer, pixels):
    available(peer)
    lowest, highest = peer.qualities[0], peer.qualities[-1]
    small, large = peer.encode(pixels, lowest), peer.encode(pixels, highest)
    restored = peer.decode(large)
    assert restored.shape == pixels.shape
    assert restored.dtype == np.uint8
    assert peer.version()
    if peer.lossless:
        assert np.array_equal(restored, pixels)
    else:
        assert len(small) < len(large)
        assert psnr(pixels, peer.decode(small)) < psnr(pixels, restored)


def test_jpeg_is_420_and_optimized(pixels):
    data = Jpeg().encode(pixels, 75)
    with Image.open(io.BytesIO(data)) as image:
        assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]
    plain = io.BytesIO()
    Image.fromarray(pixels).save(plain, "JPEG", quality=75, subsampling="4:2:0", optimize=False)
    assert len(data) < len(plain.getvalue())


def test_avif_tuning_reaches_the_encoder(pixels):
    available(AVIF_PSNR)
    plain, tuned = Avif().encode(pixels, 50), AVIF_PSNR.encode(pixels, 50)
    assert plain != tuned
    # 4:4:4 at 8 bits, as the av1C box says: neither of the subsampling bits, no high bit depth.
    for data in (plain, tuned):
        flags = data[data.index(b"av1C") + 6]
        assert flags & 0b01001100 == 0


def test_jpeg2000_transforms_color_and_meets_its_rate(pixels):
    available(Jpeg2000())
    data = Jpeg2000().encode(pixels, 2.0)
    assert 8 * len(data) / (96 * 130) == pytest.approx(2.0, rel=0.15)
    # In the coding style segment (COD) byte 8 is the color transform and byte 13 the wavelet (0 is 9/7).
    style = data[data.index(b"\xff\x52") :]
    assert (style[8], style[13]) == (1, 0)


def test_mozjpeg_is_420_and_progressive(pixels):
    available(MozJpeg())
    with Image.open(io.BytesIO(MozJpeg().encode(pixels, 75))) as image:
        assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]
        assert image.info["progressive"]


def test_hevc_is_one_bare_frame_of_any_size(pixels):
    available(Hevc())
    odd = np.ascontiguousarray(pixels[:95, :129])
    data = Hevc().encode(odd, -12)
    # Annex B start code, then a video parameter set (type 32); no text of the encoder's settings.
    assert data.startswith(b"\0\0\0\1\x40")
    assert b"x265" not in data
    assert psnr(odd, Hevc().decode(data)) > 40


def test_a_peer_that_cannot_run_says_why(monkeypatch):
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", absent)
    assert roster.why_not(Jpeg()) == ""
    for name in ("hevc", "mozjpeg", "jpegli", "jxl"):
        assert "is needed to measure" in roster.why_not(roster.ROSTER[name])


def test_names():
    assert {"hevc", "avif-s3", "jxl-e9"} <= {peer.name for peer in roster.named("all")}
    assert [peer.name for peer in roster.named("jpeg, AVIF,jpeg")] == ["jpeg", "avif", "avif-psnr"]
    with pytest.raises(UsageError, match="unknown codec 'gif'"):
        roster.named("gif")


def test_a_missing_package_says_what_to_install():
    with pytest.raises(UsageError, match=r"pip install \"laconic\[bench\]\""):
        extras.need("surely_not_installed_here", "for this test")
