"""`laconic report` makes one page of results, with the photos that were measured and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from laconic.cli.app import dispatch

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[Path, Path]:
    """A folder of two photos and the result of a run over them."""
    pytest.importorskip("bjontegaard")
    pytest.importorskip("matplotlib")
    root = tmp_path_factory.mktemp("measured")
    (root / "photos").mkdir()
    for name in ("kitten", "hallway"):
        with Image.open(EXAMPLES / f"{name}.jpg") as image:
            image.crop((100, 100, 292, 276)).save(root / "photos" / f"{name}.png")
    words = ["bench", str(root / "photos"), "--against", "jpeg,webp", "--qualities", "30,50,70,85", "--quiet"]
    assert dispatch([*words, "--metrics", "psnr,ms-ssim", "-o", str(root / "out")]) == 0
    return root / "photos", root / "out" / "bench.json"


def test_a_page(measured, tmp_path, capsys):
    photos, result = measured
    page = tmp_path / "pages" / "report.html"
    words = ["report", str(result), "--html", str(page), "--photos", str(photos), "--pictures", "1"]
    assert dispatch([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "output": str(page),
        "bytes_out": page.stat().st_size,
        "photos_shown": 1,
    }
    text = page.read_text(encoding="utf-8")
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert [scene["name"] for scene in data] == ["hallway"]
    for level in data[0]["levels"]:
        own, *peers = level["renditions"]
        assert [peer["codec"] for peer in peers] == ["jpeg", "webp"]
        assert all(peer["size"] == pytest.approx(own["size"], rel=0.15) for peer in peers)
        assert sum(size for _, size in level["spent"]["parts"]) == own["size"]
        assert len(level["spent"]["groups"][0]["bytes"]) == 3 * 3
    assert text.count("<svg viewBox") == 2  # one plot for each metric
    assert "worst photo" in text
    assert "VTM" not in re.sub(r"base64,[^\"]*", "", text)  # published curves are for Kodak
    assert dispatch(words) == 1
    assert "exists already" in capsys.readouterr().err


def test_without_photos_the_page_has_figures_only(measured, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert dispatch(["report", str(measured[1]), "--html", str(page)]) == 0
    assert "--photos" in capsys.readouterr().err
    assert "data:image" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--photos", str(EXAMPLES)], "none of the photos that were measured"),
        (["--show", "jpeg"], "--show needs --photos"),
        (["--photos", "PHOTOS", "--show", "avif-s3"], "avif-s3: not in the results"),
    ],
)
def test_usage_errors(measured, tmp_path, capsys, words, message):
    words = [str(measured[0]) if word == "PHOTOS" else word for word in words]
    assert dispatch(["report", str(measured[1]), "--html", str(tmp_path / "x.html"), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()
