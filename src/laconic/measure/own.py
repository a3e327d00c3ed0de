"""laconic itself, behind the same calls as its peers and through the public functions a user calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import laconic
from laconic.codecs.image import DEFAULT_EFFORT
from laconic.measure.machine import laconic_version
from laconic.measure.peers import RGB, AbstractPeer


@dataclass(frozen=True)
class Laconic(AbstractPeer):
    """laconic, lossy; quality is that of ``laconic compress -q``."""

    name: str = "laconic"
    description: str = "laconic, default effort"
    qualities: Sequence[float] = (15, 25, 35, 45, 55, 65, 75, 83, 90, 94)
    threads: str = "1"
    lossless: bool = False
    jobs: int = 1
    network: str | None = None
    """Decoder-side network in place of the one that the file names."""
    asked: str = "auto"
    """The network the file is made for."""
    effort: int = DEFAULT_EFFORT
    tune: str = "psnr"

    def encode(self, pixels: RGB, quality: float) -> bytes:
        """Compress (H, W, 3) uint8 pixels to the bytes of a whole file."""
        return laconic.compress(
            pixels, quality=round(quality), effort=self.effort, network=self.asked, tune=self.tune, jobs=self.jobs
        )

    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a file."""
        return laconic.decompress(data, network=self.network, jobs=self.jobs).astype(np.uint8, copy=False)

    def version(self) -> str:
        """Version of the library behind it, for the record of a run."""
        return laconic_version()


@dataclass(frozen=True)
class LosslessLaconic(AbstractPeer):
    """laconic, lossless; it has one quality, 100."""

    name: str = "laconic-lossless"
    description: str = "laconic lossless"
    effort: int = DEFAULT_EFFORT
    qualities: Sequence[float] = (100,)
    threads: str = "1"
    lossless: bool = True
    jobs: int = 1

    def encode(self, pixels: RGB, quality: float) -> bytes:  # noqa: ARG002
        """Compress (H, W, 3) uint8 pixels to the bytes of a whole file."""
        return laconic.compress(pixels, lossless=True, effort=self.effort, jobs=self.jobs)

    def decode(self, data: bytes) -> RGB:
        """Restore (H, W, 3) uint8 pixels from the bytes of a file."""
        return laconic.decompress(data, jobs=self.jobs).astype(np.uint8, copy=False)

    def version(self) -> str:
        """Version of the library behind it, for the record of a run."""
        return laconic_version()


LOSSLESS_FAST = LosslessLaconic("laconic-lossless-e6", "laconic lossless, effort 6", effort=6)
"""The wavelet's way, which the default tries too; see `codecs.predicted` for the other."""

BY_NETWORK = (
    *(
        Laconic(name=f"laconic-{network}", description=f"laconic, decoded with network {network}", network=network)
        for network in ("off", "fast", "best")
    ),
    # The others are the same files, which leave out what network best adds: without it they lack more than they must.
    Laconic(name="laconic-for-off", description="laconic, files made for no network", asked="off"),
)

VARIANTS = (
    Laconic(name="laconic-e3", description="laconic, effort 3", effort=3),
    # It takes a second or two a file, so it has fewer points.
    Laconic(name="laconic-e9", description="laconic, effort 9", effort=9, qualities=(15, 30, 50, 70, 85, 94)),
    Laconic(name="laconic-ssim", description="laconic, tuned for MS-SSIM", tune="ssim"),
)
