# pyright: basic
"""The first layers of a network on latents: the last steps of the wavelet, undone again.

On the grid each place within a cell is a channel of its own, so a convolution has other weights for each of them:
nothing tells it that a picture moved by two pixels is the same picture, and on few pictures it learns them by heart.
The inverse of the wavelet is a linear map without weights. Undoing its coarsest level or two puts coefficients back
where they lie in the picture, on fewer and larger maps, and the convolutions behind share their weights as on pixels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from laconic.learn.grid import LOW, PLANES, Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.learn.dataset import LatentDataset

__all__ = ["PartialSynthesis", "SynthesisConvolution", "random_prefixes", "synthesis_matrix"]

PREFIXES = (3, 12, 24, 48, 96, 192, 384)
"""Low channels, the coarsest level, and of each finer one luma and all of it."""
BANDS = (0, 1, 2)
# Those of `transform/lifting_reference.py`, as real numbers.
ALPHA, BETA, GAMMA, DELTA, UNIT = (1 + 19206 / 2**15, 1736 / 2**15, 28931 / 2**15, 14533 / 2**15, 26637 / 2**15)


@lru_cache(maxsize=32)
def synthesis_matrix(size: int) -> torch.Tensor:
    """Return the matrix (N, N) that makes N samples of a row, N even, from N / 2 low and N / 2 high coefficients."""
    rows = torch.eye(size, dtype=torch.float64)
    s, d = rows[:, : size // 2] / UNIT, rows[:, size // 2 :].clone()

    def around_low() -> torch.Tensor:
        return torch.cat([d[:, :1], d[:, :-1]], 1) + d

    def around_high() -> torch.Tensor:
        return s + torch.cat([s[:, 1:], s[:, -1:]], 1)

    s = s - DELTA * around_low()
    d = d - GAMMA * around_high()
    s = s + BETA * around_low()
    d = d + ALPHA * around_high()
    return torch.stack([s, d], 2).reshape(size, size).T.to(torch.float32).contiguous()


class PartialSynthesis(nn.Module):
    """Latents (B, C, h, w), int8 symbols or float32 in pixel values -> maps (B, M, 2^k h, 2^k w) float32.

    The first three maps are the low band of Y, Cb and Cr, k levels finer than the grid has it. Nine more are the bands
    HL, LH and HH of that level where the data have them. All are divided by one number, the standard deviation of the
    low band of Y: a nearly empty channel that is brought to deviation 1 is noise.

    Parameters
    ----------
    layout : sequence of Channel
    stride : int
        Pixels to a cell.
    scales : Tensor (C,)
        Steps in pixel values.
    means : Tensor (C,)
        Of the symbols; those of the low channels are taken off.
    deviation : float
        Of the symbols of channel 0.
    levels : int
        k, 0 .. log2 of the stride.
    prefixes : bool
        While training, see `random_prefixes`.
    """

    scales: torch.Tensor
    offsets: torch.Tensor
    factor: torch.Tensor

    def __init__(
        self,
        layout: Sequence[Channel],
        stride: int,
        scales: torch.Tensor,
        means: torch.Tensor,
        deviation: float,
        *,
        levels: int = 1,
        prefixes: bool = False,
    ) -> None:
        super().__init__()
        self.prefixes = prefixes
        coarsest = stride.bit_length() - 1
        places = {channel: number for number, channel in enumerate(layout)}
        missing = len(layout)  # channels that the data do not have are zero; one stands behind the others
        self.low = [places.get(Channel(plane, coarsest, LOW, 0, 0), missing) for plane in range(PLANES)]
        self.details: list[list[int]] = []
        for level in range(coarsest, max(0, coarsest - levels - 1), -1):
            m = stride >> level
            wanted = [
                Channel(plane, level, band, row, column)
                for band in BANDS for plane in range(PLANES) for row in range(m) for column in range(m)
            ]  # fmt: skip
            self.details.append([places.get(channel, missing) for channel in wanted])
        self.last = self.details[levels] if len(self.details) > levels else []
        if all(number == missing for number in self.last):
            self.last = []
        self.details = self.details[:levels]
        self.is_whole = all(number != missing for numbers in (self.low, self.last, *self.details) for number in numbers)
        self.maps = PLANES * (1 + len(BANDS) * bool(self.last))
        self.register_buffer("scales", torch.cat([scales, torch.zeros(1)]))
        means = torch.cat([means * scales, torch.zeros(1)])
        self.register_buffer("offsets", means[self.low].view(-1, 1, 1))
        self.register_buffer("factor", 1 / (deviation * scales[0]).clone())

    @classmethod
    def of(cls, dataset: LatentDataset, *, levels: int = 1, prefixes: bool = False) -> PartialSynthesis:
        """For the channels that a data set reads."""
        manifest, count = dataset.manifest, dataset.channels
        grid = manifest.grid
        scales, means = (torch.from_numpy(part[:count].copy()) for part in (grid.scales, manifest.means))
        deviation = float(manifest.deviations[0])
        return cls(grid.layout[:count], grid.stride, scales, means, deviation, levels=levels, prefixes=prefixes)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """The maps."""
        with torch.autocast(latents.device.type, enabled=False):
            latents = self._whole(latents)
            low = self._low(latents)
            return torch.cat([low, self._placed(latents, self.last)], 1) if self.last else low

    @torch.no_grad()
    def squares(self, latents: torch.Tensor) -> torch.Tensor:
        """The maps as a convolution of stride 2 wants them: each place of a square of 2 x 2 is a channel of its own.

        Latents are not differentiated through. Needs k of at least 1.

        Returns
        -------
        Tensor (B, 4 M, 2^(k-1) h + 1, 2^(k-1) w + 1), of the type of autocast
            Channels by map, row and column; a border of zeros stands above and to the left.
        """
        device = latents.device
        is_mixed = torch.is_autocast_enabled(device.type)
        kind = torch.get_autocast_dtype(device.type) if is_mixed else torch.float32
        with torch.autocast(device.type, enabled=False):
            latents = self._whole(latents)
            low = self._low(latents)
            rows, columns = low.shape[2] // 2, low.shape[3] // 2
            squares = torch.empty((len(low), rows + 1, columns + 1, 4 * self.maps), dtype=kind, device=device)
            squares[:, 0] = 0
            squares[:, :, 0] = 0
            inner = squares[:, 1:, 1:]
            places = low.unflatten(3, (columns, 2)).unflatten(2, (rows, 2)).permute(0, 2, 4, 1, 3, 5)
            inner[..., : 4 * PLANES] = places.flatten(3)
            if self.last:
                m, (h, w) = self._phases(self.last), latents.shape[2:]
                bands = _chosen(latents, self.last)
                bands = bands.view(len(low), -1, m // 2, 2, m // 2, 2, h, w).permute(0, 6, 2, 7, 4, 1, 3, 5)
                scales = self._scales(self.last, latents).expand(len(BANDS) * PLANES).repeat_interleave(4)
                torch.mul(bands.reshape(len(low), rows, columns, -1), scales, out=inner[..., 4 * PLANES :])
            return squares.permute(0, 3, 1, 2)

    def _whole(self, latents: torch.Tensor) -> torch.Tensor:
        """With channels that are zero where some are missing."""
        if self.training and self.prefixes:
            latents = random_prefixes(latents)
        return latents if self.is_whole else functional.pad(latents, (0, 0, 0, 0, 0, 1))

    def _low(self, latents: torch.Tensor) -> torch.Tensor:
        """The low band of three planes, all levels undone."""
        low = self._placed(latents, self.low) - self.offsets * self.factor
        for numbers in self.details:
            hl, lh, hh = self._placed(latents, numbers).split(PLANES, 1)
            whole = torch.cat([torch.cat([low, hl], -1), torch.cat([lh, hh], -1)], -2)
            rows, columns = whole.shape[2:]
            across = whole.flatten(0, 2) @ synthesis_matrix(columns).to(whole).T
            low = (synthesis_matrix(rows).to(whole) @ across.view(-1, rows, columns)).view_as(whole)
        return low

    def _phases(self, numbers: list[int]) -> int:
        """To a side of a cell."""
        return 1 if numbers is self.low else round((len(numbers) // (len(BANDS) * PLANES)) ** 0.5)

    def _scales(self, numbers: list[int], latents: torch.Tensor) -> torch.Tensor:
        """What normalizes each of some bands, or all: the places within a cell are those of one band, of one step."""
        if latents.dtype != torch.int8:
            return self.factor
        return self.scales[numbers].view(-1, self._phases(numbers) ** 2).amax(1) * self.factor

    def _placed(self, latents: torch.Tensor, numbers: list[int]) -> torch.Tensor:
        """Some bands of three planes, normalized, each coefficient at its place: (B, K, m h, m w) float32."""
        m = self._phases(numbers)
        bands = _chosen(latents, numbers).to(torch.float32)
        return functional.pixel_shuffle(bands, m) * self._scales(numbers, latents).view(-1, 1, 1)


class SynthesisConvolution(nn.Module):
    """`PartialSynthesis` and a 3 x 3 convolution of stride 2 behind it, without bias, with less work.

    Such a convolution reads the maps in squares of 2 x 2, so it is one of 2 x 2 cells with the places of a square as
    channels. The maps need not be put together, and what the grid holds already is passed on as it lies.

    Parameters
    ----------
    synthesis : PartialSynthesis
        Of at least one level.
    outputs : int
        Channels.
    """

    def __init__(self, synthesis: PartialSynthesis, outputs: int) -> None:
        super().__init__()
        self.synthesis = synthesis
        self.weight = nn.Conv2d(synthesis.maps, outputs, 3, 2, 1, bias=False).weight

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, C, h, w) -> (B, outputs, 2^(k-1) h, 2^(k-1) w)."""
        # Rows and columns 2 y - 2 .. 2 y + 1, of which the first has no weight: (cell, place) twice.
        square = functional.pad(self.weight, (1, 0, 1, 0)).unflatten(3, (2, 2)).unflatten(2, (2, 2))
        return functional.conv2d(self.synthesis.squares(latents), square.permute(0, 1, 3, 5, 2, 4).flatten(1, 3))


def _chosen(latents: torch.Tensor, numbers: list[int]) -> torch.Tensor:
    """Some channels."""
    return latents.index_select(1, torch.tensor(numbers, device=latents.device))


def random_prefixes(values: torch.Tensor) -> torch.Tensor:
    """Give each sample of (B, C, h, w) a random prefix of its channels and zeros for the rest.

    Nested dropout (Rippel, Gelbart & Adams, ICML 2014): a model leans on coarse channels first, and what it learned
    holds for fewer channels too.
    """
    channels = values.shape[1]
    ends = torch.tensor([*(end for end in PREFIXES if end < channels), channels])
    kept = ends[torch.randint(len(ends), (len(values), 1))] > torch.arange(channels)
    return values * kept[:, :, None, None].to(values)
