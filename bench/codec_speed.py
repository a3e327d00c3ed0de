"""Claim: the whole codec does 20 megapixels a second each way on two cores, in little memory, and starts quickly.

    LACONIC_DATA=... python bench/codec_speed.py

The 24-megapixel photo is a mosaic of the Kodak photos, mirrored in turn. Speeds are of pixels in memory to bytes in
memory and back (best of a few runs). Whole processes are timed from start to end, the fastest of several standing for
each (the median beside it), and their peak memory is what the operating system counted.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import photo_mosaic
import record
import watch
from numpy.typing import NDArray
from PIL import Image

import laconic
from laconic import _native
from laconic.measure.machine import usable_cores
from laconic.measure.metrics import psnr

HEIGHT, WIDTH = 4000, 6000
QUALITY = 75
REPEATS = 3
PROCESS_REPEATS = 9
COMMAND = [str(Path(sys.executable).with_name("laconic"))]


def mosaic() -> NDArray[np.uint8]:
    """(4000, 6000, 3)."""
    return np.concatenate(list(photo_mosaic.strips(HEIGHT, WIDTH)))


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def processes(arguments: Sequence[str]) -> dict[str, float]:
    """Seconds of a process that is run several times: the fastest and the median."""
    watch.run(arguments)  # once for the disk cache
    times = [watch.run(arguments)[0] for _ in range(PROCESS_REPEATS)]
    return {"fastest": min(times), "median": statistics.median(times)}


def main() -> None:
    """Measure and record."""
    pixels = mosaic()
    megapixels = HEIGHT * WIDTH / 1e6
    speeds = {}
    for jobs in (1, 2):
        data = laconic.compress(pixels, quality=QUALITY, jobs=jobs)
        encode = best(lambda jobs=jobs: laconic.compress(pixels, quality=QUALITY, jobs=jobs))
        decode = best(lambda jobs=jobs, data=data: laconic.decompress(data, jobs=jobs))
        speeds[jobs] = {"encode_MP_per_s": megapixels / encode, "decode_MP_per_s": megapixels / decode}
        print(f"{jobs} jobs: encode {megapixels / encode:.1f}, decode {megapixels / decode:.1f} MP/s")
    rate, decibels = 8 * len(data) / (HEIGHT * WIDTH), psnr(pixels, laconic.decompress(data))
    print(f"{rate:.3f} bits per pixel, {decibels:.2f} dB")

    with tempfile.TemporaryDirectory() as folder:
        big, small = Path(folder, "big.png"), Path(folder, "small.png")
        packed, tiny = Path(folder, "big.lac"), Path(folder, "small.lac")
        Image.fromarray(pixels).save(big, compress_level=1)
        Image.fromarray(record.kodak()[0].pixels).save(small)
        memory: dict[str, int] = {}
        once: dict[str, float] = {}
        seconds: dict[str, dict[str, float]] = {}
        for name, source, target in (("compress", big, packed), ("decompress", packed, Path(folder, "back.png"))):
            once[name], memory[name] = watch.run([*COMMAND, name, "-f", str(source), "-o", str(target)])
        for name, source, target in (("compress", small, tiny), ("decompress", tiny, Path(folder, "back.png"))):
            seconds[name] = processes([*COMMAND, name, "-f", str(source), "-o", str(target)])
    seconds["--version"] = processes([*COMMAND, "--version"])
    for statement in ("import numpy", "import numpy, laconic", "import numpy, laconic; laconic.compress"):
        seconds[statement] = processes([sys.executable, "-c", statement])
    for name, value in seconds.items():
        print(f"{name}: {value['fastest']:.3f} s, median {value['median']:.3f}")
    for name, value in memory.items():
        print(f"{name} of 24 megapixels, PNG: {value / 1e6:.0f} MB at most, {once[name]:.2f} s")

    bare, ours = seconds["import numpy"], seconds["import numpy, laconic; laconic.compress"]
    claims = [
        record.claim("encode on two cores, MP/s", speeds[2]["encode_MP_per_s"], 20, at_most=False),
        record.claim("decode on two cores, MP/s", speeds[2]["decode_MP_per_s"], 20, at_most=False),
        record.claim("peak memory of laconic compress, 24 megapixels, MB", memory["compress"] / 1e6, 500, at_most=True),
        record.claim("peak memory of laconic decompress, MB", memory["decompress"] / 1e6, 500, at_most=True),
        record.claim("laconic compress of 768x512, s", seconds["compress"]["fastest"], 0.35, at_most=True),
        record.claim("laconic decompress of 768x512, s", seconds["decompress"]["fastest"], 0.35, at_most=True),
        record.claim("laconic --version, s", seconds["--version"]["fastest"], 0.15, at_most=True),
        record.claim("import laconic beyond numpy, s", ours["fastest"] - bare["fastest"], 0.06, at_most=True),
    ]
    record.write(
        "codec_speed",
        {
            "picture": f"{WIDTH} x {HEIGHT} mosaic of the Kodak photos, quality {QUALITY}",
            "bits_per_pixel": rate,
            "psnr_rgb": decibels,
            "cores": usable_cores(),
            "instruction_set": _native.instruction_set(),
            "claims": claims,
            "speed_by_jobs": speeds,
            "process_seconds_768x512": seconds,
            "process_seconds_24_megapixels_png": once,
            "process_peak_bytes": memory,
        },
    )


if __name__ == "__main__":
    main()
