"""Conventions 16-19: profile, EXIF, XMP, orientation."""

# ruff: noqa: ARG001 - fixtures are asked for by naming them.
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

import laconic
from laconic.signals import exif as exifs
from laconic.signals.image import load

from .conftest import photo_pixels

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta><rdf:Description dc:title='t'/></x:xmpmeta>"


def make_exif(orientation: int, maker: str = "Maker") -> bytes:
    made = Pillow.Exif()
    made[271], made[274] = maker, orientation
    return made.tobytes()


@pytest.fixture
def rich(folder: Path) -> Path:
    """A photo with everything, turned."""
    Pillow.fromarray(photo_pixels()).save("rich.jpg", exif=make_exif(6), icc_profile=ICC, xmp=XMP, quality=95)
    return Path("rich.jpg")


def kept(path: str) -> set[str]:
    image = load(path)
    return {name for name in ("icc", "exif", "xmp") if getattr(image, name)}


def test_convention_16_metadata_is_kept_by_default(run: Any, rich: Path):
    assert run("compress", rich).code == 0
    for target in ("back.png", "back.jpg", "back.tiff", "back.webp"):
        assert run("decompress", "rich.lac", "-o", target).code == 0
        image = load(target)
        assert (image.icc, image.xmp) == (ICC, XMP), target
        assert image.exif is not None
        assert b"Maker" in image.exif


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--strip", "all"], set()),
        (["--strip", "exif,xmp"], {"icc"}),
        (["--keep", "icc"], {"icc"}),
        (["--keep", "exif,xmp,icc"], {"icc", "exif", "xmp"}),
        (["--keep", "none"], set()),
    ],
)
@pytest.mark.parametrize("when", ["compress", "decompress"])
def test_convention_17_keep_and_strip(run: Any, rich: Path, words: list[str], left: set[str], when: str):
    assert run("compress", rich, *(words if when == "compress" else [])).code == 0
    assert run("decompress", "rich.lac", "-o", "x.png", *(words if when == "decompress" else [])).code == 0
    assert kept("x.png") == left
    assert load("x.png").pixels.shape == (96, 64, 3)  # stripping EXIF does not undo the orientation


def test_convention_17_nonsense_is_refused(run: Any, rich: Path):
    assert run("compress", rich, "--strip", "gps").code == 2
    assert run("compress", rich, "--strip", "exif", "--keep", "icc").code == 2


def test_convention_18_orientation_is_applied_exactly_once(run: Any, rich: Path):
    assert run("compress", rich, "--lossless").code == 0
    assert run("decompress", "rich.lac", "-o", "once.png").code == 0
    assert run("compress", "once.png", "-o", "twice.lac", "--lossless").code == 0
    upright = np.rot90(np.asarray(Pillow.open(rich)), -1)
    image = load("once.png")
    assert np.array_equal(image.pixels, upright)
    assert exifs.orientation(image.exif) == 1
    assert np.array_equal(laconic.decompress(Path("twice.lac").read_bytes()), upright)


def test_convention_19_given_metadata_replace_those_of_the_input(run: Any, rich: Path):
    other = ICC[:100] + b"\x01" + ICC[101:]
    Path("other.icc").write_bytes(other)
    Path("other.exif").write_bytes(make_exif(8, "Other maker"))
    Path("other.xmp").write_bytes(b"<other/>")
    words = ["--icc", "other.icc", "--exif", "other.exif", "--xmp", "other.xmp"]
    assert run("compress", rich, *words).code == 0
    assert run("decompress", "rich.lac").code == 0
    image = load("rich.png")
    assert (image.icc, image.xmp) == (other, b"<other/>")
    assert b"Other maker" in (image.exif or b"")
    assert exifs.orientation(image.exif) == 1
    assert image.pixels.shape == (96, 64, 3)
    Pillow.new("L", (4, 4)).save("gray.png")
    assert run("compress", "gray.png", "--icc", "other.icc").code == 2
    Path("bad").write_bytes(b"rubbish")
    for option in ("--icc", "--exif"):
        assert run("compress", rich, option, "bad", "-f").code == 2
        assert run("compress", rich, option, "missing", "-f").code == 1
