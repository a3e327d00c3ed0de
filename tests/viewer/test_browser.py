"""The page in a real browser: sliders, zoom, map of bits, tables, light and dark; no request, no error.

Needs Chromium and the package playwright, which drives it; without them these tests are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install playwright")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium here: looked for {', '.join(NAMES)}")
    arguments = ["--disable-gpu", "--disable-dev-shm-usage"]
    # As root Chromium has no sandbox; the page is our own.
    arguments += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=arguments)
        yield running
        running.close()


@pytest.fixture
def tab(browser, text, tmp_path) -> Iterator[Any]:
    """The page, opened; whatever it asked for or complained about fails the test at its end."""
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")
    context = browser.new_context(viewport={"width": 1200, "height": 900}, color_scheme="light", offline=True)
    tab = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(file.as_uri())
    yield tab
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    assert complaints == []
    context.close()


def lines(tab) -> list[float]:
    return tab.evaluate("[...document.querySelectorAll('.stage input')].map((one) => Number(one.value))")


def drag(tab, start: float, end: float) -> None:
    """From one share of the stage's width to another, at a third of its height."""
    tab.locator("#stage").scroll_into_view_if_needed()
    box = tab.locator("#stage").bounding_box()
    height = box["y"] + box["height"] / 3
    tab.mouse.move(box["x"] + start * box["width"], height)
    tab.mouse.down()
    tab.mouse.move(box["x"] + end * box["width"], height, steps=4)
    tab.mouse.up()


def test_dragging_moves_the_nearer_line(tab):
    first, second = lines(tab)
    drag(tab, first / 100, 0.1)
    assert lines(tab) == [pytest.approx(10, abs=1), second]
    drag(tab, second / 100, 0.5)
    assert lines(tab)[1] == pytest.approx(50, abs=1)
    drag(tab, 0.5, 0.02)  # it stops at the other line
    assert lines(tab)[1] == lines(tab)[0]
    seen = tab.evaluate("document.querySelectorAll('.line')[0].getBoundingClientRect().x")
    stage = tab.locator("#stage").bounding_box()
    assert seen == pytest.approx(stage["x"] + stage["width"] * lines(tab)[0] / 100, abs=2)


def test_original_laconic_and_the_strongest_peer_stand_side_by_side(tab):
    chosen = tab.evaluate("[...document.querySelectorAll('.captions select')].map((one) => one.value)")
    assert chosen == ["original", "laconic", "AVIF"]
    assert "321 bytes · 0.334 bits per pixel · 34.57\N{NO-BREAK SPACE}dB" in tab.locator(".captions").inner_text()
    tab.locator(".captions select").nth(2).select_option("JPEG")
    assert "300 bytes" in tab.locator(".captions").inner_text()
    assert tab.locator("#closer canvas").count() == 4


def test_zoom_moves_all_pictures_alike(tab):
    tab.locator("#zoom-in").click()
    tab.locator("#zoom-in").click()
    drag(tab, 0.5, 0.3)  # between the lines: the picture moves, the lines stay
    seen = tab.evaluate("[...document.querySelectorAll('.pane img')].map((one) => getComputedStyle(one).transform)")
    assert len(set(seen)) == 1
    assert seen[0].startswith("matrix(2.25, 0, 0, 2.25, -")
    assert lines(tab) == [33.5, 66.5]
    tab.keyboard.press("0")
    assert tab.evaluate("getComputedStyle(document.querySelector('.pane img')).transform") in {
        "none",
        "matrix(1, 0, 0, 1, 0, 0)",
    }


def test_the_map_of_bits_shows_where_they_went(tab):
    assert tab.locator("#heat").is_hidden()
    tab.locator("#bits").select_option(label="fine")
    assert tab.locator("#heat").is_visible()
    # The densest square has the last color of the scale: 50 bytes below 16 of 80 rows are more than 80 in a whole one.
    painted = tab.evaluate("[...document.getElementById('heat').getContext('2d').getImageData(0, 0, 2, 2).data]")
    assert painted[8:11] == [253, 231, 37]
    assert f"{8 * 50 / (64 * 16):.2f} bits per pixel" in tab.locator("#spent").inner_text()
    tab.keyboard.press("Escape")
    tab.locator("#levels button").first.focus()
    tab.keyboard.press("b")
    assert tab.locator("#heat").is_hidden()


def test_keys_choose_quality_and_photo(tab):
    pressed = "[...document.querySelectorAll('{}')].findIndex((one) => one.getAttribute('aria-pressed') === 'true')"
    assert tab.evaluate(pressed.format("#levels button")) == 1
    tab.keyboard.press("3")
    tab.keyboard.press("n")
    assert tab.evaluate(pressed.format("#levels button")) == 2
    assert tab.evaluate(pressed.format(".photos button")) == 1


def test_tables_sort_by_number_with_the_unknown_last(tab):
    head = tab.locator(".panel:visible th", has_text="percent")

    def order() -> list[str]:
        return tab.locator(".panel:visible tbody td:nth-child(2)").all_inner_texts()

    head.click()
    assert order() == ["2", "10", "–"]
    head.click()
    assert order() == ["10", "2", "–"]
    assert head.get_attribute("aria-sort") == "descending"
    assert tab.locator("#figures th[aria-sort]").count() == 0


def test_tabs_and_legend_switch_plots_and_lines(tab):
    assert tab.locator(".panel:visible").count() == 1
    tab.locator(".tabs button", has_text="MS-SSIM").click()
    assert tab.locator(".panel:visible svg").first.get_attribute("aria-label") == "MS-SSIM over bits per pixel"
    tab.locator(".legend button", has_text="laconic").click()
    assert tab.locator(".panel:visible g[data-series='0']").is_hidden()
    assert tab.locator(".panel:visible g[data-series='1']").is_visible()


def test_light_and_dark(tab):
    background = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(background)
    tab.emulate_media(color_scheme="dark")
    dark = tab.evaluate(background)
    assert dark != light
    tab.locator("#theme").click()
    assert tab.evaluate(background) == light
    tab.locator("#theme").click()
    assert tab.evaluate(background) == dark
