"""Large files pass by in rows by themselves: the same file, the same picture, the same errors."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic.codecs import files
from laconic.errors import CorruptStream, OutputExists, TruncatedStream, UnsupportedInput, UsageError
from laconic.signals import formats, locations, row_files
from laconic.signals.image import Image, load, save

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

XMP = b"<x/>"


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every picture counts as large, and every file is mapped; what would hold a whole picture fails."""
    monkeypatch.setattr(row_files, "STREAMED_PIXELS", 0)
    monkeypatch.setattr(files, "STREAMED_PIXELS", 0)
    monkeypatch.setattr(locations, "MAPPED", 0)
    monkeypatch.chdir(tmp_path)


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("a whole picture was held")


@pytest.mark.parametrize("suffix", ["png", "tiff", "ppm", "pam", "npy"])
@pytest.mark.parametrize("settings", [{"quality": 50}, {"lossless": True}, {"bpp": 1.5}])
@pytest.mark.usefixtures("all_large")
def test_a_file_there_and_back(
    suffix: str, settings: dict[str, Any], photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
):
    save(f"photo.{suffix}", Image(photo, xmp=XMP))
    whole = load(f"photo.{suffix}")
    expected = lac.compress(whole.pixels, **settings, xmp=whole.xmp)
    pixels = lac.decompress(expected)
    with monkeypatch.context() as patch:
        patch.setattr(files, "compress", never)
        patch.setattr(files, "restore_container", never)
        info = lac.compress_file(f"photo.{suffix}", "photo.lac", **settings)
        assert Path("photo.lac").read_bytes() == expected
        assert info == lac.inspect("photo.lac") == lac.verify("photo.lac")
        restored = lac.decompress_file("photo.lac", f"back.{suffix}")
    assert restored.pixels.shape == (0, 200, 3)
    assert (restored.xmp, restored.missing) == (whole.xmp, ())
    back = load(f"back.{suffix}")
    assert np.array_equal(back.pixels, pixels)
    assert back.xmp == whole.xmp
    assert sorted(path.name for path in Path().iterdir()) == sorted(["photo.lac", f"photo.{suffix}", f"back.{suffix}"])


@pytest.mark.usefixtures("all_large")
def test_metadata_can_be_replaced_and_streams_written(photo: NDArray[np.uint8]):
    save("photo.png", Image(photo, xmp=XMP))
    with Path("photo.lac").open("wb") as stream:
        lac.compress_file("photo.png", stream, xmp=b"<y/>", quality=30)
    assert Path("photo.lac").read_bytes() == lac.compress(photo, xmp=b"<y/>", quality=30)
    with Path("back").open("wb") as stream:
        lac.decompress_file("photo.lac", stream)
    assert load("back").xmp == b"<y/>"


@pytest.mark.usefixtures("all_large")
def test_what_can_be_read_only_once_is_read_once(photo: NDArray[np.uint8]):
    save("photo.png", Image(photo))
    with Path("photo.png").open("rb") as stream:
        lac.compress_file(stream, "photo.lac", quality=30)
    os.mkfifo("pipe")
    data = Path("photo.png").read_bytes()
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(data))
    writer.start()
    lac.compress_file("pipe", "again.lac", quality=30)
    writer.join()
    assert Path("photo.lac").read_bytes() == Path("again.lac").read_bytes() == lac.compress(photo, quality=30)
    for suffix in ("png", "tiff"):
        found: list[bytes] = []
        os.mkfifo(f"out.{suffix}")
        reader = threading.Thread(
            target=lambda name=f"out.{suffix}", found=found: found.append(Path(name).read_bytes())
        )
        reader.start()
        lac.decompress_file("photo.lac", f"out.{suffix}")
        reader.join()
        assert np.array_equal(load(found[0]).pixels, lac.decompress("photo.lac"))


@pytest.mark.usefixtures("all_large")
def test_what_cannot_pass_by_is_held(photo: NDArray[np.uint8]):
    save("photo.webp", Image(photo))
    lac.compress_file("photo.webp", "photo.lac", quality=40)
    assert Path("photo.lac").read_bytes() == lac.compress(photo, quality=40)
    assert lac.decompress_file("photo.lac", "part.png", region=(3, 5, 20, 10)).pixels.shape == (10, 20, 3)
    assert lac.decompress_file("photo.lac", "small.png", scale=2).pixels.shape == (36, 50, 3)
    assert lac.decompress_file("photo.lac", "photo.bmp").pixels.shape == photo.shape
    header = lac.codecs.files.read(Path("photo.lac").read_bytes()).header
    assert files.passes_by(header, formats.by_name("png"))
    assert not files.passes_by(header, formats.by_name("jpeg"))


@pytest.mark.usefixtures("all_large")
def test_errors_leave_nothing(photo: NDArray[np.uint8], variants: Callable[..., NDArray[Any]]):
    save("photo.png", Image(photo))
    lac.compress_file("photo.png", "photo.lac", quality=40)
    with pytest.raises(OutputExists):
        lac.compress_file("photo.png", "photo.lac")
    lac.decompress_file("photo.lac", "back.png")
    with pytest.raises(OutputExists):
        lac.decompress_file("photo.lac", "back.png")
    lac.decompress_file("photo.lac", "back.png", force=True)
    data = Path("photo.png").read_bytes()
    Path("cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UnsupportedInput, match=r"cut\.png: truncated"):
        lac.compress_file("cut.png", "cut.lac")
    packed = Path("photo.lac").read_bytes()
    Path("short.lac").write_bytes(packed[:-5])
    with pytest.raises(TruncatedStream):
        lac.decompress_file("short.lac", "short.png")
    Path("bad.lac").write_bytes(packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:])
    with pytest.raises(CorruptStream):
        lac.decompress_file("bad.lac", "bad.png")
    restored = lac.decompress_file("bad.lac", "partial.ppm", allow_partial=True)
    assert restored.missing
    assert np.array_equal(load("partial.ppm").pixels, lac.decompress("bad.lac", allow_partial=True))
    Path("deep.lac").write_bytes(lac.compress(variants(50, 50, 3, 16)))
    Path("alpha.lac").write_bytes(lac.compress(variants(50, 50, 4, 8)))
    with pytest.raises(UsageError, match="transparency"):
        lac.decompress_file("alpha.lac", "alpha.ppm")
    lac.decompress_file("deep.lac", "deep.ppm")
    assert {path.name for path in Path().iterdir()} == {
        "photo.png", "photo.lac", "back.png", "cut.png", "short.lac", "bad.lac", "partial.ppm", "deep.lac", "alpha.lac",
        "deep.ppm",
    }  # fmt: skip
