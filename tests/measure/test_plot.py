"""The plot of a run is written as PNG and SVG."""

from __future__ import annotations

import pytest

from laconic.measure.curves import Curve
from laconic.measure.plot import plot


@pytest.mark.parametrize("similarity", [{"ms-ssim-rgb": 0.97, "ssimulacra2": 70.0}, {"ms-ssim-rgb": float("nan")}, {}])
def test_both_files(tmp_path, similarity):
    pytest.importorskip("matplotlib")
    points = [{"bpp": 0.2 * 2**k, "psnr-rgb": 28 + 3.0 * k, **similarity} for k in range(4)]
    curves = [Curve(name, name, "1", "1", (1, 2, 3, 4), {"a.png": points}) for name in ("laconic", "jpeg")]
    files = plot(curves, tmp_path / "run", title="two codecs")
    assert [file.name for file in files] == ["run.png", "run.svg"]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in files[1].read_text(encoding="utf-8")
