"""The page is complete in itself and safe with any name; what it does in a browser is told in test_browser.py."""

from __future__ import annotations

import re

from laconic.viewer.charts import Chart, Line, svg


def test_nothing_is_asked_of_a_network(text):
    assert "default-src 'none'; img-src data:" in text
    assert not re.search(r"""<[^>]*\b(src|href|srcset|action)\s*=\s*["']?(?!["']?(#|data:))""", text)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", text)


def test_names_cannot_break_the_page(text, nasty):
    assert nasty not in text
    assert text.count("</script>") == 2
    assert text.count("<script") == 2
    # What looks like a place to fill in stays as it is.
    assert "more {{ notes }}" in text


def test_a_plot_names_published_lines_and_cuts_at_its_floor():
    lines = [
        Line("own", [0.1, 0.2, 0.4], [-30, 20, 60], 0),
        Line("far", [5, 6], [99, 99]),
        Line("thin", [0.2, 0.3], [9, 9]),
    ]
    drawn = svg(Chart("score", lines, floor=0.0))
    assert ">thin</text>" in drawn
    assert "far" not in drawn  # nothing of it lies inside the plot
    assert "\N{MINUS SIGN}20" not in drawn
    assert svg(Chart("nothing", [])) == ""


def test_cells_carry_the_number_they_are_sorted_by(text):
    assert '<td data-value="10">10</td>' in text
    assert "<td>–</td>" in text
    assert text.count('<table class="sortable">') == 2
    assert text.count('<td class="prose">x</td>') == 2
