"""Conventions 13, 14, 21-23: what is reported, and the exit codes."""

# ruff: noqa: ARG001 - fixtures are asked for by naming them.
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import laconic
from laconic.signals.image import Image, load, save

from .conftest import photo_pixels


def test_convention_13_json_lines(run: Any, photo: Path):
    save("other.png", Image(photo_pixels(10, 20, 1)))
    result = run("compress", photo, "other.png", "missing.png", "--json", "-q", "60")
    assert result.code == 1
    by_name = {record["input"]: record for record in result.records}
    assert len(by_name) == len(result.records) == 3
    record = by_name["photo.png"]
    assert record["output"] == "photo.lac"
    assert record["bytes_in"] == photo.stat().st_size
    assert record["bytes_out"] == Path("photo.lac").stat().st_size
    assert record["bpp"] == pytest.approx(8 * record["bytes_out"] / (64 * 96), abs=1e-6)
    assert (record["width"], record["height"], record["channels"], record["bit_depth"]) == (96, 64, 3, 8)
    assert set(record["seconds"]) == {"load", "encode", "write"}
    assert record["codec"] == "image"
    assert re.fullmatch(r"[0-9a-f]{16}", record["model"])
    assert (record["quality"], record["lossless"]) == (60, False)
    assert by_name["missing.png"]["error"] == "FileNotFoundError"
    restored = run("decompress", "photo.lac", "-o", "back.png", "--json").records[0]
    assert restored["bytes_in"] == record["bytes_out"]
    assert restored["bytes_out"] == Path("back.png").stat().st_size
    assert set(restored["seconds"]) == {"read", "decode", "write"}
    assert restored["missing"] == []
    info = run("info", "photo.lac", "--json").records[0]
    assert sum(size for _, size in info["parts"]) == info["bytes_total"] == record["bytes_out"]
    assert run("verify", "photo.lac", "--json").records[0]["intact"] is True


