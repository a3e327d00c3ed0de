"""The first look: ``python -m laconic.measure.demo examples --output demo``.

Compresses the photos of a folder at three qualities, restores them, prints what that cost and gave, and writes
``report.html``, one page with the pictures side by side. For scale it also asks what JPEG, WebP and AVIF need for the
same PSNR, and shows them at the same number of bytes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, features
from rich.console import Console
from rich.progress import Progress
from rich.table import Table as TextTable

import laconic
from laconic.errors import LaconicError
from laconic.measure import machine
from laconic.measure.comparison import Picture, load_pictures
from laconic.measure.ladder import Ladder, Rung
from laconic.measure.metrics import ms_ssim, psnr
from laconic.measure.peers import RGB, AbstractPillowPeer, Avif, Jpeg, WebP
from laconic.measure.showing import BROWSER_TYPES, original, spent, without_loss
from laconic.viewer.report import Embedded, Level, Rendition, Report, Scene, Table, page

QUALITIES = (40, 60, 80)
PEERS: dict[str, AbstractPillowPeer] = {"JPEG": Jpeg(), "WebP": WebP(), "AVIF": Avif()}
LONGEST_SIDE = 1024
"""Larger photos are reduced to it, so that the page stays small."""
REPEATS = 3

COLUMNS = ("photo", "q", "bytes", "bpp", "PSNR", "MS-SSIM", "enc MP/s", "dec MP/s")
TABLE_CAPTION = "q: quality · bpp: bits per pixel · PSNR in dB · JPEG, WebP, AVIF: bytes they need for the same PSNR"
NOTES = (
    (
        "Sizes are those of whole files, headers included. PSNR is taken over red, green and blue together; MS-SSIM is "
        "the mean over the three. Both compare with the photo as it was given. Speeds count pixels in memory to bytes "
        "in memory and back, the best of three runs on all cores; on photos as small as these, fixed costs weigh."
    ),
    (
        "Bytes for the same PSNR: each peer was encoded at the two neighboring whole qualities that enclose laconic's "
        "PSNR, and its bytes interpolated between them (logarithm of bytes over decibels); a dash stands where the "
        "peer does not reach it. In the pictures, each peer stands at its best quality that needs no more bytes than "
        "laconic's file, or at its smallest file where none is as small. Peers are shown as their own files, decoded "
        "by this browser; laconic is shown as what it restored, stored without loss."
    ),
)


@dataclass(frozen=True)
class Outcome:
    """One photo at one quality: laconic's figures, and each peer at equal PSNR and at equal bytes."""

    quality: int
    size: int
    bpp: float
    psnr: float
    ms_ssim: float
    encode_speed: float
    """Megapixels per second, the best of a few runs on all cores."""
    decode_speed: float
    restored: RGB
    equal_psnr: dict[str, float | None]
    equal_bytes: dict[str, Rung]


def run(folder: Path, output: Path, console: Console, *, qualities: Sequence[int] = QUALITIES) -> Path:
    """Measure every photo of a folder, print the table and write the page; its path is returned.

    Raises
    ------
    UsageError
        When the folder holds no picture.
    """
    pictures = [_reduced(picture) for picture in load_pictures(folder)]
    peers = {name: peer for name, peer in PEERS.items() if features.check(peer.feature)}
    outcomes: dict[str, list[Outcome]] = {}
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("compressing", total=len(pictures) * len(qualities))
        for picture in pictures:
            ladders = {name: Ladder(peer, picture.pixels) for name, peer in peers.items()}
            outcomes[picture.name] = []
            for quality in qualities:
                outcomes[picture.name].append(measure(picture, quality, ladders))
                progress.advance(task)
    columns, rows = table(pictures, outcomes, tuple(peers))
    _print(columns, rows, console)
    output.mkdir(parents=True, exist_ok=True)
    target = output / "report.html"
    scenes = [_scene(folder, picture, outcomes[picture.name], peers) for picture in pictures]
    report = Report(
        title="laconic: a first look",
        lead=f"{len(pictures)} photos at {len(qualities)} qualities, compressed and restored on this machine.",
        highlights=_highlights([outcome for one in outcomes.values() for outcome in one], tuple(peers)),
        scenes=scenes,
        tables=[Table("Figures", columns, rows, TABLE_CAPTION, sortable=False)],
        notes=_notes(peers),
    )
    target.write_text(page(report), encoding="utf-8")
    console.print(f"\nSide by side: {target}", soft_wrap=True, highlight=False)
    return target


