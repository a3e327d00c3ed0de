"""Large pictures on the command line: the same options, records, files and exit codes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import laconic
from laconic.codecs import files
from laconic.signals import row_files
from laconic.signals.image import Image, load, save

from .conftest import PROGRAM, leftovers, photo_pixels


@pytest.fixture(autouse=True)
def all_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture counts as large."""
    assert not any(folder.iterdir())
    monkeypatch.setattr(row_files, "STREAMED_PIXELS", 0)
    monkeypatch.setattr(files, "STREAMED_PIXELS", 0)


def test_there_and_back_with_records(run: Any):
    pixels = photo_pixels()
    save("large.ppm", Image(pixels))
    done = run("compress", "large.ppm", "-q", "50", "--json", "-o", "large.lac")
    assert done.code == 0
    record = done.records[0]
    assert Path("large.lac").read_bytes() == laconic.compress(pixels, quality=50)
    assert record["bytes_in"] == Path("large.ppm").stat().st_size
    assert record["bytes_out"] == Path("large.lac").stat().st_size
    assert (record["height"], record["width"], record["channels"]) == pixels.shape
    back = run("decompress", "large.lac", "-o", "back.png", "--json")
    assert back.code == 0
    assert set(back.records[0]) >= {"bytes_in", "bytes_out", "missing", "seconds"}
    assert np.array_equal(load("back.png").pixels, laconic.decompress("large.lac"))
    assert run("verify", "large.lac").code == 0
    assert leftovers(Path()) == []


def test_inputs_are_removed_only_after_the_output_was_read_back(run: Any):
    pixels = photo_pixels()
    for name in ("a.png", "b.tiff", "c.npy"):
        save(name, Image(pixels))
        assert run("compress", name, "--rm", "--lossless", "-o", "x.lac", "-f").code == 0
        assert not Path(name).exists()
        assert run("decompress", "x.lac", "--rm", "-o", name).code == 0
        assert not Path("x.lac").exists()
        assert np.array_equal(load(name).pixels, pixels)


def test_an_output_that_differs_keeps_the_input(run: Any, monkeypatch: pytest.MonkeyPatch):
    pixels = photo_pixels()
    save("large.png", Image(pixels))
    assert run("compress", "large.png", "--lossless").code == 0
    write = files.decompress_rows

    def damaging(*given: Any, **choices: Any) -> None:
        write(*given, **choices)
        wrong = pixels.copy()
        wrong[-1, -1] ^= 1
        save("back.png", Image(wrong), force=True)

    monkeypatch.setattr(files, "decompress_rows", damaging)
    done = run("decompress", "large.lac", "-o", "back.png", "--rm")
    assert done.code == 1
    assert "large.lac is kept" in done.said
    assert Path("large.lac").exists()


def test_metadata_is_kept_replaced_or_stripped(run: Any):
    save("large.png", Image(photo_pixels(), xmp=b"<x/>"))
    Path("other.xmp").write_bytes(b"<other/>")
    assert run("compress", "large.png", "-o", "kept.lac").code == 0
    assert run("compress", "large.png", "-o", "other.lac", "--xmp", "other.xmp").code == 0
    assert run("compress", "large.png", "-o", "bare.lac", "--strip", "xmp").code == 0
    found = [laconic.restore(name).xmp for name in ("kept.lac", "other.lac", "bare.lac")]
    assert found == [b"<x/>", b"<other/>", None]
    done = run("decompress", "kept.lac", "-o", "kept.ppm")
    assert "holds no xmp" in done.said
    assert run("decompress", "kept.lac", "-o", "stripped.png", "--strip", "xmp").code == 0
    assert load("stripped.png").xmp is None


def test_a_damaged_file_says_what_is_missing(run: Any):
    save("large.ppm", Image(photo_pixels()))
    assert run("compress", "large.ppm", "-o", "large.lac").code == 0
    data = Path("large.lac").read_bytes()
    Path("cut.lac").write_bytes(data[:-20])
    assert run("decompress", "cut.lac", "-o", "cut.png").code == 6
    assert not Path("cut.png").exists()
    partial = run("decompress", "cut.lac", "-o", "cut.png", "--allow-partial")
    assert partial.code == 1
    assert "missing: " in partial.said
    assert Path("cut.png").exists()
    Path("cut.ppm").write_bytes(Path("large.ppm").read_bytes()[:-20])
    assert run("compress", "cut.ppm").code == 1
    assert leftovers(Path()) == []


def test_rows_go_to_stdout(run: Any):
    pixels = photo_pixels()
    save("large.ppm", Image(pixels))
    script = (
        "import sys; from laconic.signals import row_files; from laconic.codecs import files\n"
        "row_files.STREAMED_PIXELS = files.STREAMED_PIXELS = 0\n"
        "from laconic.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    assert run("compress", "large.ppm", "-o", "large.lac").code == 0
    for kind in ("png", "pnm", "tiff", "npy"):
        words = ["decompress", "large.lac", "-o", "-", "--output-format", kind]
        done = subprocess.run([PROGRAM[0], "-c", script, *words], capture_output=True, check=True)
        assert np.array_equal(load(done.stdout).pixels, laconic.decompress("large.lac"))
    done = subprocess.run(
        [PROGRAM[0], "-c", script, "compress", "large.ppm", "-o", "-"], capture_output=True, check=True
    )
    assert done.stdout == Path("large.lac").read_bytes()
