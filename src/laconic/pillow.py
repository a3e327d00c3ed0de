"""A Pillow plugin: ``import laconic.pillow``, then `Image.open("x.lac")`, `picture.save("x.lac", quality=60)`.

Opening reads header and metadata only; pixels are decoded when they are first asked for. `draft`, and so
`thumbnail`, decodes 1/2 to 1/32 of the size without the finer coefficients. Whatever Pillow reads through, such as
imageio, can then read `.lac` as well. (Pillow's handbook, "Writing your own image plugin".)

>>> import laconic.pillow
>>> from PIL import Image
>>> Image.open("kitten.lac").save("kitten.png")
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from PIL import Image, ImageFile

from laconic.codecs.image import compress
from laconic.codecs.image_decoder import restore_container
from laconic.codecs.view import MAX_SCALE
from laconic.container import read
from laconic.container.arrays import ARRAY_CODEC, codec_of
from laconic.container.overview import read_overview
from laconic.container.writer import MAGIC, VERSION
from laconic.errors import LaconicError, UsageError
from laconic.signals.exif import bare
from laconic.signals.image import from_pil

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMAT", "MIME", "LacImageFile"]

FORMAT = "LAC"
MIME = "image/x-laconic"

SETTINGS = ("quality", "bpp", "psnr", "size", "lossless", "effort", "network", "tune", "jobs")
"""Options of `save` that are those of `laconic.compress`."""
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class LacImageFile(ImageFile.ImageFile):
    """A `.lac` picture as Pillow shows it.

    Gray of 16 bits has the mode I;16. Pillow has no mode for other samples of 16 bits: their high bytes come as L, RGB
    and so on, as from its PNG plugin (`laconic.decompress` gives all bits).

    With `ImageFile.LOAD_TRUNCATED_IMAGES` a damaged picture loads as far as it is intact.
    """

    format: ClassVar[Any] = FORMAT
    format_description: ClassVar[Any] = "laconic picture"

    def _open(self) -> None:
        """Read header and metadata; SyntaxError is how a plugin tells Pillow that a file is not its own."""
        try:
            header, metadata = read_overview(cast("Any", self.fp))
        except LaconicError as error:
            raise SyntaxError(str(error)) from error
        self._full_size = header.width, header.height
        self._scale = 0
        self._size = self._full_size
        self._mode = "I;16" if (header.channels, header.depth) == (1, 16) else MODES[header.channels]
        found = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
        self.info.update({name: value for name, value in found.items() if value is not None})
        self._plan()

    def _plan(self) -> None:
        """Tell Pillow that samples are still to come; `load` puts them where this says."""
        self.tile = [ImageFile._Tile("raw", (0, 0, *self._size), 0, self._mode)]  # pyright: ignore[reportPrivateUsage]

    def load(self) -> Any:
        """Decode the pixels, once.

        Raises
        ------
        OSError
            The file is damaged, or needs a model that is not installed.
        """
        if self.tile:
            samples = self._decode()
            stream = cast("Any", self.fp)
            if getattr(self, "_exclusive_fp", False):
                stream.close()
            self.fp = BytesIO(samples)
        return super().load()

    def _decode(self) -> bytes:
        stream = cast("Any", self.fp)
        stream.seek(0)
        tolerant = bool(ImageFile.LOAD_TRUNCATED_IMAGES)
        try:
            container = read(stream.read(), allow_partial=tolerant)
            pixels = restore_container(container, scale=self._scale, allow_partial=tolerant).pixels
        except LaconicError as error:
            raise OSError(str(error)) from error
        if pixels.shape[1::-1] != self._size:
            raise OSError(f"the file has changed since it was opened: {pixels.shape[1]} x {pixels.shape[0]} pixels")
        return _samples(pixels, self._mode)

    def draft(self, mode: str | None, size: tuple[float, float] | None) -> Any:  # noqa: ARG002  # Pillow's signature
        """Choose 1 / 2^k of the size, k of 0 .. 5, at least as large as `size`; `thumbnail` calls it.

        Parameters
        ----------
        mode : str or None
            Not used: the mode stays.
        size : (width, height)

        Returns
        -------
        (mode, box) or None
            Mode, and the part of the smaller picture that stands for all of it; None where nothing changed: the
            pixels are there already, or half the size would be too small.
        """
        if not self.tile or size is None:
            return None
        width, height = self._full_size
        least = max(1.0, float(size[0])), max(1.0, float(size[1]))
        fitting = [k for k in range(MAX_SCALE + 1) if width >= least[0] * 2**k and height >= least[1] * 2**k]
        self._scale = max(fitting, default=0)
        self._size = -(-width >> self._scale), -(-height >> self._scale)
        self._plan()
        if self._scale == 0:
            return None
        # A low sample stands where its even sample stood (the 9/7 is symmetric about it), not between two of them: the
        # picture begins half a sample of the difference later.
        step = 2**self._scale
        early = 0.5 - 0.5 / step
        box = (early, early, min(width / step + early, self._size[0]), min(height / step + early, self._size[1]))
        return self._mode, box

    def load_seek(self, pos: int) -> None:
        """Samples stand at the start of what `load` made."""

    def verify(self) -> None:
        """Check every checksum of the file; no pixel is decoded.

        Raises
        ------
        OSError
            The file is damaged.
        """
        stream = cast("Any", self.fp)
        if stream is None:
            raise RuntimeError("verify must be called directly after open")
        stream.seek(0)
        try:
            read(stream.read())
        except LaconicError as error:
            raise OSError(str(error)) from error
        finally:
            if getattr(self, "_exclusive_fp", False):
                stream.close()
            self.fp = None


def _samples(pixels: NDArray[Any], mode: str) -> bytes:
    """The pixels as the bytes of Pillow's raw mode of the same name."""
    if pixels.dtype == np.uint16:
        return pixels.astype("<u2").tobytes() if mode == "I;16" else (pixels >> 8).astype(np.uint8).tobytes()
    return pixels.tobytes()


