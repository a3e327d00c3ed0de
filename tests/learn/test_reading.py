"""Reading: what was packed comes back, in one global order, from any process, and damage is named."""

from __future__ import annotations

import pickle
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import laconic as lac
from laconic.errors import CorruptStream, TruncatedStream, UsageError
from laconic.learn.augment import Augment, Mirror, add_noise
from laconic.learn.grid import Grid
from laconic.learn.order import epoch_order
from laconic.learn.packing import pack
from laconic.learn.planning import make_plan
from laconic.learn.preparation import view_names
from laconic.signals.image import load

CHANNELS = 48


@pytest.fixture(scope="module", params=["fast", "bits", "small"])
def packed(request: Any, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    plan = make_plan(str(pictures), shard_size=5, store=request.param, size=64, views=view_names("flip"))
    assert pack(plan, str(folder))
    return folder


@pytest.fixture(scope="module")
def fast(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fast")
    assert pack(make_plan(str(pictures), shard_size=5, store="fast"), str(folder))
    return folder


def everything(dataset: Any, **options: Any) -> list[int]:
    return [int(i) for batch in lac.learn.loader(dataset, **options) for i in batch.indices]


def test_samples_are_the_latents_of_their_pictures(packed: Path, pictures: Path):
    dataset = lac.learn.open(packed)
    assert len(dataset) == 23
    names = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))
    codec = lac.ImageCodec(quality=60, jobs=1)
    grid = Grid(64, 64, 60, 8, CHANNELS)
    for index in (0, 7, 22):
        latents, label, metadata = dataset[index]
        assert metadata["key"] == names[index]
        assert dataset.classes[label] == metadata["class"] == names[index].split("/")[0]
        pixels = load(pictures / names[index]).pixels
        for view, picture in enumerate((pixels, pixels[:, ::-1])):
            symbols, _ = grid.arrange(codec.latents(np.ascontiguousarray(picture)))
            assert np.array_equal(dataset.symbols([index], view)[0], symbols)
            wanted = symbols.astype(np.float32) * grid.scales[:, None, None]
            assert np.array_equal(dataset.item(index, view).latents.numpy(), wanted)
            assert np.array_equal(dataset.decode(index, view), grid.pixels(symbols))
        assert latents.dtype == torch.float32
    dataset.verify()


def test_fewer_channels_are_the_first_ones(packed: Path):
    whole, part = lac.learn.open(packed), lac.learn.open(packed, channels=12)
    indices = [3, 20, 3, 0, 11]
    assert np.array_equal(part.symbols(indices), whole.symbols(indices)[:, :12])
    with pytest.raises(UsageError, match="49 channels"):
        lac.learn.open(packed, channels=49)
    with pytest.raises(UsageError):
        whole.symbols([23])


