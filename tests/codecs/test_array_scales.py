from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.codecs.array_scales import read_scales, write_scales
from laconic.container.cursor import Cursor
from laconic.errors import CorruptStream
from laconic.quantize.scales import Scales, factors

NOTHING = np.zeros(0, np.int8)
exponents = st.lists(st.integers(-127, 127), min_size=1, max_size=70).map(lambda values: np.array(values, np.int8))


@given(st.one_of(st.just(NOTHING), exponents), st.one_of(st.just(NOTHING), exponents), st.integers(1, 9))
def test_scales_come_back(rows, columns, run):
    if not len(rows) and not len(columns):
        return
    scales = Scales(rows, columns, run if len(columns) else 1)
    spelled = write_scales(scales)
    cursor = Cursor(memoryview(spelled))
    shape = (len(rows) or 3, (len(columns) or 4) * scales.run)
    found = read_scales(cursor, *shape)
    cursor.finish("scales")
    assert found.run == scales.run
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.columns, columns)
    np.testing.assert_array_equal(found.exponents(*shape), scales.exponents(*shape))


def test_small_scales_take_few_bytes():
    rows = np.array([3, 1, 2, 0] * 16, np.int8)
    assert len(write_scales(Scales(rows, NOTHING))) == 2 + 2 + 64 * 2 // 8


def test_factors_are_quarter_octaves():
    wanted = 2.0 ** (np.arange(-60, 61) / 4)
    np.testing.assert_allclose(factors(np.arange(-60, 61)), wanted, rtol=1e-7)
    assert factors(np.array([-1])).view(np.uint32)[0] == 0x3F57_44FD
    assert factors(np.array([40]))[0] == 1024


@pytest.mark.parametrize(
    "spelled",
    [
        "00 00",  # no scales at all
        "00 02 00 00",
        "03 00 00 00",  # 3 does not divide 4 columns
        "04 00 00 09",
        "04 00 7f 02 03",  # 130
        "04 00 80 00",  # -128
        "04 00 00 03 08",  # a bit set in what fills the byte up
        "01 00 00 08 00 00 00",  # too short
    ],
)
def test_other_bytes_are_no_scales(spelled):
    with pytest.raises(CorruptStream):
        read_scales(Cursor(memoryview(bytes.fromhex(spelled))), 2, 4)
