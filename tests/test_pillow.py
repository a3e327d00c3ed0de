"""Pillow, and imageio through it, read and write `.lac` as any other format: lazily, and with their usual errors."""

from __future__ import annotations

import copy
import io
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

import laconic as lac
import laconic.pillow
from laconic.container import Header, write
from laconic.container.layout import TileGrid, groups
from laconic.models import default_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PHOTO = Path(__file__).parents[1] / "examples" / "kitten.jpg"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def exif(orientation: int = 1) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x010F] = "a camera"
    return found


def saved(picture: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "LAC", **options)
    return stream.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.fixture(scope="module")
def data(photo: NDArray[np.uint8]) -> bytes:
    return saved(Image.fromarray(photo), quality=60, icc_profile=SRGB, exif=exif(), xmp=XMP)


# Pixels


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_every_mode_comes_back_without_loss(variants: Callable[..., NDArray[Any]], mode: str):
    channels = 1 if mode == "I;16" else len(Image.getmodebandnames(mode))
    pixels = variants(50, 60, channels, 16 if mode == "I;16" else 8)
    picture = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    assert picture.mode == mode
    found = opened(saved(picture, lossless=True))
    assert (found.mode, found.size) == (mode, picture.size)
    assert np.array_equal(np.asarray(found), np.asarray(picture))


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["1", "P", "L", "LA", "RGB", "RGBA"]), st.integers(0))
def test_any_small_picture_comes_back_without_loss(width: int, height: int, mode: str, seed: int):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    picture = Image.fromarray(pixels).convert("RGB" if mode == "P" else mode).convert(mode)
    found = opened(saved(picture, lossless=True))
    assert np.array_equal(np.asarray(found.convert("RGBA")), np.asarray(picture.convert("RGBA")))


def test_it_is_the_same_file_and_the_same_pixels_as_without_pillow(photo: NDArray[np.uint8]):
    picture = Image.fromarray(photo)
    targets = ({"quality": 40}, {"bpp": 1.0}, {"psnr": 36.0}, {"size": 4000}, {"lossless": True, "effort": 2}, {})
    for options in (*targets, {"quality": 50, "tune": "ssim"}):
        data = saved(picture, **options)
        assert data == lac.compress(photo, **options)
        assert np.array_equal(np.asarray(opened(data)), lac.decompress(data))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_deep_color_comes_as_its_high_bytes_like_png(variants: Callable[..., NDArray[Any]], channels: int):
    pixels = variants(30, 40, channels, 16)
    found = opened(lac.compress(pixels, lossless=True))
    assert found.mode == {2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    assert np.array_equal(np.asarray(found), (pixels >> 8).astype(np.uint8))


def test_big_endian_gray_is_written_too():
    values = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    picture = Image.frombytes("I;16B", (30, 20), values.astype(">u2").tobytes())
    assert np.array_equal(np.asarray(opened(saved(picture, lossless=True))), values)


# Lazily


def test_open_reads_no_coefficients():
    large = np.random.default_rng(1).integers(0, 256, (700, 700, 3), np.uint8)
    stream = Counting(lac.compress(large, lossless=True, effort=6, icc=SRGB, exif=exif().tobytes(), xmp=XMP))
    picture = Image.open(stream)
    assert picture.size == (700, 700)
    assert picture.info["xmp"] == XMP
    assert stream.bytes_read < 4096 + len(SRGB) < len(stream.getbuffer()) / 100
    picture.load()
    assert stream.bytes_read > len(stream.getbuffer())


def test_a_file_is_closed_when_it_was_loaded(tmp_path: Path, data: bytes):
    path = tmp_path / "a.lac"
    path.write_bytes(data)
    picture = Image.open(path)  # a file left open is a warning, and so an error
    picture.load()
    assert picture.fp is None
    with Image.open(path) as picture:
        assert picture.format == "LAC"
    assert Image.MIME["LAC"] == "image/x-laconic"
    assert Image.registered_extensions()[".lac"] == "LAC"


def test_pictures_can_be_copied_pickled_and_loaded_twice(data: bytes):
    picture = opened(data)
    expected = lac.decompress(data)
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(picture))), expected)
    assert np.array_equal(np.asarray(copy.copy(picture)), expected)
    picture.load()
    assert np.array_equal(np.asarray(picture), expected)


