"""Every file is hostile: thousands of damaged ones, under a cap on memory and time, in a process of their own.

With the checksums as they were, damage must be refused by name. With checksums made to fit again, so that it reaches
the header's fields and the entropy decoder, the outcome is a named error or a picture of the size the header says.
Never a crash, a hang, another exception or memory out of proportion.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .attack import attack, attacked, damaged, trusting

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

MODULE = "test_photo_files"
FAST, SLOW = 2_000, 50_000
SECONDS_FOR_ONE = 5.0
PIXELS = 1 << 20
"""Larger pictures are refused here, so that thousands of files take seconds; the true limit has a test of its own."""


def samples() -> list[bytes]:
    """Small files of every kind."""
    import numpy as np

    import laconic as lac
    from laconic.signals.image import load

    photo = load(Path(__file__).parents[2] / "examples" / "kitten.jpg").pixels[150:250, 200:330]
    rgba = np.concatenate([photo, photo[:, :, :1]], axis=2)
    deep = (photo.astype(np.uint16) * 257) ^ 21
    return [
        lac.ImageCodec(quality=60, tile=64, network="off").encode(
            photo, icc=b"profile" * 30, exif=b"MM\0*", xmp=b"<x/>"
        ),
        lac.ImageCodec(quality=85).encode(photo[:50, :60]),
        lac.ImageCodec(quality=20, tile=64, network="off").encode(deep[:70, :80]),
        lac.ImageCodec(lossless=True, effort=6).encode(rgba[:40, :50]),
        lac.ImageCodec(lossless=True, effort=6, tile=64).encode(deep[:66, :30, :1]),
        predicted(rgba[:20, :30], tile=64),
        predicted(deep[:66, :10, :1], tile=64),
        lac.ImageCodec(quality=40, network="off").encode(rgba[:64, :64, 2:]),
        lac.ImageCodec(quality=50).encode(photo[:1, :1]),
    ]


def predicted(pixels: Any, tile: int) -> bytes:
    """A file of predicted samples, even where one with a wavelet would be smaller."""
    import numpy as np

    import laconic as lac
    from laconic.codecs.predicted import code_samples, predicted_header
    from laconic.container import read, write
    from laconic.transform.workers import Workers

    header = predicted_header(read(lac.ImageCodec(lossless=True, effort=6).encode(pixels)).header, tile)
    with Workers(1) as workers:
        return write(header, [code_samples(np.ascontiguousarray(pixels), header, workers)])


def repaired(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Damage streams or header fields and write the file anew, all checksums right."""
    from laconic.container import Header, read, write
    from laconic.container.fields import header_fields
    from laconic.container.layout import TileGrid, groups
    from laconic.errors import UnsupportedInput

    container = read(data)
    header: Header = container.header
    streams = [[bytes(stream or b"") for stream in group] for group in container.segments]
    if rng.random() < 0.5:
        changes: dict[str, Any] = {}
        for name, field in rng.sample(list(header_fields().items()), rng.randrange(1, 3)):
            if name.startswith("has_") or name == "fingerprint":
                continue
            near = getattr(header, name) + rng.choice([-1, 1, field.scale, -field.scale])
            value = rng.choice([field.low, field.high, near, rng.randint(field.low, min(field.high, 3000))])
            changes[name] = bool(value) if name == "lossless" else value
        try:
            header = replace(header, **changes)
        except UnsupportedInput:
            return damaged(rng, data, others)
        if TileGrid.of(header).count > 3000:
            return damaged(rng, data, others)
        flat = [stream for group in streams for stream in group]
        tiles = TileGrid.of(header).count
        streams = [
            [flat[(group * tiles + tile) % len(flat)] for tile in range(tiles)]
            for group in range(len(groups(header.cuts)))
        ]
    if rng.random() < 0.8:
        for _ in range(rng.randrange(1, 4)):
            group = rng.choice(streams)
            tile = rng.randrange(len(group))
            if rng.random() < 0.1:
                group[tile] = rng.randbytes(rng.randrange(0, 300))
            elif group[tile]:
                group[tile] = damaged(rng, group[tile], [stream or b"\0" for stream in group])
    return write(header, streams, container.metadata)


def outcomes(seed: int, count: int) -> Iterator[str]:
    """Decode `count` damaged files; yield what came of each."""
    import time

    import laconic as lac
    from laconic.codecs import image_decoder
    from laconic.container import read
    from laconic.errors import FormatError

    image_decoder.MAX_DECODED_PIXELS = PIXELS
    rng = random.Random(seed)
    files = samples()
    pictures = [lac.decompress(data) for data in files]
    for number in range(count):
        data = rng.choice(files)
        mend = number % 2 == 1
        bad = repaired(rng, data, files) if mend else damaged(rng, data, files)
        if bad in files:
            yield "unchanged"
            continue
        start = time.perf_counter()
        for partial in (False, True):
            try:
                restored = lac.restore(bad, allow_partial=partial, jobs=1 if number % 5 else 2)
            except FormatError as error:
                outcome = f"{'mended ' if mend else ''}{type(error).__name__}"
            else:
                header = read(bad, allow_partial=True).header
                assert restored.pixels.shape[:2] == (header.height, header.width)
                assert restored.pixels.dtype.itemsize * 8 == header.depth
                if not mend and not partial:
                    raise AssertionError(f"damage number {number} of seed {seed} passed unseen")
                # Where only a frame was hit and not what it holds, nothing is missing.
                whole = [pixels for pixels in pictures if pixels.tobytes() == restored.pixels.tobytes()]
                assert mend or restored.missing or whole, f"damage number {number} of seed {seed} is not named"
                outcome = f"{'mended ' if mend else ''}{'partial' if partial else 'decoded'}"
            yield outcome
        seconds = time.perf_counter() - start
        assert seconds < SECONDS_FOR_ONE, f"damage number {number} of seed {seed} took {seconds:.1f} s"


def check(found: Counter[str]) -> None:
    # An attack that ends at the same door each time tests little: these must all have been reached.
    for name in ("CorruptStream", "TruncatedStream", "NotLaconic", "NewerVersion", "partial"):
        assert found[name], name
    for name in ("mended CorruptStream", "mended LimitExceeded", "mended decoded", "mended partial"):
        assert found[name], name
    assert found["unchanged"] < 0.1 * found.total()


def test_thousands_of_damaged_files_end_in_named_errors():
    check(attack(MODULE, 1, FAST))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_thousands_of_damaged_files_end_in_named_errors(seed: int):
    check(attack(MODULE, seed, SLOW // 10))


def test_the_attack_can_fail():
    """Without its checksums the container lets damage pass: the attack must see that."""
    assert "passed unseen" in trusting(MODULE, 1, 3000)


def test_a_few_bytes_cannot_announce_a_gigapixel():
    import numpy as np

    import laconic as lac
    from laconic.codecs.image_decoder import MAX_DECODED_PIXELS
    from laconic.container import read, write
    from laconic.errors import LimitExceeded

    data = lac.ImageCodec(quality=10).encode(np.zeros((64, 64), np.uint8))
    huge = replace(read(data).header, width=65_535, height=32_767, tile=16_320, cuts=0)
    bomb = write(huge, [[b""] * 15])
    assert len(bomb) < 200
    assert MAX_DECODED_PIXELS < 65_535 * 32_767
    for partial in (False, True):
        with pytest.raises(LimitExceeded, match="pixels"):
            lac.decompress(bomb, allow_partial=partial)


if __name__ == "__main__":
    attacked(outcomes)
