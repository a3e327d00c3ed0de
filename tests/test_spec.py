"""The format is a document, and it is executed: its examples are read, its tables compared with the program."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from laconic import errors
from laconic.container import Tag, read, write
from laconic.container.cursor import Cursor, varint
from laconic.container.fields import BITS, header_fields
from laconic.container.metadata import MAX_METADATA
from laconic.container.reader import ARRAY_CODEC
from laconic.container.series import SERIES_CODEC
from laconic.container.writer import MAGIC, VERSION
from laconic.errors import CorruptStream, FormatError

TEXT = (Path(__file__).parents[1] / "spec" / "format.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Example:
    """The bytes of a block and its claims, one word list each."""

    line: int
    data: bytes
    claims: list[list[str]]

    @property
    def is_valid(self) -> bool:
        return not hasattr(errors, self.claims[0][0])


def examples() -> list[Example]:
    found: list[Example] = []
    for block in re.finditer(r"^```lac\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        lines = block[1].splitlines()
        data = "".join(line.split("#")[0] for line in lines if not line.startswith("->"))
        claims = [line[2:].split() for line in lines if line.startswith("->")]
        found.append(Example(TEXT.count("\n", 0, block.start()) + 2, bytes.fromhex(data), claims))
    return found


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table whose header row begins with `heading`."""
    lines = iter(TEXT.splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            break
    next(lines)
    rows: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows


VALID = [example for example in examples() if example.is_valid]
INVALID = [example for example in examples() if not example.is_valid]


def test_the_document_has_examples_of_both_kinds():
    assert len(VALID) >= 2
    assert len(INVALID) >= 10
    assert len(examples()) == TEXT.count("```lac")
    assert all(example.claims for example in examples())


@pytest.mark.parametrize("example", VALID, ids=lambda example: f"line {example.line}")
def test_valid_examples_are_what_they_claim(example: Example):
    container = read(example.data)
    for words in example.claims:
        match words:
            case ["segments", group, tile, *content]:
                found = container.segments[int(group)][int(tile)]
                assert found is not None
                assert bytes(found).hex(" ") == " ".join(content)
            case ["icc" | "exif" | "xmp" as name, *content]:
                assert getattr(container.metadata, name).hex(" ") == " ".join(content)
            case [name, value]:
                assert str(getattr(container.header, name)) == value, name
            case _:
                pytest.fail(f"unknown claim {words}")


@pytest.mark.parametrize("example", VALID, ids=lambda example: f"line {example.line}")
def test_valid_examples_are_what_the_writer_writes(example: Example):
    container = read(example.data)
    segments = [[bytes(part or b"") for part in group] for group in container.segments]
    assert write(container.header, segments, container.metadata) == example.data


@pytest.mark.parametrize("example", INVALID, ids=lambda example: f"line {example.line}")
def test_invalid_examples_are_refused_as_they_claim(example: Example):
    [[name, *rest]] = example.claims
    with pytest.raises(FormatError) as caught:
        read(example.data)
    assert type(caught.value).__name__ == name
    field, _, offset = " ".join(rest).partition(", ")
    if field:
        assert getattr(caught.value, "field", None) == field
    if offset:
        assert str(getattr(caught.value, "offset", None)) == offset


def test_the_table_of_header_fields_is_the_declaration():
    expected: list[list[str]] = []
    for name, field in header_fields().items():
        spelling = field.spelling
        if spelling == BITS:
            last = field.first_bit + field.bit_count - 1
            bits = f"bit {last}" if field.bit_count == 1 else f"bits {field.first_bit}-{last}"
            spelling = f"{bits} of `{field.byte}"
        expected.append([name, spelling, field.range(), field.doc])
    assert table("field") == expected


def test_the_tables_of_tags_and_errors_are_the_program():
    assert table("tag") == [[f"{tag:#04x}", tag.name] for tag in sorted(Tag)]
    rows = table("what the reader finds")
    assert [int(code) for _, _, code in rows] == [getattr(errors, name).exit_code for _, name, _ in rows]
    assert {code for _, _, code in rows} == set("345678")
    assert [int(number) for number, _ in table("codec")] == [header_fields()["codec"].high, ARRAY_CODEC, SERIES_CODEC]


def test_magic_version_and_limits_are_the_program():
    assert f"# The laconic file format, version {VERSION}\n" in TEXT
    assert f"magic    4 bytes  {MAGIC.hex(' ')} " in TEXT
    assert f"version  u8       {VERSION:02x}" in TEXT
    assert f"1 to {MAX_METADATA} bytes" in TEXT


def test_the_spelled_integers_are_the_program():
    pairs = re.findall(r"`([0-9a-f ]+)` is (\d+)", TEXT)
    assert len(pairs) == 4
    for spelled, value in pairs:
        assert varint(int(value)).hex(" ") == spelled
    sentence = re.search(r"`([0-9a-f ]+)` and `([0-9a-f ]+)` must not occur", TEXT)
    assert sentence
    for spelled in sentence.groups():
        with pytest.raises(CorruptStream):
            Cursor(memoryview(bytes.fromhex(spelled))).varint("n")


def test_the_document_ends_with_its_changes():
    last = TEXT.split("\n## ")[-1]
    assert "Changes" in last.splitlines()[0]
    for version in range(1, VERSION + 1):
        assert f"* **Version {version}**" in last
