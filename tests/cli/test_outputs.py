"""Conventions 9-11: existing files, inputs, interruptions."""

# ruff: noqa: ARG001 - fixtures are asked for by naming them.
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

import laconic
from laconic.signals.image import Image, save

from .conftest import PROGRAM, leftovers, photo_pixels, process


@pytest.mark.parametrize(
    ("command", "source", "target"), [("compress", "photo.png", "photo.lac"), ("decompress", "photo.lac", "x.png")]
)
def test_convention_09_an_existing_file_is_refused_replaced_or_skipped(
    run: Any, lac: Path, command: str, source: str, target: str
):
    Path(target).write_bytes(lac.read_bytes() if target != "photo.lac" else b"precious")
    Path("keep.lac").write_bytes(lac.read_bytes())
    if command == "decompress":
        source = "keep.lac"
    precious = Path(target).read_bytes()
    refused = run(command, source, "-o", target)
    assert refused.code == 1
    assert "exists already; pass -f to replace it" in refused.said
    assert "force=True" not in refused.said
    assert Path(target).read_bytes() == precious
    if command == "compress":
        skipped = run(command, source, "-o", target, "-n")
        assert (skipped.code, skipped.said) == (0, "")
        assert Path(target).read_bytes() == precious
        assert run(command, source, "-o", target, "-n", "--json").records[0]["skipped"] is True
        assert run(command, source, "-o", target, "-f").code == 0
        assert laconic.inspect(target).width == 96
        assert run(command, source, "-o", target, "-f", "-n").code == 2


def test_convention_09_existing_files_are_found_before_any_work(run: Any, lac: Path):
    Path("photo.png").write_bytes(b"not a picture")
    assert "exists already" in run("compress", "photo.png").said


def test_convention_09_an_output_never_replaces_its_input(run: Any, lac: Path):
    for words in (["decompress", "photo.lac", "-o", "photo.lac"], ["compress", "photo.png", "-o", "./photo.png", "-f"]):
        before = lac.read_bytes(), Path("photo.png").read_bytes()
        assert run(*words, "-f" if "-f" not in words else "-v").code == 2
        assert (lac.read_bytes(), Path("photo.png").read_bytes()) == before


def test_convention_10_inputs_are_kept_unless_rm(run: Any, photo: Path):
    assert run("compress", photo).code == 0
    assert photo.exists()
    assert run("compress", photo, "-f", "--rm").code == 0
    assert not photo.exists()
    assert run("decompress", "photo.lac", "--rm").code == 0
    assert not Path("photo.lac").exists()
    assert photo.exists()


def test_convention_10_rm_keeps_what_was_not_done(run: Any, photo: Path, monkeypatch: pytest.MonkeyPatch):
    Path("photo.lac").write_bytes(b"there")
    assert run("compress", photo, "--rm").code == 1
    assert run("compress", photo, "--rm", "-n").code == 0
    assert photo.exists()

    def damaged(_: Path) -> bytes:
        return b"what the disk made of it"

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", damaged)
        result = run("compress", photo, "--rm", "-o", "other.lac")
    assert result.code == 1
    assert "kept" in result.said
    assert photo.exists()


def animation(name: str) -> Path:
    first, second = (Pillow.fromarray(photo_pixels(seed=seed)) for seed in (0, 1))
    options: dict[str, Any] = {"append_images": [second], "save_all": True}
    if name.endswith(".webp"):
        options["lossless"] = True
    first.save(name, **options)
    return Path(name)


@pytest.mark.parametrize("name", ["a.gif", "a.tiff", "a.webp", "a.png", "a.mpo"])
def test_convention_10_rm_keeps_what_holds_more_than_was_stored(run: Any, folder: Path, name: str):
    source = animation(name)
    result = run("compress", source, "--rm", "--lossless")
    assert result.code == 0
    assert f"warning: {name} is kept: it holds several pictures; only the first was read" in result.said
    assert result.said.count("several pictures") == 1
    assert source.exists()
    assert Path("a.lac").exists()
    assert "is kept" in run("compress", source, "--rm", "--lossless", "-f", "--quiet").said
    assert run("compress", source, "--rm", "-f", "--json").records[0]["removed"] is False


def test_convention_10_rm_keeps_what_the_picture_format_cannot_hold(run: Any, folder: Path):
    Pillow.fromarray(photo_pixels()).save("photo.png", xmp=b"<x/>", pnginfo=described())
    for target, reason in {"x.ppm": "PNM holds no xmp", "x.bmp": "BMP holds no xmp", "x.jpg": "another loss"}.items():
        assert run("compress", "photo.png", "-f").code == 0
        result = run("decompress", "photo.lac", target, "--rm")
        assert result.code == 0
        assert "photo.lac is kept" in result.said
        assert reason in result.said
        assert Path("photo.lac").exists()
    assert "note: PNM holds no xmp" in run("decompress", "photo.lac", "y.ppm").said
    assert "note" not in run("decompress", "photo.lac", "y.ppm", "-f", "--strip", "xmp").said
    assert run("decompress", "photo.lac", "x.ppm", "-f", "--rm", "--strip", "all").code == 0
    assert not Path("photo.lac").exists()


