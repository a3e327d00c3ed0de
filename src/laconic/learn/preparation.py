"""From a picture file to pixels of the size that a data set has, and the named views of it.

Everything is fixed and stands in the manifest: the same file gives the same pixels in every epoch and on every machine
with the same decoder. Random augmentation belongs to training (`augment.py`), never to packing.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.errors import LimitExceeded, UnsupportedInput, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VIEWS", "Preparation", "picture_size", "view_names"]

VIEWS = {"flip": ("flip",), "crop4": ("top-left", "top-right", "bottom-left", "bottom-right")}
"""What `--views` may name, and the views each stands for; the view `center` is always the first."""
MARGIN = 8
"""Corner crops are taken from a picture larger by one eighth."""


def view_names(wanted: str | None) -> tuple[str, ...]:
    """Return the views that a list such as `flip,crop4` stands for.

    Raises
    ------
    UsageError
        A name that is no fixed view.
    """
    names = ["center"]
    for part in (wanted or "").split(","):
        if part and part not in VIEWS:
            raise UsageError(
                f"no view {part!r}: fixed views are {', '.join(VIEWS)}. Random augmentation is not packed; "
                "`laconic.learn.loader` applies it to the latents, anew in every epoch"
            )
        names += [name for name in VIEWS.get(part, ()) if name not in names]
    return tuple(names)


@dataclass(frozen=True)
class Preparation:
    """What is done to each picture before its latents are taken.

    Parameters
    ----------
    height, width : int
        Of the result.
    resize : bool
        Scale the shorter side and crop the center; without it all pictures must have this size.
    views : tuple of str
        See `view_names`.
    """

    height: int
    width: int
    resize: bool = True
    views: tuple[str, ...] = ("center",)

    def __post_init__(self) -> None:
        known = {"center", *(name for names in VIEWS.values() for name in names)}
        if not self.views or not set(self.views) <= known or len(set(self.views)) != len(self.views):
            raise UsageError(f"views are {self.views}, expected some of {', '.join(sorted(known))}")

    def load(self, data: bytes, name: str) -> list[NDArray[np.uint8]]:
        """Return the views (H, W, 3) uint8 of a picture file that errors call `name`.

        Raises
        ------
        UnsupportedInput, FormatError
            It is no picture, damaged, or of another size where nothing is resized.
        """
        pixels = _rgb(data, name)
        height, width = pixels.shape[:2]
        if not self.resize and (height, width) != (self.height, self.width):
            raise UnsupportedInput(
                f"{name}: {width} x {height} pixels, but the first picture has {self.width} x {self.height}: "
                "pass a size to bring all pictures to one"
            )
        center = self._center(pixels, self.height, self.width)
        views = {"center": center, "flip": center[:, ::-1]}
        if any(name in VIEWS["crop4"] for name in self.views):
            larger = self._center(pixels, self.height + self.height // MARGIN, self.width + self.width // MARGIN)
            for name in VIEWS["crop4"]:
                y = 0 if name.startswith("top") else len(larger) - self.height
                x = 0 if name.endswith("left") else larger.shape[1] - self.width
                views[name] = larger[y : y + self.height, x : x + self.width]
        return [np.ascontiguousarray(views[name]) for name in self.views]

    def _center(self, pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
        """Scale so that (height, width) just fits in, and cut it from the middle."""
        rows, columns = pixels.shape[:2]
        if (rows, columns) != (height, width):
            from PIL import Image

            scale = max(height / rows, width / columns)
            size = max(width, round(columns * scale)), max(height, round(rows * scale))
            if size[0] * size[1] > 1 << 28:
                raise LimitExceeded("number of pixels after scaling", 1 << 28, size[0] * size[1])
            pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
            rows, columns = pixels.shape[:2]
        y, x = (rows - height) // 2, (columns - width) // 2
        return pixels[y : y + height, x : x + width]

    def describe(self) -> dict[str, Any]:
        """The exact transform in words and numbers, for the manifest."""
        return {
            **asdict(self),
            "views": list(self.views),
            "orientation": "applied",
            "color": "RGB, 8 bits; transparency over white",
            "scaling": "shorter side to fit, bicubic with antialiasing (Pillow)" if self.resize else "none",
            "crop": "center, odd rests at the bottom and right",
            "margin_of_corner_crops": f"1/{MARGIN}",
        }


class _Named(io.BytesIO):
    """Bytes whose errors say which sample they are."""

    name = ""


def _rgb(data: bytes, name: str) -> NDArray[np.uint8]:
    from laconic.container.writer import MAGIC
    from laconic.signals.image import load

    if data[: len(MAGIC)] == MAGIC:
        from laconic.codecs.image_decoder import restore

        pixels = restore(data, network="off", jobs=1).pixels
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    else:
        stream = _Named(data)
        stream.name = name
        pixels = load(stream).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.shape[2] in (2, 4):
        alpha = pixels[:, :, -1:].astype(np.uint16)
        color = pixels[:, :, :-1].astype(np.uint16)
        pixels = ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)


def picture_size(data: bytes, name: str) -> tuple[int, int]:
    """Height and width of a picture file, upright; errors call it `name`."""
    height, width = _rgb(data, name).shape[:2]
    return height, width
