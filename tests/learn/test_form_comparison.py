"""The comparison: every arm is prepared, loaded and trained; what is finished is kept; another one is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from laconic.__main__ import main
from laconic.errors import UsageError
from laconic.learn import form_comparison as comparison
from laconic.learn.arm import Batches, Source
from laconic.learn.arms import ARMS
from laconic.learn.form_comparison import ComparisonPlan, compare, result_table, train_one
from laconic.signals.image import Image, save


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, crops: Any) -> Source:
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 8), ("val", 4)):
        for number in range(count):
            folder = root / split / ("kitten", "tea-garden")[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            save(folder / f"{number}.png", Image(crops(number, 64, 80)))
    return Source(str(root / "train"), str(root / "val"), 64, 60, root / "work")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Train in this process; return what was trained."""
    trained: list[tuple[str, int]] = []

    def train(plan: ComparisonPlan, name: str, seed: int, epochs: int) -> None:
        if epochs:  # otherwise it is for the memory
            trained.append((name, seed))
        train_one(plan.source, name, seed, epochs, plan.batch)

    monkeypatch.setattr(comparison, "_train_elsewhere", train)
    return trained


def test_every_arm_runs_and_is_kept(source: Source, here: list[tuple[str, int]]):
    plan = ComparisonPlan(source, seeds=(0,), epochs=1, batch=4)
    first = compare(plan)
    assert [name for name, _ in here] == list(ARMS)
    table = first["arms"]
    assert set(table) == set(ARMS)
    for name, row in table.items():
        assert 0 <= row["accuracy_mean"] <= 1
        assert row["cpu_s_per_epoch"] > 0
        assert row["peak_bytes"] > 1e7
        assert (row["load_per_cpu_s"] is None) == (name == "task")
    assert table["pictures"]["accuracy"] == table["pixels"]["accuracy"]
    assert table["latents-small"]["bytes_per_sample"] < table["latents"]["bytes_per_sample"]
    assert table["pixels-grid"]["values_per_sample"] == 3 * 8 * 8
    lines = result_table(table)
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 1 + len(ARMS)
    assert json.loads(json.dumps(first)) == json.loads(json.dumps(compare(plan)))
    assert len(here) == len(ARMS)
    more = compare(ComparisonPlan(source, ("latents",), seeds=(0, 1), epochs=1, batch=4))
    assert here[len(ARMS) :] == [("latents", 1)]
    assert more["arms"]["latents"]["accuracy_deviation"] is not None
    with pytest.raises(UsageError, match="other settings: epochs"):
        compare(ComparisonPlan(source, seeds=(0,), epochs=2, batch=4))


def test_a_process_of_its_own_is_the_same(source: Source, tmp_path: Path):
    elsewhere = Source(source.train, source.val, 64, 60, tmp_path)
    plan = ComparisonPlan(elsewhere, ("pixels-grid",), (0,), epochs=1, batch=4)
    accuracy = compare(plan)["arms"]["pixels-grid"]["accuracy"]
    train_one(elsewhere, "pixels-grid", 0, 1, 4)
    assert json.loads((tmp_path / "pixels-grid-0.json").read_text())["accuracy"] == accuracy[0]


def test_a_failure_is_named(source: Source, tmp_path: Path):
    broken = Source(source.train, source.val, 64, 60, tmp_path)
    plan = ComparisonPlan(broken, ("pixels-grid",), (0,), epochs=1)
    with pytest.raises(UsageError, match="something else"):
        compare(ComparisonPlan(Source(source.train, source.val, 64, 60, Path(source.train)), epochs=1))
    comparison.keep(tmp_path / comparison.SETUP, plan.setup())
    comparison.prepare(broken, "pixels-grid", print)
    (tmp_path / "pixels-grid" / "val.npy").unlink()
    with pytest.raises(RuntimeError, match="pixels-grid with seed 0"):
        compare(plan)
    assert not (tmp_path / "pixels-grid-0.json").exists()


@pytest.mark.parametrize(
    "wrong", [{"arms": ("pixel",)}, {"arms": ("latents-small",)}, {"arms": ()}, {"seeds": ()}, {"epochs": 0}]
)
def test_plans_that_cannot_be_are_refused(source: Source, wrong: dict[str, Any]):
    with pytest.raises(UsageError):
        ComparisonPlan(source, **wrong)


def test_sizes_that_cannot_be_are_refused(tmp_path: Path):
    for size in (32, 100):
        with pytest.raises(UsageError, match="multiple of 32"):
            Source("a", "b", size, 60, tmp_path)


def test_pixels_are_augmented_in_training_only():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16)).astype(np.uint8)

    def read(places: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(pixels[places])

    (plain, _), (tested, _) = (next(iter(Batches(read, np.arange(20), 20, seed, 3))) for seed in (0, None))
    assert torch.equal(tested, torch.from_numpy(pixels))
    (whole, labels) = next(iter(Batches(read, np.arange(20), 20, 0)))
    assert torch.equal(whole, torch.from_numpy(pixels[labels.numpy()]))
    assert not torch.equal(plain, whole)
    # Each is a mirrored or moved version of its own picture: the same values but for the border.
    inner = [
        set(a[:, 4:-4, 4:-4].flatten().tolist()) <= set(b.flatten().tolist()) for a, b in zip(plain, whole, strict=True)
    ]
    assert all(inner)


def test_the_command(source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str], here: list[tuple[str, int]]):
    from laconic.cli import compare_latents

    words = ["train", "classify", "--compare", "--data", source.train, "--val", source.val, "-o", str(tmp_path / "out")]
    before = compare_latents.SIZE
    compare_latents.SIZE = 64
    try:
        assert main([*words, "--arms", "pixels-grid,latents", "--seeds", "1", "--epochs", "1", "--json"]) == 0
    finally:
        compare_latents.SIZE = before
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["arm"] for record in records] == ["pixels-grid", "latents"]
    assert here == [("pixels-grid", 0), ("latents", 0)]
    assert set(json.loads((tmp_path / "out" / "table.json").read_text())["arms"]) == {"pixels-grid", "latents"}
    shutil.rmtree(tmp_path / "out")
    for wrong in (["--augment"], ["--arms", "nothing"], ["--channels", "12"], ["--model", "vit"]):
        assert main([*words, *wrong]) == 2
    assert main(["train", "classify", "--data", source.train, "--quick"]) == 2
    assert main(["train", "image", "--data", source.train, "--compare"]) == 2
    assert main(["train", "classify", "--data", source.train, "--compare"]) == 2
    assert "--val" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
