"""The settings of codecs of chunks, said once for Zarr and numcodecs: they stand in the metadata of an array."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from laconic.codecs.array import Bound
from laconic.codecs.image import DEFAULT_EFFORT, DEFAULT_QUALITY, ImageCodec

__all__ = ["NumberSettings", "PictureSettings"]


@dataclass(frozen=True)
class NumberSettings:
    """Chunks of numbers, dates or truth values, without loss or with a bound on every element.

    Parameters
    ----------
    max_error : float, optional
        No element is off by more, in units of the values. None keeps every bit.

    Raises
    ------
    UsageError
        A bound that is no number above 0.
    """

    max_error: float | None = None

    def __post_init__(self) -> None:
        if self.max_error is not None:
            object.__setattr__(self, "max_error", Bound(float(self.max_error)).value)


@dataclass(frozen=True)
class PictureSettings:
    """Chunks that are one picture each: (H, W) or (H, W, C) of uint8 or uint16, C of 1 to 4.

    Axes of length one may come before, so ``(1, H, W, 3)`` is a chunk of a film.

    Parameters
    ----------
    quality, bpp, psnr, lossless, effort, network, tune
        As for `laconic.compress`: one target at most, and quality 75 without one.

    Raises
    ------
    UsageError
        A value out of range, or more than one target.
    """

    quality: int | None = None
    bpp: float | None = None
    psnr: float | None = None
    lossless: bool = False
    effort: int = DEFAULT_EFFORT
    network: str = "auto"
    tune: str = "psnr"

    def __post_init__(self) -> None:
        if (self.quality, self.bpp, self.psnr, self.lossless) == (None, None, None, False):
            object.__setattr__(self, "quality", DEFAULT_QUALITY)
        self.picture_codec()

    def picture_codec(self) -> ImageCodec:
        """The codec of these settings, on one thread: whoever reads chunks has several at once."""
        chosen = asdict(self)
        return ImageCodec(**{field.name: chosen[field.name] for field in fields(PictureSettings)}, jobs=1)
