"""A codec for a task writes real files, from which alone its classifier answers, and its bits obey their weight."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import laconic as lac
from laconic.__main__ import main
from laconic.errors import CorruptStream, FormatError, ModelError, UsageError
from laconic.learn.batches import Loader
from laconic.learn.classifier import Plan, train_classifier
from laconic.learn.task import TaskPlan, load_task, save_task, train_task

pytestmark = pytest.mark.usefixtures("one_thread")


PLAN = TaskPlan(epochs=12, batch_size=6, kept=8)


def test_the_files_alone_give_the_answer(packed: Path, tmp_path: Path):
    dataset = lac.learn.open(packed)
    codec, figures = train_task(PLAN, dataset, dataset)
    assert figures["accuracy"] == figures["accuracy_before_coding"] >= 0.9
    (batch,) = Loader(dataset, batch_size=23, shuffle=False, dtype="int8")
    files = codec.encode(batch.latents)
    assert np.mean([len(file) for file in files]) == figures["bytes"]
    # Ordinary files of the format, which the rest of the program reads.
    symbols = lac.weights.load(files[3])["task"]
    assert symbols.shape == (8, 4, 4)
    place = tmp_path / "task.safetensors"
    save_task(place, codec, dataset)
    again = load_task(place, dataset)
    assert torch.equal(again.classify(files), codec.classify(files))
    with pytest.raises(FormatError):
        codec.classify([files[0][:-3]])
    with pytest.raises(CorruptStream, match="int8 symbols of 8 channels"):
        codec.classify([lac.weights.shrink({"other": symbols}, lossless=True)])
    with pytest.raises(UsageError, match=r"other latents|another"):
        load_task(place, lac.learn.open(packed, channels=12))
    place.write_bytes(b"no model")
    with pytest.raises(ModelError):
        load_task(place, dataset)


def test_bits_that_weigh_more_are_fewer(packed: Path):
    dataset = lac.learn.open(packed)
    plans = [replace(PLAN, epochs=20, kept=32, bits_weight=weight) for weight in (0.0, 100.0)]
    sizes = [train_task(plan, dataset, dataset)[1]["bytes"] for plan in plans]
    assert sizes[1] < 0.8 * sizes[0]


def test_the_estimate_is_an_upper_bound_of_the_entropy(packed: Path):
    """Bits under any distribution are at least the entropy of the symbols' own."""
    dataset = lac.learn.open(packed)
    codec, _ = train_task(replace(PLAN, epochs=4), dataset, None)
    (batch,) = Loader(dataset, batch_size=23, shuffle=False, dtype="int8")
    with torch.no_grad():
        symbols = codec.eval().values(batch.latents).round()
        estimate = float(codec.estimate(symbols))
    entropy = 0.0
    for channel in symbols.transpose(0, 1):
        _, counts = channel.unique(return_counts=True)
        shares = counts / counts.sum()
        entropy -= float((shares * shares.log2()).sum()) * channel[0].numel()
    assert estimate >= entropy


def test_a_teacher_is_imitated(packed: Path):
    dataset = lac.learn.open(packed)
    teacher, _ = train_classifier(Plan(epochs=8, batch_size=6), dataset, None)
    weights = [parameter.clone() for parameter in teacher.parameters()]
    plan = replace(PLAN, distillation=1.0)
    codec, _ = train_task(plan, dataset, None, teacher)
    (batch,) = Loader(dataset, batch_size=23, shuffle=False, dtype="int8")
    with torch.no_grad():
        answers = codec.eval()(batch.latents).argmax(1)
        assert float((answers == teacher(batch.latents).argmax(1)).float().mean()) >= 0.85
    assert all(torch.equal(a, b) for a, b in zip(weights, teacher.parameters(), strict=True))


def test_the_command(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "task", "--data", str(packed), "--val", str(packed), "--epochs", "1"]
    assert main([*words, "--json", "--bits-weight", "0.1"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["bytes"] > 0
    load_task(tmp_path / "task.safetensors", lac.learn.open(packed))
    assert main(words) == 1
    assert main([*words, "-o", "other", "--resume"]) == 2
    assert main(["train", "classify", "--data", str(packed), "--teacher", "x"]) == 2