def test_a_picture_can_arrive_in_pieces(data: bytes):
    parser = ImageFile.Parser()
    for start in range(0, len(data), 97):
        parser.feed(data[start : start + 97])
    assert np.array_equal(np.asarray(parser.close()), lac.decompress(data))


@pytest.mark.parametrize(
    ("asked", "scale"), [((200, 144), 0), ((100, 72), 1), ((51, 30), 1), ((25, 18), 3), ((1, 1), 5)]
)
def test_draft_decodes_a_smaller_picture(data: bytes, asked: tuple[int, int], scale: int):
    picture = opened(data)
    answer = picture.draft(None, asked)
    if scale == 0:
        assert answer is None
    else:
        mode, (left, top, right, bottom) = answer
        assert mode == "RGB"
        assert left == top == 0.5 - 0.5 / 2**scale
        assert (right, bottom) == pytest.approx((200 / 2**scale, 144 / 2**scale), abs=0.5)
        assert right <= picture.width
        assert bottom <= picture.height
    assert picture.size == (-(-200 >> scale), -(-144 >> scale))
    assert np.array_equal(np.asarray(picture), lac.decompress(data, scale=scale))
    assert picture.draft(None, (1, 1)) is None  # the pixels are there already
    assert np.array_equal(np.asarray(picture), lac.decompress(data, scale=scale))


def test_a_draft_can_be_taken_back(data: bytes):
    picture = opened(data)
    picture.draft("RGB", (20, 20))
    picture.draft("RGB", (150, 100))
    assert np.array_equal(np.asarray(picture), lac.decompress(data))


def test_thumbnails_are_made_of_fewer_coefficients(data: bytes):
    small, full = opened(data), Image.fromarray(lac.decompress(data))
    asked: list[int] = []
    decode = laconic.pillow.restore_container

    def watched(container: Any, **options: Any) -> Any:
        asked.append(options["scale"])
        return decode(container, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laconic.pillow, "restore_container", watched)
        small.thumbnail((40, 30))
    full.thumbnail((40, 30))
    assert asked == [1]
    assert small.size == full.size == (40, 29)
    assert np.abs(np.asarray(small, float) - np.asarray(full, float)).mean() < 2


# What goes with the pixels


def test_profile_exif_and_xmp_are_kept(data: bytes):
    found = opened(data)
    assert found.info["icc_profile"] == SRGB
    assert found.getexif()[0x010F] == "a camera"
    assert found.info["xmp"] == XMP
    again = opened(saved(found))
    assert {name: again.info[name] for name in found.info} == found.info
    stream = io.BytesIO()
    again.save(stream, "PNG", exif=again.getexif())
    assert Image.open(stream).info["icc_profile"] == SRGB


def test_metadata_can_be_replaced_and_left_out(data: bytes):
    bare = opened(saved(opened(data), icc_profile=None, exif=b"", xmp=None))
    assert not {"icc_profile", "exif", "xmp"} & set(bare.info)
    other = opened(saved(opened(data), exif=b"Exif\0\0" + exif().tobytes()[6:], xmp=XMP.decode() + " "))
    assert other.getexif()[0x010F] == "a camera"
    assert other.info["xmp"] == XMP + b" "


@pytest.mark.parametrize("given_by", ["file", "option"])
def test_orientation_is_applied_exactly_once(photo: NDArray[np.uint8], given_by: str):
    turned = Image.fromarray(photo)
    stream = io.BytesIO()
    turned.save(stream, "PNG", exif=exif(6) if given_by == "file" else b"")
    picture = Image.open(stream)
    found = opened(saved(picture, lossless=True, **({"exif": exif(6)} if given_by == "option" else {})))
    assert found.getexif()[0x0112] == 1
    assert np.array_equal(np.asarray(found), np.rot90(photo, -1))


# What goes wrong


@pytest.mark.parametrize(
    "options", [{"quality": 101}, {"quality": 50, "lossless": True}, {"bpp": -1}, {"effort": 11}, {"size": "small"}]
)
def test_wrong_options_are_value_errors(photo: NDArray[np.uint8], options: dict[str, Any]):
    with pytest.raises(ValueError, match=r"quality|bpp|effort|size"):
        saved(Image.fromarray(photo), **options)


