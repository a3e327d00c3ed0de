"""Laws of series: every checkpoint comes back alone, and an append that is cut short harms none before it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laconic.codecs import weights
from laconic.codecs.weights import Series
from laconic.container.series import HEAD
from laconic.errors import CorruptStream, FormatError, LimitExceeded, NotLaconic, UnsupportedInput, UsageError
from laconic.signals.tensors import Arrays, Tensor


def run(count: int) -> list[dict[str, Any]]:
    """Checkpoints of a run: everything moves a little, one tensor comes later."""
    random = np.random.default_rng(0)
    now = {
        "body.weight": (0.1 * random.standard_normal((32, 40))).astype(np.float32),
        "body.bias": random.standard_normal(32).astype(np.float32),
        "half": random.standard_normal((20, 10)).astype(np.float16),
        "steps": np.array(0, np.int64),
    }
    found: list[dict[str, Any]] = []
    for number in range(count):
        now = {
            name: (array + 1e-4 * random.standard_normal(array.shape)).astype(array.dtype)
            for name, array in now.items()
            if name != "steps"
        } | {"steps": np.array(100 * number, np.int64)}
        if number == 3:
            now["late"] = random.standard_normal(50).astype(np.float32)
        found.append(now)
    return found


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return list(a) == list(b) and all(a[n].dtype == b[n].dtype and a[n].tobytes() == b[n].tobytes() for n in a)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.lac"


@pytest.mark.parametrize("every", [1, 3, 100])
def test_every_checkpoint_comes_back_in_any_order(path: Path, every: int):
    checkpoints = run(8)
    series = Series(path, keyframe_every=every)
    assert len(series) == 0
    for arrays in checkpoints:
        series.append(arrays)
    for reader in (series, Series(path)):
        assert len(reader) == 8
        assert reader.keyframe_every == every
        for number in (7, 0, 3, 4, -1, -8, 6):
            assert same(reader[number], checkpoints[number])
        assert all(map(same, reader, checkpoints))
        assert all(map(same, reader[2:7:2], checkpoints[2:7:2]))
        assert [reader.inspect(i).base is None for i in range(8)] == [i % every == 0 for i in range(8)]
        for number in (-9, 8):
            with pytest.raises(IndexError, match="holds 8 checkpoints"):
                reader[number]
    Series(path).verify()


def test_one_tensor_is_read_along_the_chain(path: Path):
    checkpoints = run(7)
    series = Series(path, keyframe_every=3)
    for arrays in checkpoints:
        series.append(arrays)
    for number, arrays in enumerate(checkpoints):
        with series.open(number) as reader:
            assert list(reader) == list(arrays)
            for name, array in arrays.items():
                assert np.array_equal(reader[name], array)
    assert len(set(series.hashes)) == 7


def test_a_series_takes_fewer_bytes_than_its_checkpoints(path: Path):
    checkpoints = run(10)
    series = Series(path)
    for arrays in checkpoints:
        series.append(arrays)
    assert path.stat().st_size < sum(len(weights.shrink(arrays, lossless=True)) for arrays in checkpoints) / 1.3


def test_lossy_checkpoints_do_not_drift(path: Path):
    checkpoints = run(12)
    series = Series(path, keyframe_every=12)
    for arrays in checkpoints:
        series.append(arrays, max_error=1e-3)
    for found, arrays in zip(Series(path), checkpoints, strict=True):
        assert max(np.abs(found[name].astype(float) - arrays[name]).max() for name in arrays) <= 1e-3
    sizes = [series.inspect(i).bytes_total for i in range(12)]
    assert max(sizes[4:]) < 0.7 * sizes[0]
    # What follows a lossy checkpoint may be exact, and the other way round.
    series.append(checkpoints[5])
    series.append(checkpoints[6], bpw=4)
    assert same(series[12], checkpoints[5])
    assert same(Series(path)[13], series[13])


def test_it_goes_on_where_it_ended(path: Path):
    checkpoints = run(6)
    for arrays in checkpoints:
        Series(path, keyframe_every=4).append(arrays)
    assert all(map(same, Series(path), checkpoints))
    with pytest.raises(UsageError, match="every 4"):
        Series(path, keyframe_every=5)
    with pytest.raises(UsageError):
        Series(path, keyframe_every=0)


def test_two_writers_see_what_the_other_has_appended(path: Path):
    checkpoints = run(4)
    first, second = Series(path), Series(path)
    for number, arrays in enumerate(checkpoints):
        (first, second)[number % 2].append(arrays)
    assert len(first) == 3
    assert len(second) == 4
    assert all(map(same, Series(path), checkpoints))


def test_only_one_process_appends_at_a_time(path: Path):
    fcntl = pytest.importorskip("fcntl")
    series = Series(path)
    series.append(run(1)[0])
    with path.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match=r"."):
            series.append(run(2)[1])
    assert len(Series(path)) == 1
    series.append(run(2)[1])


def test_whatever_an_append_leaves_behind_the_checkpoints_before_it_are_there(path: Path):
    checkpoints = run(3)
    series = Series(path)
    series.append(checkpoints[0])
    series.append(checkpoints[1])
    before = path.read_bytes()
    series.append(checkpoints[2])
    after = path.read_bytes()
    torn = before + bytes(HEAD) + after[len(before) + HEAD :]
    cuts = [*range(len(before), len(before) + HEAD + 3), *range(len(before) + HEAD + 3, len(after), 97)]
    for left in [torn, *(torn[:cut] for cut in cuts), *(after[:cut] for cut in cuts)]:
        path.write_bytes(left)
        assert all(map(same, Series(path), checkpoints[:2]))
        assert len(Series(path)) == 2
    Series(path).append(checkpoints[2])
    assert path.read_bytes() == after


@pytest.mark.parametrize("moment", [1, 2])
def test_a_killed_append_leaves_the_earlier_checkpoints(path: Path, moment: int):
    series = Series(path)
    series.append(run(1)[0])
    code = (
        "import os, sys, numpy as np\n"
        "from laconic.codecs import weights_series\n"
        "flush, calls = weights_series._flush, []\n"
        "def dying(stream):\n"
        "    calls.append(1)\n"
        f"    if len(calls) == {moment}: stream.flush(); os.kill(os.getpid(), 9)\n"
        "    flush(stream)\n"
        "weights_series._flush = dying\n"
        "weights_series.Series(sys.argv[1]).append({'x': np.arange(1000.0)})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    # Before the head is on its way the checkpoint is none; afterwards it is whole.
    assert len(Series(path)) == moment
    assert same(Series(path)[0], run(1)[0])
    Series(path).append({"y": np.arange(3)})
    assert Series(path)[-1]["y"].tolist() == [0, 1, 2]


def test_damage_is_a_named_error(path: Path):
    checkpoints = run(3)
    series = Series(path)
    for arrays in checkpoints:
        series.append(arrays)
    data = path.read_bytes()
    start = series._checkpoints[1].offset
    for at in (start - HEAD, start - HEAD + 2, start - HEAD + 7, start - 20, start - 1, 7, 9):
        path.write_bytes(data[:at] + bytes([data[at] ^ 5]) + data[at + 1 :])
        with pytest.raises(FormatError):
            Series(path)
    end = series._checkpoints[1].end
    path.write_bytes(data[: end - 5] + bytes([data[end - 5] ^ 1]) + data[end - 4 :])
    damaged = Series(path)
    assert same(damaged[0], checkpoints[0])
    for number in (1, 2):
        with pytest.raises(CorruptStream, match="hash of checkpoint 1"):
            damaged[number]
    with pytest.raises(CorruptStream):
        damaged.verify()
    # Two heads that changed places.
    second = series._checkpoints[2].offset
    path.write_bytes(data[: start - HEAD] + data[second - HEAD :])
    with pytest.raises(CorruptStream, match="number"):
        Series(path)


def test_what_is_no_series_is_said(path: Path):
    path.write_bytes(b"hello, world, this is no series")
    with pytest.raises(NotLaconic):
        Series(path)
    path.write_bytes(weights.shrink(run(1)[0], lossless=True))
    with pytest.raises(CorruptStream, match="codec"):
        Series(path)
    path.unlink()
    Series(path).append(run(1)[0])
    with pytest.raises(UnsupportedInput, match="Series"):
        weights.load(path)


def test_nothing_is_written_where_the_arrays_cannot_be_coded(path: Path):
    series = Series(path)
    series.append(run(1)[0])
    before = path.read_bytes()
    with pytest.raises(UnsupportedInput):
        series.append({"x": np.zeros(3, complex)})
    with pytest.raises(UsageError):
        series.append(run(1)[0], bpw=3, lossless=True)
    assert path.read_bytes() == before


def test_kinds_and_metadata_are_kept_and_sizes_limited(path: Path):
    arrays = Arrays("safetensors", (Tensor.of("x", np.zeros(2**20, np.float32)),), {"step": "7"})
    series = Series(path)
    series.append(arrays)
    assert series.expand(0).metadata == {"step": "7"}
    assert Series(path).expand(0).form == "safetensors"
    with pytest.raises(LimitExceeded):
        Series(path, max_bytes=1000)[0]
