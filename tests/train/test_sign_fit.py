"""Networks that tell signs: what they learn, what is left of it as integers, and that they know when to be silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from laconic.entropy.sign_network import SIGN_INPUTS, SIGN_UNITS, SignNetwork
from laconic.models import default_model
from laconic.quantize import rdo
from laconic.train.sign_fit import BandSigns, OddNetwork, quantized_signs, sample_signs, sign_bits, train_signs
from laconic.train.symbols import analyze, code

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


def signs(count: int = 60_000, *, random: bool = False) -> BandSigns:
    """Signs that go with what is foretold where it came true one to the left, and against it where it did not."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(-3, 4, (count, SIGN_INPUTS))
    inputs[:, 9] = np.where(inputs[:, 9] == 0, 1, inputs[:, 9])
    inputs[:, 40] = rng.choice([-6, 6], count)
    inputs[:, 41] = rng.choice([-6, 6], count)
    # 40 foretells the symbol to the left, 41 this one: odd, and no weighted sum.
    true = np.sign(inputs[:, 9]) == np.sign(inputs[:, 40])
    minus = np.where(true, inputs[:, 41] < 0, inputs[:, 9] < 0)
    minus = rng.random(count) < 0.5 if random else minus ^ (rng.random(count) < 0.05)
    found = BandSigns()
    found.inputs.append(inputs.astype(np.int8))
    found.minus.append(minus)
    found.codes.append(rng.integers(200, 600, count).astype(np.int16))
    found.table.append(np.where(inputs[:, 41] < 0, 0.7, -0.7).astype(np.float32))
    return found


def network_of(arrays: dict[str, Any]) -> SignNetwork:
    network = SignNetwork.of({name: np.stack([array] * 3) for name, array in arrays.items()}, "sign_")
    assert network
    return network


def test_a_network_learns_where_to_believe_what_is_foretold_and_keeps_it_as_integers():
    samples = signs()
    network, _ = train_signs(samples, 6, 0)
    inputs, minus, codes, table = samples.arrays()
    given = torch.from_numpy(inputs), torch.from_numpy(codes)
    with torch.no_grad():
        odds = network(*given)
        turned = network(-given[0], given[1])
    assert torch.allclose(odds, -turned, atol=1e-4)
    bits = float(sign_bits(odds, torch.from_numpy(minus)).mean())
    assert bits < 0.4  # knowing the rule it is 0.29, by the table 0.75
    assert float(sign_bits(torch.from_numpy(table), torch.from_numpy(minus)).mean()) > 0.7
    integers = network_of(quantized_signs(network, samples))
    assert integers.mix[0, 1] > 3000
    some = slice(0, 4000)
    whole = integers.odds(inputs[some], 400, 1) / 256
    at = torch.from_numpy(inputs[some]), torch.full((4000,), 400)
    with torch.no_grad():
        exact, again = network(*at).numpy(), OddNetwork.of(integers, 1)(*at).numpy()
    assert np.abs(np.clip(exact, -7.99, 7.99) - whole).max() < 0.1
    assert np.abs(again - exact).max() < 0.1


def test_where_there_is_nothing_to_tell_a_network_is_silent():
    samples = signs(3000, random=True)
    network, _ = train_signs(samples, 2, 0)
    arrays = quantized_signs(network, samples)
    assert not arrays["sign_output"].any()
    assert arrays["sign_mix"].tolist() == [4096, 0]
    assert not network_of(arrays).odds(samples.arrays()[0], 400, 0).any()


def test_samples_are_the_signs_that_are_coded(photo: NDArray[np.uint8]):
    model = default_model()
    step_code = int(model.quality_codes[60])
    parameters = model.lossy[model.set_for(step_code, "foretold")]
    planes = analyze(photo[:128, :192], lossless=False)
    symbols = code(planes, parameters, step_code, rdo.TRELLIS, details=model.details, contexts=model.contexts)
    found: dict[int, BandSigns] = {}
    sample_signs(found, symbols, parameters, np.random.default_rng(0), cap=10**6)
    assert {13, 14, 15, 16, 17, 18} <= set(found)
    for band, samples in found.items():
        q = symbols.q[0][band]
        inputs, minus, codes, table = samples.arrays()
        assert len(inputs) == np.count_nonzero(q)
        assert minus.sum() == (q < 0).sum()
        assert np.all(codes == step_code)
        assert np.abs(inputs[:, :37]).max() <= 8
        assert np.abs(inputs).max() <= 31
        rows, columns = np.nonzero(q)
        west = np.pad(q, 2)[rows + 2, columns + 1]
        assert np.array_equal(inputs[:, 9], np.clip(west, -8, 8))
        # What is foretold in the middle is what the tables go by: far to one side they are sure.
        told = inputs[:, 37 + 9 * ((band - 1) % 3) + 4].astype(int)
        if np.count_nonzero(np.abs(told) > 8) > 20:
            assert np.corrcoef(told, table)[0, 1] < -0.5
    assert max(of.arrays()[0].shape[1] for of in found.values()) == SIGN_UNITS
