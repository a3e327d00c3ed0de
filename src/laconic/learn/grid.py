"""The quantized wavelet coefficients of a picture on one grid, channels coarse to fine, and back to pixels.

A cell of the grid is a square of 8 or 16 pixels. The low band of that scale is one channel of each plane; a band that
is 2^k times finer gives 2^k x 2^k channels, one for each place within the cell. Channels go from coarse levels to fine
ones, and within a level by the energy that bands have in photographs, so the first channels alone are a valid, smaller
representation: 12, 48 and 192 channels of an 8-pixel grid are the picture at a quarter, half and full size. (Twins of
this order on the coefficients of JPEG: Gueguen et al., "Faster Neural Networks Straight from JPEG", NeurIPS 2018.)

Detail channels hold the codec's own symbols (`ImageCodec.latents`). The codec splits the low band further, which no
longer fits the grid; these levels are put together again and quantized anew, with a step that fits 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from laconic.container.layout import LEVELS, band_index, low_size
from laconic.errors import UsageError
from laconic.models import default_model
from laconic.quantize.steps import LOW_NORMS, PLANE_NORMS, band_steps, base_step_units
from laconic.quantize.uniform import dequantize
from laconic.transform import color, lifting
from laconic.transform.lifting import Wavelet
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from laconic.codecs.latents import Latents

__all__ = ["LIMIT", "PLANES", "STRIDES", "Channel", "Grid"]

PLANES = 3
STRIDES = (8, 16)
LIMIT = 127
"""Symbols are saturated to -127 .. 127, so that a record is bytes."""
LOW = -1
STEPS_PER_PIXEL = 4096  # steps are in 1/256 of a transform unit, which is 1/16 of a pixel value
SMALLEST_LOW_STEP = 17 * 256  # 127 of these reach past the range of pixels and what the filters overshoot
MOST_PIXELS = 1 << 24

# Energy of a coefficient's share in RGB, in dB, for levels 1 .. 4 and HL, LH, HH: means of 70 photographs.
ENERGY = (
    ((19.7, 20.3, 14.3), (27.8, 28.5, 23.0), (35.3, 36.3, 30.2), (43.1, 43.2, 37.5)),
    ((6.9, 7.9, 1.7), (15.6, 16.6, 11.1), (23.4, 24.5, 19.0), (31.3, 32.3, 26.5)),
    ((4.9, 5.6, -0.5), (13.7, 14.6, 8.6), (22.1, 23.7, 16.9), (30.5, 30.9, 25.1)),
)


class Channel(NamedTuple):
    """What one channel of the grid holds.

    Attributes
    ----------
    plane : int
        0 Y, 1 Cb, 2 Cr.
    level : int
        1 finest; log2 of the stride is the coarsest.
    orientation : int
        -1 low, 0 HL (horizontally high), 1 LH, 2 HH.
    row, column : int
        Which coefficient of a cell, 0 .. stride / 2^level - 1.
    """

    plane: int
    level: int
    orientation: int
    row: int
    column: int


@dataclass(frozen=True)
class Grid:
    """How coefficients of pictures of one size lie on a grid; everything else follows from five numbers.

    Parameters
    ----------
    height, width : int
        Of the pictures, in pixels: multiples of the stride.
    quality : int
        0 .. 100, as of `ImageCodec`.
    stride : int
        8 or 16 pixels to a cell.
    channels : int
        How many are kept, at most 3 * stride^2.
    stored_steps : tuple of int
        Steps as a manifest holds them, to read without the model; empty: those of the installed model.

    Raises
    ------
    UsageError
        A number out of range.
    """

    height: int
    width: int
    quality: int
    stride: int = 8
    channels: int = 48
    stored_steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.stride not in STRIDES:
            raise UsageError(f"the stride is {self.stride}, expected 8 or 16 pixels")
        for name, size in (("height", self.height), ("width", self.width)):
            if size < self.stride or size % self.stride:
                raise UsageError(f"the {name} is {size} pixels, expected a multiple of the stride of {self.stride}")
        if self.height * self.width > MOST_PIXELS:
            raise UsageError(f"pictures of {self.height} x {self.width} pixels are too large for a grid of latents")
        if not 0 <= self.quality <= 100:
            raise UsageError(f"the quality is {self.quality}, expected 0 .. 100")
        if not 1 <= self.channels <= PLANES * self.stride**2:
            raise UsageError(
                f"{self.channels} channels, expected 1 .. {PLANES * self.stride**2} at a stride of 8 or 16"
            )
        if self.stored_steps and (
            len(self.stored_steps) != self.channels or not all(16 <= step < 1 << 31 for step in self.stored_steps)
        ):
            raise UsageError(f"{len(self.stored_steps)} steps, expected {self.channels} from 16 upward")

    @property
    def level(self) -> int:
        """The wavelet level of one coefficient to a cell."""
        return self.stride.bit_length() - 1

    @property
    def rows(self) -> int:
        """Cells from top to bottom."""
        return self.height // self.stride

    @property
    def columns(self) -> int:
        """Cells from left to right."""
        return self.width // self.stride

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, h, w) of the latents of one picture."""
        return self.channels, self.rows, self.columns

    @cached_property
    def layout(self) -> tuple[Channel, ...]:
        """What each channel holds."""
        return channel_order(self.stride)[: self.channels]

    @cached_property
    def steps(self) -> NDArray[np.uint32]:
        """(C,) uint32: quantization step of each channel, in 1/4096 of a pixel value."""
        if self.stored_steps:
            return np.array(self.stored_steps, np.uint32)
        model = default_model()
        code = int(model.quality_codes[self.quality])
        bands = band_steps(code, model.lossy[model.set_for(code)].ratio, depth=8)
        low = self._low_steps(code)
        return np.array(
            [low[c.plane] if c.orientation == LOW else bands[c.plane, band_index(c.level, c.orientation)]
             for c in self.layout], np.uint32
        )  # fmt: skip

    def _low_steps(self, code: int) -> list[int]:
        """As fine as the other bands: an error of one step is the same error in RGB."""
        base, norm = base_step_units(code, depth=8), LOW_NORMS[self.level - 1] ** 2
        return [max(SMALLEST_LOW_STEP, int(base / (norm * PLANE_NORMS[plane]))) for plane in range(PLANES)]

    @cached_property
    def scales(self) -> NDArray[np.float32]:
        """(C,) float32: symbols times these are coefficients in pixel values."""
        return (self.steps / np.float32(STEPS_PER_PIXEL)).astype(np.float32)

    def arrange(self, latents: Latents) -> tuple[NDArray[np.int8], int]:
        """Put the coefficients of one picture onto the grid.

        Parameters
        ----------
        latents : Latents
            Of a picture of three planes of this grid's size and quality.

        Returns
        -------
        ndarray (C, h, w) int8, and how many symbols were saturated
        """
        if latents.symbols.shape != (PLANES, self.height, self.width):
            raise UsageError(f"latents of {latents.symbols.shape} do not fit a grid of {self.height} x {self.width}")
        arranged = np.empty(self.shape, np.int8)
        saturated = 0
        low = self._low(latents)
        for number, channel in enumerate(self.layout):
            if channel.orientation == LOW:
                step = int(self.steps[number])
                units = low[channel.plane].astype(np.int64) << 8
                symbols = (2 * units + step) // (2 * step)
            else:
                phases = self.stride >> channel.level
                band = latents.band(channel.level, channel.orientation)[channel.plane]
                symbols = band[channel.row :: phases, channel.column :: phases]
            clipped = np.clip(symbols, -LIMIT, LIMIT)
            saturated += int(np.count_nonzero(clipped != symbols))
            arranged[number] = clipped
        return arranged, saturated

    def _low(self, latents: Latents) -> NDArray[np.int16]:
        """Put the levels coarser than the grid together again; (P, h, w) in 1/16 of a pixel value."""
        low = np.zeros((PLANES, self.rows, self.columns), np.int64)
        for level in range(LEVELS, self.level, -1):
            top, left = low_size(self.height, level), low_size(self.width, level)
            for orientation in range(-1 if level == LEVELS else 0, 3):
                number = 0 if orientation < 0 else band_index(level, orientation)
                band = latents.band(level, orientation)
                rows, columns = band.shape[1:]
                y, x = top * (orientation in (1, 2)), left * (orientation in (0, 2))
                for plane in range(PLANES):
                    low[plane, y : y + rows, x : x + columns] = dequantize(
                        band[plane], int(latents.steps[plane, number])
                    )
        planes = np.ascontiguousarray(np.clip(low, -32768, 32767).astype(np.int16))
        _lift_low(planes, LEVELS - self.level)
        return planes

    def planes(self, arranged: NDArray[np.int8]) -> NDArray[np.int16]:
        """Undo `arrange`: return planes (P, H, W) in 1/16 of a pixel value; channels that are missing are zero.

        Parameters
        ----------
        arranged : ndarray (c, h, w) int8
            The first c channels.
        """
        planes = np.zeros((PLANES, self.height, self.width), np.int16)
        for number, channel in enumerate(self.layout[: len(arranged)]):
            step = int(self.steps[number])
            value = arranged[number].astype(np.int64)
            units = np.sign(value) * ((np.abs(value) * step + 128) >> 8)
            units = np.clip(units, -32768, 32767)
            y = (self.height >> channel.level) * (channel.orientation in (1, 2))
            x = (self.width >> channel.level) * (channel.orientation in (0, 2))
            phases = 1 if channel.orientation == LOW else self.stride >> channel.level
            part = planes[channel.plane, y : y + phases * self.rows, x : x + phases * self.columns]
            part[channel.row :: phases, channel.column :: phases] = units
        with Workers(1) as workers:
            for level in reversed(range(self.level)):
                height, width = self.height >> level, self.width >> level
                for columns, extent, across in ((True, height, width), (False, width, height)):
                    lifting.lift(
                        planes, [Wavelet.CDF97] * PLANES, workers,
                        columns=columns, extent=extent, across=across, inverse=True,
                    )  # fmt: skip
        return planes

    def pixels(self, arranged: NDArray[np.int8]) -> NDArray[np.uint8]:
        """Return the picture (H, W, 3) uint8 that the first channels (c, h, w) int8 stand for."""
        with Workers(1) as workers:
            return color.synthesize(self.planes(arranged), lossless=False, workers=workers)

    def describe(self) -> dict[str, Any]:
        """What a reader needs who knows neither the model nor this file, for the manifest."""
        return {
            "height": self.height,
            "width": self.width,
            "quality": self.quality,
            "stride": self.stride,
            "channels": self.channels,
            "layout": [list(channel) for channel in self.layout],
            "steps": self.steps.tolist(),
            "steps_per_pixel_value": STEPS_PER_PIXEL,
        }


