"""Packing on Ray gives the bytes of a run on one machine, also when a worker is killed with a shard in its hands."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("ray", reason='needs Ray: pip install "laconic[ray]"')

from laconic.errors import UnsupportedInput, UsageError
from laconic.learn import ray_engine
from laconic.learn.packing import pack
from laconic.learn.planning import make_plan

from .conftest import tree

if TYPE_CHECKING:
    from collections.abc import Generator

SECONDS = 500.0
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
small = {"object_store_memory": 80 << 20}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small})
nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(2)]
print(cluster.address, *(node.all_processes["raylet"][0].process.pid for node in nodes), flush=True)
for line in sys.stdin:
    cluster.remove_node(nodes[int(line)], allow_graceful=False)
    print("gone", flush=True)
cluster.shutdown()
"""


@pytest.fixture
def source(pictures: Path, tmp_path: Path) -> Path:
    """The pictures, and a shorter path to them."""
    shutil.copytree(pictures, tmp_path / "source")
    return tmp_path / "source"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Ray writes into the home folder, and joins a cluster that RAY_ADDRESS names."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**found, "HOME": str(tmp_path), "PYTHONWARNINGS": "default"}


@pytest.fixture
def stuck(source: Path) -> Generator[Path]:
    """A picture that no one can finish to read: a pipe in its place, until `free` puts it back."""
    place = source / "kitten" / "08.png"
    place.rename(source.parent / "08.png")
    os.mkfifo(place)
    yield place
    if place.is_fifo():
        place.unlink()