def test_what_cannot_be_held_is_an_oserror_and_leaves_no_file(tmp_path: Path, photo: NDArray[np.uint8]):
    with pytest.raises(OSError, match="cannot write mode F as LAC"):
        Image.new("F", (10, 10)).save(tmp_path / "a.lac")
    with pytest.raises(OSError, match="bytes"):
        Image.fromarray(photo).save(tmp_path / "b.lac", size=40)
    assert not list(tmp_path.iterdir())


def test_damage_is_unidentified_or_an_oserror_and_never_other_pixels(data: bytes):
    rng = random.Random(7)
    expected = lac.decompress(data)
    outcomes: list[str] = []
    for attempt in range(300):
        broken = bytearray(data)
        broken[rng.randrange(len(data)) if attempt % 2 else rng.randrange(60)] ^= 1 << rng.randrange(8)
        if attempt % 5 == 0:
            del broken[rng.randrange(len(data)) :]
        try:
            with opened(bytes(broken)) as picture:
                assert np.array_equal(np.asarray(picture), expected)
            outcomes.append("whole")  # the bit was in something that nobody asked for
        except UnidentifiedImageError:
            outcomes.append("unidentified")
        except UserWarning as warning:  # a version to come
            outcomes.append(str(warning)[:14])
        except OSError:
            outcomes.append("damaged")
    assert {"unidentified", "damaged", "format version"} <= set(outcomes)
    assert "whole" not in outcomes


def test_truncated_pictures_load_where_pillow_was_told_so(data: bytes, monkeypatch: pytest.MonkeyPatch):
    cut = data[: len(data) * 2 // 3]
    with pytest.raises(OSError, match="truncated"):
        opened(cut).load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    found = np.asarray(opened(cut), float)
    assert 0 < np.abs(found - lac.decompress(data)).mean() < 10


def test_verify_finds_what_open_does_not(data: bytes):
    opened(data).verify()
    broken = bytearray(data)
    broken[len(data) // 2] ^= 4
    picture = opened(bytes(broken))
    with pytest.raises(OSError, match="checksum"):
        picture.verify()


def test_other_laconic_files_say_what_they_are(data: bytes):
    with pytest.warns(UserWarning, match="laconic expand"), pytest.raises(UnidentifiedImageError):
        opened(lac.weights.shrink({"a": np.arange(9)}, lossless=True))
    with pytest.warns(UserWarning, match="newer than 1"), pytest.raises(UnidentifiedImageError):
        opened(data[:4] + b"\x09" + data[5:])
    with pytest.raises(UnidentifiedImageError):
        opened(data[:4])


def test_a_missing_model_is_an_oserror():
    stranger = Header(fingerprint=b"nothing!", width=64, height=64, channels=3, tile=64)
    picture = opened(write(stranger, [[b""]] * len(groups(stranger.cuts))))
    assert picture.size == (64, 64)
    with pytest.raises(OSError, match=b"nothing!".hex()):
        picture.load()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_before_its_memory_is_taken():
    header = Header(fingerprint=default_model().fingerprint, width=12_000, height=10_000, channels=4, tile=16_320)
    data = write(header, [[b""] * TileGrid.of(header).count] * len(groups(header.cuts)))
    assert len(data) < 200
    picture = opened(data)
    with pytest.raises(OSError, match="number of pixels"):
        picture.load()
    assert picture._im is None
    larger = Header(fingerprint=header.fingerprint, width=60_000, height=30_000, channels=1, tile=16_320)
    with pytest.raises(Image.DecompressionBombError):
        opened(write(larger, [[b""] * TileGrid.of(larger).count] * len(groups(larger.cuts))))


# Whoever asks Pillow


def test_imageio_reads_and_writes_it(tmp_path: Path, photo: NDArray[np.uint8]):
    iio = pytest.importorskip("imageio.v3", reason="needs imageio")
    path = tmp_path / "a.lac"
    iio.imwrite(path, photo, lossless=True)
    assert np.array_equal(iio.imread(path), photo)
    assert iio.improps(path).shape == photo.shape
    assert iio.immeta(path)["mode"] == "RGB"
    data = iio.imwrite("<bytes>", photo, plugin="pillow", extension=".lac", quality=50)
    assert data == lac.compress(photo, quality=50)
    assert np.array_equal(iio.imread(data), lac.decompress(data))


def test_importing_laconic_does_not_pay_for_it():
    code = "import sys, laconic; print('PIL' in sys.modules, 'laconic.pillow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
