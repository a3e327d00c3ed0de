"""Conventions 1-5: how small, how good, how hard, how many threads."""

# ruff: noqa: ARG001 - fixtures are asked for by naming them.
from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import numpy as safetensors

import laconic
from laconic import models
from laconic.signals.image import Image, load, save

from .conftest import photo_pixels


def psnr(pixels: Any, other: Any) -> float:
    return float(10 * np.log10(255**2 / np.mean((pixels.astype(float) - other) ** 2)))


def test_convention_01_quality_from_0_to_100_where_100_is_best(run: Any, photo: Path):
    sizes: list[int] = []
    qualities: list[float] = []
    for quality in (0, 30, 60, 90, 100):
        assert run("compress", photo, "-q", quality, "-f").code == 0
        assert laconic.inspect("photo.lac").quality == quality
        sizes.append(Path("photo.lac").stat().st_size)
        qualities.append(psnr(load(photo).pixels, laconic.decompress(Path("photo.lac").read_bytes())))
    assert sizes == sorted(sizes)
    assert qualities == sorted(qualities)
    for wrong in ("-1", "101", "high"):
        assert run("compress", photo, f"-q{wrong}").code == 2
    help_page = run("compress", "-h").text
    assert "60 small" in help_page
    assert "90 hard to tell" in help_page.replace("\n", " ").replace("90 is hard", "90 hard")


@pytest.mark.parametrize(
    ("option", "value", "met"),
    [
        ("--bpp", "2.5", lambda info, _: info.bpp <= 2.5),
        ("--size", "1500", lambda info, _: info.bytes_total <= 1500),
        ("--size", "1.5kB", lambda info, _: info.bytes_total <= 1500),
        ("--size", "1.5KiB", lambda info, _: info.bytes_total <= 1536),
        ("--psnr", "33", lambda _, quality: quality >= 33),
    ],
)
def test_convention_02_one_precise_knob_is_met(run: Any, photo: Path, option: str, value: str, met: Any):
    assert run("compress", photo, option, value).code == 0
    restored = laconic.decompress(Path("photo.lac").read_bytes())
    assert met(laconic.inspect("photo.lac"), psnr(load(photo).pixels, restored))


KNOBS = [["-q", "60"], ["--bpp", "1"], ["--psnr", "40"], ["--size", "20kB"], ["--lossless"]]


@pytest.mark.parametrize("knobs", list(itertools.permutations(KNOBS, 2)))
def test_convention_02_knobs_exclude_each_other(run: Any, photo: Path, knobs: tuple[list[str], list[str]]):
    result = run("compress", photo, *knobs[0], *knobs[1])
    assert result.code == 2
    assert "not allowed with" in result.said
    assert not Path("photo.lac").exists()


@pytest.mark.parametrize(
    "words", [["--size", "0"], ["--size", "20x"], ["--size", "-5"], ["--bpp", "0"], ["--psnr", "nan"]]
)
def test_convention_02_nonsense_is_a_usage_error(run: Any, photo: Path, words: list[str]):
    assert run("compress", photo, *words).code == 2


def test_convention_02_an_unreachable_target_is_said(run: Any, photo: Path):
    result = run("compress", photo, "--size", "20")
    assert result.code == 1
    assert "20" in result.said
    assert not Path("photo.lac").exists()


def test_convention_03_effort_from_1_to_10(run: Any, photo: Path):
    for effort in (1, 5, 10):
        assert run("compress", photo, "-e", effort, "-f").code == 0
    for wrong in (0, 11, "max"):
        assert run("compress", photo, "-e", wrong, "-f").code == 2


def test_convention_03_the_help_says_what_efforts_are(run: Any, folder: Path):
    """Which efforts make the same file: when that changes, the help must."""
    page = " ".join(run("compress", "-h").text.split())
    for words in ("1 rounds plainly", "2 and 3 weigh", "4 and 5 search", "6 also asks for the better", "default: 7"):
        assert words in page
    pixels = photo_pixels(100, 130)
    files = [laconic.compress(pixels, effort=effort) for effort in range(1, 11)]
    groups = [files[:1], files[1:3], files[3:5], files[5:6]]
    assert all(len(set(group)) == 1 for group in groups)
    assert len(set(files[:6])) == 4
    assert laconic.compress(pixels) == files[6]
    networks = [laconic.inspect(data).network for data in files]
    assert networks == ["fast"] * 5 + ["best"] * 5


