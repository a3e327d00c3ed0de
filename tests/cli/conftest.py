"""A folder to work in, a photo, and a way to type commands."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laconic.__main__ import main
from laconic.signals.image import Image, save

PROGRAM = [sys.executable, "-m", "laconic"]


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, stdout, stderr."""

    code: int
    data: bytes
    said: str

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def photo_pixels(height: int = 64, width: int = 96, channels: int = 3, *, seed: int = 0, dtype: Any = np.uint8) -> Any:
    """Slopes, an edge and some noise: enough of a photo for a codec."""
    random = np.random.default_rng(seed)
    down, right = np.mgrid[0:height, 0:width]
    planes = [
        0.5 + 0.3 * np.sin((down * (1 + c) + right * (3 - c)) / 17 + seed) + 0.2 * (right > width / 2)
        for c in range(channels)
    ]
    noisy = np.stack(planes, axis=2) + random.normal(0, 0.02, (height, width, channels))
    return (np.clip(noisy, 0, 1) * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def photo(folder: Path) -> Path:
    """`photo.png` in the working directory."""
    save(folder / "photo.png", Image(photo_pixels()))
    return Path("photo.png")


@pytest.fixture
def lac(photo: Path) -> Path:
    """`photo.lac` in the working directory."""
    assert main(["compress", "--quiet", str(photo)]) == 0
    return Path("photo.lac")


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Type a command in this process."""

    def type_command(*words: object, stdin: bytes = b"") -> Result:
        capfdbinary.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(word) for word in words])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Result(code, out, err.decode())

    return type_command


def process(*words: object, stdin: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Type a command in a process of its own."""
    return subprocess.run(
        [*PROGRAM, *map(str, words)], input=stdin, capture_output=True, timeout=60, check=False, **options
    )


def leftovers(folder: Path) -> list[str]:
    """Files that have no business in a folder after a command has ended."""
    return [name for _, _, names in os.walk(folder) for name in names if name.startswith(".") or name.endswith(".tmp")]
