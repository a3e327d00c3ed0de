"""The demo on one small photo: a table, a page, and true figures in both."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import laconic
from laconic.measure import demo

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[str, str, np.ndarray]:
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(EXAMPLES / "kitten.jpg") as image:
        small = image.crop((200, 100, 400, 280))
    small.save(folder / "kitten.png")
    text = io.StringIO()
    page = demo.run(folder, tmp_path_factory.mktemp("demo"), Console(file=text, width=120), qualities=(30, 70))
    return text.getvalue(), page.read_text(encoding="utf-8"), np.asarray(small)


def test_the_table_counts_real_bytes(shown):
    text, _, pixels = shown
    for quality in (30, 70):
        assert f"{len(laconic.compress(pixels, quality=quality)):,}" in text
    for word in ("kitten", "PSNR", "JPEG", "WebP"):
        assert word in text


def test_the_page_holds_everything(shown):
    _, page, _ = shown
    assert "default-src 'none'" in page
    assert page.count("data:image/") >= 1 + 2 * 3
    assert "geometric mean" in page
    assert len(page) < 15e6


def test_a_folder_without_photos_is_a_clear_error(tmp_path, capsys):
    assert demo.main([str(tmp_path)]) == 2
    assert "holds no picture" in capsys.readouterr().err
