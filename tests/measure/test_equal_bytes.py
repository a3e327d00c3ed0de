"""Peers are shown at the size nearest to laconic's, found in few encodings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from laconic.measure.allocation import allocation
from laconic.measure.equal_bytes import near_bytes
from laconic.measure.peers import RGB, AbstractPeer

PIXELS = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True)
class Toy(AbstractPeer):
    """Its file grows by a tenth with each quality number."""

    name: str = "toy"
    description: str = "zeros"
    qualities: Sequence[float] = (10, 40, 70)
    threads: str = "1"
    lossless: bool = False
    asked: list[float] = field(default_factory=list)

    def encode(self, pixels: RGB, quality: float) -> bytes:  # noqa: ARG002
        self.asked.append(quality)
        return bytes(round(100 * 1.1**quality))

    def decode(self, data: bytes) -> RGB:
        raise NotImplementedError

    def version(self) -> str:
        return "1"


@pytest.mark.parametrize("quality", [10, 11, 33, 40, 69, 70])
def test_the_nearest_file_is_found(quality):
    exact = round(100 * 1.1**quality)
    for size in (exact, round(exact * 1.03), round(exact * 0.97)):
        assert len(near_bytes(Toy(), PIXELS, size)) == exact


def test_known_points_spare_encodings():
    toy = Toy()
    known = {quality: round(100 * 1.1**quality) for quality in (10, 40, 70)}
    near_bytes(toy, PIXELS, known[40], known=known)
    assert toy.asked == [40]


@pytest.mark.parametrize("size", [1, 10**6])
def test_out_of_reach_the_end_is_taken(size):
    assert len(near_bytes(Toy(), PIXELS, size)) == round(100 * 1.1 ** (10 if size == 1 else 70))


def test_bits_go_where_the_picture_is_busy():
    pixels = np.full((96, 150, 3), 128, np.uint8)
    pixels[:64, 64:128] = np.random.default_rng(1).integers(0, 256, (64, 64, 3))
    found = allocation(pixels, 60)
    assert found.sizes.shape == (len(found.groups), 2, 3)
    total = found.sizes.sum(axis=0)
    assert total.argmax() == 1
    assert total[0, 1] > 5 * total[1, 0]
