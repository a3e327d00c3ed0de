"""Packing is a pure function of the plan: killed, split or threaded, it gives the same bytes; bad input is named."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import laconic as lac
from laconic.__main__ import main
from laconic.errors import CorruptStream, MissingModel, NewerVersion, UnsupportedInput, UsageError
from laconic.learn import packing, planning
from laconic.learn.manifest import Manifest, load_manifest
from laconic.learn.pack_plan import PackPlan
from laconic.learn.packing import finish, pack
from laconic.learn.planning import make_plan
from laconic.learn.preparation import view_names
from laconic.learn.shard_packing import ShardRecord, pack_shard

from .conftest import tree


def plan_of(source: Path, **options: Any) -> PackPlan:
    return make_plan(str(source), **{"quality": 60, "shard_size": 5, "channels": 48, **options})


@pytest.fixture(scope="module")
def packed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    assert pack(plan_of(pictures), str(folder), jobs=1)
    return folder


def test_threads_parts_and_other_machines_give_the_same_bytes(pictures: Path, packed: Path, tmp_path: Path):
    plan = plan_of(pictures)
    assert plan.shards == 5
    assert pack(plan, str(tmp_path / "threads"), jobs=3)
    for part in (2, 1, 3):
        manifest = pack(plan, str(tmp_path / "parts"), part=(part, 3))
        assert (manifest is None) == (part != 3)
    # Another engine: the plan and the records travel as JSON, shards are made in any order.
    elsewhere = tmp_path / "engine"
    elsewhere.mkdir()
    records = []
    for index in (3, 0, 4, 1, 2):
        copy = PackPlan.from_json(json.loads(json.dumps(plan.to_json())))
        record = pack_shard(copy, index, str(elsewhere))
        records.append(ShardRecord.from_json(json.loads(json.dumps(record.to_json()))))
    assert finish(plan, records, str(elsewhere)).count == 23
    assert tree(tmp_path / "threads") == tree(packed) == tree(tmp_path / "parts")
    assert tree(elsewhere) == {name: data for name, data in tree(packed).items() if name != "plan.json"}


def whole_files(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*") if not path.name.startswith(".")]


def test_a_run_that_was_killed_at_any_moment_goes_on(pictures: Path, packed: Path, tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "laconic",
        "pack",
        str(pictures),
        str(tmp_path / "out"),
        "--shard-size",
        "5",
        "-j1",
    ]
    wanted = tree(packed)
    kills = 0
    # Killed by what is there, not by the clock: on a slow machine nothing else would come of it.
    for files in (1, 2, 4, 7, len(wanted) + 1):
        with subprocess.Popen([*command, "--resume", "--quiet"], start_new_session=True) as process:
            while process.poll() is None and len(whole_files(tmp_path / "out")) < files:
                time.sleep(0.002)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
            process.wait()
        found = whole_files(tmp_path / "out")
        assert all(wanted[name] == (tmp_path / "out" / name).read_bytes() for name in found)
        if process.returncode == 0:
            break
    assert process.returncode == 0
    for leftover in (tmp_path / "out").glob(".laconic-*.tmp"):
        leftover.unlink()  # of a process that could not clean up
    assert tree(tmp_path / "out") == wanted
    assert kills


def test_a_shard_that_was_lost_or_damaged_is_made_again(pictures: Path, packed: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(packed, copy)
    (copy / "shard-00001.latents").unlink()
    damaged = bytearray((copy / "shard-00003.latents").read_bytes())
    damaged[-1] ^= 1
    (copy / "shard-00003.latents").write_bytes(damaged)
    (copy / "shard-00004.json").write_text("{")
    made: list[int] = []
    pack(plan_of(pictures), str(copy), resume=True, report=lambda r, kept: None if kept else made.append(r.index))
    assert made == [1, 3, 4]
    assert tree(copy) == tree(packed)


def test_a_destination_in_use_is_refused(pictures: Path, packed: Path):
    with pytest.raises(UsageError, match="--resume"):
        pack(plan_of(pictures), str(packed))
    with pytest.raises(UsageError, match="other options: quality"):
        pack(plan_of(pictures, quality=50), str(packed), resume=True)


def test_unreadable_pictures_are_listed_or_stop_the_run(pictures: Path, tmp_path: Path):
    source = tmp_path / "source"
    shutil.copytree(pictures, source)
    (source / "kitten" / "00.png").write_bytes((source / "kitten" / "00.png").read_bytes()[:300])
    (source / "tea-garden" / "03.png").write_bytes(b"")
    manifest = pack(plan_of(source), str(tmp_path / "skipped"))
    assert manifest is not None
    assert manifest.count == 21
    assert [key for key, _ in manifest.quarantine] == ["kitten/00.png", "tea-garden/03.png"]
    assert manifest.class_counts == (11, 10)
    with pytest.raises(UnsupportedInput, match=r"kitten/00\.png"):
        pack(plan_of(source, on_error="fail"), str(tmp_path / "failed"))
    assert not list((tmp_path / "failed").glob("shard*"))


def test_a_key_is_fitted_to_few_pictures_and_holds_for_all(
    pictures: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What the tables or fields do not hold is written at greater length, never lost."""
    wanted = lac.learn.open(packed).symbols(range(23))
    monkeypatch.setattr(planning, "MOST_FITTED", 2)
    for store in ("small", "bits"):
        folder = str(tmp_path / store)
        plan = plan_of(pictures, store=store)
        assert plan == plan_of(pictures, store=store, jobs=3)
        assert pack(plan, folder)
        assert np.array_equal(lac.learn.open(folder).symbols(range(23)), wanted)
        like = plan_of(pictures, store=store, like=load_manifest(folder))
        assert like.key == plan.key
        assert plan_of(pictures, store="fast", like=load_manifest(folder)).key == {}


