"""Who can be measured: one table of names, as ``laconic bench --against`` and the scripts in bench/ use them."""

from __future__ import annotations

from laconic.errors import UsageError
from laconic.measure.hevc import Hevc
from laconic.measure.jpeg_peers import Jpegli, MozJpeg
from laconic.measure.own import BY_NETWORK, LOSSLESS_FAST, VARIANTS, Laconic, LosslessLaconic
from laconic.measure.peers import (
    AVIF_PSNR,
    AVIF_SLOW,
    AVIF_SLOW_PSNR,
    JPEG2000_LOSSLESS,
    JXL_LOSSLESS_SLOW,
    JXL_SLOW,
    PNG,
    WEBP_LOSSLESS,
    AbstractPeer,
    Avif,
    Jpeg,
    Jpeg2000,
    Jxl,
    LosslessJxl,
    WebP,
)

ROSTER: dict[str, AbstractPeer] = {
    peer.name: peer
    for peer in (
        Laconic(),
        *BY_NETWORK,
        *VARIANTS,
        Jpeg(),
        MozJpeg(),
        Jpegli(),
        WebP(),
        Avif(),
        AVIF_PSNR,
        AVIF_SLOW,
        AVIF_SLOW_PSNR,
        Jxl(),
        JXL_SLOW,
        Hevc(),
        Jpeg2000(),
        LosslessLaconic(),
        LOSSLESS_FAST,
        PNG,
        WEBP_LOSSLESS,
        LosslessJxl(),
        JXL_LOSSLESS_SLOW,
        JPEG2000_LOSSLESS,
    )
}
LOSSY = tuple(name for name, peer in ROSTER.items() if not peer.lossless)
LOSSLESS = tuple(name for name, peer in ROSTER.items() if peer.lossless)


PEERS = tuple(name for name in LOSSY if not name.startswith("laconic"))


def named(names: str) -> list[AbstractPeer]:
    """Codecs by their names, separated by commas.

    ``avif`` stands for both of its tunings at speed 6, ``all`` for every lossy codec but laconic.

    Raises
    ------
    UsageError
        For a name that is not in the table.
    """
    chosen: list[AbstractPeer] = []
    for name in filter(None, (part.strip().lower() for part in names.split(","))):
        if name == "all":
            chosen += [ROSTER[peer] for peer in PEERS]
        elif name not in ROSTER:
            raise UsageError(f"unknown codec {name!r}: choose from {', '.join(ROSTER)}, all")
        else:
            chosen.append(ROSTER[name])
            if name == "avif":
                chosen.append(AVIF_PSNR)
    return list(dict.fromkeys(chosen))


def why_not(codec: AbstractPeer) -> str:
    """Why a codec can not run here, in words; empty where it can."""
    try:
        codec.version()
    except UsageError as error:
        return str(error)
    return ""
