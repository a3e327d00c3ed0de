"""Training photos: finding them, holding some out, and reading them as pixels.

Every fourteenth photo in sorted order is held out; only held-out photos may choose between variants. Photos that ship
as examples are never trained on, so that the demo shows what a stranger's photos would show.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["EXAMPLES", "add_alpha", "deepen", "find_photos", "read_photo"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".ppm", ".bmp")
HOLD_OUT_EVERY = 14
EXAMPLES = frozenset(f"buddiesofbud_{tail}" for tail in ("c6a346781064", "93038c43a22d", "629a1a45cb0e", "d34ba3f6a085", "964846ae1c37"))  # fmt: skip  # noqa: E501


def find_photos(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """Return (training, held out) photo paths under `folder`, both sorted; of fewer than 28 photos none is held out."""
    paths = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    held = paths[HOLD_OUT_EVERY - 1 :: HOLD_OUT_EVERY] if len(paths) >= 2 * HOLD_OUT_EVERY else []
    keep = {p for p in paths if p.stem not in EXAMPLES}
    return [p for p in paths if p in keep.difference(held)], [p for p in held if p in keep]


def read_photo(
    path: str | Path, *, halve: bool = False, crop: tuple[int, int] | None = None, seed: int = 0
) -> np.ndarray:
    """Read one photo as (H, W, 3) uint8.

    Parameters
    ----------
    halve
        Average 2x2 pixels, which removes most of what an earlier JPEG left behind.
    crop
        Largest (height, width) kept; the place is drawn with `seed`.
    """
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    if halve and min(pixels.shape[:2]) >= 2:
        h, w = pixels.shape[0] & ~1, pixels.shape[1] & ~1
        quads = pixels[:h, :w].astype(np.uint16).reshape(h // 2, 2, w // 2, 2, 3).sum((1, 3))
        pixels = ((quads + 2) >> 2).astype(np.uint8)
    if crop is not None:
        rng = np.random.default_rng(seed)
        h, w = min(crop[0], pixels.shape[0]), min(crop[1], pixels.shape[1])
        y, x = rng.integers(0, pixels.shape[0] - h + 1), rng.integers(0, pixels.shape[1] - w + 1)
        pixels = pixels[y : y + h, x : x + w]
    return np.ascontiguousarray(pixels)


def add_alpha(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add an opacity plane as pictures have it: none at all, cut-outs with hard or soft edges, gradients, texture."""
    h, w = pixels.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    kind = int(rng.integers(0, 6))
    if kind == 0:
        alpha = np.full((h, w), 255.0)
    elif kind in (1, 2):  # a cut-out along a wavy outline, its edge one to twenty pixels wide
        angle = np.arctan2(y - h / 2, x - w / 2)
        wave = sum(rng.normal(0, 0.12 / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(1, 8))
        inside = min(h, w) * 0.38 * (1 + wave) - np.hypot(y - h / 2, x - w / 2)
        alpha = 127.5 + inside * 255 / (1 if kind == 1 else rng.uniform(2, 20))
    elif kind == 3:
        alpha = 255 * (x * rng.uniform(-1, 1) / w + y * rng.uniform(-1, 1) / h + rng.uniform(0, 1))
    elif kind == 4:
        alpha = pixels[..., 1].astype(np.float32)
    else:  # the subject: what differs from the mean color
        distance = np.abs(pixels.astype(np.float32) - pixels.mean((0, 1))).sum(-1)
        alpha = np.where(distance > np.median(distance), 255, 0)
    alpha = np.clip(alpha, 0, 255).astype(np.uint8)
    return np.concatenate([pixels, alpha[..., None]], -1)


def deepen(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn 8-bit pixels into 16-bit ones with sensor-like noise of a random strength in the new bits."""
    noise = rng.normal(0, 2.0 ** rng.uniform(0, 7), pixels.shape)
    return np.clip(np.rint(pixels * 257.0 + noise), 0, 65535).astype(np.uint16)
