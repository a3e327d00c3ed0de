"""Results come back, runs are put together, and published curves stand beside the Kodak photos only."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from laconic.errors import UsageError
from laconic.measure.curves import Curve, as_json
from laconic.measure.results import Run, merge, published, read_run

PHOTOS = {"a.png": {"width": 100, "height": 50, "of": "00ff"}, "b.png": {"width": 80, "height": 80, "of": "11ee"}}


def curve(name: str, factor: float = 1.0) -> Curve:
    points = [
        {
            "bytes": 100.0 * factor * 2**k,
            "bpp": 0.2 * factor * 2**k,
            "psnr-rgb": 30.0 + 3 * k,
            "encoding_time": 0.1,
            "decoding_time": 0.05,
        }
        for k in range(4)
    ]
    return Curve(name, f"{name}, settings", "1.0", "1", (20, 40, 60, 80), dict.fromkeys(PHOTOS, points))


def write(path: Path, *curves: Curve, photos: dict = PHOTOS) -> Path:
    facts = {"photos": photos, "date": "a day", "codecs": [as_json(one) for one in curves]}
    path.write_text(json.dumps(facts), encoding="utf-8")
    return path


def test_a_run_comes_back(tmp_path):
    run = read_run(write(tmp_path / "bench.json", curve("laconic"), curve("jpeg")))
    assert [one.name for one in run.curves] == ["laconic", "jpeg"]
    assert run.photos == {"a.png": "00ff", "b.png": "11ee"}
    assert run.megapixels == pytest.approx((5000 + 6400) / 2e6)
    assert run.curves[1].of("b.png", "psnr-rgb") == [30, 33, 36, 39]


@pytest.mark.parametrize("text", ["{}", "[]", "no json", '{"codecs": [], "photos": {}}', '{"codecs": [{"name": 1}]}'])
def test_what_is_no_result_is_refused_by_name(tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"odd\.json is no result"):
        read_run(path)


def test_runs_of_the_same_photos_are_put_together(tmp_path):
    runs = [
        read_run(write(tmp_path / "new.json", curve("jpeg"), curve("laconic", 0.5))),
        read_run(write(tmp_path / "old.json", curve("laconic"), curve("webp"))),
    ]
    assert [one.name for one in merge(runs)] == ["laconic", "jpeg", "laconic (old)", "webp"]
    assert merge(runs)[0].mean("bpp")[0] == pytest.approx(0.1)


def test_runs_of_other_photos_are_not(tmp_path):
    first = read_run(write(tmp_path / "one.json", curve("laconic")))
    other = read_run(write(tmp_path / "two.json", curve("jpeg"), photos={**PHOTOS, "b.png": PHOTOS["a.png"]}))
    with pytest.raises(UsageError, match="different photos"):
        merge([first, other])
    with pytest.raises(UsageError, match="no result measured laconic"):
        merge([other])


def test_published_curves_belong_to_the_24_kodak_photos():
    assert published({"a.png": "00ff"}) == []
    table = json.loads(files("laconic.measure").joinpath("kodak_published.json").read_text("utf-8"))
    photos = {f"{k}.png": name for k, name in enumerate(table["photos"])}
    assert len(photos) == 24
    found = published(photos)
    assert {"VVC, VTM 9.1", "BPG 4:4:4", "ELIC 2022", "MLIC++", "Cool-chic 5.0"} <= {one.curve.name for one in found}
    for one in found:
        assert one.source
        for figure in ("bpp", "psnr-rgb"):
            assert (np.diff(one.curve.mean(figure)) > 0).all(), one.curve.name
    del photos["3.png"]
    assert published(photos) == []


def test_a_run_tells_its_photos():
    run = Run("x", {"photos": PHOTOS}, (curve("laconic"),))
    assert set(run.photos) == set(run.curves[0].points)
