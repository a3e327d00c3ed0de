"""Colors that are neither gray nor RGB become sRGB here: CMYK with its ICC profile, CIE Lab."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MISFIT", "describes", "to_srgb"]

MISFIT = "the color profile does not fit the kind of pixels and was dropped"


def describes(icc: bytes, channels: int) -> bool:
    """Whether a profile's color space (ICC.1, bytes 16..19 of the header) fits gray (1, 2) or RGB (3, 4) pixels."""
    return icc[16:20] == (b"GRAY" if channels <= 2 else b"RGB ")


def to_srgb(picture: Image.Image, icc: bytes | None) -> tuple[Image.Image, str]:
    """Convert a CMYK or Lab picture to sRGB.

    Parameters
    ----------
    picture : PIL image of mode CMYK or LAB
    icc : bytes or None
        The embedded profile. CMYK without one is converted by the plain formula R = (1 - C)(1 - K).

    Returns
    -------
    picture : PIL image of mode RGB
    note : str
        What was done, for the person who reads the messages.
    """
    from PIL import ImageCms

    cms: Any = ImageCms  # Pillow leaves parts of it untyped
    create = cms.createProfile
    target = create("sRGB")
    if picture.mode == "LAB":
        transform = ImageCms.buildTransform(create("LAB"), target, "LAB", "RGB")
        converted = ImageCms.applyTransform(picture, transform)
        if converted is None:  # only for in-place transforms
            raise ValueError("no picture came out of the Lab transform")
        return converted, "CIE Lab colors were converted to sRGB"
    if icc is not None and icc[16:20] == b"CMYK":
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(
                picture,
                source,
                target,
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except ImageCms.PyCMSError as error:
            return picture.convert("RGB"), f"the CMYK profile is unusable ({error}); colors were converted by formula"
        if converted is not None:
            return converted, "the embedded CMYK profile was applied; the pixels are sRGB now"
    return picture.convert("RGB"), "CMYK without a profile was converted to RGB by formula"
