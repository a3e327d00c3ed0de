"""A run counts real bytes and keeps its promises about averages, layout and cache."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from laconic.errors import UsageError
from laconic.measure import comparison
from laconic.measure.curves import as_csv, as_json, compare, delta_as_json, from_json
from laconic.measure.ladder import Ladder
from laconic.measure.peers import RGB, AbstractPeer

PSNR = ("psnr-rgb",)  # the toy pictures are too small for the other metrics


@dataclass(frozen=True)
class Toy(AbstractPeer):
    """Keeps the upper bits of each sample; its file is as long as it says."""

    name: str = "toy"
    description: str = "upper bits"
    qualities: Sequence[float] = (2, 4, 6)
    threads: str = "1"
    lossless: bool = False
    waste: int = 0

    def encode(self, pixels: RGB, quality: float) -> bytes:
        drop = 8 - round(quality)
        body = ((pixels >> drop) << drop) + (1 << drop >> 1)
        payload = np.asarray(pixels.shape, "<u2").tobytes() + body.astype(np.uint8).tobytes()
        return payload + bytes(round(1000 * 2**quality) + self.waste)

    def decode(self, data: bytes) -> RGB:
        shape = np.frombuffer(data[:6], "<u2")
        return np.frombuffer(data[6 : 6 + int(np.prod(shape))], np.uint8).reshape(shape)

    def version(self) -> str:
        return "1"


@pytest.fixture
def pictures() -> list[comparison.Picture]:
    rng = np.random.default_rng(5)
    return [comparison.Picture(f"{k}.png", rng.integers(0, 256, (8, 10 + k, 3), np.uint8)) for k in range(2)]


def test_figures_are_those_of_real_files(pictures):
    curve = comparison.measure(Toy(), pictures, metrics=PSNR)
    sizes = [len(Toy().encode(pictures[0].pixels, quality)) for quality in (2, 4, 6)]
    assert curve.of("0.png", "bytes") == sizes
    assert curve.of("0.png", "bpp") == [8 * size / 80 for size in sizes]
    assert curve.mean("psnr-rgb") == pytest.approx(
        [np.mean([curve.of(picture.name, "psnr-rgb")[k] for picture in pictures]) for k in range(3)]
    )


def test_json_has_the_published_layout(pictures):
    pytest.importorskip("bjontegaard")
    toy, heavy = Toy(), Toy(name="heavy", waste=5000)
    curves = [comparison.measure(codec, pictures, metrics=PSNR) for codec in (toy, heavy)]
    result = json.loads(json.dumps(comparison.report(curves, pictures, subject="toy"), allow_nan=False))
    assert {"machine", "versions", "commit", "command", "date"} <= set(result)
    for codec in result["codecs"]:
        assert set(codec["results"]) == {"bpp", "psnr-rgb", "encoding_time", "decoding_time"}
        assert all(len(values) == 3 for values in codec["results"].values())
        assert set(codec["pictures"]) == {"0.png", "1.png"}
    delta = result["bd_rate"]["toy against heavy"]["psnr-rgb"]
    assert delta["of_averaged_curves_percent"] < 0
    assert delta["overlap_of_averaged_curves"] == pytest.approx(1)
    assert (delta["points_in_overlap"], delta["anchor_points_in_overlap"]) == (3, 3)
    assert delta["pictures_whose_curves_meet"] == 2
    assert delta["worst_of_pictures_percent"] == max(delta["pictures_percent"].values())
    assert delta["pictures_percent"][delta["worst_picture"]] == delta["worst_of_pictures_percent"]
    assert delta["mean_of_pictures_percent"] == pytest.approx(
        np.mean(list(delta["pictures_percent"].values())), rel=1e-4
    )


def test_curves_come_back_from_json(pictures):
    curve = comparison.measure(Toy(), pictures, metrics=PSNR)
    back = from_json(json.loads(json.dumps(as_json(curve), allow_nan=False)))
    assert (back.name, back.qualities, set(back.points)) == ("toy", (2, 4, 6), {"0.png", "1.png"})
    for figure in ("bytes", "bpp", "psnr-rgb", "encoding_time"):
        assert back.mean(figure) == pytest.approx(curve.mean(figure), rel=1e-4)
    assert not back.has("ssimulacra2")


def test_csv_has_a_line_for_every_point(pictures):
    lines = list(csv.DictReader(as_csv([comparison.measure(Toy(), pictures, metrics=PSNR)]).splitlines()))
    assert len(lines) == 2 * 3
    assert int(lines[0]["bytes"]) == len(Toy().encode(pictures[0].pixels, 2))
    assert (lines[4]["picture"], lines[4]["quality"], lines[4]["ms-ssim-rgb"]) == ("1.png", "4", "")


def test_curves_that_do_not_meet_have_no_bd_rate(pictures):
    low = comparison.measure(Toy(), pictures, (1, 2), metrics=PSNR)
    high = comparison.measure(Toy(name="fine"), pictures, (5, 6), metrics=PSNR)
    delta = delta_as_json(compare(low, high))
    assert delta["of_averaged_curves_percent"] is None
    assert delta["median_of_pictures_percent"] is None
    assert (delta["pictures_whose_curves_meet"], delta["points_in_overlap"]) == (0, 0)


def test_a_cache_serves_the_same_version_only(pictures, tmp_path):
    first = comparison.measure(Toy(), pictures, metrics=PSNR, cache=tmp_path)
    again = comparison.measure(Toy(), pictures, metrics=PSNR, cache=tmp_path)
    assert not first.cached
    assert again.cached
    assert str(again.points) == str(first.points)
    assert not comparison.measure(Toy(), pictures, cache=tmp_path, metrics=("psnr-rgb", "ms-ssim-rgb")).cached
    assert not comparison.measure(Toy(description="another"), pictures, metrics=PSNR, cache=tmp_path).cached


def test_pictures_of_a_folder(tmp_path):
    with pytest.raises(UsageError, match="holds no picture"):
        comparison.load_pictures(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        comparison.load_pictures(tmp_path / "none")
    Image.new("L", (3, 2), 7).save(tmp_path / "b.png")
    Image.new("RGB", (4, 2)).save(tmp_path / "a.bmp")
    (tmp_path / "note.txt").write_text("no picture")
    found = comparison.load_pictures(tmp_path)
    assert [picture.name for picture in found] == ["a.bmp", "b.png"]
    assert found[1].pixels.shape == (2, 3, 3)


class TestLadder:
    """Bytes at a PSNR, files at a size."""

    @pytest.fixture
    def ladder(self) -> Ladder:
        pixels = np.random.default_rng(6).integers(0, 256, (16, 16, 3), np.uint8)
        return Ladder(Toy(), pixels, lowest=1, highest=7)

    def test_bytes_lie_between_the_neighbors(self, ladder):
        below, above = ladder.at(4), ladder.at(5)
        found = ladder.bytes_at_psnr((below.psnr + above.psnr) / 2)
        assert found == pytest.approx((len(below.data) * len(above.data)) ** 0.5)
        assert ladder.bytes_at_psnr(below.psnr) == pytest.approx(len(below.data))

    def test_out_of_reach(self, ladder):
        assert ladder.bytes_at_psnr(1.0) is None
        assert ladder.bytes_at_psnr(90.0) is None

    def test_the_best_file_within_a_size(self, ladder):
        for quality in range(1, 8):
            size = len(ladder.at(quality).data)
            assert ladder.within_bytes(size).quality == quality
            assert ladder.within_bytes(size - 1).quality == max(quality - 1, 1)
        assert ladder.within_bytes(10**9).quality == 7
