"""Networks on latents learn what can be learned, runs go on where they stopped, and other latents are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import laconic as lac
from laconic.__main__ import main
from laconic.errors import ModelError, OutputExists, UsageError
from laconic.learn import classifier
from laconic.learn.batches import Loader
from laconic.learn.classifier import Plan, load_classifier, save_classifier, train_classifier
from laconic.learn.classify import Schedule, accuracy
from laconic.learn.models import MODELS, GridInput, build
from laconic.learn.packing import pack
from laconic.learn.planning import make_plan
from laconic.learn.projection import fit_projection

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("channels", [12, 48])
def test_symbols_and_dequantized_latents_are_the_same_to_a_model(packed: Path, name: str, channels: int):
    dataset = lac.learn.open(packed, channels=channels)
    torch.manual_seed(0)
    model = build(name, dataset).eval()
    (whole,) = Loader(dataset, batch_size=23, shuffle=False, dtype="int8")
    (floats,) = Loader(dataset, batch_size=23, shuffle=False)
    logits = model(whole.latents)
    assert logits.shape == (23, 2)
    assert torch.allclose(logits, model(floats.latents), atol=1e-3)


def test_the_entry_normalizes(packed: Path):
    dataset = lac.learn.open(packed)
    (batch,) = Loader(dataset, batch_size=23, shuffle=False, dtype="int8")
    normal = GridInput.of(dataset)(batch.latents)
    spread = normal.std((0, 2, 3))
    assert float(normal.mean((0, 2, 3)).abs().max()) < 1e-3
    assert abs(float(spread.max()) - 1) < 1e-2
    pixels = torch.from_numpy(dataset.manifest.deviations * dataset.scales)
    assert torch.allclose(spread[:20] / spread[0], pixels[:20] / pixels[0], rtol=1e-2)


def test_prefixes_are_drawn_in_training_only(packed: Path):
    dataset = lac.learn.open(packed)
    (batch,) = Loader(dataset, batch_size=23, shuffle=False, dtype="int8")
    entry = GridInput.of(dataset, prefixes=True)
    whole = GridInput.of(dataset)(batch.latents)
    torch.manual_seed(0)
    drawn = entry(batch.latents)
    kept = [int((row.abs().amax((1, 2)) > 0).nonzero().max()) + 1 for row in drawn]
    assert {end for end in (3, 12, 24, 48) if any(end // 2 < k <= end for k in kept)} == {3, 12, 24, 48}
    assert all(torch.equal(row[:k], full[:k]) for row, full, k in zip(drawn, whole, kept, strict=True))
    assert torch.equal(entry.eval()(batch.latents), whole)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_the_data_by_heart(packed: Path, name: str):
    dataset = lac.learn.open(packed)
    model, figures = train_classifier(Plan(name, epochs=20, batch_size=6), dataset, dataset)
    assert figures["accuracy"] >= 0.9
    assert accuracy(model, Loader(dataset, batch_size=5, dtype="int8")) == figures["accuracy"]


def test_a_run_that_was_stopped_ends_with_the_same_weights(packed: Path, tmp_path: Path, monkeypatch: Any):
    dataset = lac.learn.open(packed)
    plan = Plan(epochs=3, batch_size=4)
    whole, _ = train_classifier(plan, dataset, None)
    monkeypatch.setattr(classifier, "SAVE_EVERY", 4)
    real, calls = classifier.write_checkpoint, []

    def stop_after_two(*arguments: Any) -> None:
        real(*arguments)
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(classifier, "write_checkpoint", stop_after_two)
    place = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_classifier(plan, dataset, None, checkpoint=place)
    monkeypatch.setattr(classifier, "write_checkpoint", real)
    resumed, _ = train_classifier(plan, lac.learn.open(packed), None, checkpoint=place)
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises(UsageError, match="of another run"):
        train_classifier(replace(plan, epochs=4), dataset, None, checkpoint=place)


def test_classifiers_are_kept_and_refuse_other_latents(packed: Path, pictures: Path, tmp_path: Path):
    dataset = lac.learn.open(packed)
    model = build("resnet", dataset).eval()
    place = tmp_path / "classifier.safetensors"
    save_classifier(place, model, "resnet", dataset)
    again = load_classifier(place, dataset)
    symbols = torch.from_numpy(dataset.symbols([0, 9]))
    assert torch.equal(again(symbols), model(symbols))
    with pytest.raises(OutputExists):
        save_classifier(place, model, "resnet", dataset)
    coarser = tmp_path / "coarser"
    assert pack(make_plan(str(pictures), quality=40), str(coarser))
    with pytest.raises(UsageError, match="another grid"):
        load_classifier(place, lac.learn.open(coarser))
    with pytest.raises(UsageError, match="another number of channels"):
        load_classifier(place, lac.learn.open(packed, channels=12))
    other = lac.learn.open(packed)
    other.manifest = replace(other.manifest, fingerprint="00" * 8)
    with pytest.raises(UsageError, match=r"another model of the codec.*0000000000000000"):
        load_classifier(place, other)
    with pytest.raises(UsageError, match="differ in the model"):
        train_classifier(Plan(epochs=1), dataset, other)
    place.write_bytes(place.read_bytes()[:100])
    with pytest.raises(ModelError, match="no classifier"):
        load_classifier(place, dataset)


def test_the_rate_rises_and_falls_to_zero():
    schedule = Schedule(epochs=4, steps=25, rate=1.0)
    rates = [schedule.rate_at(step) for step in range(101)]
    assert rates[0] < rates[7] < max(rates) == 1.0
    assert rates[100] == 0.0
    assert all(a >= b for a, b in pairwise(rates[20:]))


def test_a_learned_projection_keeps_more_than_the_first_channels(packed: Path):
    dataset = lac.learn.open(packed)
    loader = Loader(dataset, batch_size=8, dtype="int8")
    torch.manual_seed(0)
    batches = [batch for _ in range(10) for batch in loader]
    projection, psnr = fit_projection(dataset, batches, 12)
    symbols = torch.from_numpy(dataset.symbols(range(23)))
    values = projection(symbols)
    assert values.shape == (23, 12, 8, 8)
    assert values.dtype == torch.int8
    assert float(values.float().std()) > 1
    kept = np.zeros(symbols.shape, np.int8)
    kept[:, :12] = symbols[:, :12].numpy()
    errors = [dataset.manifest.grid.pixels(a).astype(float) - dataset.decode(i) for i, a in enumerate(kept)]
    assert psnr > 10 * np.log10(255**2 / np.mean(np.square(errors)))


def test_the_command(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "classify", "--data", str(packed), "--val", str(packed), "--epochs", "1"]
    assert main([*words, "--json", "--augment"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["output"] == "classifier.safetensors"
    assert 0 <= record["accuracy"] <= 1
    assert [path.name for path in tmp_path.iterdir()] == ["classifier.safetensors"]
    load_classifier(tmp_path / "classifier.safetensors", lac.learn.open(packed))
    assert main(words) == 1
    assert main([*words, "-o", "other", "--resume"]) == 2
    assert main([*words, "-o", "other", "--minutes", "3"]) == 2
    assert main(["train", "image", "--data", str(packed), "--epochs", "3"]) == 2
    assert main(["train", "classify", "--data", str(tmp_path), "-o", "new"]) == 2
    assert "no data set of latents" in capsys.readouterr().err