def measure(picture: Picture, quality: int, ladders: dict[str, Ladder]) -> Outcome:
    """Compress and restore one photo at one quality, and find what its peers need."""
    encoding, decoding = math.inf, math.inf
    data, restored = b"", picture.pixels
    for _ in range(REPEATS):
        start = time.perf_counter()
        data = laconic.compress(picture.pixels, quality=quality)
        middle = time.perf_counter()
        restored = laconic.decompress(data)
        encoding = min(encoding, middle - start)
        decoding = min(decoding, time.perf_counter() - middle)
    decibels = psnr(picture.pixels, restored)
    return Outcome(
        quality=quality,
        size=len(data),
        bpp=8 * len(data) / (picture.pixels.shape[0] * picture.pixels.shape[1]),
        psnr=decibels,
        ms_ssim=ms_ssim(picture.pixels, restored),
        encode_speed=picture.megapixels / encoding,
        decode_speed=picture.megapixels / decoding,
        restored=restored.astype(np.uint8, copy=False),
        equal_psnr={name: ladder.bytes_at_psnr(decibels) for name, ladder in ladders.items()},
        equal_bytes={name: ladder.within_bytes(len(data)) for name, ladder in ladders.items()},
    )


def table(
    pictures: Sequence[Picture], outcomes: dict[str, list[Outcome]], peers: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Column titles and rows of text, for the terminal and the page alike."""
    columns = [*COLUMNS, *peers]
    rows: list[list[str]] = []
    for picture in pictures:
        for k, outcome in enumerate(outcomes[picture.name]):
            row = [Path(picture.name).stem if k == 0 else "", str(outcome.quality), f"{outcome.size:,}"]
            row += [f"{outcome.bpp:.3f}", f"{outcome.psnr:.2f}", _share(outcome.ms_ssim)]
            row += [f"{outcome.encode_speed:.1f}", f"{outcome.decode_speed:.1f}"]
            rows.append(row + [_against(outcome.equal_psnr[name], outcome.size) for name in peers])
    return columns, rows


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _against(size: float | None, own: int) -> str:
    return "–" if size is None else f"{round(size):,} {100 * (size / own - 1):+.0f}\N{NO-BREAK SPACE}%"


def _highlights(outcomes: Sequence[Outcome], peers: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in peers:
        ratios = [size / outcome.size for outcome in outcomes if (size := outcome.equal_psnr[name]) is not None]
        if ratios:
            percent = 100 * (math.exp(float(np.mean(np.log(ratios)))) - 1)
            found.append(
                (
                    f"{percent:+.0f} %".replace("-", "\N{MINUS SIGN}"),
                    f"bytes {name} needs for the same PSNR (geometric mean)",
                )
            )
    encode = float(np.median([outcome.encode_speed for outcome in outcomes]))
    decode = float(np.median([outcome.decode_speed for outcome in outcomes]))
    found.append((f"{encode:.0f} / {decode:.0f}", "megapixels per second, encode / decode, all cores (median)"))
    return found


def _notes(peers: dict[str, AbstractPillowPeer]) -> list[str]:
    facts = machine.record()
    where = facts["machine"]
    others = "; ".join(f"{name}: {peer.description}, {peer.version()}" for name, peer in peers.items())
    commit = f" (commit {facts['commit']})" if facts["commit"] else ""
    return [
        *NOTES,
        f"Peers: {others}.",
        (
            f"laconic {facts['versions']['laconic']}{commit}, Python {facts['versions']['python']}, "
            f"on {where['processor']}, {where['cores']} cores, {facts['date']}. Command: {facts['command']}"
        ),
    ]


def _scene(folder: Path, picture: Picture, outcomes: Sequence[Outcome], peers: dict[str, AbstractPillowPeer]) -> Scene:
    height, width = picture.pixels.shape[:2]
    path = folder / picture.name
    return Scene(
        name=path.stem,
        width=width,
        height=height,
        size=path.stat().st_size,
        original=original(path, picture.pixels),
        levels=[
            Level(
                label=str(outcome.quality),
                renditions=[
                    Rendition("laconic", without_loss(outcome.restored), outcome.size, outcome.psnr),
                    *(
                        Rendition(
                            name,
                            Embedded(rung.data, BROWSER_TYPES[peers[name].format]),
                            len(rung.data),
                            rung.psnr,
                        )
                        for name, rung in outcome.equal_bytes.items()
                    ),
                ],
                spent=spent(picture.pixels, outcome.quality),
            )
            for outcome in outcomes
        ],
    )


def _reduced(picture: Picture) -> Picture:
    longest = max(picture.pixels.shape[:2])
    if longest <= LONGEST_SIDE:
        return picture
    image = Image.fromarray(picture.pixels)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return Picture(picture.name, np.asarray(image))


def _print(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    shown = TextTable(box=None, pad_edge=False, collapse_padding=True, header_style="bold", caption=TABLE_CAPTION)
    for k, column in enumerate(columns):
        # The peers' cells may break before their percentage; nothing else may.
        shown.add_column(column, justify="left" if k == 0 else "right", no_wrap=k < len(COLUMNS) - 2)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the demo; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m laconic.measure.demo", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("folder", type=Path, help="a folder of photos")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("demo"), help="where report.html goes (default: demo)"
    )
    chosen = parser.parse_args(arguments)
    try:
        # A pipe has no width of its own, and lines broken there would only disturb.
        run(chosen.folder, chosen.output, Console(width=None if sys.stdout.isatty() else 120))
    except LaconicError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
