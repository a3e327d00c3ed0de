"""The built wheel holds everything, and works where nothing else of this project is."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "laconic"
MAX_WHEEL = 9_500_000
"""Bytes. The model takes 6.9 million of them, the native module 1.6 and Python 0.6; more means that something strayed
in."""


def run(*command: str | Path, cwd: Path, path: str | None = None) -> str:
    """Run a command that sees neither this repository nor the environment of the tests; return what it prints."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "COV"))
    }
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=540,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options = ["--no-build-isolation", "--no-deps", "--quiet", "--wheel-dir", folder]
    # A build folder of its own, kept between runs: the one of the editable install stays as it is.
    build = f"--config-settings=build-dir={ROOT / 'build' / 'wheel'}"
    run(sys.executable, "-m", "pip", "wheel", *options, build, ROOT, cwd=folder, path=path)
    [found] = folder.glob("*.whl")
    return found


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_whole_package(wheel: Path):
    """Every file under `src/laconic`: code, stubs, `py.typed`, the model, the assets of the pages."""
    files = {
        f"laconic/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"laconic/py.typed", "laconic/models/photo.safetensors"} <= files
    assert {Path(name).suffix for name in files if name.startswith("laconic/viewer/")} >= {
        ".py",
        ".css",
        ".html",
        ".js",
    }
    assert files <= names(wheel)


def test_the_wheel_holds_the_licence_and_the_native_module_and_nothing_strange(wheel: Path):
    inside = names(wheel)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)
    assert any(name.startswith("laconic/_native.") and name.endswith((".so", ".pyd")) for name in inside)
    roots = {name.split("/")[0] for name in inside}
    assert len(roots) == 2
    assert all(root == "laconic" or root.endswith(".dist-info") for root in roots)
    assert not [name for name in inside if name.endswith((".cpp", ".h", ".o", ".a", ".pyc", ".cmake"))]
    assert wheel.stat().st_size < MAX_WHEEL


def test_the_wheel_asks_for_little(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode("utf-8"))
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(required) <= 6
    assert not [line for line in required if line.startswith(("torch", "scipy", "matplotlib", "imagecodecs"))]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any("torch==2.13.0" in line for line in metadata.get_all("Requires-Dist", []))


@pytest.fixture(scope="session")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` folder of a fresh environment with the wheel and what the wheel asks for."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(binaries / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
    return binaries


def test_the_wheel_works_alone(clean: Path, tmp_path: Path):
    version = run(clean / "laconic", "--version", cwd=tmp_path)
    assert "0.1.0" in version
    where = run(clean / "python", "-c", "import laconic; print(laconic.__file__)", cwd=tmp_path)
    assert str(clean.parent) in where
    run(clean / "python", "-c", "import importlib.util as u; assert u.find_spec('torch') is None", cwd=tmp_path)

    rows, columns = np.mgrid[0:67, 0:90]
    pixels = np.stack([rows * 3 % 256, columns * 2 % 256, (rows * columns) % 256], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    run(clean / "laconic", "compress", "photo.png", "--lossless", "-o", "exact.lac", cwd=tmp_path)
    run(clean / "laconic", "decompress", "exact.lac", "-o", "exact.png", cwd=tmp_path)
    with Image.open(tmp_path / "exact.png") as restored:
        assert np.array_equal(np.asarray(restored), pixels)
    run(clean / "laconic", "compress", "photo.png", "-q", "50", "-o", "small.lac", cwd=tmp_path)
    run(clean / "laconic", "decompress", "small.lac", "-o", "small.png", cwd=tmp_path)
    assert (tmp_path / "small.lac").stat().st_size < (tmp_path / "exact.lac").stat().st_size
    with Image.open(tmp_path / "small.png") as restored:
        assert np.mean((np.asarray(restored, np.float64) - pixels) ** 2) < 1000


PLUGINS = """
import sys
import laconic.pillow
from PIL import Image
with Image.open("photo.png") as picture:
    picture.save("plugin.lac", quality=50, tune="ssim")
with Image.open("plugin.lac") as picture:
    assert (picture.format, picture.size) == ("LAC", (90, 67))
    picture.load()
assert not {"zarr", "numcodecs", "torch"} & set(sys.modules)
"""


def test_the_pillow_plugin_of_the_wheel_works_alone(clean: Path, tmp_path: Path):
    Image.fromarray(np.arange(67 * 90 * 3, dtype=np.uint8).reshape(67, 90, 3)).save(tmp_path / "photo.png")
    run(clean / "python", "-c", PLUGINS, cwd=tmp_path)


FOUND = """
from importlib.metadata import entry_points
for group in ("zarr.codecs", "numcodecs.codecs"):
    found = {point.name: point.value for point in entry_points(group=group) if point.name.startswith("laconic")}
    module = "laconic." + group.split(".")[0]
    assert found == {"laconic_array": module + ":LaconicArray", "laconic_image": module + ":LaconicImage"}, found
"""
CODECS = """
import numpy as np, numcodecs, zarr
numbers = np.linspace(0, 1, 300, dtype=np.float32).reshape(20, 15)
codec = numcodecs.get_codec({"id": "laconic_array", "max_error": 0.01})
assert abs(codec.decode(codec.encode(numbers)) - numbers).max() <= 0.01
from zarr.registry import get_codec_class
assert get_codec_class("laconic_image").__module__ == "laconic.zarr"
array = zarr.create_array("a.zarr", data=numbers, serializer=get_codec_class("laconic_array")(), compressors=None)
assert (zarr.open_array("a.zarr")[:] == numbers).all()
"""


def test_zarr_and_numcodecs_find_the_codecs_of_the_wheel(clean: Path, tmp_path: Path):
    """Entry points are what the wheel says; with the libraries lent to the environment, the codecs behind them work."""
    run(clean / "python", "-c", FOUND, cwd=tmp_path)
    zarr = pytest.importorskip("zarr", reason="needs zarr")
    lent = f"import sys; sys.path.append({str(Path(zarr.__file__).parents[1])!r})\n"
    # What is installed beside zarr must not stand in for the wheel: its own folder comes first.
    check = "import laconic; assert laconic.__file__.startswith(sys.prefix), laconic.__file__\n"
    run(clean / "python", "-c", lent + check + CODECS, cwd=tmp_path)
