"""Size, rate and PSNR targets: met on the right side, and refused by name where no step meets them."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import laconic as lac
from laconic.codecs import targets
from laconic.codecs.image import ImageCodec
from laconic.codecs.targets import MAX_TRIALS, Target, find_code, psnr
from laconic.errors import TargetUnreachable, UsageError
from laconic.quantize import rdo
from laconic.quantize.steps import CODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


MOST_ENCODES = 6


@pytest.fixture
def encodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the step code of every encode."""
    found: list[int] = []
    code_tiles = ImageCodec.code_tiles

    def counted(self: ImageCodec, analysis: Any, header: Any, *others: Any, **choices: Any) -> Any:
        found.append(header.step_code)
        return code_tiles(self, analysis, header, *others, **choices)

    monkeypatch.setattr(ImageCodec, "code_tiles", counted)
    return found


@pytest.mark.parametrize("effort", [1, 3, 5])
@pytest.mark.parametrize("size", [700, 3000, 20_000])
def test_a_size_is_met_from_below_and_used_up(size: int, effort: int, photo: NDArray[np.uint8], encodes: list[int]):
    data = lac.compress(photo, size=size, effort=effort)
    assert 0.985 * size <= len(data) <= size
    assert lac.inspect(data).quality is None
    assert len(encodes) <= MOST_ENCODES


@pytest.mark.parametrize("bpp", [0.2, 1.0, 4.0])
def test_a_rate_is_a_size(bpp: float, photo: NDArray[np.uint8], encodes: list[int]):
    data = lac.compress(photo, bpp=bpp, effort=6)
    assert 0.985 * bpp <= 8 * len(data) / (photo.shape[0] * photo.shape[1]) <= bpp
    assert len(encodes) <= MOST_ENCODES


# PSNR goes up and down a little from place to place; without a trellis, in so small a picture, 45 dB lie in a gap.
@pytest.mark.parametrize(
    ("effort", "least"), [(3, 26.0), (3, 33.3), (5, 26.0), (5, 33.3), (5, 45.0), (6, 26.0), (6, 33.3), (6, 45.0)]
)
def test_a_psnr_is_met_from_above(least: float, effort: int, photo: NDArray[np.uint8], encodes: list[int]):
    data = lac.compress(photo, psnr=least, effort=effort)
    assert least <= psnr(photo, lac.decompress(data)) <= least + 0.05
    assert len(encodes) <= MOST_ENCODES


@pytest.mark.parametrize("bpp", [0.2, 0.5, 2.0])
def test_noise_uses_a_rate_up_too(bpp: float):
    # Its symbols come and go all at once: sizes jump, wherever the search looks.
    noise = np.random.default_rng(0).integers(0, 256, (128, 160, 3)).astype(np.uint8)
    size = len(lac.compress(noise, bpp=bpp, effort=5))
    assert 0.85 * bpp <= 8 * size / (128 * 160) <= bpp


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_targets_of_small_pictures_are_never_missed_on_the_wrong_side(data: st.DataObject):
    shape = (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)), data.draw(st.sampled_from([1, 3, 4])))
    pixels = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 256, shape).astype(np.uint8)
    effort = data.draw(st.sampled_from([1, 3, 5]))
    size, least = data.draw(st.integers(20, 4000)), data.draw(st.floats(5, 60))
    with contextlib.suppress(TargetUnreachable):
        assert len(lac.compress(pixels, size=size, effort=effort, jobs=1)) <= size
    with contextlib.suppress(TargetUnreachable):
        restored = lac.decompress(lac.compress(pixels, psnr=least, effort=effort, jobs=1))
        assert psnr(pixels, restored) >= least


@pytest.mark.parametrize(
    ("target", "words"), [({"size": 40}, "40"), ({"bpp": 0.001}, "coarsest"), ({"psnr": 99.0}, "lossless")]
)
def test_what_no_step_reaches_is_refused_by_name(target: dict[str, Any], words: str, photo: NDArray[np.uint8]):
    with pytest.raises(TargetUnreachable, match=words):
        lac.compress(photo, **target)


def test_a_flat_picture_reaches_any_psnr():
    flat = np.full((40, 40, 3), 128, np.uint8)
    assert np.array_equal(lac.decompress(lac.compress(flat, psnr=90)), flat)


@pytest.mark.parametrize(
    "asked",
    [
        {"quality": 60, "bpp": 1.0},
        {"quality": 60, "lossless": True},
        {"size": 1000, "psnr": 30.0},
        {"quality": -1},
        {"quality": 101},
        {"quality": 60.5},
        {"bpp": 0.0},
        {"bpp": float("nan")},
        {"psnr": float("inf")},
        {"size": 0},
        {"size": -5},
        {"effort": 0},
        {"effort": 11},
        {"jobs": 0},
        {"tile": 100},
        {"tile": 0},
        {"tile": 16_384},
    ],
    ids=str,
)
def test_settings_that_do_not_exist_are_refused(asked: dict[str, Any]):
    with pytest.raises(UsageError):
        lac.ImageCodec(**asked)


