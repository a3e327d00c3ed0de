"""A packed data set goes out as WebDataset tar files: the same bytes each time, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laconic.__main__ import main
from laconic.errors import CorruptStream, OutputExists
from laconic.learn.dataset import LatentDataset, open_dataset
from laconic.learn.packing import pack
from laconic.learn.planning import make_plan
from laconic.learn.webdataset import export_webdataset

from .conftest import tree


@pytest.fixture(scope="module", params=["small", "fast"])
def dataset(pictures: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> LatentDataset:
    folder = tmp_path_factory.mktemp("packed")
    views = ("center", "flip") if request.param == "fast" else ("center",)
    assert pack(make_plan(str(pictures), shard_size=9, store=request.param, views=views), str(folder))
    return open_dataset(str(folder))


def test_tar_files_hold_every_sample_in_order(dataset: LatentDataset, tmp_path: Path):
    entries = export_webdataset(dataset, str(tmp_path / "tars"))
    assert [(entry.file, entry.count) for entry in entries] == [
        ("shard-00000.tar", 9), ("shard-00001.tar", 9), ("shard-00002.tar", 5),
    ]  # fmt: skip
    about = json.loads((tmp_path / "tars" / "latents.json").read_text("utf-8"))
    views = dataset.manifest.preparation.views
    endings = ["npy", *(f"{view}.npy" for view in views[1:]), "cls", "json"]
    number = 0
    for entry in entries:
        data = (tmp_path / "tars" / entry.file).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.bytes, entry.sha256)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = tar.getmembers()
            assert all((m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) == (0, 0, 0, "", "", 0o644) for m in members)
            parts = [(member.name, tar.extractfile(member).read()) for member in members]  # pyright: ignore
        for start in range(0, len(parts), len(endings)):
            sample = dict(parts[start : start + len(endings)])
            assert list(sample) == [f"{number:09d}.{ending}" for ending in endings]
            for view, ending in enumerate(endings[: len(views)]):
                symbols = np.load(io.BytesIO(sample[f"{number:09d}.{ending}"]), allow_pickle=False)
                assert symbols.dtype == np.int8
                assert np.array_equal(symbols, dataset.symbols([number], view)[0])
            label = int(sample[f"{number:09d}.cls"])
            assert label == dataset.labels[number]
            found = json.loads(sample[f"{number:09d}.json"])
            assert found == {"class": dataset.classes[label], "index": number, "key": dataset.key(number)}
            number += 1
    assert number == len(dataset) == about["count"] == 23
    assert about["manifest"] == dataset.manifest.digest
    assert [tar["sha256"] for tar in about["tars"]] == [entry.sha256 for entry in entries]
    # With the scales a reader has what `dataset[i]` gives.
    assert np.array_equal(np.array(about["scales"], np.float32), dataset.scales)


def test_the_same_data_set_gives_the_same_bytes(dataset: LatentDataset, tmp_path: Path):
    for name in ("a", "b"):
        export_webdataset(open_dataset(dataset.location), str(tmp_path / name))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


READER = """
import json, sys, webdataset
samples = webdataset.WebDataset(sys.argv[1:], shardshuffle=False).decode()
for symbols, label, about in samples.to_tuple("npy", "cls", "json"):
    print(json.dumps([about["key"], label, str(symbols.dtype), symbols.tolist()]))
"""


def test_the_webdataset_library_reads_it(dataset: LatentDataset, tmp_path: Path):
    pytest.importorskip("webdataset", reason="needs webdataset")
    urls = [str(tmp_path / entry.file) for entry in export_webdataset(dataset, str(tmp_path))]
    # In a process of its own, for it leaves files open.
    done = subprocess.run([sys.executable, "-c", READER, *urls], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [key for key, *_ in found] == [dataset.key(number) for number in range(len(dataset))]
    for number, (_, label, dtype, symbols) in enumerate(found):
        assert (label, dtype) == (dataset.labels[number], "int8")
        assert np.array_equal(symbols, dataset.symbols([number])[0])


def test_nothing_is_overwritten_and_force_replaces_only_its_own(dataset: LatentDataset, tmp_path: Path):
    export_webdataset(dataset, str(tmp_path))
    whole = tree(tmp_path)
    with pytest.raises(OutputExists):
        export_webdataset(dataset, str(tmp_path))
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "shard-00002.tar").write_bytes(b"old")
    about = json.loads(whole["latents.json"])
    about["tars"] += [{"file": "shard-00009.tar"}, {"file": "mine.txt"}, {"file": "../mine.txt"}]
    (tmp_path / "shard-00009.tar").write_bytes(b"of an earlier, larger export")
    (tmp_path / "latents.json").write_text(json.dumps(about))
    export_webdataset(dataset, str(tmp_path), force=True)
    assert tree(tmp_path) == {**whole, "mine.txt": b"mine"}
    (tmp_path / "latents.json").unlink()
    before = tree(tmp_path)
    with pytest.raises(OutputExists):
        export_webdataset(dataset, str(tmp_path))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, CorruptStream])
def test_an_export_that_stops_leaves_nothing(
    dataset: LatentDataset, tmp_path: Path, stopped_by: type[BaseException], monkeypatch: pytest.MonkeyPatch
):
    read = LatentDataset.symbols

    def failing(self: LatentDataset, indices: Any, views: Any = 0) -> Any:
        if 9 in indices:
            raise stopped_by(*("", None, "", "")[: 4 * (stopped_by is CorruptStream)])
        return read(self, indices, views)

    monkeypatch.setattr(LatentDataset, "symbols", failing)
    with pytest.raises(stopped_by):
        export_webdataset(dataset, str(tmp_path / "tars"))
    assert list((tmp_path / "tars").iterdir()) == []


def test_a_url_will_do(dataset: LatentDataset, tmp_path: Path):
    fsspec = pytest.importorskip("fsspec")
    export_webdataset(dataset, "memory://export/tars")
    export_webdataset(dataset, "memory://export/tars", force=True)
    export_webdataset(dataset, str(tmp_path))
    files = fsspec.filesystem("memory")
    found = {Path(name).name: files.cat_file(name) for name in files.find("/export/tars")}
    assert found == tree(tmp_path)
    files.rm("/export", recursive=True)


def test_the_command(dataset: LatentDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    target = str(tmp_path / "tars")
    assert main(["export", dataset.location, "--webdataset", "-o", target, "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["output"] for record in records] == ["shard-00000.tar", "shard-00001.tar", "shard-00002.tar", target]
    assert records[-1]["samples"] == 23
    assert records[-1]["bytes"] == sum(path.stat().st_size for path in (tmp_path / "tars").glob("*.tar"))
    assert main(["export", dataset.location, "--webdataset", "-o", target]) == 1
    assert "-f" in capsys.readouterr().err
    for wrong in ([], ["-o", "-"], ["-o", target, "--model", "m"]):
        assert main(["export", dataset.location, "--webdataset", *wrong]) == 2
    assert main(["export", dataset.location, "--onnx"]) == 2
    assert "no network" in capsys.readouterr().err
    assert main(["export", "best", "--webdataset", "--onnx"]) == 2
    assert main(["export", str(tmp_path), "--webdataset", "-o", target, "-f"]) == 2
    assert "no data set" in capsys.readouterr().err
