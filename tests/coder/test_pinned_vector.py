"""One vector, three coders: the native rANS and the reference reader hold exactly the pinned bytes.

The C++ test pins the same file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from laconic.coder.rans import pack, push
from laconic.coder.rans_reference import RansReader

LINES = [
    line.split() for line in (Path(__file__).parents[2] / "golden" / "rans_vector.txt").read_text("utf-8").splitlines()
]
OPS = [(int(start), int(freq)) for word, *rest in LINES if word == "op" for start, freq in [rest]]
[STREAM] = [bytes.fromhex(words[1]) for words in LINES if words[0] == "stream"]


def test_the_vector_is_there():
    assert len(OPS) == 40
    assert len(STREAM) > 8


def test_the_native_writer_writes_the_pinned_bytes():
    start, freq = np.array(OPS).T
    assert push(pack(start, freq)) == STREAM


def test_the_reference_reader_reads_the_pinned_bytes():
    reader = RansReader(STREAM)
    for start, freq in OPS:
        assert start <= reader.slot() < start + freq
        reader.take(start, freq)
    reader.finish()


@pytest.mark.parametrize("at", range(len(STREAM)))
def test_other_bytes_are_other_operations(at: int):
    changed = bytearray(STREAM)
    changed[at] ^= 1
    start, freq = np.array(OPS).T
    assert push(pack(start, freq)) != bytes(changed)
