"""A command starts fast because it imports nothing it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def imported(*words: str) -> set[str]:
    """The modules a command imports, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "laconic", *words], capture_output=True, timeout=60, check=True
    )
    return {
        line.split(b"|")[-1].strip().decode() for line in done.stderr.splitlines() if line.startswith(b"import time:")
    }


def test_the_version_needs_neither_numpy_nor_a_parser():
    modules = imported("--version")
    assert "laconic" in modules
    assert not modules & {"numpy", "PIL", "argparse", "json", "dataclasses"}


def test_compressing_imports_no_more_than_numpy_and_one_decoder(photo: Path):
    modules = imported("compress", str(photo))
    assert "numpy" in modules
    assert not modules & {
        "typer",
        "rich",
        "torch",
        "scipy",
        "matplotlib",
        "asyncio",
        "PIL.TiffImagePlugin",
        "numpy.random",
        "secrets",
        "urllib.request",
    }


def test_the_package_starts_without_what_only_other_commands_need():
    """How long that takes is a matter of `bench/codec_speed.py`."""
    script = "import sys, laconic; laconic.compress, laconic.decompress; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    modules = set(done.stdout.split())
    assert {"numpy", "laconic.codecs.image"} <= modules
    assert not modules & {"argparse", "json", "PIL", "safetensors", "subprocess", "tempfile", "asyncio", "torch"}