def test_the_stores_differ_in_size(pictures: Path, packed: Path, tmp_path: Path):
    sizes = {"small": load_manifest(str(packed)).bytes}
    for store in ("bits", "fast"):
        manifest = pack(plan_of(pictures, store=store), str(tmp_path / store))
        assert manifest is not None
        sizes[store] = manifest.bytes
    assert 2 * sizes["small"] < sizes["bits"] + 23 * 100
    assert 2 * sizes["bits"] < sizes["fast"]


def test_a_class_without_pictures_is_named(pictures: Path, tmp_path: Path):
    source = tmp_path / "source"
    shutil.copytree(pictures, source)
    (source / "zebra").mkdir()
    with pytest.raises(UsageError, match="'zebra' has no pictures"):
        plan_of(source)
    (source / "zebra" / "1.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="'zebra' has no picture that can be read"):
        pack(plan_of(source, size=64), str(tmp_path / "out"))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_mixed_sizes_need_a_size(pictures: Path, tmp_path: Path, crops: Any):
    from laconic.signals.image import Image, save

    source = tmp_path / "source"
    shutil.copytree(pictures, source)
    save(source / "tea-garden" / "wide.png", Image(crops(1, 80, 120)))
    manifest = pack(plan_of(source), str(tmp_path / "one-size"))
    assert manifest is not None
    ((key, reason),) = manifest.quarantine
    assert key == "tea-garden/wide.png"
    assert "120 x 80 pixels, but the first picture has 64 x 64" in reason
    manifest = pack(plan_of(source, size=48), str(tmp_path / "sized"))
    assert manifest is not None
    assert (manifest.count, manifest.quarantine, manifest.grid.shape) == (24, (), (48, 6, 6))
    save(source / "kitten" / "00.png", Image(crops(1, 81, 120)), force=True)
    with pytest.raises(UsageError, match="81 pixels, expected a multiple"):
        plan_of(source)


def test_layouts_of_the_same_pictures_give_the_same_records(pictures: Path, packed: Path, tmp_path: Path):
    files = sorted(path for path in pictures.rglob("*.png"))
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label"])
        writer.writerows([[os.path.relpath(path, tmp_path), path.parent.name] for path in files])
    tar = tmp_path / "all.tar"
    with tarfile.open(tar, "w") as archive:
        for path in files:
            archive.add(path, f"{path.parent.name}/{path.name}")
            label = path.parent.name.encode()
            member = tarfile.TarInfo(f"{path.parent.name}/{path.stem}.cls")
            member.size = len(label)
            archive.addfile(member, io.BytesIO(label))
    wanted = load_manifest(str(packed))
    for source, layout in ((table, "csv"), (tar, "webdataset")):
        manifest = pack(plan_of(source, layout=layout), str(tmp_path / layout))
        assert manifest is not None
        assert (manifest.classes, manifest.class_counts, manifest.sums) == (
            wanted.classes, wanted.class_counts, wanted.sums
        )  # fmt: skip


def test_views_are_fixed(pictures: Path, tmp_path: Path):
    views = view_names("flip,crop4")
    manifest = pack(plan_of(pictures, size=64, views=views), str(tmp_path / "views"))
    assert manifest is not None
    assert len(manifest.preparation.views) == 6
    with pytest.raises(UsageError, match="Random augmentation is not packed"):
        view_names("random-crop")


def test_validation_data_take_transform_and_classes_of_training_data(pictures: Path, packed: Path, tmp_path: Path):
    wanted = load_manifest(str(packed))
    source = tmp_path / "val"
    shutil.copytree(pictures / "tea-garden", source / "tea-garden")
    manifest = pack(make_plan(str(source), like=wanted), str(tmp_path / "out"))
    assert manifest is not None
    assert (manifest.classes, manifest.class_counts) == (("kitten", "tea-garden"), (0, 11))
    assert manifest.grid.steps.tolist() == wanted.grid.steps.tolist()
    (source / "other").mkdir()
    shutil.copy(next(pictures.rglob("*.png")), source / "other" / "1.png")
    with pytest.raises(UsageError, match="'other' is not one of the 2 known"):
        make_plan(str(source), like=wanted)


def test_another_model_is_refused(pictures: Path, packed: Path, tmp_path: Path):
    with pytest.raises(UsageError, match="the plan is of the model 00"):
        pack_shard(replace(plan_of(pictures), fingerprint="00" * 8), 0, str(tmp_path))
    assert not list(tmp_path.iterdir())
    with pytest.raises(MissingModel, match="0000000000000000"):
        make_plan(str(pictures), like=replace(load_manifest(str(packed)), fingerprint="00" * 8))


def test_manifests_of_later_versions_and_damaged_ones_are_refused(packed: Path, tmp_path: Path):
    data = json.loads((packed / "manifest.json").read_text())
    assert Manifest.from_json(data).digest == load_manifest(str(packed)).digest
    with pytest.raises(NewerVersion):
        Manifest.from_json({**data, "version": 3})
    for key in ({}, {"frequencies": data["key"]["frequencies"][:-4]}, {"frequencies": 7}, {"frequencies": "?"}, []):
        with pytest.raises(CorruptStream, match=r"key of the store small|manifest\.json: fields"):
            Manifest.from_json({**data, "key": key})
    with pytest.raises(Exception, match=r"manifest\.json: fields"):
        Manifest.from_json({**data, "shards": [{**data["shards"][0], "file": "../elsewhere"}]})
    with pytest.raises(Exception, match=r"manifest\.json: count"):
        Manifest.from_json({**data, "count": 7})
    shutil.copy(packed / "plan.json", tmp_path)
    with pytest.raises(UsageError, match="packing was not finished"):
        load_manifest(str(tmp_path))


def test_nothing_half_written_is_seen(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full disk while the third shard is written leaves two shards and no manifest."""
    plan = plan_of(pictures)
    write = packing.locations.write_bytes

    def fail(target: str, data: bytes, **options: Any) -> None:
        if "shard-00002.latents" in target:
            raise OSError(28, "No space left on device", target)
        write(target, data, **options)

    monkeypatch.setattr(packing.locations, "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        pack(plan, str(tmp_path))
    assert sorted(path.suffix for path in tmp_path.glob("shard*")) == [".json", ".json", ".latents", ".latents"]
    assert not (tmp_path / "manifest.json").exists()


def test_urls_are_written_and_read(pictures: Path, packed: Path):
    pytest.importorskip("fsspec")
    manifest = pack(plan_of(pictures), "memory://packed/here")
    assert manifest is not None
    assert load_manifest("memory://packed/here").digest == load_manifest(str(packed)).digest


def test_the_command(pictures: Path, packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["pack", str(pictures), str(tmp_path / "out"), "--shard-size", "5", "--json"]
    assert main(words) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 6
    assert lines[-1]["manifest"] == load_manifest(str(packed)).digest
    assert main(words) == 2
    assert main([*words[:-1], "--resume", "--quiet"]) == 0
    assert main(["pack", str(pictures), str(tmp_path / "new"), "--views", "jitter"]) == 2
    assert main(["pack", str(tmp_path / "nowhere"), str(tmp_path / "new")]) == 2
    assert main(["pack", str(pictures), str(tmp_path / "new"), "--shard", "3/2"]) == 2
    assert not (tmp_path / "new").exists()
