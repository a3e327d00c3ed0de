"""The report page: photos side by side under a slider, closer looks, and the table of figures.

Call `page` with a `Report` and write the text to a file. The page holds everything it shows and forbids itself any
request (content security policy), so it can be mailed, archived and opened anywhere.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


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
    psnr, ms_ssim
        Against the original; decibels, and at most 1.
    """

    codec: str
    picture: Embedded
    size: int
    psnr: float
    ms_ssim: float


@dataclass(frozen=True)
class Level:
    """One quality of one photo: laconic first, then its peers at about the same number of bytes."""

    label: str
    renditions: Sequence[Rendition]


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
    columns, rows, caption
        The table; the first column is text and empty where the row above goes on, the others align right.
    notes
        How things were measured, one paragraph each.
    """

    title: str
    lead: str
    highlights: Sequence[tuple[str, str]]
    scenes: Sequence[Scene]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    notes: Sequence[str]


def page(report: Report) -> str:
    """The page as HTML text."""
    parts = {
        "title": html.escape(report.title),
        "lead": html.escape(report.lead),
        "highlights": "\n".join(
            f"<li><strong>{html.escape(figure)}</strong><span>{html.escape(words)}</span></li>"
            for figure, words in report.highlights
        ),
        "head": "".join(f'<th scope="col">{html.escape(column)}</th>' for column in report.columns),
        "body": "\n".join(_row(row) for row in report.rows),
        "caption": html.escape(report.caption),
        "notes": "\n".join(f"<p>{html.escape(note)}</p>" for note in report.notes),
        # "</" would end the script element that holds the data.
        "data": json.dumps([_scene(scene) for scene in report.scenes]).replace("</", "<\\/"),
        "style": _asset("report.css"),
        "script": _asset("report.js"),
    }
    text = _asset("report.html")
    # One pass over the template: nothing that was filled in is searched again.
    pieces = text.split("{{")
    return pieces[0] + "".join(
        parts[name.strip()] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:])
    )


def _asset(name: str) -> str:
    return files("laconic.viewer").joinpath(name).read_text(encoding="utf-8")


def _row(row: Sequence[str]) -> str:
    first, *others = (html.escape(cell) for cell in row)
    return f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'


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
                "renditions": [
                    {
                        "codec": rendition.codec,
                        "url": rendition.picture.url(),
                        "size": rendition.size,
                        "bpp": 8 * rendition.size / pixels,
                        "psnr": rendition.psnr,
                        "msssim": rendition.ms_ssim,
                    }
                    for rendition in level.renditions
                ],
            }
            for level in scene.levels
        ],
    }
