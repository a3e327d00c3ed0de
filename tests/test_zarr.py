"""Zarr arrays go through laconic and come back, in both versions of the format, and say in their metadata how."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

zarr = pytest.importorskip("zarr", reason='needs zarr: pip install "laconic[zarr]"')

import laconic as lac  # noqa: E402
import laconic.numcodecs  # noqa: E402
from laconic.errors import CorruptStream, UnsupportedInput, UsageError  # noqa: E402
from laconic.zarr import LaconicArray, LaconicImage  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODECS = [
    LaconicArray(),
    LaconicArray(max_error=0.25),
    LaconicImage(),
    LaconicImage(lossless=True),
    LaconicImage(psnr=40.0),
    LaconicImage(quality=60, tune="ssim"),
]


def smooth(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.sin(np.indices(shape).sum(axis=0) / 9).astype(np.float32)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_a_codec_is_its_configuration(codec: Any):
    described = json.loads(json.dumps(codec.to_dict()))
    assert type(codec).from_dict(described) == codec
    assert zarr.registry.get_codec_class(described["name"]) is type(codec)
    assert eval(repr(codec), {"LaconicArray": LaconicArray, "LaconicImage": LaconicImage}) == codec


def test_metadata_name_the_codec_and_every_option(tmp_path: Path):
    path = tmp_path / "a.zarr"
    zarr.create_array(
        path, data=smooth((30, 40)), chunks=(16, 16), serializer=LaconicArray(max_error=0.01), compressors=None
    )
    found = json.loads((path / "zarr.json").read_text("utf-8"))["codecs"]
    assert found == [{"name": "laconic_array", "configuration": {"max_error": 0.01}}]
    assert zarr.open_array(path, mode="r").metadata.codecs[0] == LaconicArray(max_error=0.01)
    with pytest.raises(UsageError, match="newer laconic"):
        LaconicArray.from_dict({"name": "laconic_array", "configuration": {"max_error": None, "wavelet": 3}})
    with pytest.raises(UsageError, match="bytes"):
        LaconicArray.from_dict({"name": "bytes"})


@settings(max_examples=40)
@given(
    npst.arrays(
        st.sampled_from(
            ["bool", "u1", "i2", "u4", "i8", "f2", "f4", "f8", ">f4", ">i8", "c8", "c16", "M8[ns]", "m8[s]"]
        ),
        npst.array_shapes(min_dims=1, max_dims=3, max_side=9),
    ),
    st.integers(1, 5),
    st.sampled_from([2, 3]),
    st.sampled_from("CF"),
)
def test_every_bit_comes_back(array: NDArray[Any], side: int, version: int, order: str):
    chunks = tuple(min(side, length) for length in array.shape)
    if version == 3:
        how: dict[str, Any] = {"serializer": LaconicArray(), "compressors": None}
    else:
        how = {"compressors": laconic.numcodecs.LaconicArray(), "order": order}
    stored = zarr.create_array({}, shape=array.shape, dtype=array.dtype, chunks=chunks, zarr_format=version, **how)
    stored[...] = array
    found = stored[...]
    assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    assert found.astype(array.dtype).tobytes() == array.tobytes()


def test_every_element_keeps_its_bound_in_far_fewer_bytes():
    field = smooth((64, 96))
    sizes: list[int] = []
    for codec in (LaconicArray(), LaconicArray(max_error=1e-3)):
        store: dict[str, Any] = {}
        stored = zarr.create_array(store, data=field, chunks=(32, 48), serializer=codec, compressors=None)
        assert np.abs(stored[...] - field).max() <= (codec.max_error or 0)
        sizes.append(stored.nbytes_stored())
    assert sizes[1] < sizes[0] / 2 < field.nbytes / 2


def test_shards_transposes_and_missing_chunks():
    field = smooth((64, 96))
    stored = zarr.create_array(
        {}, shape=(96, 64), dtype="f4", chunks=(16, 16), shards=(48, 32), fill_value=7,
        filters=[zarr.codecs.TransposeCodec(order=(1, 0))], serializer=LaconicArray(),
        compressors=zarr.codecs.ZstdCodec(),
    )  # fmt: skip
    stored[:50] = field.T[:50]
    assert np.array_equal(stored[:50], field.T[:50])
    assert (stored[50:] == 7).all()
    stored[3, 5] = -1
    assert stored[3, 5] == -1
    assert stored[4, 5] == field[5, 4]


@pytest.mark.parametrize("version", [2, 3])
def test_pictures(photo: NDArray[np.uint8], version: int):
    film = np.stack([photo, photo[::-1]])
    store: dict[str, Any] = {}
    if version == 3:
        how: dict[str, Any] = {"serializer": LaconicImage(quality=60), "compressors": None}
    else:
        how = {"compressors": laconic.numcodecs.LaconicImage(quality=60)}
    stored = zarr.create_array(store, data=film, chunks=(1, *photo.shape), zarr_format=version, **how)
    for frame, picture in enumerate(film):
        assert np.array_equal(stored[frame], lac.decompress(lac.compress(picture, quality=60)))
    assert stored.nbytes_stored() < film.nbytes / 8
    exact = zarr.create_array(
        {}, data=film, chunks=(1, 50, 60, 3), serializer=LaconicImage(lossless=True), compressors=None
    )
    assert np.array_equal(exact[...], film)


def test_what_cannot_be_held_is_refused_when_the_array_is_made():
    for codec, shape, dtype in (
        (LaconicArray(), (4,), "S5"),
        (LaconicImage(), (8, 8), "f4"),
        (LaconicImage(), (2, 8, 8, 3), "u1"),
    ):
        with pytest.raises(UnsupportedInput):
            zarr.create_array({}, shape=shape, chunks=shape, dtype=dtype, serializer=codec, compressors=None)


@pytest.mark.parametrize("codec", [LaconicArray(), LaconicImage(lossless=True)], ids=lambda codec: codec.codec_name)
def test_damage_and_chunks_of_another_array_are_named(tmp_path: Path, codec: Any):
    array = np.random.default_rng(1).integers(0, 256, (40, 40), np.uint8)
    for name, side in (("a", 40), ("b", 20)):
        how = {"chunks": (side, side), "serializer": codec, "compressors": None}
        zarr.create_array(tmp_path / name, data=array, **how)
    chunk = tmp_path / "a" / "c" / "0" / "0"
    intact = chunk.read_bytes()
    chunk.write_bytes(intact[:-3] + bytes([intact[-3] ^ 8]) + intact[-2:])
    with pytest.raises(CorruptStream):
        zarr.open_array(tmp_path / "a", mode="r")[...]
    chunk.write_bytes((tmp_path / "b" / "c" / "0" / "0").read_bytes())
    with pytest.raises(CorruptStream, match="shape of a chunk"):
        zarr.open_array(tmp_path / "a", mode="r")[...]


def test_a_fresh_process_finds_them_by_entry_point_alone(tmp_path: Path):
    picture = np.random.default_rng(1).integers(0, 256, (40, 40), np.uint8)
    numbers = smooth((30, 20))
    zarr.create_array(tmp_path / "n", data=numbers, serializer=LaconicArray(), compressors=None)
    zarr.create_array(
        tmp_path / "p", data=picture, chunks=(40, 40), serializer=LaconicImage(lossless=True), compressors=None
    )
    np.savez(tmp_path / "expected.npz", n=numbers, p=picture)
    code = (
        "import sys, numpy as np, zarr\n"
        "assert not [name for name in sys.modules if name.startswith('laconic')]\n"
        "for name, expected in np.load('expected.npz').items():\n"
        "    assert np.array_equal(zarr.open_array(name, mode='r')[...], expected)\n"
        "serializer = {'name': 'laconic_array', 'configuration': {'max_error': 0.5}}\n"
        "made = zarr.create_array({}, data=np.arange(9.0), serializer=serializer, compressors=None)\n"
        "assert abs(made[...] - np.arange(9.0)).max() <= 0.5\n"
        "print(type(made.metadata.codecs[0]).__module__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["laconic.zarr"], done.stderr
