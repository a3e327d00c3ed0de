"""`arrays.md` is executed: its examples are read, its tables compared with the program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laconic.codecs import weights
from laconic.container import array_index, arrays, series
from laconic.entropy import differences, levels, levels_reference
from laconic.quantize import trellis
from laconic.signals.tensors import KINDS

TEXT = (Path(__file__).parents[1] / "spec" / "arrays.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    start = TEXT.index(f"\n| {heading} |")
    rows = TEXT[start + 1 :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


EXAMPLES = re.findall(r"^```lac\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", EXAMPLES)
def test_examples_are_what_they_claim_and_what_the_writer_writes(block: str):
    lines = block.splitlines()
    data = bytes.fromhex("".join(line.split("#")[0] for line in lines if line[:2] not in {"->", "<-"}))
    claims = {line.split()[1]: line.split()[2:] for line in lines if line.startswith("->")}
    base: dict[str, Any] = {}
    for line in lines:
        if line.startswith("<-"):
            name, *sides = line.split("|")[0].split()[1:]
            base[name] = np.array(line.split("|")[1].split(), np.float32).reshape([int(side) for side in sides])
    found = weights.load(data, base=base)
    assert {name: [str(value) for value in array.ravel().tolist()] for name, array in found.items()} == claims
    index = arrays.read_index(data, file_size=len(data))
    payloads = [data[a:b] for a, b in zip(index.offsets, index.offsets[1:], strict=False)]
    again = arrays.write_arrays(
        index.form, index.entries, payloads, index.metadata, groups=index.groups, base=index.base
    )
    assert again == data


def test_there_are_examples():
    assert len(EXAMPLES) == 2


def test_the_tables_of_kinds_and_codings_are_the_program():
    assert table("kind") == [[str(i), kind.name, str(kind.size), kind.tag] for i, kind in enumerate(KINDS)]
    assert [kind.size for kind in KINDS] == list(arrays.KIND_SIZES)
    assert [row[:2] for row in table("coding")] == [[str(int(one)), one.name] for one in arrays.Coding]


def test_the_table_of_polynomials_is_the_reference():
    rows = {int(bits): (int(h0, 8), int(h1, 8)) for bits, h0, h1 in table("state bits")}
    assert {0: (0, 0), **rows} == levels_reference.POLYNOMIALS


def test_the_limits_are_the_program():
    assert f"at most {arrays.MAX_INDEX} bytes" in TEXT
    assert f"{arrays.MAX_TENSOR} bytes (16 GiB)" in TEXT
    assert f"{arrays.FREE_BYTES} bytes (256 MiB)" in TEXT
    assert f"{arrays.BYTES_EACH} bytes for each\nbyte" in TEXT
    assert f"at most {array_index.MAX_TENSORS}\n" in TEXT
    assert f"at most {arrays.MAX_GROUPS}\n" in TEXT
    assert f"leb128   0 to {differences.MAX_FIRST}\n" in TEXT
    assert f"2 to {differences.MAX_DIFFERENCE_TOKENS}\n" in TEXT
    assert f"1 to {series.MAX_KEYFRAME_EVERY}\n" in TEXT
    assert f"CRC-32 of the {series.HEAD - 4} bytes" in TEXT
    assert f"writes {series.HEAD} zeros" in TEXT
    assert f"0 to {array_index.MAX_AXES}\n" in TEXT
    assert f"2 to {levels.MAX_TRELLIS_TOKENS}\n" in TEXT
    assert f"2 to {levels.MAX_SCALAR_TOKENS}\n" in TEXT
    assert f"0 to {levels.SCALES - 1}\n" in TEXT
    assert f"from -{trellis.MOST_OFFSET} to {trellis.MOST_OFFSET}" in TEXT
