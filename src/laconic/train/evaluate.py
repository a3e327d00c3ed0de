"""What a model is worth on held-out photos: bits and PSNR at a few steps, and lossless bits."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from laconic.codecs import image as codec
from laconic.codecs import tiles
from laconic.codecs.pixels import as_pixels
from laconic.coder import rans
from laconic.container.layout import TileGrid
from laconic.entropy import causal
from laconic.models import ImageModel, load_model
from laconic.quantize import rdo
from laconic.train.photos import read_photo
from laconic.transform import color, lifting
from laconic.transform.workers import Workers

__all__ = ["STEP_CODES", "append_row", "evaluate"]

STEP_CODES = (160, 256, 320, 384, 448, 496)
CROP = (512, 768)
PHOTOS = 12


def evaluate(model_file: Path, photos: list[Path], *, effort: int = 5) -> dict[str, Any]:
    """Code up to a dozen photos at `STEP_CODES` and without loss.

    Returns
    -------
    dict
        `bpp` and `psnr` (lists, means over photos, bits of the streams alone), `lossless_bpp`, `photos`,
        `fingerprint`.
    """
    data = model_file.read_bytes()
    model = load_model(data)
    pictures = [read_photo(p, crop=CROP, seed=5) for p in photos[:: max(1, len(photos) // PHOTOS)][:PHOTOS]]
    points = np.array([[_lossy(model, p, step, effort) for step in STEP_CODES] for p in pictures])
    lossless = np.mean([_lossless(model, p) for p in pictures])
    return {
        "photos": len(pictures),
        "step_codes": list(STEP_CODES),
        "bpp": [round(float(x), 5) for x in points[..., 0].mean(0)],
        "psnr": [round(float(x), 4) for x in points[..., 1].mean(0)],
        "lossless_bpp": round(float(lossless), 5),
        "fingerprint": hashlib.sha256(data).hexdigest()[:16],
        "model_bytes": len(data),
    }


def _lossy(model: ImageModel, pixels: np.ndarray, step_code: int, effort: int) -> tuple[float, float]:
    """(bits per pixel, PSNR in RGB) of one picture at one step."""
    with Workers(1) as workers:
        planes = codec.Analysis.of(as_pixels(pixels), lossless=False, workers=workers).planes
        header = codec.ImageCodec(effort=effort, network="off").header_at(codec.Analysis(planes, model), step_code)
        coding = tiles.tile_coding(header, model, rdo.for_effort(effort))
        grid = TileGrid.of(header)
        restored = np.zeros_like(planes)
        size = 0
        for tile in range(grid.count):
            window = tiles.pixel_window(grid, tile)
            streams = [rans.push(ops) for ops in causal.tables(planes, window, coding)]
            size += sum(map(len, streams))
            causal.pop_tile(restored, window, coding, streams, tile)
        lifting.synthesize(restored, tiles.wavelets(3, lossless=False), workers=workers)
        back = color.synthesize(restored, lossless=False, workers=workers)
    error = np.square(back.astype(np.float64) - pixels).mean()
    return size * 8 / pixels[..., 0].size, float(10 * np.log10(255**2 / max(error, 1e-6)))


def _lossless(model: ImageModel, pixels: np.ndarray) -> float:
    """Bits per pixel of one picture without loss."""
    with Workers(1) as workers:
        planes = codec.Analysis.of(as_pixels(pixels), lossless=True, workers=workers).planes
    header = codec.ImageCodec(lossless=True).header_at(codec.Analysis(planes, model), 0)
    coding = tiles.tile_coding(header, model)
    grid = TileGrid.of(header)
    streams = [
        rans.push(ops)
        for tile in range(grid.count)
        for ops in causal.tables(planes, tiles.pixel_window(grid, tile), coding)
    ]
    return sum(map(len, streams)) * 8 / pixels[..., 0].size


def append_row(log: Path, row: dict[str, Any]) -> None:
    """Append a run to the JSON list in `log`, with date, command, commit and machine."""
    rows = json.loads(log.read_text())["runs"] if log.exists() else []
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "command": " ".join(["laconic", *sys.argv[1:]]),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
    }
    rows.append({**about, **row})
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(json.dumps({"runs": rows}, indent=1, allow_nan=False) + "\n")
