"""Laws of networks that see contexts, with random weights: all programs and every processor agree on their odds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic import _native
from laconic.codecs import image_reference
from laconic.coder import rans
from laconic.coder.rans_reference import RansReader
from laconic.container import read
from laconic.container.layout import BANDS, groups
from laconic.entropy import causal
from laconic.entropy.causal_reference import PlaneModel, TileReader
from laconic.entropy.context_network import (
    FAR,
    HIDDEN,
    INPUTS,
    MIDDLE,
    ContextNetwork,
    context_networks,
)
from laconic.entropy.context_reference import Opinions
from laconic.entropy.details_reference import Foretelling
from laconic.entropy.sign_network import SIGN_INPUTS, SIGN_UNITS
from laconic.errors import ModelError
from laconic.models import default_model, load_model
from laconic.transform.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from laconic.entropy.tables import ParameterSet

CODE, BASE, STEP, CUTS = 300, 7000, 4000, 0b10101


def context_arrays(
    seed: int, *, heavy: bool = False, narrow: bool = False, signs: bool = True
) -> dict[str, NDArray[Any]]:
    """The arrays of a network with every weight random: heavy ones, close to 32 bits; narrow ones, of version 3."""
    rng = np.random.default_rng(seed)
    top, bias = (32767, 1 << 28) if heavy else (600, 1 << 12)
    hidden, inputs = (32, FAR) if narrow else (HIDDEN, INPUTS)
    arrays = {
        "weight": rng.integers(-top, top + 1, (3, hidden, inputs)).astype(np.int16),
        "bias": rng.integers(-bias, bias, (3, hidden)).astype(np.int32),
        "slope": rng.integers(-20, 20, (3, hidden)).astype(np.int32),
        "shift": rng.integers(4, 8, 3).astype(np.uint8),
        "middle": rng.integers(-950, 950, (3, MIDDLE, HIDDEN)).astype(np.int16),
        "middle_bias": rng.integers(-(1 << 18), 1 << 18, (3, MIDDLE)).astype(np.int32),
        "middle_shift": rng.integers(8, 11, 3).astype(np.uint8),
        "output": rng.integers(-1900, 1900, (3, 2, 3, MIDDLE)).astype(np.int16),
        "output_bias": rng.integers(-(1 << 18), 1 << 18, (3, 2, 3)).astype(np.int32),
        "output_shift": rng.integers(9, 13, 3).astype(np.uint8),
        "sign_weight": rng.integers(-top, top + 1, (3, SIGN_UNITS, SIGN_INPUTS)).astype(np.int16),
        "sign_bias": rng.integers(-bias, bias, (3, SIGN_UNITS)).astype(np.int32),
        "sign_slope": rng.integers(-20, 20, (3, SIGN_UNITS)).astype(np.int32),
        "sign_shift": np.full(3, 11 if heavy else 3, np.uint8),
        "sign_output": rng.integers(-950, 950, (3, SIGN_UNITS)).astype(np.int16),
        "sign_output_shift": rng.integers(10, 14, 3).astype(np.uint8),
        "sign_mix": rng.integers(-3000, 5000, (3, 2)).astype(np.int16),
    }
    if heavy:
        arrays["shift"][...] = 11
    arrays["weight"][:, :, rng.random(inputs) < 0.2] = 0  # inputs that nothing looks at, an odd number or an even one
    missing = (*(["middle"] if narrow else []), *(["sign_"] if narrow or not signs else []))
    return {name: array for name, array in arrays.items() if not name.startswith(missing)}


def coding_of(
    parameters: ParameterSet,
    planes: int,
    details: dict[int, Network],
    contexts: dict[tuple[int, int], ContextNetwork],
    *,
    wide: bool,
) -> causal.TileCoding:
    factor = 257 if wide else 1
    steps, lambdas = np.full(BANDS, STEP * factor, np.uint32), np.full(BANDS, 300, np.uint32)
    each = [causal.PlaneCoding(parameters, p, p if p < 3 else 0, steps, lambdas) for p in range(planes)]
    return causal.TileCoding(
        each, CUTS, detail_step=BASE * factor, contexts=context_networks(contexts, CODE),
        details={level: network.native(CODE) for level, network in details.items()},
    )  # fmt: skip


def coefficients(seed: int, shape: tuple[int, int, int], dtype: Any) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    factor = 1 if dtype == np.int16 else 256
    return np.clip(rng.laplace(0, 30, shape) * factor, -30_000 * factor, 30_000 * factor).astype(dtype)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize("trellis", [False, True])
@pytest.mark.parametrize("foretold", [False, True])
@pytest.mark.parametrize(
    ("shape", "levels", "heavy"),
    [
        ((1, 1, 1), (1, 6), False),
        ((1, 64, 64), (1, 2, 3), True),
        ((3, 37, 50), (1, 3), False),
        ((4, 33, 63), (1, 2, 3, 4, 5, 6), False),
        ((2, 3, 40), (2,), False),
        ((3, 50, 1), (6, 1), False),
    ],
)
def test_both_decoders_find_the_encoders_symbols(
    shape: tuple[int, int, int], levels: tuple[int, ...], heavy: bool, foretold: bool, trellis: bool, dtype: Any,
    network_arrays: Callable[..., dict[str, Any]], random_parameters: Callable[..., ParameterSet],
):  # fmt: skip
    wide = dtype == np.int32
    details = {level: Network.of(network_arrays(level, 16, 32, 2), "") for level in (1, 2) if foretold}
    contexts = {
        (plane, level): ContextNetwork.of(
            context_arrays(level + 7 * plane, heavy=heavy, narrow=not heavy and level == 3, signs=plane == 0), ""
        )
        for plane in (range(3) if trellis and not wide else range(1))  # the readable program takes its time
        for level in levels
        if plane == 0 or (plane + level) % 4
    }
    parameters = random_parameters(1, 4, trellis=trellis, mixes=True, foretells=foretold, listens=True)
    coding = coding_of(parameters, shape[0], details, contexts, wide=wide)
    planes, used, window = coefficients(1, shape, dtype), _native.instruction_set(), (0, 0, *shape[1:])
    found: set[tuple[bytes, ...]] = set()
    streams: list[bytes] = []
    symbols, decoded = np.zeros(shape, np.int32), np.zeros_like(planes)
    try:
        for name in _native.instruction_sets():
            _native.use_instruction_set(name)
            symbols[...], decoded[...] = 0, 0
            streams = [rans.push(ops) for ops in causal.tables(planes, window, coding, symbols)]
            causal.pop_tile(decoded, window, coding, streams)
            found.add((*streams, symbols.tobytes(), decoded.tobytes()))
    finally:
        _native.use_instruction_set(used)
    assert len(found) == 1
    models = [PlaneModel(parameters, p, p if p < 3 else 0) for p in range(shape[0])]
    foretelling = Foretelling(details, CODE, coding.detail_step, [STEP * (257 if wide else 1)] * BANDS, wide)
    from laconic.train.symbols import split_bands

    expected = [split_bands(plane) for plane in symbols]
    reader = TileReader(
        models, [band.shape for band in expected[0]], foretell=foretelling, opinions=Opinions(contexts, CODE)
    )  # type: ignore[misc]
    for group, of_levels in enumerate(groups(CUTS)):
        if streams[group]:
            stream = RansReader(streams[group])
            reader.pop_group(stream, of_levels, lowest=group == 0)
            stream.finish()
    for plane, bands in enumerate(expected):
        for band, of in enumerate(bands):
            assert np.array_equal(of, reader.symbols[plane][band])
    if min(shape[1:]) > 30:
        deaf = coding_of(parameters, shape[0], details, {}, wide=wide)
        assert [rans.push(ops) for ops in causal.tables(planes, window, deaf)] != streams


def test_one_place_and_many_have_the_same_odds():
    network = ContextNetwork.of(context_arrays(5), "")
    opinions = Opinions({(0, 2): network, (2, 2): network}, CODE)
    rng = np.random.default_rng(6)
    inputs, quantizers = rng.integers(0, 32, (40, INPUTS)), rng.integers(0, 2, 40)
    for orientation in range(3):
        band = 13 + orientation
        many = network.odds(inputs, CODE, orientation, quantizers)
        one = [opinions.odds(2, band, row, q) for row, q in zip(inputs.tolist(), quantizers.tolist(), strict=True)]
        assert np.array_equal(many, one)
        assert np.abs(many).max() > 100
        signed = rng.integers(-8, 9, (40, SIGN_INPUTS))
        assert network.signs
        odds = network.signs.odds(signed, CODE, orientation)
        assert np.array_equal(odds, [opinions.sign_odds(band, row) for row in signed.tolist()])
        assert np.abs(odds).max() > 100


def test_files_for_best_listen_and_both_decoders_agree(photo: NDArray[np.uint8]):
    model = default_model()
    assert {model.kind_of(number) for number, of in enumerate(model.lossy) if of.listens} == {"foretold", "ssim"}
    assert set(model.contexts) == {(plane, level) for plane in range(3) for level in range(1, 7)}
    for quality in (5, 50, 90):
        data = lac.ImageCodec(quality=quality, tile=64, network="best").encode(photo[:70, :90])
        assert model.lossy[read(data).header.parameter_set].listens
        assert np.array_equal(image_reference.decode(data).pixels, lac.decompress(data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context2.output": None}, "no array context2.output"),
        ({"context": None}, "sets that listen"),
        ({"context_cb2.output": None}, "no array context_cb2.output"),
        ({"context_cr3.middle_shift": None}, "no array context_cr3.middle_shift"),
        ({"context_cr1.weight": np.zeros((3, HIDDEN, INPUTS - 1), np.int16)}, "context_cr1.weight is"),
        ({"context_cb4." + k: v for k, v in context_arrays(3).items()}, "no network tells signs of chroma"),
        ({"context3.weight": np.zeros((3, HIDDEN, INPUTS - 1), np.int16)}, "context3.weight is"),
        ({"context3.bias": np.full((3, HIDDEN), (1 << 31) - 1, np.int32)}, "could overflow"),
        ({"context1.output": np.full((3, 2, 3, MIDDLE), 2048, np.int16)}, "could overflow"),
        ({"context1.middle": np.full((3, MIDDLE, HIDDEN), 1025, np.int16)}, "could overflow"),
        ({"context4.middle_shift": None}, "no array context4.middle_shift"),
        ({"context2.sign_mix": np.full((3, 2), 8193, np.int16)}, "sign_mix leaves"),
        ({"context2.sign_bias": np.full((3, SIGN_UNITS), 1 << 30, np.int32)}, "could overflow"),
        ({"context2.sign_output": np.full((3, SIGN_UNITS), 1025, np.int16)}, "could overflow"),
        ({"context2.sign_output_shift": None}, "no array context2.sign_output_shift"),
        ({"context4.middle": None}, "no array context4.middle"),
        ({"context1.slope": np.full((3, HIDDEN), -(1 << 31), np.int32)}, "could overflow"),
        ({"context1.shift": np.full(3, 31, np.uint8)}, "a shift of more than 30"),
        ({"foretold2.context_weight": np.zeros((3, 18, 2, 3), np.int16)}, "foretold2.context_weight"),
        ({"lossless.context_weight": np.zeros((4, 19, 2, 3), np.int16)}, "lossless set"),
    ],
)  # fmt: skip
def test_models_whose_networks_cannot_be_used_are_refused(
    changes: dict[str, Any], message: str, altered_model: Callable[[dict[str, Any]], bytes]
):
    with pytest.raises(ModelError, match=message):
        load_model(altered_model(changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"shift": 31}, {"middle_shift": -1}, {"output": np.full((6, MIDDLE), 2048, np.int16)},
        {"middle": np.full((MIDDLE, HIDDEN), 1025, np.int16)}, {"bias": np.zeros(31, np.int32)},
        {"middle": np.zeros((HIDDEN, MIDDLE), np.int16)}, {"signs": {"shift": 31}}, {"signs": {"last": -1}},
        {"signs": {"bias": np.full(SIGN_UNITS, 1 << 30, np.int32)}}, {"signs": {"bias": np.zeros(3, np.int32)}},
        {"signs": {"output": np.full(SIGN_UNITS, 1025, np.int16)}}, {"signs": {"mix": np.full(2, 8193, np.int16)}},
    ],
)  # fmt: skip
def test_the_native_network_checks_again(changes: dict[str, Any]):
    arrays = context_arrays(7)
    given = {
        "weight": arrays["weight"][0], "bias": arrays["bias"][0], "shift": 5,
        "middle": arrays["middle"][0], "middle_bias": arrays["middle_bias"][0], "middle_shift": 9,
        "output": arrays["output"][0].reshape(6, MIDDLE), "output_bias": arrays["output_bias"][0].ravel(),
        "output_shift": 10,
    }  # fmt: skip
    signs = {name: arrays[f"sign_{name}"][0] for name in ("weight", "bias", "output", "mix")} | {"shift": 3, "last": 11}
    changes = dict(changes)
    given["signs"] = signs_tuple(signs)
    _native.ContextNetwork(**given)
    if "signs" in changes:
        changes["signs"] = signs_tuple(signs | changes["signs"])
    with pytest.raises(ValueError, match=r"."):
        _native.ContextNetwork(**(given | changes))


def signs_tuple(of: dict[str, Any]) -> tuple[Any, ...]:
    return of["weight"], of["bias"], of["shift"], of["output"], of["last"], of["mix"]


def test_networks_of_version_3_say_what_they_said():
    arrays = context_arrays(8, narrow=True)
    network = ContextNetwork.of(arrays, "")
    rng = np.random.default_rng(9)
    inputs, quantizers = rng.integers(0, 32, (200, INPUTS)), rng.integers(0, 2, 200)
    for o in range(3):
        # One layer: the formula of version 3, and nothing of what is farther away.
        weight, slope = arrays["weight"][o].astype(np.int64), arrays["slope"][o].astype(np.int64)
        sums = inputs[:, :FAR] @ weight.T + arrays["bias"][o] + slope * CODE
        units = np.clip(sums >> int(arrays["shift"][o]), 0, 32767)
        odds = np.einsum("nh,qdh->nqd", units, arrays["output"][o].astype(np.int64)) + arrays["output_bias"][o]
        expected = np.clip(odds >> int(arrays["output_shift"][o]), -2047, 2047)[np.arange(200), quantizers]
        assert np.array_equal(network.odds(inputs, CODE, o, quantizers), expected)


def test_networks_of_two_layers_take_version_4(altered_model: Callable[[dict[str, Any]], bytes]):
    data = altered_model({})
    assert load_model(data).contexts
    with pytest.raises(ModelError, match="take version 4"):
        load_model(data.replace(b'"version":"6"', b'"version":"3"'))


def test_networks_of_chroma_take_version_5(altered_model: Callable[[dict[str, Any]], bytes]):
    data = altered_model({})
    assert any(plane for plane, _ in load_model(data).contexts)
    with pytest.raises(ModelError, match="take version 5"):
        load_model(data.replace(b'"version":"6"', b'"version":"4"'))


def test_the_native_coder_hears_no_signs_of_chroma(random_parameters: Callable[..., ParameterSet]):
    parameters = random_parameters(1, 4, trellis=True, mixes=True, listens=True)
    network = ContextNetwork.of(context_arrays(3), "")
    planes = coefficients(1, (3, 20, 20), np.int16)
    for place in ((1, 2), (2, 3)):
        with pytest.raises(ValueError, match="signs of chroma"):
            causal.tables(planes, (0, 0, 20, 20), coding_of(parameters, 3, {}, {place: network}, wide=False))


def test_a_set_without_mixing_cannot_listen(random_arrays: Callable[..., dict[str, NDArray[Any]]]):
    from laconic.entropy.tables import ParameterSet

    arrays = random_arrays(1, 3, listens=True)
    with pytest.raises(ModelError, match="takes mixing"):
        _ = ParameterSet.of(arrays).native
