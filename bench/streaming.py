"""Claim: a 400-megapixel picture goes through in less than 600 MB both ways, as PPM and as PNG.

    LACONIC_DATA=... python bench/streaming.py [FOLDER]

The picture is a mosaic of the Kodak photos, written row by row into FOLDER (default: the system's temporary folder; it
takes some 5 GB for a while). The command compresses it and restores it through the network the file names, as whole
processes; peak memory is what the operating system counted. Both sources must give the same file.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import photo_mosaic
import record
import watch

from laconic.measure.machine import usable_cores
from laconic.signals import formats
from laconic.signals.row_files import row_writer

HEIGHT, WIDTH = 20_000, 20_000
QUALITY = 75
ROOM = 6 * 10**9
COMMAND = [str(Path(sys.executable).with_name("laconic"))]


def make(path: Path) -> None:
    """Write the picture in the format that the name says."""
    kind = formats.by_suffix(path.name)
    assert kind is not None
    with path.open("wb") as stream:
        writer = row_writer(kind, stream, (HEIGHT, WIDTH, 3), np.uint8)
        for rows in photo_mosaic.strips(HEIGHT, WIDTH):
            writer.write(rows)
        writer.finish()


def main() -> None:
    """Measure and record."""
    given = sys.argv[1] if len(sys.argv) > 1 else None
    megapixels = HEIGHT * WIDTH / 1e6
    results: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(dir=given) as place:
        folder = Path(place)
        if shutil.disk_usage(folder).free < ROOM:
            sys.exit(f"{folder} has less than {ROOM / 1e9:.0f} GB of room; name another folder")
        for kind in ("ppm", "png"):
            source, packed, back = folder / f"big.{kind}", folder / f"{kind}.lac", folder / f"back.{kind}"
            make(source)
            work = {
                "compress": ["compress", "-q", str(QUALITY), str(source), "-o", str(packed)],
                "decompress": ["decompress", str(packed), "-o", str(back)],
            }
            results[kind] = {}
            for name, words in work.items():
                seconds, peak = watch.run([*COMMAND, *words])
                speed = megapixels / seconds
                results[kind][name] = {"seconds": seconds, "MP_per_s": speed, "peak_bytes": peak}
                print(f"{name}, {kind}: {peak / 1e6:.0f} MB at most, {seconds:.0f} s, {speed:.1f} MP/s")
            results[kind]["bytes"] = {"picture": source.stat().st_size, "file": packed.stat().st_size}
            source.unlink()
            back.unlink()
        if (folder / "ppm.lac").read_bytes() != (folder / "png.lac").read_bytes():
            sys.exit("PPM and PNG of one picture gave different files")

    claims = [
        record.claim(
            f"peak memory of laconic {name}, 400 megapixels, {kind}, MB", results[kind][name]["peak_bytes"] / 1e6, 600,
            at_most=True,
        )
        for kind in results
        for name in ("compress", "decompress")
    ]  # fmt: skip
    record.write(
        "streaming",
        {
            "picture": f"{WIDTH} x {HEIGHT} mosaic of the Kodak photos, quality {QUALITY}",
            "cores": usable_cores(),
            "claims": claims,
            "formats": results,
        },
    )


if __name__ == "__main__":
    main()
