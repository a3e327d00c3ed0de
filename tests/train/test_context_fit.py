"""Networks that see contexts: what they learn, what is left of it as integers, and models that hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from laconic.entropy.context_network import INPUTS, TOLD, ContextNetwork
from laconic.models import PHOTO, default_model, load_model
from laconic.quantize import rdo
from laconic.train.context_fit import BandContexts, Float, cost, main, quantized, sample_contexts, train_band
from laconic.train.modelfile import read_model, write_model
from laconic.train.symbols import analyze, code

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def contexts(count: int = 60_000) -> BandContexts:
    """Symbols that are zero unless just one of two inputs is large, which no weighted sum can tell."""
    rng = np.random.default_rng(0)
    found = BandContexts()
    inputs = rng.integers(0, 2, (count, INPUTS)) * 8
    alike = inputs[:, 5] == inputs[:, 15]
    token = np.where(rng.random(count) < np.where(alike, 0.95, 0.1), 0, rng.integers(1, 4, count))
    found.inputs.append(inputs.astype(np.uint8))
    found.symbols.append(np.stack([rng.integers(0, 2, count), token], 1).astype(np.uint8))
    found.codes.append(rng.integers(200, 600, count).astype(np.int16))
    found.weights.append(np.ones(count, np.float32))
    return found


def test_a_network_learns_what_no_sum_can_tell_and_keeps_it_as_integers():
    samples = contexts()
    network, _ = train_band(samples, 6, 0)
    inputs, symbols, codes, _ = samples.arrays()
    with torch.no_grad():
        odds = network(torch.from_numpy(inputs), torch.from_numpy(codes), torch.from_numpy(symbols[:, 0]).long())
        bits = float(cost(odds, torch.from_numpy(symbols[:, 1]).long()).mean())
    # Of knowing the rule: entropies of 0.95 and 0.1, and of which of three where it is not zero.
    assert bits < 1.15 * (0.5 * (0.286 + 0.05 * 1.58) + 0.5 * (0.469 + 0.9 * 1.58))
    arrays = {name: np.stack([array] * 3) for name, array in quantized(network, samples).items()}
    signs = {name: array for name, array in vars(default_model().contexts[0, 1]).items() if name.startswith("sign_")}
    integers = ContextNetwork.of(arrays | signs, "")
    for number in (0, 1, 2, 3):
        whole = integers.odds(inputs[number::4][:500], 400, 1, symbols[number::4][:500, 0])
        with torch.no_grad():
            given = torch.from_numpy(inputs[number::4][:500]), torch.full((500,), 400)
            exact = network(*given, torch.from_numpy(symbols[number::4][:500, 0]).long()).numpy()
            again = Float.of(integers, 1)(*given, torch.from_numpy(symbols[number::4][:500, 0]).long()).numpy()
        assert np.abs(np.clip(exact, -8, 8) - whole / 256).max() < 0.1
        assert np.abs(again - exact).max() < 0.1


def test_samples_are_the_symbols_that_are_coded(photo: NDArray[np.uint8]):
    model = default_model()
    step_code = int(model.quality_codes[60])
    parameters = model.lossy[model.set_for(step_code, "foretold")]
    symbols = code(
        analyze(photo[:128, :192], lossless=False), parameters, step_code, rdo.TRELLIS, details=model.details
    )
    found: dict[tuple[int, int], BandContexts] = {}
    sample_contexts(found, symbols, parameters, np.random.default_rng(0), cap=10**6)
    for (plane, band), samples in found.items():
        inputs, tokens, codes, _ = samples.arrays()
        m = np.abs(symbols.q[plane][band])
        assert len(inputs) <= m.size
        if parameters.shift[plane, band].any():
            assert (tokens[:, 1] > 0).sum() <= np.count_nonzero(m)
        else:
            # What is not here is a zero of a group that is all zero.
            np.testing.assert_array_equal(
                np.bincount(tokens[:, 1], minlength=4)[1:], [(m == 1).sum(), (m == 2).sum(), (m > 2).sum()]
            )
        assert np.all(codes == step_code)
        assert inputs.max() <= 31
        if plane == 0:
            continue
        # In the middle of the inputs lie the magnitudes of the same band in the planes before, and nothing more.
        before = inputs[:, TOLD : TOLD + 27].reshape(-1, 3, 9)
        assert not before[:, plane:].any()
        assert before[:, 0].any() == symbols.q[0][band].any()
    assert {(0, 16), (0, 17), (0, 18), (1, 10), (2, 10)} <= set(found)


def test_a_model_gets_networks_and_an_interrupted_run_goes_on(photo: NDArray[np.uint8], tmp_path: Path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo).save(tmp_path / "photos" / "one.png")
    without = {name: array for name, array in read_model(PHOTO).items() if "context" not in name}
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    write_model(before, without)
    assert not load_model(before.read_bytes()).contexts
    given = [str(before), str(tmp_path / "photos"), str(after), "--minutes", "0.002"]
    assert main(given) == 0
    model = load_model(after.read_bytes())
    assert set(model.contexts) == {(plane, level) for plane in range(3) for level in range(1, 7)}
    assert all(of.listens == (model.kind_of(number) in {"ssim", "foretold"}) for number, of in enumerate(model.lossy))
    kept, whole = after.with_name(f"{after.name}.bands"), after.read_bytes()
    done = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert main(given) == 0
    assert after.read_bytes() == whole
    assert done == {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
