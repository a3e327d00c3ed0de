"""Laws of a training run: what it exports is valid and codes well, and stopping it changes nothing."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laconic.container.layout import TileGrid
from laconic.models import default_model, load_model
from laconic.quantize import rdo
from laconic.train import symbols as symbols_module
from laconic.train.counts import Counts, count_band
from laconic.train.evaluate import evaluate
from laconic.train.modelfile import check_set, read_model, write_model
from laconic.train.recipe import Plan, State, Trainer
from laconic.train.symbols import analyze, code, split_bands
from laconic.train.taps import compand, sources

PLAN = Plan(set_codes=(0, 380), rounds=2, photos=3, samples=60, steps=(6, 4), seed=1)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six small pictures with edges and noise."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :120]
    paths = []
    for i in range(6):
        base = 128 + 60 * np.sin(x / (5 + 3 * i)) * np.cos(y / (9 - i)) + 40 * (x + i * 7 > y)
        pixels = base[..., None] + rng.normal(0, 4, (96, 120, 3)) + rng.normal(0, 20, 3)
        paths.append(folder / f"{i}.png")
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(paths[-1])
    return paths


@pytest.fixture(scope="session")
def trained(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("model")
    trainer = Trainer(photos, folder / "checkpoint", State(PLAN))
    assert trainer.run()
    write_model(folder / "m.safetensors", trainer.model())
    return folder / "m.safetensors"


def test_export_is_valid(trained: Path) -> None:
    arrays = read_model(trained)
    assert [check_set(arrays, name) for name in ("lossless", "lossy0", "lossy1")] == [[], [], []]
    model = load_model(trained.read_bytes())
    assert all(parameters.native.planes == 3 for parameters in model.lossy)
    assert model.lossless.native.planes == 4


def test_a_stopped_run_ends_with_the_same_bytes(photos: list[Path], trained: Path, tmp_path: Path) -> None:
    """Stop again and again, each time with a checkpoint in the middle of a task, and go on from the file alone."""

    class Stop(Exception):
        pass

    budget = 0

    def save(state: State, path: Path) -> None:
        nonlocal budget
        State.save(state, path)
        budget -= 1
        if budget == 0:
            raise Stop

    checkpoint = tmp_path / "checkpoint"
    State(PLAN).save(checkpoint)
    for stop in (2, 40, 97, 150, 10_000):
        trainer = Trainer(photos, checkpoint, State.load(checkpoint))
        budget = stop
        trainer._save = lambda t=trainer, **_: save(t.state, checkpoint)  # type: ignore[method-assign]
        try:
            assert trainer.run()
        except Stop:
            continue
        break
    write_model(tmp_path / "m.safetensors", trainer.model())
    assert (tmp_path / "m.safetensors").read_bytes() == trained.read_bytes()


def test_fitted_tables_beat_neutral_ones(photos: list[Path], trained: Path) -> None:
    figures = evaluate(trained, photos)
    assert figures["lossless_bpp"] < 20
    assert all(a > b for a, b in zip(figures["bpp"], figures["bpp"][1:], strict=False))


@pytest.mark.parametrize("foretells", [False, True])
def test_every_symbol_is_counted_where_the_coder_codes_it(
    photos: list[Path], trained: Path, monkeypatch: pytest.MonkeyPatch, foretells: bool
) -> None:
    """Against the benches' context model, which a test of its own holds against the native coder."""
    spec = importlib.util.spec_from_file_location(
        "context_twin", Path(__file__).parents[2] / "bench" / "context_twin.py"
    )
    assert spec is not None
    assert spec.loader is not None
    twin = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "context_twin", twin)
    spec.loader.exec_module(twin)
    # Without mixing each decision has one table, which is what is counted.
    parameters = replace(load_model(trained.read_bytes()).lossy[0], part_freq=None, mix_weights=None)
    details = default_model().details if foretells else None
    if foretells:
        weights, signs = np.full((3, 19), 20, np.uint8), np.full((3, 19, 7, 27), 5000, np.uint16)
        weights[:, :10] = 0
        parameters = replace(parameters, weights=parameters.weights // 2, detail_weight=weights, detail_sign_freq=signs)
    planes = analyze(np.asarray(Image.open(photos[0]).convert("RGB")), lossless=False)
    chosen = {}
    tables = symbols_module.causal.tables

    def spy(planes: np.ndarray, window: object, coding: object, symbols: np.ndarray, *notes: np.ndarray) -> object:
        operations = tables(planes, window, coding, symbols, *notes)  # type: ignore[arg-type]
        chosen["symbols"], chosen["told"] = symbols, notes[1]
        return operations

    monkeypatch.setattr(symbols_module.causal, "tables", spy)
    symbols = code(planes, parameters, 420 if foretells else 520, rdo.Rdo(0.1), details=details)
    assert chosen["told"].any() == foretells
    companded = [[compand(b) for b in plane] for plane in symbols.q]
    counts = Counts.zeros(3)
    for p, j in np.ndindex(3, 19):
        what = parameters.weights[p, j], int(parameters.bias[p, j]), int(parameters.group_limit[p, j])
        if symbols.q[p][j].size:
            other = symbols.q[p - 1][j] if p else None
            told = 20 * symbols.told[j].astype(np.int32) if foretells and p == 0 else None
            count_band(counts, (p, j), symbols.q[p][j], sources(companded, p, j), what, other, None, 1.0, told)
    assert not counts.magnitudes[..., 256:].any()
    grid = TileGrid(*planes.shape[1:], 128)
    [found] = twin.operations(chosen["symbols"], grid, 0, 0, [(parameters, p, p) for p in range(3)], chosen["told"])
    coded = found.table < twin.RAW
    seen = np.zeros((3, 19, twin.ROWS, 16), np.int64)
    np.add.at(seen.reshape(-1, 16), (found.table[coded], found.letter[coded]), 1)
    for p, j, b in np.ndindex(3, 19, 48):
        token = np.minimum(np.arange(256) >> int(parameters.shift[p, j, b]), 15)
        for kind in (0, 1):
            tokens = np.bincount(token, counts.magnitudes[p, j, kind, b, :256], 16)
            row = 48 * kind + b
            np.testing.assert_array_equal(tokens[1:], seen[p, j, row, :15])
            np.testing.assert_array_equal([tokens[0], tokens[1:].sum()], seen[p, j, twin.ZEROS + row, :2])
    np.testing.assert_array_equal(counts.flags[..., ::-1], seen[:, :, twin.FLAGS : twin.SIGNS, :2])
    of_signs = seen[:, :, twin.SIGNS : twin.MIXED, :2]
    assert of_signs[:, :, 27:].any() == foretells
    if not foretells:
        np.testing.assert_array_equal(counts.signs[..., ::-1], of_signs[:, :, :27])
    # Beside its symbols a tile holds the shares of chroma: up to three of two bits for each of 18 bands.
    shares = symbols.bits - found.bits
    assert shares == pytest.approx(round(shares), abs=1e-3)
    assert 0 <= round(shares) <= 108
    assert round(shares) % 2 == 0


def test_symbols_are_those_of_the_coder(photos: list[Path], trained: Path) -> None:
    parameters = load_model(trained.read_bytes()).lossless
    planes = analyze(np.asarray(Image.open(photos[1]).convert("RGB")), lossless=True)
    symbols = code(planes, parameters, None, rdo.Rdo(0.0))
    for p in range(3):
        for mine, theirs in list(zip(symbols.q[p], split_bands(planes[p]), strict=True))[1:]:
            assert (mine == theirs).all()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_survives_a_signal(photos: list[Path], tmp_path: Path, number: signal.Signals) -> None:
    """A signal in the middle leaves a checkpoint and no model; --resume finishes."""
    output = tmp_path / "m.safetensors"
    words = ["train", "image", "--data", str(photos[0].parent), "--minutes", "0.02", "-o", str(output), "--sets", "0"]
    process = subprocess.Popen([sys.executable, "-m", "laconic", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("round 0 lossless weights"):
            process.send_signal(number)
            break
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not output.exists()
    done = subprocess.run(
        [sys.executable, "-m", "laconic", *words, "--resume", "--json"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    load_model(output.read_bytes())