def test_the_search_is_short_and_right_on_any_falling_curve():
    rng = np.random.default_rng(1)
    for _ in range(200):
        lengths = np.sort(rng.integers(10, 100_000, 768))[::-1]
        if rng.random() < 0.3:
            lengths[: rng.integers(768)] = 100_000  # a cliff
        limit = int(rng.integers(lengths[-1], 120_000))
        trials: list[int] = []

        def attempt(code: int, _: rdo.Rdo, lengths: Any = lengths, trials: list[int] = trials) -> bytes:
            trials.append(code)
            return bytes(int(lengths[code]))

        found = find_code(
            Target(size=limit),
            attempt,
            np.zeros(101, np.uint16),
            rdo.TRELLIS,
            pixels=64,
            size=len,
            quality=lambda _: 0.0,
        )
        assert len(found) == max(int(lengths[code]) for code in trials if lengths[code] <= limit)
        assert len(trials) <= MAX_TRIALS + 1


def trials_for(target: Target, decisions: rdo.Rdo, figure: Callable[[int, rdo.Rdo], float]) -> list[float]:
    """Return the figures that a search sees, the one it chooses last; PSNR is the figure, bytes are 8 times 2 to it."""
    seen: list[float] = []

    def attempt(code: int, decisions: rdo.Rdo) -> float:
        seen.append(figure(code, decisions))
        return seen[-1]

    found = find_code(
        target, attempt, np.zeros(101, np.uint16), decisions,
        pixels=64, size=lambda found: round(8 * 2**found), quality=lambda found: found,
    )  # fmt: skip
    return [*seen, found]


@pytest.mark.parametrize("kind", [-2.0, 0.0, 0.7, 2.3])
@pytest.mark.parametrize("least", [27.0, 32.5, 40.0, 46.0])
def test_a_photo_of_any_kind_takes_three_encodes(least: float, kind: float):
    curve = np.array(targets.TYPICAL_PSNR) + kind * np.array(targets.SPREAD_PSNR)

    def figure(code: int, decisions: rdo.Rdo) -> float:
        finer = (1 - decisions.weight / rdo.TRELLIS.weight) / rdo.WEIGHT_OF_A_CODE
        return float(np.interp(code - finer, targets.TYPICAL_CODES, curve))

    *seen, found = trials_for(Target(psnr=least), rdo.TRELLIS, figure)
    assert least <= found <= least + targets.PSNR_SLACK
    assert len(seen) <= 3


@pytest.mark.parametrize("place", [530.0, 545.3, 551.8])
@pytest.mark.parametrize("height", [0.12, 0.2])
def test_a_jump_past_a_psnr_is_passed_with_lighter_bits(height: float, place: float):
    # As seen in a photo: at a coarser code the jump comes at a lighter bit, but not one as light as equal PSNR takes.
    def figure(code: int, decisions: rdo.Rdo) -> float:
        lighter = 1 - decisions.weight / rdo.TRELLIS.weight
        above = code + 0.5 - lighter / 0.025 < place
        return 30.0 - 0.058 * (code - lighter / 0.039 - place) + height * (0.5 if above else -0.5)

    def stuck(code: int, decisions: rdo.Rdo) -> float:
        return figure(code, decisions) if decisions.weight > 0.94 * rdo.TRELLIS.weight else 0.0

    codes = [stuck(*rdo.between_codes(k, rdo.TRELLIS)) for k in range(rdo.POSITIONS)]
    assert not any(30.0 <= figure <= 30.05 for figure in codes)
    *seen, found = trials_for(Target(psnr=30.0), rdo.TRELLIS, figure)
    assert 30.0 <= found <= 30.05
    assert len(seen) <= MOST_ENCODES


@pytest.mark.parametrize("limit", [300, 2000, 30_000])
@pytest.mark.parametrize("steep", [10, 60])
def test_curves_like_no_photos_are_used_up_too(steep: int, limit: int):
    def figure(code: int, decisions: rdo.Rdo) -> float:
        finer = (1 - decisions.weight / rdo.TRELLIS.weight) / rdo.WEIGHT_OF_A_CODE
        return 13.0 / (1 + math.exp((code - finer - 640) / steep))

    *seen, found = trials_for(Target(size=limit), rdo.TRELLIS, figure)
    assert 0.94 * limit <= round(8 * 2**found) <= limit
    assert found == max(figure for figure in seen if round(8 * 2**figure) <= limit)
    assert len(seen) <= MAX_TRIALS


@pytest.mark.parametrize("decisions", [rdo.PLAIN, rdo.SCALAR, rdo.TRELLIS], ids=["plain", "scalar", "trellis"])
def test_between_two_codes_the_quantizer_decides_a_little_finer(decisions: rdo.Rdo):
    places = [rdo.between_codes(position, decisions) for position in range(rdo.POSITIONS)]
    assert places[:: rdo.PARTS] == [(code, decisions) for code in range(CODES)]
    for code, changed in places:
        assert 0 <= code < CODES
        assert decisions.weight * (1 - rdo.WEIGHT_OF_A_CODE) <= changed.weight <= decisions.weight
        assert changed.rounding >= decisions.rounding
