"""Conventions 6-8, 12, 15, 25: words in, words out, which of them where."""

# ruff: noqa: ARG001 - fixtures are asked for by naming them.
from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import laconic
from laconic.cli.app import COMMANDS
from laconic.signals.image import load

from .conftest import PROGRAM, process


def test_convention_06_output_by_option_or_second_word(run: Any, photo: Path):
    assert run("compress", photo).code == 0
    assert run("compress", photo, "-o", "a.lac").code == 0
    assert run("compress", photo, "b.lac").code == 0
    assert run("compress", photo, f"--output={photo.with_name('c.lac')}").code == 0
    assert len({Path(name).read_bytes() for name in ("photo.lac", "a.lac", "b.lac", "c.lac")}) == 1
    assert run("decompress", "a.lac").code == 0
    assert run("decompress", "a.lac", "b.png").code == 0
    assert run("decompress", "-o", "c.tiff", "a.lac").code == 0
    assert all(np.array_equal(load(name).pixels, load("a.png").pixels) for name in ("b.png", "c.tiff"))
    # Two photos are two inputs.
    assert run("compress", "a.png", "b.png", "-f").code == 0


def test_convention_07_dash_is_stdin_and_stdout(run: Any, photo: Path, lac: Path):
    compressed = run("compress", "-", stdin=photo.read_bytes())
    assert (compressed.code, compressed.data) == (0, lac.read_bytes())
    assert "stdin" not in compressed.text if compressed.data.isascii() else True
    assert run("compress", photo, "-").data == lac.read_bytes()
    assert run("compress", photo, "-o", "-").data == lac.read_bytes()
    assert run("compress", "-", "to.lac", stdin=photo.read_bytes()).code == 0
    restored = run("decompress", "-", stdin=lac.read_bytes())
    assert np.array_equal(load(restored.data).pixels, laconic.decompress(lac.read_bytes()))
    pam = run("decompress", lac, "-o", "-", "--output-format", "pnm")
    assert pam.data.startswith(b"P6\n96 64\n255\n")
    assert run("compress", "-", "--input-format", "pnm", stdin=pam.data).code == 0
    refused = run("compress", "-", "--input-format", "jpeg", stdin=pam.data)
    assert (refused.code, refused.data) == (1, b"")
    assert "PNM, not JPEG" in refused.said
    assert run("info", "-", stdin=lac.read_bytes()).text.startswith("stdin")
    assert run("verify", "-", stdin=lac.read_bytes()).code == 0
    assert run("decompress", "-", stdin=b"").code != 0
    assert run("compress", "-", stdin=b"").code == 1


@pytest.mark.parametrize(
    "words",
    [
        ["compress", "-", "-"],
        ["compress", "photo.png", "-o", "-", "--json"],
        ["compress", "photo.png", "-o", "-", "--rm"],
        ["compress", "photo.png", "other.png", "-o", "-"],
        ["decompress", "photo.lac", "-o", "x.xyz"],
        ["decompress", "photo.lac", "-o", "x.gif"],
        ["decompress", "photo.lac", "--output-format", "tga"],
        ["compress", "photo.png", "--input-format", "tga"],
    ],
)
def test_convention_07_what_streams_cannot_do_is_a_usage_error(run: Any, lac: Path, words: list[str]):
    Path("other.png").write_bytes(Path("photo.png").read_bytes())
    result = run(*words, stdin=b"")
    assert result.code == (2 if words != ["compress", "-", "-"] else 1)
    assert result.data == b""


def test_convention_08_two_dashes_end_the_options(run: Any, photo: Path):
    photo.rename("-q.png")
    assert run("compress", "--", "-q.png").code == 0
    assert Path("-q.lac").exists()
    assert run("decompress", "-f", "--", "-q.lac").code == 0
    assert run("info", "--", "-q.lac").code == 0
    assert run("compress", "-q.png").code == 2
    Path("-q.lac").unlink()
    assert run("compress", "-q", "50", "--", "-q.png", "-o.lac").code == 0
    assert laconic.inspect("-o.lac").quality == 50


def test_options_and_inputs_mix_in_any_order(run: Any, photo: Path):
    assert run("compress", "-q", "50", photo, "-e", "3", "-o", "x.lac", "-v").code == 0
    assert laconic.inspect("x.lac").quality == 50
    assert run("compress", "--qual", "50", photo).code == 2  # abbreviations would break with each new option


