"""Conventions 9-11: existing files, inputs, interruptions."""

# ruff: noqa: ARG001 - fixtures are asked for by naming them.
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

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
    assert "exists already" in refused.said
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
        assert b"error: new." in done.stderr
        assert b"too large" in done.stderr.lower()
        assert not list(folder.glob("new*"))
        assert leftovers(folder) == []


def test_convention_11_a_full_disk_is_named(photo: Path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = process("compress", photo, "-o", "/dev/full")
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    with Path("/dev/full").open("wb") as full:
        piped = subprocess.run(
            [*PROGRAM, "compress", photo, "-o", "-"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert piped.returncode == 1
    assert b"stdout: No space left on device" in piped.stderr


def test_convention_11_an_unwritable_place_is_named(run: Any, photo: Path, folder: Path):
    (folder / "file").write_bytes(b"")
    result = run("compress", photo, "-o", "file/photo.lac")
    assert result.code == 1
    assert "file" in result.said
    assert leftovers(folder) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_convention_11_an_interrupted_batch_leaves_only_whole_files(folder: Path, number: int, code: int):
    for index in range(40):
        save(f"{index:02}.png", Image(photo_pixels(200, 300, seed=index)))
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
    assert 3 <= len(done) < 40
    for path in done:
        laconic.verify(path)
    assert leftovers(folder) == []


def test_devices_are_written_not_replaced(run: Any, photo: Path):
    assert run("compress", photo, "-o", os.devnull).code == 0
    assert not Path(os.devnull).is_file()
