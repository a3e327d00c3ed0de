"""Bases: the tensors that others are coded as differences to, and the fingerprint by which a file names them.

A fingerprint is made from names, kinds, shapes and checksums of what the tensors decode to. So a base may be kept in
any file that gives back its bits, and a `.lac` file tells most of it from its index alone.
"""

from __future__ import annotations

import hashlib
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.container.arrays import FINGERPRINT
from laconic.container.cursor import varint
from laconic.signals.tensors import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from laconic.signals.tensors import Arrays, Kind, Tensor

__all__ = ["AbstractBase", "LoadedBase", "base_words", "check_of", "fingerprint_of"]


class AbstractBase(ABC):
    """What can be a base."""

    @property
    @abstractmethod
    def fingerprint(self) -> bytes:
        """16 bytes, see `fingerprint_of`."""

    @abstractmethod
    def words_like(self, name: str, kind: Kind, shape: tuple[int, ...]) -> NDArray[Any] | None:
        """The words (n,) of the tensor of this name, None where there is none of the same kind and shape."""


class LoadedBase(AbstractBase):
    """Arrays in memory."""

    def __init__(self, arrays: Arrays) -> None:
        self._tensors = {tensor.name: tensor for tensor in arrays.tensors}
        self._fingerprint: bytes | None = None

    @property
    def fingerprint(self) -> bytes:
        """As `AbstractBase` has it."""
        if self._fingerprint is None:
            rows = [(t.name, KINDS.index(t.kind), t.shape, check_of(t.words)) for t in self._tensors.values()]
            self._fingerprint = fingerprint_of(rows)
        return self._fingerprint

    def words_like(self, name: str, kind: Kind, shape: tuple[int, ...]) -> NDArray[Any] | None:
        """As `AbstractBase` has it."""
        found = self._tensors.get(name)
        return found.words if found is not None and (found.kind, found.shape) == (kind, shape) else None


def base_words(base: AbstractBase | None) -> Callable[[Tensor], NDArray[Any] | None]:
    """What `blocks_of` asks for each tensor."""
    return lambda tensor: None if base is None else base.words_like(tensor.name, tensor.kind, tensor.shape)


def check_of(words: NDArray[Any]) -> int:
    """CRC-32 of words, least significant byte first."""
    return zlib.crc32(np.ascontiguousarray(words).view(np.uint8).data)


def fingerprint_of(rows: Iterable[tuple[str, int, tuple[int, ...], int]]) -> bytes:
    """The first 16 bytes of the SHA-256 of a table.

    Parameters
    ----------
    rows : iterable of (name, number of the kind, shape, CRC-32 of the words)
        In any order.
    """
    table = hashlib.sha256()
    for name, kind, shape, check in sorted(rows):
        spelled = name.encode()
        table.update(varint(len(spelled)) + spelled + bytes([kind, len(shape)]))
        table.update(b"".join(side.to_bytes(8, "little") for side in shape) + check.to_bytes(4, "little"))
    return table.digest()[:FINGERPRINT]