def described() -> PngInfo:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x/>")
    return info


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("dtype", "names"), [(np.uint8, ["png", "tiff", "webp"]), (np.uint16, ["png", "tiff", "pam"])])
def test_convention_10_rm_works_whatever_the_format_makes_of_the_channels(
    run: Any, folder: Path, channels: int, dtype: type, names: list[str]
):
    pixels = photo_pixels(12, 9, channels, dtype=dtype)
    pixels[..., -1] |= np.iinfo(dtype).max if channels in {2, 4} else 0  # an alpha that hides nothing
    for name in names:
        Path("x.lac").write_bytes(laconic.compress(pixels))
        assert run("decompress", "x.lac", f"x.{name}", "--rm").said.startswith("x.lac -> ")
        assert not Path("x.lac").exists()


def test_convention_10_rm_reads_the_restored_picture_back(run: Any, lac: Path, monkeypatch: pytest.MonkeyPatch):
    from laconic.signals import pillow

    def wrong(name: str, stream: Any, pixels: Any, **options: Any) -> None:
        encode(name, stream, pixels ^ 1, **options)

    encode = pillow.encode
    monkeypatch.setattr(pillow, "encode", wrong)
    result = run("decompress", lac, "x.webp", "--rm")
    assert result.code == 1
    assert "photo.lac is kept" in result.said
    assert lac.exists()


@pytest.mark.parametrize("name", ["x.png", "x.JPG", "sub/x.tiff"])
def test_an_output_that_would_pass_for_a_picture_is_refused(run: Any, photo: Path, name: str):
    result = run("compress", photo, "-o", name)
    assert result.code == 2
    assert f"{name} would hold a .lac file" in result.said
    assert not Path(name).exists()
    assert run("compress", photo, "-o", name, "--output-format", "lac").code == 0
    assert laconic.inspect(name).width == 96
    Path("out.png").mkdir()
    assert run("compress", photo, "-o", "out.png").code == 0
    assert Path("out.png/photo.lac").exists()


def test_convention_11_a_failing_write_leaves_nothing(run: Any, photo: Path, lac: Path, folder: Path):
    # A limit on file sizes is the full disk of a test: the write fails half way.
    for words in (
        ["compress", "photo.png", "-o", "new.lac", "--lossless"],
        ["decompress", "photo.lac", "-o", "new.png"],
    ):
        script = (
            "import resource, sys\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))\n"
            "from laconic.__main__ import main\n"
            "sys.exit(main(sys.argv[1:]))\n"
        )
        done = subprocess.run([PROGRAM[0], "-c", script, *words], capture_output=True, timeout=60, check=False)
        assert done.returncode == 1
        assert f"error: {words[1]}: cannot write {words[3]}: ".encode() in done.stderr
        assert b"too large" in done.stderr.lower()
        assert not list(folder.glob("new*"))
        assert leftovers(folder) == []


def test_convention_11_a_full_disk_is_named(photo: Path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = process("compress", photo, "-o", "/dev/full")
    assert done.returncode == 1
    assert b"photo.png: cannot write /dev/full: No space left on device" in done.stderr
    with Path("/dev/full").open("wb") as full:
        piped = subprocess.run(
            [*PROGRAM, "compress", photo, "-o", "-"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert piped.returncode == 1
    assert b"photo.png: cannot write stdout: No space left on device" in piped.stderr


def test_convention_11_an_unwritable_place_is_named(run: Any, photo: Path, folder: Path):
    (folder / "file").write_bytes(b"")
    for target in ("file/photo.lac", "file/deeper/photo.lac", "/proc/photo.lac"):
        result = run("compress", photo, "-o", target)
        assert result.code == 1
        assert f"error: photo.png: cannot write {target}: " in result.said
    long = f"{'long' * 100}.lac"
    assert f"{long}: File name too long" in run("compress", photo, "-o", long).said
    assert leftovers(folder) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_convention_11_an_interrupted_batch_leaves_only_whole_files(folder: Path, number: int, code: int):
    save("000.png", Image(photo_pixels(400, 600)))
    for index in range(1, 400):  # so many that the signal comes before their end on any machine
        Path(f"{index:03}.png").hardlink_to("000.png")
    with subprocess.Popen(
        [*PROGRAM, "compress", *sorted(path.name for path in folder.iterdir()), "-o", "out"], stderr=subprocess.PIPE
    ) as running:
        deadline = time.monotonic() + 30
        while len(list(folder.glob("out/*.lac"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    assert running.returncode == code
    assert b"Traceback" not in said
    if number == signal.SIGINT:
        assert b"interrupted" in said
        assert b"stopped after" in said
    done = sorted(folder.glob("out/*"))
    assert 3 <= len(done) < 400
    for path in done:
        laconic.verify(path)
    assert leftovers(folder) == []


def test_convention_11_what_is_ignored_stays_ignored(photo: Path):
    """`nohup laconic ...` goes on when its terminal is closed."""
    script = (
        "import os, signal, sys\n"
        "from laconic.__main__ import main\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "main(['info', '-h'])\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "sys.exit(main(['compress', 'photo.png']))\n"
    )
    done = subprocess.run([PROGRAM[0], "-c", script], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert Path("photo.lac").exists()


def test_devices_are_written_not_replaced(run: Any, photo: Path):
    assert run("compress", photo, "-o", os.devnull).code == 0
    assert not Path(os.devnull).is_file()
