"""One small page that the tests of its text and of its life in a browser share."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from laconic.viewer.charts import Chart, Line
from laconic.viewer.report import Embedded, Level, Panel, Rendition, Report, Scene, Spent, Table, page

NASTY = 'a</script><b>"&'


def picture(color: str) -> Embedded:
    file = io.BytesIO()
    Image.new("RGB", (96, 80), color).save(file, "PNG")
    return Embedded(file.getvalue(), "image/png")


def scene(name: str) -> Scene:
    spent = Spent([("header", 21), (NASTY, 300)], 64, 2, 2, [("coarse", [100, 20, 30, 10]), ("fine", [80, 5, 50, 5])])
    levels = [
        Level(
            str(quality),
            [
                Rendition("laconic", picture("teal"), 321, 34.567),
                Rendition("JPEG", picture("red"), 300, 31),
                Rendition("AVIF", picture("green"), 310, 33),
            ],
            spent,
        )
        for quality in (30, 60, 90)
    ]
    return Scene(name, 96, 80, 12345, picture("navy"), levels)


def example() -> Report:
    lines = [
        Line("laconic", [0.1, 0.4, 1.6], [28, 33, 39], 0),
        Line(NASTY, [0.2, 0.8, 2], [27, 32, 38], 1),
        Line("published", [0.2, 0.8], [29, 35]),
    ]
    rows = [["b", ("2", 2.0), "x"], [NASTY, ("–", float("nan")), "y"], ["a", ("10", 10.0), "z"]]
    table = Table("BD-rates", ["codec", "percent", "words"], rows, "caption", prose=("words",))
    return Report(
        title=f"title {NASTY}",
        lead="lead",
        highlights=[("+50 %", "more {{ notes }}")],
        scenes=[scene(NASTY), scene("second")],
        tables=[Table("Plain", ["photo", "bytes"], [[NASTY, "1"], ["", "2"]], "caption", sortable=False)],
        notes=["note one"],
        panels=[Panel("PSNR", Chart("PSNR, dB", lines), table), Panel("MS-SSIM", Chart("MS-SSIM", lines), table)],
    )


@pytest.fixture(scope="session")
def nasty() -> str:
    """A name that would end a script, an element and an attribute."""
    return NASTY


@pytest.fixture(scope="session")
def text() -> str:
    """A page with everything a page can have."""
    return page(example())