def test_tuning_is_chosen_and_named(run: Any, photo: Path):
    assert run("compress", photo, "--tune", "ssim").code == 0
    assert laconic.inspect("photo.lac").tune == "ssim"
    assert "tuned for MS-SSIM" in run("info", "photo.lac").text
    assert run("compress", photo, "-f").code == 0
    assert laconic.inspect("photo.lac").tune == "psnr"
    assert run("compress", photo, "-f", "--tune", "ssim", "--lossless").code == 2
    pixels = photo_pixels(100, 130)
    files = {laconic.compress(pixels, effort=effort, tune="ssim") for effort in (1, 3, 5)}
    assert len(files) == 1  # the trellis in any case


@pytest.fixture
def two_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed model with two networks of small random weights."""
    random = np.random.default_rng(5)

    def network(channels: int) -> dict[str, Any]:
        shapes = {
            "input": (channels, 48),
            "mix": (1, channels, channels),
            "merge": (1, channels, channels),
            "expand": (1, channels, channels),
            "contract": (1, channels, channels),
            "output": (48, channels),
            "spread": (1, channels, 9),
        }
        scaled = {"input": (channels,), "mix": (1, channels), "expand": (1, channels), "output": (48,)}
        return {
            **{f"{name}_weight": random.integers(-3000, 3000, shape, np.int16) for name, shape in shapes.items()},
            **{f"{name}_scale": np.full((13, *shape), 1 << 16, np.int32) for name, shape in scaled.items()},
            **{f"{name}_bias": np.zeros((13, *shape), np.int32) for name, shape in scaled.items()},
            "exponents": np.full(7, 13, np.uint8),
            "codes": np.array([0, 767], np.uint16),
        }

    arrays = {name: array for name, array in safetensors.load(models.PHOTO.read_bytes()).items() if "." in name}
    arrays = {name: array for name, array in arrays.items() if not name.startswith(("fast.", "best."))}
    arrays |= {name: safetensors.load(models.PHOTO.read_bytes())[name] for name in ("set_codes", "quality_code")}
    for name, channels in {"fast": 16, "best": 32}.items():
        arrays |= {f"{name}.{key}": array for key, array in network(channels).items()}
    place = tmp_path / "model" / "photo.safetensors"
    place.parent.mkdir()
    place.write_bytes(safetensors.save(arrays, {"kind": "laconic.image", "version": "6"}))
    monkeypatch.setattr(models, "PHOTO", place)


def test_networks_are_named_and_chosen(run: Any, photo: Path, two_networks: None):
    sizes: set[int] = set()
    restored: dict[str, bytes] = {}
    for asked, named in {"auto": "best", "off": "off", "fast": "fast", "best": "best"}.items():
        record = run("compress", photo, "-f", "-e", "6", "--enhance", asked, "--json").records[0]
        assert record["network"] == named == laconic.inspect("photo.lac").network
        assert f"network {named}\n" in run("info", "photo.lac").text
        sizes.add(Path("photo.lac").stat().st_size)
        assert run("decompress", "photo.lac", f"{asked}.png").code == 0
        restored[asked] = Path(f"{asked}.png").read_bytes()
    assert len(sizes) == 2  # of files for "best" details are foretold, if the model can
    assert restored["auto"] == restored["best"]
    assert len(set(restored.values())) == 3
    through: set[bytes] = set()
    for asked in ("off", "fast", "best"):
        assert run("decompress", "photo.lac", "x.png", "-f", "--enhance", asked).code == 0
        through.add(Path("x.png").read_bytes())
    assert len(through) == 3
    assert restored["best"] in through
    assert run("compress", photo, "-f", "-e", "5").code == 0
    assert laconic.inspect("photo.lac").network == "fast"


def test_info_counts_the_taps_of_a_filter(run: Any):
    filtered = Path(__file__).parents[2] / "golden" / "valid" / "filtered_by_the_encoder.lac"
    taps = run("info", filtered, "--json").records[0]["filter_taps"]
    assert taps > 0
    assert f"network fast and {taps} taps of its own\n" in run("info", filtered).text


def test_networks_that_are_not_there_are_usage_errors(
    run: Any, photo: Path, two_networks: None, monkeypatch: pytest.MonkeyPatch
):
    arrays = {key: array for key, array in safetensors.load(models.PHOTO.read_bytes()).items() if key[:5] != "best."}
    models.PHOTO.with_name("one.safetensors").write_bytes(
        safetensors.save(arrays, {"kind": "laconic.image", "version": "6"})
    )
    monkeypatch.setattr(models, "PHOTO", models.PHOTO.with_name("one.safetensors"))
    result = run("compress", photo, "--enhance", "best")
    assert (result.code, result.said) == (2, "error: the model has no network best; it has fast, ssim\n")
    assert run("compress", photo, "--enhance", "slow").code == 2
    assert run("compress", photo, "--enhance", "fast", "--lossless").code == 2
    assert run("compress", photo, "--enhance", "off", "--lossless").code == 0
    assert run("compress", photo, "-f").code == 0
    assert laconic.inspect("photo.lac").network == "fast"
    assert run("decompress", "photo.lac", "x.png", "--enhance", "best").code == 2
    assert run("decompress", "photo.lac", "x.png", "--enhance", "auto").code == 2
    assert not Path("x.png").exists()


def test_a_region_and_a_smaller_scale_are_restored(run: Any, lac: Path):
    whole = laconic.decompress(lac)
    assert run("decompress", lac, "part.png", "--region", "10,20,30,40").code == 0
    assert np.array_equal(load("part.png").pixels, whole[20:60, 10:40])
    assert run("decompress", lac, "half.png", "--scale", "1/2").code == 0
    assert np.array_equal(load("half.png").pixels, laconic.decompress(lac, scale=1))
    record = run("decompress", lac, "half.png", "--scale", "1/2", "-f", "--json").records[0]
    assert record["bpp"] == pytest.approx(laconic.inspect(lac).bpp, abs=1e-6)  # of the file, not of the smaller picture
    for words in (["--region", "10,20,30,40"], ["--scale", "1/2"]):
        kept = run("decompress", lac, "part.png", "-f", "--rm", *words)
        assert "photo.lac is kept: only a part of it was restored" in kept.said
    for words in (
        ["--region", "90,0,30,40"],
        ["--region", "1,2,3"],
        ["--region=-1,0,2,2"],
        ["--scale", "1/64"],
        ["--scale", "3"],
    ):
        assert run("decompress", lac, "no.png", *words).code == 2, words
    assert not Path("no.png").exists()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_convention_04_lossless_is_exact(run: Any, folder: Path, channels: int, dtype: type):
    pixels = photo_pixels(37, 41, channels, dtype=dtype)
    save("photo.png", Image(pixels))
    assert run("compress", "photo.png", "--lossless").code == 0
    assert laconic.inspect("photo.lac").lossless
    assert run("decompress", "photo.lac", "-o", "back.png").code == 0
    assert np.array_equal(load("back.png").pixels, pixels)


def test_convention_05_jobs_never_change_the_bytes(run: Any, folder: Path):
    save("big.png", Image(photo_pixels(600, 1100)))
    files: set[bytes] = set()
    for jobs in ("1", "2", "3", "all"):
        assert run("compress", "big.png", "-j", jobs, "-f").code == 0
        files.add(Path("big.lac").read_bytes())
    assert run("compress", "big.png", "-f").code == 0
    assert files == {Path("big.lac").read_bytes()}
    for wrong in ("0", "-1", "some"):
        assert run("compress", "big.png", f"--jobs={wrong}").code == 2
