"""What tests of quantizers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import laconic as lac
from laconic import _native

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


@pytest.fixture(scope="session")
def files_of_all_sets() -> Callable[[np.ndarray, int, str], set[tuple[bytes, bytes]]]:
    """Code a picture at a quality for "psnr" or "ssim" by every instruction set; the different (file, pixels) found."""

    def code(picture: np.ndarray, quality: int, tune: str) -> set[tuple[bytes, bytes]]:
        found: set[tuple[bytes, bytes]] = set()
        used = _native.instruction_set()
        try:
            for name in _native.instruction_sets():
                _native.use_instruction_set(name)
                data = lac.compress(picture, quality=quality, tune=tune, network="off")
                found.add((data, lac.decompress(data).tobytes()))
        finally:
            _native.use_instruction_set(used)
        return found

    return code
