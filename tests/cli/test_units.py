"""Sizes as people write and read them."""

from __future__ import annotations

import pytest

from laconic.cli.units import parse_size, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("20000", 20_000), ("20kB", 20_000), ("20k", 20_000), ("1.5MB", 1_500_000), ("64KiB", 65_536), ("2 GiB", 2**31),
     ("1b", 1), (".5kb", 500), ("20_000", None), ("", None), ("kB", None), ("-1", None), ("1e3", None), ("5 i", None),
     ("0", None), ("1TB", None)],
)  # fmt: skip
def test_sizes_are_read(text: str, size: int | None):
    if size is None:
        with pytest.raises(ValueError, match=r"size|byte"):
            parse_size(text)
    else:
        assert parse_size(text) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (9_994, "9.99 kB"), (20_440, "20.4 kB"), (999_499, "999 kB"),
     (999_500, "1.00 MB"), (2_064_466, "2.06 MB"), (5_000_000_000, "5.00 GB")],
)  # fmt: skip
def test_sizes_are_shown_with_three_digits(size: int, text: str):
    assert show_size(size) == text
