"""Blocks: what is coded together. A tensor by itself or, joined into one row, small tensors of one kind.

A network has hundreds of vectors of some dozen numbers. Each alone would pay for the ends of its stream, for what its
tables have to learn, and for a size and a checksum; together they pay once. The price is that one of them is read with
the others, so a group is kept small.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.container.arrays import FORM_NAMES, MAX_GROUPS, NO_ERROR, Coding, Entry, Group, write_arrays
from laconic.signals.tensors import KINDS, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.signals.tensors import Arrays

__all__ = ["Block", "EncodedBlock", "blocks_of", "is_small", "packed", "written"]

MOST_OF_MEMBER = 1024
"""Elements of a tensor that goes into a group; of one with two axes and more, `MOST_OF_MATRIX`: its rows matter."""
MOST_OF_MATRIX = 64
MOST_OF_GROUP = 16384
"""Elements of a group: what is read and decoded for one small tensor."""


@dataclass(frozen=True, eq=False)
class Block:
    """What is coded together.

    Attributes
    ----------
    members : tuple of Tensor
        One, or several small ones of one kind.
    base : ndarray (n,) of words, or None
        What the base has for all members, one after the other.
    """

    members: tuple[Tensor, ...]
    base: NDArray[Any] | None = None

    @cached_property
    def tensor(self) -> Tensor:
        """The only member, or all of them as one row."""
        first = self.members[0]
        if len(self.members) == 1:
            return first
        words = np.concatenate([member.words for member in self.members])
        return Tensor("", first.kind, (len(words),), words)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Elements of each member."""
        return tuple(member.count for member in self.members)


@dataclass(frozen=True, eq=False)
class EncodedBlock:
    """A block's tensors in the index, and its payload; `check` is of all decoded words."""

    entries: tuple[Entry, ...]
    coding: Coding
    payload: bytes
    check: int

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.payload)


def blocks_of(
    tensors: Iterable[Tensor],
    base_of: Callable[[Tensor], NDArray[Any] | None],
    alike: Callable[[Tensor], Hashable] = lambda _: (),
) -> list[Block]:
    """Put small tensors into groups, those of nothing but 0 or 1 apart, and everything else into a block of its own.

    Parameters
    ----------
    base_of : callable
        The words of the base for a tensor, None where it has none.
    alike : callable
        Tensors go into one group only where this says the same of them.
    """
    blocks: list[Block] = []
    waiting: dict[Hashable, list[tuple[Tensor, NDArray[Any] | None]]] = {}
    held: dict[Hashable, int] = {}
    full: list[list[tuple[Tensor, NDArray[Any] | None]]] = []
    for tensor in tensors:
        base = base_of(tensor)
        if not is_small(tensor) or len(full) + len(waiting) >= MAX_GROUPS:
            blocks.append(Block((tensor,), base))
            continue
        key = (tensor.kind.name, base is not None, _constant(tensor) if base is None else None, alike(tensor))
        pairs = waiting.setdefault(key, [])
        if held.get(key, 0) + tensor.count > MOST_OF_GROUP:
            full.append(pairs)
            pairs = waiting[key] = []
            held[key] = 0
        pairs.append((tensor, base))
        held[key] = held.get(key, 0) + tensor.count
    for pairs in (*full, *waiting.values()):
        bases = [base for _, base in pairs if base is not None]
        blocks.append(Block(tuple(tensor for tensor, _ in pairs), np.concatenate(bases) if bases else None))
    return blocks


def packed(
    block: Block, coding: Coding, payload: bytes, words: NDArray[Any] | None = None, rank: int = 0
) -> EncodedBlock:
    """Give a payload its entries; `words` are what a decoder gets, None for the block's own; `rank` of a correction."""
    found = block.tensor.words if words is None else words
    check = zlib.crc32(np.ascontiguousarray(found).view(np.uint8).data)
    is_alone = len(block.members) == 1
    own = (coding, len(payload), check) if is_alone else (Coding.GROUPED, 0, 0)  # the writer numbers the groups
    entries: list[Entry] = []
    at = 0
    for member in block.members:
        noise = NO_ERROR if words is None else _noise(member, found[at : at + member.count])
        entries.append(Entry(member.name, KINDS.index(member.kind), member.shape, *own, noise, rank=rank))
        at += member.count
    return EncodedBlock(tuple(entries), coding, payload, check)


def written(arrays: Arrays, encoded: Sequence[EncodedBlock], base: bytes = b"") -> bytes:
    """The file of encoded blocks.

    Parameters
    ----------
    encoded : sequence of EncodedBlock
        All tensors, in any order.
    base : bytes
        Fingerprint of the base; it is named only where a block needs it.
    """
    places = {tensor.name: place for place, tensor in enumerate(arrays.tensors)}
    entries: dict[int, Entry] = {}
    payloads = [b""] * len(places)
    groups: list[Group] = []
    for block in encoded:
        own = tuple(places[entry.name] for entry in block.entries)
        entries |= zip(own, (replace(entry, group=len(groups)) for entry in block.entries), strict=True)
        if len(own) == 1:
            entries[own[0]] = block.entries[0]
            payloads[own[0]] = block.payload
        else:
            groups.append(Group(block.entries[0].kind, block.coding, own, block.size, block.check))
            payloads.append(block.payload)
    return write_arrays(
        FORM_NAMES.index(arrays.form),
        [entries[place] for place in range(len(places))],
        payloads,
        arrays.metadata,
        groups=groups,
        base=base if any(block.coding.needs_base for block in encoded) else b"",
    )


def _constant(tensor: Tensor) -> int | None:
    """The word of 0 or 1 where a tensor has nothing else, as of norms that remember nothing.

    All of one such number make a group that takes no more than its head.
    """
    words = tensor.words
    if tensor.kind.group != "float" or not len(words) or (words != words[0]).any():
        return None
    value = float(replace(tensor, shape=(1,), words=words[:1]).numbers()[0])
    return int(words[0]) if value in {0.0, 1.0} else None


def is_small(tensor: Tensor) -> bool:
    """Whether a tensor goes into a group."""
    return tensor.count <= (MOST_OF_MEMBER if len(tensor.shape) < 2 else MOST_OF_MATRIX)


def _noise(tensor: Tensor, words: NDArray[Any]) -> int:
    """Signal-to-noise ratio in quarters of a decibel, 0 .. 254."""
    with np.errstate(all="ignore"):
        values = tensor.numbers().astype(np.float64)
        found = Tensor(tensor.name, tensor.kind, tensor.shape, words).numbers().astype(np.float64)
        finite = np.isfinite(values)
        signal, noise = (values[finite] ** 2).sum(), ((values - found)[finite] ** 2).sum()
    if noise == 0:
        return 254
    if not (0 < signal < np.inf and noise < np.inf):
        return 0
    return int(np.clip(round(4 * 10 * np.log10(signal / noise)), 0, 254))
