"""More calibration inputs from the same photographs: flipped and shifted, as networks of images are trained.

The moments of a few hundred inputs are noisy. The divergence is measured against the network's own outputs, so any
input that it could meet will do, and a flipped photograph is one.
"""

from __future__ import annotations

import torch
from torch import nn

from laconic.errors import UsageError

__all__ = ["varied_images"]


def varied_images(images: torch.Tensor, copies: int = 4, *, shift: int = 4, seed: int = 0) -> torch.Tensor:
    """Images and variants of them, half of these mirrored, all moved by up to `shift` pixels.

    Parameters
    ----------
    images : Tensor (N, C, H, W)
    copies : int
        How many of each: the image itself, and variants.
    shift : int
        In pixels, 0 to less than each side; what comes in at the border is mirrored there.
    seed : int

    Returns
    -------
    Tensor (copies * N, C, H, W)
        Mixed, so that each stretch of it holds all kinds.

    Raises
    ------
    UsageError
        Not four axes, no copies, or a shift as long as a side.
    """
    if images.ndim != 4 or copies < 1 or not 0 <= shift < min(images.shape[2:]):
        raise UsageError(f"images (N, C, H, W), copies from 1 and a shift below each side, not {tuple(images.shape)}")
    count, _, height, width = images.shape
    random = torch.Generator().manual_seed(seed)
    found = [images]
    for _ in range(copies - 1):
        mirrored = torch.rand(count, generator=random) < 0.5
        flipped = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        wide = nn.functional.pad(flipped, (shift, shift, shift, shift), mode="reflect")
        corners = torch.randint(0, 2 * shift + 1, (count, 2), generator=random).tolist()
        found.append(
            torch.stack(
                [
                    one[:, top : top + height, left : left + width]
                    for one, (top, left) in zip(wide, corners, strict=True)
                ]
            )
        )
    return torch.cat(found)[torch.randperm(copies * count, generator=random)]
