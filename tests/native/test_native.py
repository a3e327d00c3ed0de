"""The tests and fuzz targets of the C++ core, built and run as they stand: one pytest case per source file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "native").glob("*_test.cpp"), *(ROOT / "native").glob("*_fuzz.cpp")])
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


def build(name: str, *options: str) -> Path:
    """Build everything into a folder that is kept, so that only what changed is compiled again."""
    cmake = shutil.which("cmake", path=ENVIRONMENT["PATH"])
    assert cmake, "cmake comes with `make test`"
    folder = ROOT / "build" / name
    options = ("-G", "Ninja", "-DLACONIC_PYTHON=OFF", "-DLACONIC_NATIVE_TESTS=ON", *options)
    for command in ([cmake, "-S", ROOT, "-B", folder, *options], [cmake, "--build", folder]):
        done = run(*command)
        assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="session")
def built() -> Path:
    return build("native")


@pytest.fixture(scope="session")
def sanitized() -> Path:
    return build("native-sanitized", "-DLACONIC_SANITIZE=ON")


def test_there_are_native_tests():
    assert len(SOURCES) >= 4


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_native(source: Path, built: Path):
    done = run(built / source.stem)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_native_under_sanitizers(source: Path, sanitized: Path):
    """No byte is touched out of bounds and nothing undefined happens."""
    done = run(sanitized / source.stem)
    assert done.returncode == 0, done.stdout
