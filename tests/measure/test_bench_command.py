"""`laconic bench` measures a folder, writes three files and refuses to replace them."""

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
    assert dispatch([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "bench.json").read_text()) == printed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"bench.json", "bench.png", "bench.svg"}
    assert [codec["name"] for codec in printed["codecs"]] == ["laconic", "jpeg", "webp"]
    assert printed["codecs"][0]["qualities"] == [30, 50, 70, 85]
    assert printed["bd_rate"]["laconic against jpeg"]["psnr-rgb"]["of_averaged_curves_percent"] < 0
    assert dispatch(words) == 1
    assert "exists already" in capsys.readouterr().err
    assert dispatch([*words, "-f"]) == 0
    assert "BD-rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--against", "gif"], "unknown codec 'gif'"),
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
