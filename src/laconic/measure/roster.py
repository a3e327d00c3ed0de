"""Who can be measured: one table of names, as ``laconic bench --against`` and the scripts in bench/ use them."""

from __future__ import annotations

from laconic.errors import UsageError
from laconic.measure.own import BY_NETWORK, Laconic, LosslessLaconic
from laconic.measure.peers import (
    AVIF_PSNR,
    JPEG2000_LOSSLESS,
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
        Jpeg(),
        WebP(),
        Avif(),
        AVIF_PSNR,
        Jxl(),
        Jpeg2000(),
        LosslessLaconic(),
        PNG,
        WEBP_LOSSLESS,
        LosslessJxl(),
        JPEG2000_LOSSLESS,
    )
}
LOSSY = tuple(name for name, peer in ROSTER.items() if not peer.lossless)
LOSSLESS = tuple(name for name, peer in ROSTER.items() if peer.lossless)


def named(names: str) -> list[AbstractPeer]:
    """Codecs by their names, separated by commas; ``avif`` stands for both of its tunings.

    Raises
    ------
    UsageError
        For a name that is not in the table.
    """
    chosen: list[AbstractPeer] = []
    for name in filter(None, (part.strip().lower() for part in names.split(","))):
        if name not in ROSTER:
            raise UsageError(f"unknown codec {name!r}: choose from {', '.join(ROSTER)}")
        chosen.append(ROSTER[name])
        if name == "avif":
            chosen.append(AVIF_PSNR)
    return list(dict.fromkeys(chosen))