def test_convention_12_data_on_stdout_messages_on_stderr(run: Any, photo: Path, lac: Path):
    done = run("compress", photo, "-f")
    assert done.data == b""
    assert "photo.png -> photo.lac" in done.said
    piped = run("compress", photo, "-o", "-")
    assert piped.data == lac.read_bytes()
    assert "bpp" in piped.said
    assert run("info", lac).said == ""
    assert run("verify", lac).said == ""


def in_terminal(*words: str, environment: dict[str, str] | None = None) -> bytes:
    """What appears on a terminal to which stderr is connected."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *words],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", **(environment or {})},
    ):
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
    os.close(ours)
    return seen


def test_convention_12_progress_and_colors_only_on_a_terminal(photo: Path):
    Path("other.png").write_bytes(photo.read_bytes())
    words = ("compress", "photo.png", "other.png", "missing.png", "-f")
    seen = in_terminal(*words)
    assert b"[####" in seen
    assert b"\x1b[1;31merror: \x1b[0m" in seen
    plain = in_terminal(*words, environment={"NO_COLOR": "1"})
    assert b"[####" in plain
    assert b"\x1b[1;31m" not in plain
    assert b"\x1b" not in in_terminal(*words, "--quiet", environment={"NO_COLOR": "1"})
    elsewhere = process(*words)
    assert b"\x1b" not in elsewhere.stderr
    assert b"[####" not in elsewhere.stderr


def test_convention_12_compressed_data_do_not_go_to_a_terminal(photo: Path):
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*PROGRAM, "compress", "photo.png", "-o", "-"], stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert b"terminal" in done.stderr


def test_a_reader_that_leaves_early_is_no_error_to_speak_of(lac: Path):
    command = shlex.join([*PROGRAM, "info", *["photo.lac"] * 300])
    done = subprocess.run(["bash", "-c", f"{command} | head -1"], capture_output=True, timeout=60, check=False)
    assert done.stdout == b"photo.lac\n"
    assert done.stderr == b""


def test_convention_15_verbose_repeats_quiet_is_quiet(run: Any, photo: Path):
    normal = run("compress", photo, "-f").said
    more = run("compress", photo, "-f", "-v").said
    assert normal.count("\n") == 1
    assert more.count("\n") > 1
    assert "encode" in more
    assert run("compress", photo, "-f", "--quiet").said == ""
    assert "Traceback" in run("compress", "missing.png", "-vv").said
    assert "Traceback" not in run("compress", "missing.png", "-v").said
    assert run("compress", "missing.png", "--quiet").said.count("\n") == 1
    assert run("compress", photo, "-v", "--quiet").code == 2


def test_convention_15_version_and_help(run: Any):
    for option in ("-V", "--version"):
        assert run(option).text == f"laconic {laconic.__version__}\n"
    for words in (["-h"], ["--help"], ["help"]):
        page = run(*words)
        assert page.code == 0
        assert all(command in page.text for command in COMMANDS)
    for command in ("compress", "decompress", "info", "verify"):
        assert run(command, "-h").text == run(command, "--help").text == run("help", command).text
    assert run().code == 2


def test_mistyped_commands_get_a_hint(run: Any, photo: Path, lac: Path):
    assert "laconic compress" in run("compres", photo).said
    assert "laconic compress photo.png" in run(photo).said
    assert "laconic decompress photo.lac" in run("photo.lac").said
    assert "`laconic info`" in run("inspect", photo).said
    assert run("frobnicate").code == 2
    assert run("--frobnicate").code == 2
    assert run("compress").code == 2


@pytest.mark.parametrize("words", [[], ["compress"], ["decompress"], ["info"], ["verify"]])
def test_convention_25_the_first_line_of_each_help_page_works(run: Any, photo: Path, words: list[str]):
    from PIL import Image as Pillow

    Pillow.open(photo).save("photo.jpg")
    if words and words != ["compress"]:
        assert run("compress", "photo.jpg").code == 0
    example = run(*words, "-h").text.splitlines()[0]
    program, *rest = shlex.split(example)
    assert program == "laconic"
    assert run(*rest).code == 0


def test_the_program_is_installed_under_its_name():
    program = Path(sys.executable).with_name("laconic")
    done = subprocess.run([program, "-V"], capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(b"laconic ")