def _accept(prefix: bytes) -> bool | str:
    """Whether the first 16 bytes begin such a file; a text is the warning why it can not be read."""
    if prefix[: len(MAGIC)] != MAGIC:
        return False
    if len(prefix) > len(MAGIC) and prefix[len(MAGIC)] > VERSION:
        return f"format version {prefix[len(MAGIC)]} is newer than {VERSION}: upgrade laconic"
    if codec_of(prefix) == ARRAY_CODEC:
        return "the file holds weights or arrays, not a picture: see `laconic expand` and lac.weights"
    return True


def _save(picture: Image.Image, stream: Any, _name: str | bytes) -> None:
    """Write a picture of any mode with 8 bits, 1 bit or 16-bit gray; what `Image.save` calls.

    Pixels are stored upright, so an orientation in the EXIF is applied and reset. ICC profile, EXIF and XMP are those
    of the picture unless `icc_profile=`, `exif=` or `xmp=` replace them; None leaves them out.

    Raises
    ------
    ValueError
        An option out of range, or more than one target (`UsageError`).
    OSError
        A mode that no `.lac` file can hold, a side that is too long, or a target out of reach.
    """
    options: dict[str, Any] = getattr(picture, "encoderinfo", {})
    described: dict[str, bytes | None] = {}
    for option, name in (("icc_profile", "icc"), ("exif", "exif"), ("xmp", "xmp")):
        if option in options:
            given: Any = options[option]
            given = given.tobytes() if isinstance(given, Image.Exif) else given
            given = given.encode() if isinstance(given, str) else given
            described[name] = (bare(given) if name == "exif" else given) or None
    try:
        image = from_pil(picture, **described)
        data = compress(
            image.pixels,
            icc=image.icc,
            exif=image.exif,
            xmp=image.xmp,
            **{name: options[name] for name in SETTINGS if name in options},
        )
    except UsageError:
        raise
    except LaconicError as error:
        raise OSError(f"cannot write mode {picture.mode} as {FORMAT}: {error}") from error
    stream.write(data)


Image.register_open(FORMAT, LacImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".lac")
Image.register_mime(FORMAT, MIME)
