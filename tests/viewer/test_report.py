"""The page is complete in itself, safe with any name, and works in a browser where there is one."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess

import pytest
from PIL import Image

from laconic.viewer.report import Embedded, Level, Rendition, Report, Scene, page

NASTY = 'a</script><b>"&'


def picture(color: str) -> Embedded:
    file = io.BytesIO()
    Image.new("RGB", (96, 80), color).save(file, "PNG")
    return Embedded(file.getvalue(), "image/png")


def scene(name: str) -> Scene:
    levels = [
        Level(
            str(quality),
            [Rendition("laconic", picture("teal"), 321, 34.567, 0.98), Rendition("JPEG", picture("red"), 300, 31, 0.9)],
        )
        for quality in (30, 60, 90)
    ]
    return Scene(name, 96, 80, 12345, picture("navy"), levels)


@pytest.fixture
def text() -> str:
    return page(
        Report(
            title=f"title {NASTY}",
            lead="lead",
            highlights=[("+50 %", "more {{ notes }}")],
            scenes=[scene(NASTY), scene("second")],
            columns=["photo", "bytes"],
            rows=[[NASTY, "1"], ["", "2"]],
            caption="caption",
            notes=["note one"],
        )
    )


def test_nothing_is_asked_of_a_network(text):
    assert "default-src 'none'; img-src data:" in text
    assert not re.search(r"""<[^>]*\b(src|href|srcset|action)\s*=\s*["']?(?!["']?(#|data:))""", text)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", text)


def test_names_cannot_break_the_page(text):
    assert NASTY not in text
    assert text.count("</script>") == 2
    assert text.count("<script") == 2
    # What looks like a place to fill in stays as it is.
    assert "more {{ notes }}" in text


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium here")


def test_a_browser_fills_the_page(text, tmp_path):
    browser = chromium()
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'user'}",
    ]
    command += ["--virtual-time-budget=3000", "--dump-dom", file.as_uri()]
    if os.geteuid() == 0:
        command.insert(1, "--no-sandbox")
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    dom = done.stdout
    assert '<div id="viewer">' in dom  # no longer hidden
    assert dom.count('<button type="button" aria-pressed="true">') == 2  # one photo, one quality
    assert "<strong>laconic</strong> · 321 bytes · 0.334 bits per pixel · 34.57 dB" in dom
    assert dom.count("<canvas") == 3
