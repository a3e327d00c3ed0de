"""The report page: plots, photos side by side under sliders, where their bits went, and tables of figures.

Call `page` with a `Report` and write the text to a file. The page holds everything it shows and forbids itself any
request (content security policy), so it can be mailed, archived and opened anywhere.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeAlias

from laconic.viewer.charts import COLORS, Chart, svg

Cell: TypeAlias = str | tuple[str, float]
"""What a cell of a table says, and the number it is sorted by where it is one; not a number sorts last."""


@dataclass(frozen=True)
class Embedded:
    """A picture file as a browser shows it: its bytes and media type, such as ``image/webp``."""

    data: bytes
    media_type: str

    def url(self) -> str:
        """The file as a ``data:`` address."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True)
class Rendition:
    """One way a photo looks after a codec.

    Attributes
    ----------
    codec
        Name shown to people.
    picture
        What is shown.
    size
        Bytes of the compressed file (not of `picture`, which may hold the restored pixels without loss).
    psnr
        Against the original, in decibels.
    """

    codec: str
    picture: Embedded
    size: int
    psnr: float


@dataclass(frozen=True)
class Spent:
    """Where the bytes of laconic's file went.

    Attributes
    ----------
    parts
        Names and bytes of the parts of the file, in order.
    side, rows, columns
        Of the map's squares: pixels, and how many there are.
    groups
        For each group of resolution its name and the bytes of every square, row by row.
    """

    parts: Sequence[tuple[str, int]]
    side: int
    rows: int
    columns: int
    groups: Sequence[tuple[str, Sequence[int]]]


@dataclass(frozen=True)
class Level:
    """One quality of one photo: laconic first, then its peers at about the same number of bytes."""

    label: str
    renditions: Sequence[Rendition]
    spent: Spent | None = None


@dataclass(frozen=True)
class Scene:
    """One photo: its original of `width` x `height` pixels and `size` bytes, and what became of it."""

    name: str
    width: int
    height: int
    size: int
    original: Embedded
    levels: Sequence[Level]


@dataclass(frozen=True)
class Table:
    """Figures in rows; the first column is text, the others align right.

    In a table that people cannot sort, an empty first cell stands where the row above goes on. The columns named in
    `prose` hold sentences: they align left and may break.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str
    sortable: bool = True
    prose: Sequence[str] = ()


@dataclass(frozen=True)
class Panel:
    """One metric: its short name, the plot and the table that goes with it."""

    label: str
    chart: Chart
    table: Table


@dataclass(frozen=True)
class Report:
    """A whole page.

    Attributes
    ----------
    lead
        One sentence under the title.
    highlights
        Pairs of a short figure and what it says.
    scenes
        The photos.
    tables, panels
        What was measured; panels come before the photos, tables after them.
    notes
        How things were measured, one paragraph each.
    """

    title: str
    lead: str
    highlights: Sequence[tuple[str, str]]
    scenes: Sequence[Scene]
    tables: Sequence[Table]
    notes: Sequence[str]
    panels: Sequence[Panel] = ()


def page(report: Report) -> str:
    """The page as HTML text."""
    parts = {
        "title": html.escape(report.title),
        "lead": html.escape(report.lead),
        "highlights": "\n".join(
            f"<li><strong>{html.escape(figure)}</strong><span>{html.escape(words)}</span></li>"
            for figure, words in report.highlights
        ),
        "charts": _panels(report.panels) if report.panels else "",
        "tables": "\n".join(_table(table, heading=True) for table in report.tables),
        "notes": "\n".join(f"<p>{html.escape(note)}</p>" for note in report.notes),
        # "</" would end the script element that holds the data.
        "data": json.dumps([_scene(scene) for scene in report.scenes]).replace("</", "<\\/"),
        "style": _asset("report.css"),
        "script": _asset("figures.js") + _asset("report.js"),
    }
    text = _asset("report.html")
    # One pass over the template: nothing that was filled in is searched again.
    pieces = text.split("{{")
    return pieces[0] + "".join(
        parts[name.strip()] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:])
    )


def _asset(name: str) -> str:
    return files("laconic.viewer").joinpath(name).read_text(encoding="utf-8")


def _panels(panels: Sequence[Panel]) -> str:
    """Plots of all metrics, each with its table, and one legend for all."""
    names: dict[int, str] = {}
    for panel in panels:
        names |= {line.series: line.name for line in panel.chart.lines if line.series is not None}
    tabs = "".join(f'<button type="button">{html.escape(panel.label)}</button>' for panel in panels)
    legend = "".join(
        f'<button type="button" class="s{series % COLORS}" data-series="{series}" aria-pressed="true"><i></i>'
        f"{html.escape(name)}</button>"
        for series, name in sorted(names.items())
    )
    plots = "\n".join(
        f'<div class="panel"><div class="plot">{svg(panel.chart)}</div>{_table(panel.table)}</div>' for panel in panels
    )
    return (
        '<section aria-labelledby="curves"><h2 id="curves">Quality over rate</h2>'
        f'<div class="tabs" hidden><div class="segments" role="group" aria-label="Metric">{tabs}</div></div>'
        f'<div class="legend" role="group" aria-label="Codecs">{legend}</div>{plots}</section>'
    )


def _table(table: Table, *, heading: bool = False) -> str:
    title = html.escape(table.title)
    kinds = [' class="prose"' if column in table.prose else "" for column in table.columns]
    head = "".join(
        f'<th scope="col"{kind}>{html.escape(column)}</th>' for column, kind in zip(table.columns, kinds, strict=True)
    )
    body = "\n".join(_row(row, kinds) for row in table.rows)
    kind = ' class="sortable"' if table.sortable else ""
    return (
        (f"<h2>{title}</h2>" if heading else "")
        + f'<div class="scroll" tabindex="0" role="region" aria-label="{title}"><table{kind}>'
        f"<caption>{html.escape(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(row: Sequence[Cell], kinds: Sequence[str]) -> str:
    cells = "".join(_cell(cell, kind) for cell, kind in zip(row[1:], kinds[1:], strict=True))
    return f'<tr><th scope="row">{html.escape(_words(row[0]))}</th>{cells}</tr>'


def _cell(cell: Cell, kind: str) -> str:
    value = "" if isinstance(cell, str) or math.isnan(cell[1]) else f' data-value="{cell[1]:.10g}"'
    return f"<td{kind}{value}>{html.escape(_words(cell))}</td>"


def _words(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _scene(scene: Scene) -> dict[str, Any]:
    pixels = scene.width * scene.height
    return {
        "name": scene.name,
        "width": scene.width,
        "height": scene.height,
        "size": scene.size,
        "bpp": 8 * scene.size / pixels,
        "original": scene.original.url(),
        "levels": [
            {
                "label": level.label,
                "spent": None if level.spent is None else _spent(level.spent),
                "renditions": [
                    {
                        "codec": rendition.codec,
                        "url": rendition.picture.url(),
                        "size": rendition.size,
                        "bpp": 8 * rendition.size / pixels,
                        "psnr": rendition.psnr,
                    }
                    for rendition in level.renditions
                ],
            }
            for level in scene.levels
        ],
    }


def _spent(spent: Spent) -> dict[str, Any]:
    return {
        "parts": [list(part) for part in spent.parts],
        "side": spent.side,
        "rows": spent.rows,
        "columns": spent.columns,
        "groups": [{"name": name, "bytes": list(sizes)} for name, sizes in spent.groups],
    }
