"""numcodecs finds both codecs by entry point, and a store that was written with them can be read again."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

numcodecs = pytest.importorskip("numcodecs", reason='needs numcodecs: pip install "laconic[zarr]"')

import laconic as lac  # noqa: E402
from laconic.errors import CorruptStream, UnsupportedInput, UsageError  # noqa: E402
from laconic.numcodecs import LaconicArray, LaconicImage  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODECS = [
    LaconicArray(),
    LaconicArray(max_error=0.25),
    LaconicImage(),
    LaconicImage(quality=30, effort=2, network="off"),
    LaconicImage(lossless=True),
    LaconicImage(psnr=40.0),
    LaconicImage(quality=60, tune="ssim"),
]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_a_codec_is_its_configuration(codec: Any):
    config = json.loads(json.dumps(codec.get_config()))
    found = numcodecs.get_codec(config)
    assert type(found) is type(codec)
    assert found == codec
    assert found.get_config() == config
    assert eval(repr(codec), {"LaconicArray": LaconicArray, "LaconicImage": LaconicImage}) == codec
    picture = np.random.default_rng(1).integers(0, 256, (24, 30, 3), np.uint8)
    assert pickle.loads(pickle.dumps(codec)).encode(picture) == found.encode(picture) == codec.encode(picture)


def test_defaults_are_written_down_so_that_a_later_version_does_not_change_them():
    assert LaconicImage().get_config()["quality"] == 75
    assert LaconicImage(psnr=40).get_config()["quality"] is None


@given(npst.arrays(st.sampled_from(["<f4", ">f8", "<i2", ">u4", "?", "<M8[ns]", "<c8"]), npst.array_shapes(max_dims=3)))
def test_arrays_come_back_also_into_a_given_buffer(array: NDArray[Any]):
    codec = LaconicArray()
    data = codec.encode(array)
    for given_as in (data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        found = codec.decode(given_as)
        assert found.astype(array.dtype).tobytes() == array.tobytes()
    out = np.empty_like(array)
    assert codec.decode(data, out=out) is out
    assert out.tobytes() == array.tobytes()


def test_pictures_are_those_of_laconic(photo: NDArray[np.uint8]):
    data = LaconicImage(quality=40).encode(photo)
    assert data == lac.compress(photo, quality=40)
    assert np.array_equal(LaconicImage().decode(data), lac.decompress(data))


def test_wrong_use_is_named(photo: NDArray[np.uint8]):
    with pytest.raises(UsageError):
        LaconicImage(quality=40, lossless=True)
    with pytest.raises(UsageError):
        LaconicArray(max_error=-1)
    with pytest.raises(UnsupportedInput, match='order "C"'):
        LaconicImage().encode(np.asfortranarray(photo))
    with pytest.raises(UnsupportedInput):
        LaconicArray().encode(np.array(["a", "b"]))
    with pytest.raises(CorruptStream):
        LaconicArray().decode(LaconicArray().encode(np.arange(1000))[:-1])


def test_a_fresh_process_finds_them_by_entry_point_alone(tmp_path: Path):
    numbers = np.arange(50, dtype="<f4").reshape(5, 10)
    np.save(tmp_path / "numbers.npy", numbers)
    code = (
        "import sys, numcodecs, numpy as np\n"
        f"numbers = np.load({str(tmp_path / 'numbers.npy')!r})\n"
        "assert not [name for name in sys.modules if name.startswith('laconic')]\n"
        "codec = numcodecs.get_codec({'id': 'laconic_array'})\n"
        "assert np.array_equal(codec.decode(codec.encode(numbers)), numbers)\n"
        "codec = numcodecs.get_codec({'id': 'laconic_image', 'lossless': True})\n"
        "picture = numbers.astype('u1')\n"
        "assert np.array_equal(codec.decode(codec.encode(picture)), picture)\n"
        "print(type(codec).__module__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["laconic.numcodecs"], done.stderr
