"""A command starts fast because it imports nothing it does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .conftest import PROGRAM


def imported(*words: str) -> set[str]:
    """The modules a command imports, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "laconic", *words], capture_output=True, timeout=60, check=True
    )
    return {
        line.split(b"|")[-1].strip().decode() for line in done.stderr.splitlines() if line.startswith(b"import time:")
    }


def test_the_version_needs_neither_numpy_nor_a_parser():
    modules = imported("--version")
    assert "laconic" in modules
    assert not modules & {"numpy", "PIL", "argparse", "json", "dataclasses"}


def test_compressing_imports_no_more_than_numpy_and_one_decoder(photo: Path):
    modules = imported("compress", str(photo))
    assert "numpy" in modules
    assert not modules & {
        "typer",
        "rich",
        "torch",
        "scipy",
        "matplotlib",
        "asyncio",
        "PIL.TiffImagePlugin",
        "numpy.random",
        "secrets",
        "urllib.request",
    }


def best_of(runs: int, *words: str) -> float:
    import resource

    times: list[float] = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*PROGRAM, *words], capture_output=True, timeout=60, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Processor time: what other programs on the machine do must not fail a test.
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def test_the_version_takes_less_than_150_ms():
    assert best_of(3, "--version") < 0.15


def test_the_package_takes_less_than_60_ms_beyond_numpy(tmp_path: Path):
    """Processor time of importing every module that `laconic.compress` needs, the fastest of four runs."""
    script = (
        "import time, numpy\n"
        "start = time.process_time()\n"
        "import laconic\n"
        "laconic.compress, laconic.decompress\n"
        "print(time.process_time() - start)\n"
    )
    # As where it is installed: the first run compiles, later ones find what it compiled.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment)
        for _ in range(4)
    ]
    assert min(float(done.stdout) for done in runs) < 0.06
