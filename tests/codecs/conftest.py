"""A model with a network for the tests of the codecs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from laconic.codecs import image, image_decoder, image_reference, stream
from laconic.models import default_model
from laconic.transform.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.models import ImageModel


@pytest.fixture
def networked(monkeypatch: pytest.MonkeyPatch) -> ImageModel:
    """Give the shipped model a network of random weights whose corrections are large."""
    rng = np.random.default_rng(2)
    model = default_model()

    def numbers(kind: Any, low: int, high: int, *shape: int) -> NDArray[Any]:
        return rng.integers(low, high, shape).astype(kind)

    c, e, n = 16, 32, 3
    shapes = {"input": (c, 48), "mix": (n, c, c), "merge": (n, c, c), "expand": (n, e, c), "contract": (n, c, e)}
    weights = {**shapes, "output": (48, c), "spread": (n, c, 9)}
    arrays = {f"{name}_weight": numbers(np.int16, -3000, 3000, *shape) for name, shape in weights.items()}
    for name, shape in (("input", (13, c)), ("mix", (13, n, c)), ("expand", (13, n, e)), ("output", (13, 48))):
        arrays[f"{name}_scale"] = numbers(np.int32, 1 << 15, 1 << 16, *shape)
        arrays[f"{name}_bias"] = numbers(np.int32, -2000, 2000, *shape)
    arrays |= {"exponents": np.full(7, 13, np.uint8), "codes": np.array([0, 767], np.uint16)}
    changed = replace(model, networks={"fast": Network.of(arrays, "")})
    for module in (image_decoder, image_reference, stream):
        monkeypatch.setattr(module, "find_model", lambda _: changed)
    for module in (image, stream):
        monkeypatch.setattr(module, "default_model", lambda: changed)
    return changed