def packing(environment: dict[str, str], folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "laconic", "pack", "source", "packed", "--size", "64", "--shard-size", "3"]
    command += ["--store", "fast"]  # for the others the plan looks at pictures, and would wait for the pipe itself
    return subprocess.Popen(
        [*command, "--engine", "ray", "--json", *options],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def reader_of(pipe: Path) -> tuple[int, int]:
    """Wait until a process reads a pipe; return its number, and a descriptor that keeps it waiting."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            kept = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)
            continue
        for process in Path("/proc").glob("[0-9]*"):
            if int(process.name) == os.getpid():
                continue
            try:
                if pipe in [link.readlink() for link in (process / "fd").iterdir()]:
                    return int(process.name), kept
            except OSError:
                continue
        os.close(kept)
        time.sleep(0.05)
    raise TimeoutError("no worker came to the picture")


def free(pipe: Path) -> None:
    """Put the picture in the place of the pipe; who reads the pipe goes on waiting."""
    (pipe.parents[2] / "08.png").rename(pipe)


def expected(source: Path, folder: Path, **options: Any) -> dict[str, bytes]:
    """What a run on one machine makes of the same source, named in the same way."""
    here = Path.cwd()
    os.chdir(source.parent)
    try:
        assert pack(make_plan("source", size=64, shard_size=3, store="fast", **options), str(folder), jobs=1)
    finally:
        os.chdir(here)
    return tree(folder)


def parent_of(process: int) -> int:
    return int((Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_that_is_killed_with_a_shard_in_its_hands_changes_no_byte(
    source: Path, stuck: Path, environment: dict[str, str], tmp_path: Path
):
    with packing(environment, tmp_path) as run:
        worker, kept = reader_of(stuck)
        free(stuck)
        assert not (tmp_path / "packed" / "manifest.json").exists()
        os.kill(worker, signal.SIGKILL)
        os.close(kept)
        out, log = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, log
    records = [json.loads(line) for line in out.splitlines()]
    assert sorted(record["shard"] for record in records[:-1]) == list(range(8))
    assert not any(record["quarantined"] for record in records)
    assert tree(tmp_path / "packed") == expected(source, tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_node_of_a_cluster_that_dies_changes_no_byte(
    source: Path, stuck: Path, environment: dict[str, str], tmp_path: Path
):
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as cluster:
        assert cluster.stdin
        assert cluster.stdout
        address, *raylets = cluster.stdout.readline().split()
        with packing(environment, tmp_path, "--address", address) as run:
            worker, kept = reader_of(stuck)
            node = raylets.index(str(parent_of(worker)))
            free(stuck)
            print(node, file=cluster.stdin, flush=True)
            assert cluster.stdout.readline() == "gone\n"
            os.close(kept)
            out, log = run.communicate(timeout=SECONDS)
        cluster.stdin.close()
    assert run.returncode == 0, log
    assert len(out.splitlines()) == 9
    assert tree(tmp_path / "packed") == expected(source, tmp_path / "alone")


# What a worker does, without the time that Ray takes to start


def made(source: Path, destination: Path, index: int = 0, **wrong: str) -> dict[str, Any]:
    plan = make_plan(str(source), size=64, shard_size=3)
    ray_engine._plan.cache_clear()
    how = {"destination": str(destination), "digest": plan.digest, "folder": "/", **wrong}
    return ray_engine._make({"index": index}, jobs=1, **how)


def test_a_worker_that_does_not_share_the_storage_says_so(source: Path, tmp_path: Path):
    import pickle

    def failure(row: dict[str, Any]) -> Exception:
        assert not row["record"]
        return pickle.loads(row["error"])

    found = failure(made(source, tmp_path / "elsewhere"))
    assert isinstance(found, UsageError)
    assert "pack to storage that all workers reach" in str(found)
    (tmp_path / "there").mkdir()
    assert pack(make_plan(str(source), size=64, shard_size=3), str(tmp_path / "there"))
    before = tree(tmp_path / "there")
    row = made(source, tmp_path / "there", 2)
    assert not row["error"]
    assert json.loads(row["record"])["index"] == 2
    assert tree(tmp_path / "there") == before
    found = failure(made(source, tmp_path / "there", digest="other"))
    assert "another plan" in str(found)
    plan = make_plan(str(source), size=64, shard_size=3)
    for sample in plan.samples_of(2):
        Path(sample.location).unlink()
    ray_engine._plan.cache_clear()
    found = failure(
        ray_engine._make({"index": 2}, destination=str(tmp_path / "there"), digest=plan.digest, folder="/", jobs=1)
    )
    assert isinstance(found, UsageError)
    assert "pictures must lie where all workers reach them" in str(found)
    assert tree(tmp_path / "there") == before


def test_errors_of_samples_keep_their_kind(source: Path, tmp_path: Path):
    import pickle

    (source / "kitten" / "00.png").write_bytes(b"no picture")
    plan = make_plan(str(source), size=64, shard_size=3, on_error="fail", store="fast")
    with pytest.raises(UnsupportedInput):
        pack(plan, str(tmp_path / "there"))
    ray_engine._plan.cache_clear()
    row = ray_engine._make({"index": 0}, destination=str(tmp_path / "there"), digest=plan.digest, folder="/", jobs=1)
    found = pickle.loads(row["error"])
    assert isinstance(found, UnsupportedInput)
    assert "kitten/00.png" in str(found)


def test_a_cluster_that_is_not_there_is_named_at_once(source: Path, tmp_path: Path):
    plan = make_plan(str(source), size=64, shard_size=3)
    started = time.monotonic()
    with pytest.raises(UsageError, match=r"no Ray cluster answers at 127\.0\.0\.1:9"):
        list(ray_engine.make_on_ray(plan, [0], str(tmp_path), address="127.0.0.1:9"))
    assert time.monotonic() - started < 120  # Ray by itself waits for minutes; importing it takes a while, too
    assert list(ray_engine.make_on_ray(plan, [], str(tmp_path), address="127.0.0.1:9")) == []


def test_without_ray_the_extra_is_named(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"laconic\[ray\]"):
        list(ray_engine.make_on_ray(make_plan(str(source), size=64), [0], str(tmp_path)))


def test_an_address_needs_the_engine(capsys: pytest.CaptureFixture[str]):
    from laconic.__main__ import main

    assert main(["pack", "a", "b", "--address", "127.0.0.1:6379"]) == 2
    assert "--engine ray" in capsys.readouterr().err
