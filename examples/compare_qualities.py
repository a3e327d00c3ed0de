"""See what each quality costs and gives: python examples/compare_qualities.py photo.jpg."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

import laconic as lac

pixels = np.asarray(Image.open(sys.argv[1]).convert("RGB"))
print("quality   bytes   bits per pixel   PSNR")
for quality in (20, 40, 60, 80):
    data = lac.compress(pixels, quality=quality)
    error = np.mean((lac.decompress(data).astype(float) - pixels) ** 2)
    bits = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    print(f"{quality:7d} {len(data):7d} {bits:16.3f} {10 * np.log10(255**2 / error):6.2f}")
