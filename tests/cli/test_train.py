"""`laconic train network`: a short run ends with a model file whose network decodes; wrong options say so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from laconic.models import PHOTO, load_model
from laconic.signals.image import Image, save

from .conftest import PROGRAM, photo_pixels


@pytest.fixture
def photos(folder: Path) -> Path:
    source = folder / "photos"
    source.mkdir()
    for seed in range(3):
        save(source / f"{seed}.png", Image(photo_pixels(256, 320, seed=seed)))
    return source


def test_a_network_is_trained_into_the_shipped_model(photos: Path):
    output = Path("out/mine.safetensors")
    command = [*PROGRAM, "train", "network", "--size", "fast", "--data", str(photos), "-o", str(output)]
    done = subprocess.run([*command, "--minutes", "0.02"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    before, after = load_model(PHOTO.read_bytes()), load_model(output.read_bytes())
    assert after.fingerprint != before.fingerprint
    assert set(after.networks) == {"fast", "best", "ssim"}
    assert np.array_equal(after.networks["best"].mix_weight, before.networks["best"].mix_weight)
    assert not np.array_equal(after.networks["fast"].mix_weight, before.networks["fast"].mix_weight)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode != 0
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["network", "--sets", "0,256"], "--sets does not go with"),
        (["image", "--size", "best"], "--size does not go with"),
        (["network", "--resume"], "nothing to resume"),
        (["network"], "no photos of at least 256 x 256"),
    ],
)
def test_wrong_settings_are_told(run: Any, folder: Path, words: list[str], said: str):
    result = run("train", *words, "--data", folder, "-o", "m.safetensors")
    assert result.code == 2
    assert said in result.said
    assert not list(folder.iterdir())
