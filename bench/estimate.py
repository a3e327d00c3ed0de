"""Claim: a file is within 1 % + 64 bytes of what training estimates, for every photo and rate.

    LACONIC_DATA=... python bench/estimate.py

Training counts the information of the symbols under the model's tables, -log2(frequency / 16384) each, by operations on
whole bands in numpy. The same sum is made here for the symbols that the codec chose, and set against the whole file:
header, chunks, checksums, coder states and all.
"""

from __future__ import annotations

import numpy as np
import record
from context_twin import operations

from laconic.codecs.image import Analysis, ImageCodec
from laconic.codecs.tiles import pixel_window
from laconic.container import Metadata, write
from laconic.container.layout import TileGrid
from laconic.entropy import causal
from laconic.transform.workers import Workers

QUALITIES = (0, 10, 25, 40, 55, 70, 85, 100)

rows = []
for picture in record.kodak():
    for quality in QUALITIES:
        codec = ImageCodec(quality=quality, jobs=1)
        with Workers(1) as workers:
            analysis = Analysis.of(picture.pixels, lossless=False, workers=workers)
            header = codec.header_at(analysis, int(analysis.model.quality_codes[quality]))
            symbols = np.zeros(analysis.planes.shape, np.int32)
            streams, coding = codec.code_tiles(analysis, header, workers, symbols)
        size = len(write(header, streams, Metadata()))
        if size != len(codec.encode(picture.pixels)):
            raise SystemExit("the parts made another file than the codec")
        parameters = analysis.model.lossy[header.parameter_set]
        grid = TileGrid.of(header)
        told = np.zeros((2, *symbols.shape[1:]), np.int8)
        for tile in range(grid.count):
            causal.tables(analysis.planes, pixel_window(grid, tile), coding, told=told)
        bits = sum(
            found.bits
            for tile in range(grid.count)
            for found in operations(
                symbols,
                grid,
                tile,
                header.cuts,
                [(parameters, p, p) for p in range(3)],
                told,
                analysis.model.contexts,
                header.step_code,
            )
        )
        estimate = bits / 8
        rows.append(
            {
                "photo": picture.name,
                "quality": quality,
                "bytes": size,
                "estimate": round(estimate, 1),
                "allowed": round(1.01 * estimate + 64, 1),
                "percent_over": round(100 * (size / estimate - 1), 3),
            }
        )
    last = rows[-len(QUALITIES) :]
    print(picture.name, *(f"{row['bytes']}/{row['estimate']:.0f}" for row in last))
below = [row for row in rows if row["bytes"] < row["estimate"]]
if below:
    print("below the information of their symbols, which cannot be:", below)
claims = [
    record.claim(
        "bytes over (1.01 x estimate + 64), the worst of all photos and rates",
        max(row["bytes"] / row["allowed"] for row in rows),
        1,
        at_most=True,
    ),
    record.claim("files smaller than their estimate", len(below), 0, at_most=True),
]
worst = max(rows, key=lambda row: row["bytes"] / row["allowed"])
print("worst:", worst)
record.write("estimate", {"claims": claims, "worst": worst, "files": rows})
