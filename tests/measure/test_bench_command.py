"""`laconic bench` measures a folder, writes four files and refuses to replace them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from laconic.cli.app import dispatch
from laconic.measure import extras

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("kitten", "hallway"):
        with Image.open(EXAMPLES / f"{name}.jpg") as image:
            image.crop((100, 100, 292, 276)).save(folder / f"{name}.png")
    return folder


def test_a_run(photos, tmp_path, capsys):
    pytest.importorskip("bjontegaard")
    pytest.importorskip("matplotlib")
    words = ["bench", str(photos), "--against", "jpeg,webp", "--qualities", "30,50,70,85", "-o", str(tmp_path / "out")]
    words += ["--metrics", "psnr,ms-ssim"]
    assert dispatch([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "bench.json").read_text()) == printed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"bench.json", "bench.csv", "bench.png", "bench.svg"}
    assert [codec["name"] for codec in printed["codecs"]] == ["laconic", "jpeg", "webp"]
    assert printed["codecs"][0]["qualities"] == [30, 50, 70, 85]
    assert printed["bd_rate"]["laconic against jpeg"]["psnr-rgb"]["of_averaged_curves_percent"] < 0
    assert len((tmp_path / "out" / "bench.csv").read_text().splitlines()) == 1 + 2 * (4 + 9 + 9)
    assert printed["photos"]["kitten.png"]["width"] == 192
    assert dispatch(words) == 1
    assert "exists already" in capsys.readouterr().err
    assert dispatch([*words, "-f"]) == 0
    assert "BD-rate" in capsys.readouterr().out


def test_a_peer_that_cannot_run_is_left_out_by_name(photos, tmp_path, capsys, monkeypatch):
    pytest.importorskip("bjontegaard")
    pytest.importorskip("matplotlib")
    load = extras.import_module

    def without_av(name: str) -> object:
        if name == "av":
            raise ImportError(name)
        return load(name)

    monkeypatch.setattr(extras, "import_module", without_av)
    words = ["bench", str(photos), "--against", "hevc,jpeg", "--qualities", "30,80", "--metrics", "psnr"]
    assert dispatch([*words, "-o", str(tmp_path / "out"), "--json"]) == 0
    said = capsys.readouterr()
    assert "hevc is left out: av is needed to measure HEVC" in said.err
    result = json.loads(said.out)
    assert set(result["left_out"]) == {"hevc"}
    assert [codec["name"] for codec in result["codecs"]] == ["laconic", "jpeg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--against", "gif"], "unknown codec 'gif'"),
        (["--metrics", "psnr,vmaf"], "is not a list of psnr, ms-ssim, ssimulacra2"),
        (["--qualities", "50,101"], "from 0 to 100"),
        (["--qualities", "low"], "from 0 to 100"),
    ],
)
def test_usage_errors(photos, capsys, words, message):
    assert dispatch(["bench", str(photos), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_package_is_named_with_its_extra(photos, capsys, monkeypatch):
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(extras, "import_module", absent)
    assert dispatch(["bench", str(photos), "--against", "jpeg"]) == 2
    assert 'pip install "laconic[bench]"' in capsys.readouterr().err
