"""Data sets of version 1 are read as ever: `golden/latents_1` was packed when shards had tables of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import laconic as lac
from laconic.errors import CorruptStream, UsageError
from laconic.learn.manifest import Manifest, load_manifest
from laconic.learn.planning import make_plan

GOLDEN = Path(__file__).parents[2] / "golden" / "latents_1"
DIGESTS = {
    "fast": "9bbc48d121e69accfb094f0fd101c7ac02eaf444333ba7fa2bec6607a30843ea",
    "small": "4667585ebc558ce577a508b7a4a30c194df52c42abc0bee40674269dd52d407b",
}


def test_both_stores_are_read():
    stored = {store: lac.learn.open(GOLDEN / store) for store in DIGESTS}
    for store, dataset in stored.items():
        dataset.verify()
        assert (len(dataset), dataset.shape) == (6, (12, 6, 8))
        assert dataset.manifest.digest == DIGESTS[store]
        assert Manifest.from_json(dataset.manifest.to_json()).digest == dataset.manifest.digest
    wanted = np.concatenate(
        [np.fromfile(path, np.int8)[-count * 576 :] for path, count in shards(GOLDEN / "fast")]
    ).reshape(6, 12, 6, 8)
    for order in ([0, 1, 2, 3, 4, 5], [5, 0, 3, 1], [4]):
        for dataset in stored.values():
            assert np.array_equal(dataset.symbols(order), wanted[order])


def shards(folder: Path) -> list[tuple[Path, int]]:
    return [(folder / entry.file, entry.count) for entry in load_manifest(str(folder)).shards]


def test_damage_is_found(tmp_path: Path):
    shutil.copytree(GOLDEN / "small", tmp_path / "copy")
    shard = tmp_path / "copy" / "shard-00001.latents"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorruptStream, match=r"shard-00001\.latents.*tea-garden/5\.png"):
        lac.learn.open(tmp_path / "copy").symbols(range(6))


def test_what_is_packed_like_it_is_new(pictures: Path):
    plan = make_plan(str(pictures), store="small", size=48, channels=12)
    assert plan.key
    old = load_manifest(str(GOLDEN / "small"))
    assert (old.version, old.key) == (1, {})
    with pytest.raises(UsageError, match="3 channels"):
        lac.learn.open(GOLDEN / "small", channels=13)