def test_urls_give_the_same(packed: Path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for path in packed.iterdir():
        memory.pipe_file(f"/{packed.name}/{path.name}", path.read_bytes())
    here, there = lac.learn.open(packed), lac.learn.open(f"memory://{packed.name}")
    assert np.array_equal(here.symbols(range(23)), there.symbols(range(23)))
    assert here.labels.tolist() == there.labels.tolist()


def test_one_global_order_for_any_number_of_ranks_and_workers(fast: Path):
    dataset = lac.learn.open(fast)
    wanted = epoch_order(23, seed=5, epoch=0).tolist()
    assert sorted(wanted) == list(range(23))
    assert wanted != list(range(23))
    assert everything(dataset, batch_size=4, seed=5) == wanted
    assert everything(dataset, batch_size=7, seed=5, num_workers=2, context="fork") == wanted
    assert everything(dataset, batch_size=4, seed=6) != wanted
    for world in (2, 3, 5):
        loaders = [lac.learn.loader(dataset, batch_size=2, seed=5, rank=r, world=world) for r in range(world)]
        assert len({len(loader) for loader in loaders}) == 1
        steps = zip(*loaders, strict=True)
        merged = [sorted(int(i) for batch in batches for i in batch.indices) for batches in steps]
        assert merged == [sorted(wanted[k : k + 2 * world]) for k in range(0, 23, 2 * world)]


def test_epochs_are_exact_and_differ(fast: Path):
    dataset = lac.learn.open(fast)
    loader = lac.learn.loader(dataset, batch_size=5, seed=1)
    first, second = ([int(i) for batch in loader for i in batch.indices] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    assert len(loader) == 5
    shorter = lac.learn.loader(dataset, batch_size=5, drop_last=True)
    assert len(shorter) == len(list(shorter)) == 4


@pytest.mark.parametrize(("world", "workers"), [(1, 0), (1, 2), (2, 0), (3, 1)])
def test_a_run_goes_on_where_it_stood(fast: Path, tmp_path: Path, world: int, workers: int):
    dataset = lac.learn.open(fast)
    loader = lac.learn.loader(dataset, batch_size=3, seed=2, num_workers=workers, context="fork" if workers else None)
    list(loader)
    seen: list[int] = []
    for step, batch in enumerate(loader):
        seen += batch.indices.tolist()
        if step == 3:
            break
    state = pickle.loads(pickle.dumps(loader.state_dict()))
    assert (state["epoch"], state["samples"]) == (1, 12)
    moved = tmp_path / "moved"
    shutil.copytree(fast, moved)
    for rank in range(world):
        other = lac.learn.loader(lac.learn.open(moved), batch_size=2, seed=99, rank=rank, world=world)
        other.load_state_dict(state)
        seen += [int(i) for batch in other for i in batch.indices]
        assert other.state_dict()["epoch"] == 2
    assert sorted(seen) == list(range(23))


def test_states_of_other_data_sets_are_refused(fast: Path, packed: Path):
    state = lac.learn.loader(lac.learn.open(fast), batch_size=3).state_dict()
    other = lac.learn.loader(lac.learn.open(packed), batch_size=3)
    with pytest.raises(UsageError, match="of the data set"):
        other.load_state_dict(state)
    with pytest.raises(UsageError, match="not the state"):
        other.load_state_dict({"epoch": 1})


KILLED = """
import os, signal, sys, json
import laconic as lac
if __name__ == "__main__":
    loader = lac.learn.loader(lac.learn.open(sys.argv[1]), batch_size=2, seed=3, num_workers=2, context=sys.argv[2],
                              persistent_workers=True)
    for step, batch in enumerate(loader):
        print(json.dumps([batch.indices.tolist(), loader.state_dict()]), flush=True)
        if step == 4:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_process_that_was_killed_loses_nothing_and_leaves_nothing(fast: Path, tmp_path: Path, context: str):
    script = tmp_path / "train.py"
    script.write_text(KILLED)
    shared = Path("/dev/shm")
    before = set(shared.iterdir()) if shared.is_dir() else set()
    files = {path: path.stat().st_mtime_ns for path in fast.iterdir()}
    done = subprocess.run(
        [sys.executable, str(script), str(fast), context], capture_output=True, text=True, timeout=580
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    import json

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    seen = [i for indices, _ in lines for i in indices]
    loader = lac.learn.loader(lac.learn.open(fast), batch_size=6, seed=0)
    loader.load_state_dict(lines[-1][1])
    seen += [int(i) for batch in loader for i in batch.indices]
    assert seen == epoch_order(23, seed=3, epoch=0).tolist()
    assert {path: path.stat().st_mtime_ns for path in fast.iterdir()} == files
    after = set(shared.iterdir()) if shared.is_dir() else set()
    assert not [path for path in after - before if path.name.startswith(("torch_", "sem."))]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_persistent_workers_give_every_epoch(packed: Path, context: str):
    dataset = lac.learn.open(packed)
    threads = threading.enumerate()
    wanted = [epoch_order(23, seed=4, epoch=epoch).tolist() for epoch in range(3)]
    loader = lac.learn.loader(dataset, batch_size=4, seed=4, num_workers=2, context=context, persistent_workers=True)
    for epoch in range(3):
        batches = list(loader)
        assert [int(i) for batch in batches for i in batch.indices] == wanted[epoch]
        first = batches[0]
        symbols = dataset.symbols(first.indices.numpy())
        assert np.array_equal(first.latents.numpy(), symbols.astype(np.float32) * dataset.scales[:, None, None])
    del loader, batches
    # A closed queue's feeder thread ends by itself a moment later, when it is given a core.
    late = [thread for thread in threading.enumerate() if thread not in threads]
    for thread in late:
        thread.join(timeout=30)
    assert not [thread.name for thread in late if thread.is_alive()]


def test_views_are_chosen_anew_or_all_given(packed: Path):
    dataset = lac.learn.open(packed)
    both = lac.learn.loader(dataset, batch_size=10, views="all", dtype="int8")
    assert sorted(int(i) for batch in both for i in batch.indices) == sorted([*range(23), *range(23)])
    chosen = []
    loader = lac.learn.loader(dataset, batch_size=23, views="random", dtype="int8", shuffle=False)
    for _ in range(2):
        (batch,) = loader
        views = [
            [np.array_equal(batch.latents[i].numpy(), dataset.symbols([i], view)[0]) for view in (0, 1)]
            for i in range(23)
        ]
        assert all(any(row) for row in views)
        chosen.append([row[0] for row in views])
    assert chosen[0] != chosen[1]
    assert any(chosen[0])
    assert not all(chosen[0])


# Damage


def test_a_shard_that_is_missing_short_or_altered_is_named(packed: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(packed, copy)
    (copy / "shard-00000.latents").unlink()
    dataset = lac.learn.open(copy)
    with pytest.raises(FileNotFoundError, match=r"samples 0 to \d+.*shard-00000\.latents"):
        dataset.symbols([0])
    shard = copy / "shard-00001.latents"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    with pytest.raises(TruncatedStream, match=r"shard-00001\.latents"):
        dataset.symbols([5])
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    dataset = lac.learn.open(copy)
    dataset.symbols([5, 6])
    with pytest.raises(CorruptStream, match=r"shard-00001\.latents.*kitten/18\.png"):
        dataset.symbols([6, 9], 1)
    for place in (3, 20, 40, 300):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        shard.write_bytes(damaged)
        with pytest.raises(CorruptStream, match=r"shard-00001\.latents"):
            lac.learn.open(copy).symbols([5])
    shard.write_bytes((copy / "shard-00002.latents").read_bytes())
    with pytest.raises(CorruptStream, match=r"shard-00001\.latents"):
        lac.learn.open(copy).symbols([5])
    with pytest.raises((CorruptStream, OSError), match="shard-0000"):
        lac.learn.open(copy).verify()


# Augmentation


def laid_out(channels: int = 192) -> tuple[Grid, Mirror]:
    grid = Grid(128, 192, 90, 8, channels)
    return grid, Mirror(grid.layout, 8)


def test_mirrored_latents_are_those_of_the_mirrored_picture(crops: Any):
    """Of the picture reflected at its middle column, p -> N - p, up to rounding and a margin at the border."""
    grid, mirror = laid_out()
    codec = lac.ImageCodec(quality=90, effort=1, jobs=1)
    pixels = crops(0, 128, 192)
    reflected = np.concatenate([pixels[:, -2:-1], pixels[:, :0:-1]], axis=1)
    there, _ = grid.arrange(codec.latents(pixels))
    wanted, _ = grid.arrange(codec.latents(np.ascontiguousarray(reflected)))
    found = mirror(torch.from_numpy(there)[None])[0].numpy()
    inner = (slice(None), slice(None), slice(4, -4))
    difference = np.abs(found[inner].astype(int) - wanted[inner])
    assert difference[3:].max() <= 1
    assert np.count_nonzero(difference[3:]) < 0.003 * difference[3:].size
    assert np.count_nonzero(wanted[3:]) > 0.1 * difference[3:].size
    # The low channels are put together from coarser levels, quantized with other rounding.
    assert difference[:3].max() <= 2
    # A plain reversal, or one without the shift of low coefficients, is not it.
    assert np.abs(there[:, :, ::-1][inner].astype(int) - wanted[inner]).max() > 10
    unshifted = torch.from_numpy(there)[None].flip(-1)[:, mirror.source][0].numpy()
    assert np.count_nonzero(np.abs(unshifted[inner].astype(int) - wanted[inner])[3:] > 1) > 0


def test_mirroring_twice_changes_the_border_only():
    grid, mirror = laid_out(48)
    random = np.random.default_rng(0)
    latents = torch.from_numpy(random.integers(-50, 50, (3, *grid.shape)).astype(np.int8))
    twice = mirror(mirror(latents))
    assert torch.equal(twice[..., 1:], latents[..., 1:])
    assert mirror(latents.float()).dtype == torch.float32
    with pytest.raises(UsageError, match="end within a band"):
        Mirror(grid.layout[:14], 8)


def test_augmentation_is_the_same_for_any_number_of_workers_and_differs_between_epochs(fast: Path):
    dataset = lac.learn.open(fast)
    augment = Augment(mirror=True, crop=2, shift=1, noise=1.0, mixup=0.2)
    options: dict[str, Any] = {"batch_size": 6, "seed": 8, "augment": augment}
    loader = lac.learn.loader(dataset, **options)
    first, second = list(loader), list(loader)
    again = list(lac.learn.loader(dataset, num_workers=2, context="fork", **options))
    assert all(
        torch.equal(a.latents, b.latents) and torch.equal(a.labels, b.labels) for a, b in zip(first, again, strict=True)
    )
    assert first[0].latents.shape == (6, CHANNELS, 6, 6)
    assert first[0].labels.shape == (6, 2)
    assert torch.allclose(first[0].labels.sum(1), torch.ones(6))
    assert not torch.equal(first[0].latents, second[0].latents)
    with pytest.raises(UsageError, match="float32"):
        lac.learn.loader(dataset, batch_size=2, dtype="int8", augment=augment)
    with pytest.raises(UsageError, match="leave nothing"):
        list(lac.learn.loader(dataset, batch_size=2, augment=replace(augment, crop=8)))


def test_crops_and_shifts_move_whole_cells(fast: Path):
    dataset = lac.learn.open(fast)
    symbols = dataset.symbols(range(23))
    (batch,) = lac.learn.loader(
        dataset, batch_size=23, shuffle=False, dtype="int8", augment=Augment(mirror=False, crop=3)
    )
    places = [
        (y, x) for y in range(4) for x in range(4)
        if np.array_equal(symbols[:, :, y : y + 5, x : x + 5], batch.latents.numpy())
    ]  # fmt: skip
    assert len(places) == 1


def test_dequantization_noise_stays_within_a_step():
    scales = torch.tensor([2.0, 0.5])
    noisy = add_noise(torch.zeros(4, 2, 8, 8), scales, 1.0, torch.Generator().manual_seed(0))
    assert float(noisy[:, 0].abs().max()) <= 1.0
    assert float(noisy[:, 1].abs().max()) <= 0.25
    assert float(noisy[:, 0].abs().max()) > 0.9


def test_a_data_set_crosses_process_borders(packed: Path):
    dataset = lac.learn.open(packed)
    wanted = dataset.symbols([1, 9])
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(copy.symbols([1, 9]), wanted)
    assert len(pickle.dumps(dataset)) < 80_000  # tables of `small` among it
