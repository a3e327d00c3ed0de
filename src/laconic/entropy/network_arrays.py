"""The arrays of the networks that see contexts, as a model holds them: taken by name and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["LARGEST_SUM", "LAST_CODE", "MOST_INPUT", "MOST_ODDS", "MOST_UNIT", "check_shifts", "take"]

LARGEST_SUM = (1 << 31) - 1
LAST_CODE = 767
MOST_INPUT, MOST_UNIT, MOST_ODDS = 31, 32767, 2047
MOST_SHIFT = 30


def take(
    arrays: Mapping[str, NDArray[Any]], prefix: str, shapes: Mapping[str, tuple[str, tuple[int, ...]]]
) -> dict[str, NDArray[Any]]:
    """Return the arrays named `prefix` + name, by name, in one piece each.

    Raises
    ------
    ModelError
        One is missing, or of another type or shape.
    """
    taken: dict[str, NDArray[Any]] = {}
    for name, (kind, shape) in shapes.items():
        array = arrays.get(prefix + name)
        if array is None:
            raise ModelError(f"the model has no array {prefix + name}")
        if array.dtype.name != kind or array.shape != shape:
            raise ModelError(f"{prefix + name} is {array.dtype.name}{array.shape}, expected {kind}{shape}")
        taken[name] = np.ascontiguousarray(array)
    return taken


def check_shifts(prefix: str, *shifts: NDArray[np.uint8]) -> None:
    """Refuse shifts that leave nothing of 32 bits, or more, with a ModelError."""
    if max(int(of.max()) for of in shifts) > MOST_SHIFT:
        raise ModelError(f"{prefix}: a shift of more than {MOST_SHIFT}")
