"""Headers and files for the tests of the container."""

from __future__ import annotations

from hypothesis import strategies as st

from laconic.container import Header, Metadata, write
from laconic.container.fields import MAX_PIXELS, MAX_PREDICTED_PIXELS, PREDICTED
from laconic.container.layout import TileGrid, groups
from laconic.transform.picture_filter import MAX_SUM, SHIFTS, TAPS, Filter

FINGERPRINT = bytes(range(8))

MULTI = write(
    Header(
        fingerprint=FINGERPRINT, width=130, height=64, channels=4, tile=64, cuts=0b100010, quality=60, step_code=400
    ),
    [[b"abc", b"defg", b"h"], [b"", b"ij", b"klm"], [b"no", b"p", b"qrs"]],
    Metadata(icc=b"profile" * 9, exif=b"\xff\x01\x02", xmp=b"<x/>"),
)
"""Three groups, three tiles, all kinds of metadata (the ICC profile packed)."""

SINGLE = write(
    Header(
        fingerprint=FINGERPRINT, width=768, height=512, channels=3, tile=1024, cuts=0b100100, quality=60, step_code=400
    ),
    [[b"coarse"], [b"middle" * 30], [b"fine" * 5000]],
)
"""A small photo: one tile, three groups, no metadata."""


@st.composite
def filters(draw: st.DrawFn, planes: int) -> Filter:
    largest = draw(st.sampled_from([1, 9, 150, MAX_SUM // max(TAPS)]))
    sparse = st.just(0) | st.integers(-largest, largest)
    return Filter(
        draw(st.sampled_from(SHIFTS)),
        tuple(tuple(draw(st.lists(sparse, min_size=count, max_size=count))) for count in TAPS[:planes]),
    )


@st.composite
def headers(draw: st.DrawFn, max_tiles: int = 12) -> Header:
    lossless = draw(st.booleans())
    tile = draw(st.integers(1, 255)) * 64
    parameter_set = draw(st.integers(0, 255) | st.just(PREDICTED))
    most = MAX_PREDICTED_PIXELS if lossless and parameter_set == PREDICTED else MAX_PIXELS
    width = draw(st.integers(1, min(65535, 4 * tile)))
    height = draw(st.integers(1, min(65535, max_tiles // 4 * tile, most // width)))
    channels = draw(st.integers(1, 4))
    network = 0 if lossless else draw(st.integers(0, 3))
    own = draw(st.none() | filters(3 if channels >= 3 else 1)) if network else None
    return Header(
        fingerprint=draw(st.binary(min_size=8, max_size=8)),
        width=width,
        height=height,
        channels=channels,
        depth=draw(st.sampled_from([8, 16])),
        lossless=lossless,
        quality=draw(st.integers(0, 100) | st.just(255)),
        step_code=0 if lossless else draw(st.integers(0, 767)),
        parameter_set=parameter_set,
        tile=tile,
        cuts=0 if lossless and parameter_set == PREDICTED else draw(st.integers(0, 63)),
        network=network,
        has_filter=own is not None,
        filter=own,
    )


@st.composite
def files(draw: st.DrawFn) -> tuple[Header, list[list[bytes]], Metadata]:
    header = draw(headers())
    tiles = TileGrid.of(header).count
    segments = [[draw(st.binary(max_size=40)) for _ in range(tiles)] for _ in groups(header.cuts)]
    content = st.none() | st.binary(min_size=1, max_size=60) | st.binary(min_size=1, max_size=3).map(lambda b: b * 50)
    return header, segments, Metadata(icc=draw(content), exif=draw(content), xmp=draw(content))
