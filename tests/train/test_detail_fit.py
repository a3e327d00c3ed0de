"""Laws of the training of the networks that foretell details."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from laconic.models import PHOTO, default_model, load_model  # noqa: E402
from laconic.quantize.steps import base_step_units  # noqa: E402
from laconic.train.detail_fit import DetailPlan, DetailRun, cost, level_of, main  # noqa: E402
from laconic.train.network_export import add_network  # noqa: E402
from laconic.train.network_forward import load_network  # noqa: E402
from laconic.train.network_model import Network, Shape  # noqa: E402
from laconic.transform.network_reference import results  # noqa: E402


def edges(seed: int, side: int = 320) -> np.ndarray:
    """Return disks with sharp rims: what is coarse says where the details are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    gray = np.full((side, side), 90.0)
    for _ in range(30):
        inside = np.hypot(y - rng.integers(side), x - rng.integers(side)) < rng.integers(10, 60)
        gray[inside] = rng.integers(20, 235)
    return np.repeat(gray[..., None], 3, 2).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(edges(number)).save(folder / f"{number}.png")
    return folder


def test_a_run_saves_resumes_and_goes_into_a_model_file(photos: Path, tmp_path: Path) -> None:
    common = ["--photos", str(photos), "--output", str(tmp_path), "--level", "2"]
    assert main([*common, "--minutes", "0.02"]) == 0
    before = int(load_network(tmp_path / "detail2.safetensors")[1]["step"])
    assert main([*common, "--minutes", "0.05", "--resume"]) == 0
    arrays, about = load_network(tmp_path / "detail2.safetensors")
    assert int(about["step"]) > before >= 1
    add_network(PHOTO, tmp_path / "detail2.safetensors", "detail2", tmp_path / "model.safetensors")
    network = load_model((tmp_path / "model.safetensors").read_bytes()).details[2]
    assert network.input_weight.shape == arrays["input.weight"].shape
    with pytest.raises(SystemExit, match="nothing to resume"):
        main([*common[:-1], "3", "--minutes", "0.02", "--resume"])


def test_integers_foretell_what_training_saw(photos: Path, tmp_path: Path) -> None:
    from laconic.train.decoded_crops import Photos, code_range
    from laconic.train.network_export import to_integers
    from laconic.transform.network import Network as Integers

    network = Network(Shape(32, 2), code_range(default_model()))
    run = DetailRun(DetailPlan(1, minutes=1), network, Photos(photos), tmp_path)
    generator = torch.Generator().manual_seed(0)
    theta = run.theta + 0.05 * torch.randn(network.size, generator=generator)
    given = level_of(edges(5, 128), 330, 1)
    plain, rest = (float(value) for value in run.costs(theta, given, 16.0))
    integers = Integers.of(to_integers(network.export(theta), network.about()), "")
    found = (results(given.low, integers, code=330) * base_step_units(330, depth=8) + (1 << 18)) >> 19
    assert np.abs(found).max() > 50
    details, steps = (torch.from_numpy(v.astype(np.float32)) for v in (given.details, given.steps))
    assert plain == pytest.approx(float(cost(details, steps)))
    assert float(cost(details - torch.from_numpy(found).float(), steps)) == pytest.approx(rest, rel=0.02)


def test_the_shipped_networks_save_bytes_where_edges_go_on() -> None:
    from laconic.codecs.image import Analysis, ImageCodec
    from laconic.transform.workers import Workers

    picture, model = edges(9), default_model()
    blind = replace(model, details={})
    with Workers(1) as workers:
        analysis = Analysis.of(picture, lossless=False, workers=workers)
        codec = ImageCodec(quality=60, network="best")
        header = codec.header_at(analysis, int(model.quality_codes[60]))
        sizes: list[int] = []
        for which in (model, blind):
            groups, _ = codec.code_tiles(Analysis(analysis.planes, which), header, workers)
            sizes.append(sum(len(stream) for group in groups for stream in group))
    assert sizes[0] < 0.9 * sizes[1]
