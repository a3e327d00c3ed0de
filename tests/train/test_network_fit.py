"""Laws of the training of the decoder-side network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import laconic as lac  # noqa: E402
from laconic.models import default_model  # noqa: E402
from laconic.train.decoded_crops import code_range, codes_to_train, through_codec, to_blocks  # noqa: E402
from laconic.train.network_fit import main  # noqa: E402
from laconic.train.network_forward import enhance, load_network, reference_forward  # noqa: E402
from laconic.train.network_model import Network, Shape  # noqa: E402
from laconic.transform import color  # noqa: E402
from laconic.transform.workers import Workers  # noqa: E402

CODES = (163, 681)


def picture(seed: int = 0, side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (side // 8, side // 8, 3))
    return (np.kron(coarse, np.ones((8, 8, 1))) * 0.9 + rng.integers(0, 25, (side, side, 3))).astype(np.uint8)


@pytest.mark.parametrize("code", [100, 200, 405, 681, 700])
@pytest.mark.parametrize("limit", [None, 1.0])
def test_numpy_and_torch_compute_the_same(code: int, limit: float | None) -> None:
    network, rng = Network(Shape(32, 2), CODES), np.random.default_rng(0)
    theta = network.start() + 0.05 * torch.from_numpy(rng.standard_normal(network.size).astype(np.float32))
    x = rng.random((6, 10, 48), np.float32) - np.float32(0.5)
    folded = network.at(theta, code, torch.float32)
    expected = network.forward(folded, torch.from_numpy(x.reshape(-1, 48)), 6, 10, limit).numpy()
    found = reference_forward(network.export(theta), x, code, CODES, np.inf if limit is None else limit)
    np.testing.assert_allclose(found.reshape(-1, 48), expected * 2.0 ** (code / 64 - 10), atol=1e-6)


def test_an_untrained_network_adds_nothing() -> None:
    network, rng = Network(Shape(16, 1), CODES), np.random.default_rng(0)
    planes = rng.integers(-2000, 2000, (3, 19, 22)).astype(np.int16)
    np.testing.assert_array_equal(enhance(network.export(network.start()), planes, 400, CODES), planes)


@pytest.mark.parametrize("larger", [Shape(16, 3), Shape(32, 2), Shape(48, 4)])
def test_a_network_that_grows_computes_what_it_did(larger: Shape) -> None:
    small, rng = Network(Shape(16, 2), CODES), np.random.default_rng(0)
    theta = small.start() + 0.05 * torch.from_numpy(rng.standard_normal(small.size).astype(np.float32))
    grown = Network(larger, CODES)
    x = torch.from_numpy(rng.random((60, 48), np.float32) - np.float32(0.5))
    start = grown.resumed(small.export(theta))
    before, after = (n.forward(n.at(t, 405, torch.float32), x, 6, 10) for n, t in ((small, theta), (grown, start)))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="does not contain"):
        small.resumed(grown.export(start))


def test_crops_are_what_the_codec_decodes() -> None:
    pixels, quality = picture(), 60
    decoded = through_codec(pixels, int(default_model().quality_codes[quality])).decoded
    with Workers(1) as workers:
        restored = color.synthesize(decoded, lossless=False, workers=workers)
    np.testing.assert_array_equal(restored, plain(lac.ImageCodec(quality=quality).encode(pixels)))


def plain(data: bytes) -> np.ndarray:
    try:
        return lac.decompress(data, network="off")  # type: ignore[call-arg]
    except TypeError:
        return lac.decompress(data)


def test_blocks_hold_each_sample_once() -> None:
    planes = np.arange(3 * 8 * 12, dtype=np.int16).reshape(3, 8, 12)
    blocks = to_blocks(planes) * 4096
    assert blocks[4, 1 * 16 + 2 * 4 + 3] == planes[1, 4 + 2, 4 + 3]
    assert sorted(blocks.ravel()) == list(range(planes.size))


def test_codes_to_train_fill_the_range() -> None:
    codes = codes_to_train(default_model())
    assert (round(codes[0]), round(codes[-1])) == code_range(default_model())
    assert np.all(np.diff(codes) >= 0)


def test_a_run_saves_resumes_and_exports(tmp_path) -> None:
    from PIL import Image

    for number in range(2):
        Image.fromarray(picture(number, 320)).save(tmp_path / f"{number}.png")
    common = ["--photos", str(tmp_path), "--output", str(tmp_path / "out"), "--channels", "16", "--blocks", "1"]
    common += ["--batch", "2", "--jobs", "1"]
    assert main([*common, "--steps", "2"]) == 0
    assert main([*common, "--steps", "3", "--resume"]) == 0
    arrays, about = load_network(tmp_path / "out" / "best.safetensors")
    assert about["step"] == "3"
    assert arrays["input.weight"].shape == (16, 48)
    assert np.abs(arrays["output.weight"]).max() > 0
    parts = {}
    for blend in (0.0, 0.25, 1.0):
        assert main([*common, "--steps", "2", "--blend", str(blend), "--name", "blended"]) == 0
        parts[blend] = load_network(tmp_path / "out" / "blended.safetensors")[0]["mix.weight"]
    first = Network(Shape(16, 1), code_range(default_model()))
    np.testing.assert_array_equal(parts[1.0], first.export(first.start())["mix.weight"])
    assert not np.array_equal(parts[0.0], parts[1.0])
    np.testing.assert_allclose(parts[0.25], 0.75 * parts[0.0] + 0.25 * parts[1.0], atol=1e-6)
