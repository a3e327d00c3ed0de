"""Attacks on decoders: damage to files, and thousands of damaged ones decoded in a process of their own.

A module of this folder names what came of each damaged file; run as a program, it does so where memory is scarce.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

TESTS = Path(__file__).parents[1]
MEMORY = 3 << 30
"""Address space of the process in bytes: the interpreter, numpy and its threads reserve most of it, the data little."""


def damaged(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Flip bits, change bytes, cut, splice, repeat or remove."""
    kind = rng.randrange(7)
    at = rng.randrange(len(data) or 1)
    if kind == 0:
        return data[:at]
    if kind == 1:
        other = rng.choice(others)
        return data[:at] + other[rng.randrange(len(other) or 1) :]
    if kind == 2:
        end = min(len(data), at + rng.randrange(1, 40))
        return data[:at] + data[end:] if rng.random() < 0.5 else data[:end] + data[at:]
    if kind == 3:
        return data[:at] + bytes(rng.randrange(1, 40)) + data[at:]
    changed = bytearray(data or b"\0")
    for _ in range(1 if kind == 4 else rng.randrange(1, 8)):
        place = rng.randrange(len(changed)) if rng.random() < 0.7 else rng.randrange(min(60, len(changed)))
        changed[place] ^= 1 << rng.randrange(8) if rng.random() < 0.5 else rng.randrange(256)
    return bytes(changed)


def attacked(outcomes: Callable[[int, int], Iterable[str]]) -> None:
    """Print what came of an attack; seed and count are the program's arguments."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print(json.dumps(Counter(outcomes(int(sys.argv[1]), int(sys.argv[2])))))


def attack(module: str, seed: int, count: int) -> Counter[str]:
    """Run a module of this folder in a process of its own; how often each outcome came."""
    done = run(["-m", f"hostile.{module}", str(seed), str(count)], 60 + count / 20)
    assert done.returncode == 0, done.stderr[-4000:]
    return Counter(json.loads(done.stdout))


def trusting(module: str, seed: int, count: int) -> str:
    """Run an attack that must fail, because every checksum fits; return what it said."""
    code = (
        "import zlib; zlib.crc32 = lambda data, start=0: 0\n"
        f"import runpy, sys; sys.argv = ['', '{seed}', '{count}']\n"
        f"runpy.run_module('hostile.{module}', run_name='__main__', alter_sys=False)"
    )
    done = run(["-c", code], 120)
    assert done.returncode != 0
    return done.stderr


def run(words: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Start Python where this folder is a package."""
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=seconds, check=False,
        cwd=TESTS, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