def test_convention_14_exit_codes_of_a_single_file(run: Any, lac: Path):
    data = lac.read_bytes()
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 1
    cases = {
        "magic.lac": (b"hello world", 3),
        "newer.lac": (data[:4] + b"\x63" + data[5:], 4),
        "damaged.lac": (bytes(damaged), 5),
        "truncated.lac": (data[: len(data) // 2], 6),
        "empty.lac": (b"", None),
    }
    for name, (content, code) in cases.items():
        Path(name).write_bytes(content)
        for command in ("decompress", "verify", "info"):
            result = run(command, name)
            assert result.code == code if code else result.code in {3, 6}, (command, name)
            assert name in result.said
            assert result.data == b""
            assert "Traceback" not in result.said
        assert not Path(name).with_suffix(".png").exists()
    assert run("compress", "missing.png").code == 1
    assert run("info").code == 2


def test_convention_14_a_batch_goes_on_and_lists_the_failures(run: Any, photo: Path):
    Path("bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    save("good.png", Image(photo_pixels(8, 8)))
    result = run("compress", "bad.png", photo, "missing.png", "good.png")
    assert result.code == 1
    assert Path("photo.lac").exists()
    assert Path("good.lac").exists()
    listed = result.said.split("2 of 4 files failed:")[1]
    assert listed.split() == ["missing.png", "bad.png"] or listed.split() == ["bad.png", "missing.png"]
    assert not Path("bad.lac").exists()


def test_two_inputs_with_one_output_are_noticed_and_named(run: Any, photo: Path):
    from PIL import Image as Pillow

    Pillow.open(photo).save("photo.jpg")
    for words in ([], ["-f"]):
        result = run("compress", "photo.jpg", "photo.png", *words)
        assert result.code == 1
        assert (
            "photo.png: its output photo.lac is that of photo.jpg already; do it alone, with another -o" in result.said
        )
        assert run("info", "photo.lac").code == 0
        assert abs(load("photo.jpg").pixels.astype(int) - laconic.decompress(Path("photo.lac").read_bytes())).mean() < 9


def test_an_output_larger_than_its_input_is_noted(run: Any, folder: Path):
    from PIL import Image as Pillow

    Pillow.fromarray(photo_pixels(200, 300)).save("photo.jpg", quality=40)
    result = run("compress", "photo.jpg", "--lossless")
    times = Path("photo.lac").stat().st_size / Path("photo.jpg").stat().st_size
    assert times > 1.5
    assert f"note: the output is {times:.1f} times as large as the input: every bit is stored" in result.said
    assert "every bit" not in run("compress", "photo.jpg", "-q", "98", "-f").said
    assert "times as large" in run("compress", "photo.jpg", "-q", "98", "-f").said
    assert "times as large" not in run("compress", "photo.jpg", "-q", "20", "-f").said
    assert run("compress", "photo.jpg", "--lossless", "-f", "--json").records[0]["notes"]


def test_info_says_how_a_lossless_file_is_coded(run: Any, folder: Path):
    pixels = np.random.default_rng(2).integers(0, 256, (50, 60, 3), np.uint8)
    save("noise.png", Image(pixels))
    assert run("compress", "noise.png", "--lossless").code == 0
    page = run("info", "noise.lac").text
    assert "predicted samples" in page
    assert re.search(r"^    samples +\d", page, re.MULTILINE)
    assert run("info", "noise.lac", "--json").records[0]["predicted"] is True
    assert run("compress", "noise.png", "--lossless", "-e", "6", "-f").code == 0
    assert "colors 0" in run("info", "noise.lac").text
    assert run("info", "noise.lac", "--json").records[0]["predicted"] is False


def test_a_short_name_is_still_named(run: Any, folder: Path):
    Path("a").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    assert run("info", "a").said.startswith("error: a: ")


def test_missing_metadata_files_are_named(run: Any, photo: Path):
    assert run("compress", photo, "--icc", "missing.icc").said == "error: missing.icc: No such file or directory\n"


def test_convention_21_info_decodes_nothing(run: Any, lac: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("info must not decode")

    monkeypatch.setattr("laconic.codecs.image_decoder.restore", refuse)
    page = run("info", lac).text
    assert "96 x 64, RGB, 8 bits" in page
    assert "quality 75" in page
    assert laconic.inspect(lac).model in page
    assert f"network {laconic.inspect(lac).network}\n" in page


def test_convention_21_verify_finds_every_flipped_bit(run: Any, folder: Path):
    save("tiny.png", Image(photo_pixels(16, 16)))
    assert run("compress", "tiny.png").code == 0
    data = Path("tiny.lac").read_bytes()
    assert run("verify", "tiny.lac").text == "tiny.lac: intact\n"
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        Path("damaged.lac").write_bytes(damaged)
        result = run("verify", "damaged.lac")
        assert result.code in {3, 4, 5, 6, 7, 8}, place
        assert "Traceback" not in result.said


def test_convention_22_partial_restoration_says_what_is_missing(run: Any, folder: Path):
    save("photo.png", Image(photo_pixels(600, 700)))
    assert run("compress", "photo.png").code == 0
    data = bytearray(Path("photo.lac").read_bytes())
    data[-len(data) // 4] ^= 255
    Path("photo.lac").write_bytes(data)
    assert run("decompress", "photo.lac", "-o", "x.png").code == 5
    assert not Path("x.png").exists()
    result = run("decompress", "photo.lac", "-o", "x.png", "--allow-partial", "--rm")
    assert result.code == 1
    assert "warning: photo.lac: missing: " in result.said
    assert load("x.png").pixels.shape == (600, 700, 3)
    assert Path("photo.lac").exists()  # --rm never removes what was not restored whole
    record = run("decompress", "photo.lac", "-o", "x.png", "--allow-partial", "-f", "--json").records[0]
    assert record["missing"]
    assert record["codec"] == "image"
    assert record["bpp"] == pytest.approx(8 * len(data) / (600 * 700), abs=1e-6)
    Path("photo.lac").write_bytes(data[: len(data) * 3 // 4])
    record = run("decompress", "photo.lac", "-o", "x.png", "--allow-partial", "-f", "--json").records[0]
    assert record["bytes_in"] == len(data) * 3 // 4


def test_convention_23_one_line_per_file_with_size_rate_and_speed(run: Any, photo: Path):
    line = run("compress", photo).said
    assert re.fullmatch(r"photo\.png -> photo\.lac  \S+ k?B -> \S+ k?B  \d+\.\d{3} bpp  \d+\.\d MP/s\n", line), line
    line = run("decompress", "photo.lac", "-f").said
    assert re.fullmatch(r"photo\.lac -> photo\.png  .* bpp  \d+\.\d MP/s\n", line), line
    save("other.png", Image(photo_pixels(8, 8)))
    lines = run("compress", photo, "other.png", "-f").said.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("2 files: ")
