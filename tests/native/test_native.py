"""The tests of the C++ core, built and run as they stand: one pytest case per `native/*_test.cpp`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "native").glob("*_test.cpp"))
# Kept between runs, so that only what changed is compiled again.
BUILD = ROOT / "build" / "native"
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=540,
    )


@pytest.fixture(scope="session")
def built() -> Path:
    cmake = shutil.which("cmake", path=ENVIRONMENT["PATH"])
    assert cmake, "cmake comes with `make test`"
    for command in (
        [cmake, "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DLACONIC_PYTHON=OFF", "-DLACONIC_NATIVE_TESTS=ON"],
        [cmake, "--build", BUILD],
    ):
        done = run(*command)
        assert done.returncode == 0, done.stdout
    return BUILD


def test_there_are_native_tests():
    assert SOURCES


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_native(source: Path, built: Path):
    done = run(built / source.stem)
    assert done.returncode == 0, done.stdout