def _lift_low(planes: NDArray[np.int16], levels: int) -> None:
    with Workers(1) as workers:
        for level in reversed(range(levels)):
            height, width = low_size(planes.shape[1], level), low_size(planes.shape[2], level)
            for columns, extent, across in ((True, height, width), (False, width, height)):
                lifting.lift(
                    planes, [Wavelet.CDF97] * PLANES, workers,
                    columns=columns, extent=extent, across=across, inverse=True,
                )  # fmt: skip


def channel_order(stride: int) -> tuple[Channel, ...]:
    """List all channels of a grid, coarse to fine and by energy."""
    coarsest = stride.bit_length() - 1
    order = [Channel(plane, coarsest, LOW, 0, 0) for plane in range(PLANES)]
    for level in range(coarsest, 0, -1):
        bands = sorted(
            ((plane, orientation) for plane in range(PLANES) for orientation in range(3)),
            key=lambda band: (-ENERGY[band[0]][level - 1][band[1]], band),
        )
        for plane, orientation in bands:
            order += [Channel(plane, level, orientation, *place) for place in places(stride >> level)]
    return tuple(order)


def places(phases: int) -> list[tuple[int, int]]:
    """List the coefficients of a band within a cell so that late ones lie between early ones: a quincunx, halved."""
    if phases == 1:
        return [(0, 0)]
    coarse = places(phases // 2)
    return [(2 * y + dy, 2 * x + dx) for dy, dx in ((0, 0), (1, 1), (0, 1), (1, 0)) for y, x in coarse]
