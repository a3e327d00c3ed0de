"""Every file of arrays is hostile too: thousands of damaged ones, under a cap on memory and time, in a process apart.

As in `test_photo_files.py`: with the checksum of the index as it was, damage must be refused by name, or decode to the
same words (the lowest bits of a step in float64 may not matter). With an index that was changed and made to fit again,
so that the damage reaches the decoders, the outcome is a named error or arrays of the shapes that the index says.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .attack import attack, attacked, damaged, trusting

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

MODULE = "test_array_files"
FAST, SLOW = 1_500, 50_000
SECONDS_FOR_ONE = 5.0
BYTES = 1 << 22
"""What a file may decode to here, so that thousands of files take seconds."""


def base_and_samples() -> tuple[dict[str, Any], list[bytes]]:
    """A base, and small files of every coding."""
    import numpy as np

    from laconic.codecs import weights

    rng = np.random.default_rng(0)
    base = {
        "w": rng.standard_normal((40, 60)).astype(np.float32),
        "h": rng.standard_normal((30, 30)).astype(np.float16),
        **{f"v{i}": rng.standard_normal(i + 1).astype(np.float32) for i in range(6)},
        "n": np.arange(500, dtype=np.int64).reshape(100, 5),
        "odd": np.array([[np.nan, np.inf, 1, -0.0]] * 30, np.float32),
        "zeros": np.zeros((20, 20)),
        "none": np.zeros((0, 7), np.int8),
        "one": np.array(3, np.int16),
    }
    near = {
        name: (array + 1e-3 * rng.standard_normal(array.shape)).astype(array.dtype)
        if array.dtype.kind == "f"
        else array
        for name, array in base.items()
    }
    files = [
        weights.shrink(arrays, base=origin, **settings)
        for origin in (None, base)
        for arrays in (base if origin is None else near,)
        for settings in ({"lossless": True}, {"max_error": 1e-4}, {"bpw": 7.0})
    ]
    smooth = np.cumsum(rng.standard_normal((60, 50)), axis=1)
    files.append(weights.shrink({"x": smooth.astype(np.float32), "i": (50 * smooth).astype(np.int32)}, max_error=2.0))
    files.append(weights.shrink({"x": rng.standard_normal((70, 70)).astype(np.float32)}, bpw=1.0, effort=9))
    return base, files


def repaired(rng: random.Random, data: bytes) -> bytes:
    """Damage payloads or fields of the index and write the file anew, its checksum right."""
    from laconic.container import arrays as container
    from laconic.container.arrays import Coding

    index = container.read_index(data, file_size=len(data))
    payloads = [data[a:b] for a, b in zip(index.offsets, index.offsets[1:], strict=False)]
    parts: list[Any] = [*index.entries, *index.groups]
    for _ in range(rng.randrange(1, 3)):
        at = rng.randrange(len(parts))
        part = parts[at]
        change = rng.randrange(4)
        if change == 0 and at < len(index.entries):
            sides = rng.choice([(), (0,), (7,), (2**31,), (1, 2**20), (0, 2**40), (3, 5, 7), (rng.randrange(5000),)])
            parts[at] = replace(part, shape=sides)
        elif change == 1 and part.coding is not Coding.GROUPED:
            parts[at] = replace(part, coding=Coding(rng.randrange(9)))
        elif change == 2:
            parts[at] = replace(part, kind=rng.randrange(15))
        elif payloads[at]:
            payloads[at] = damaged(rng, payloads[at], [payload or b"\0" for payload in payloads])
            parts[at] = replace(parts[at], size=len(payloads[at]))
    entries, groups = parts[: len(index.entries)], parts[len(index.entries) :]
    based = index.base or (bytes(16) if any(part.coding.needs_base for part in parts) else b"")
    return container.write_arrays(index.form, entries, payloads, index.metadata, groups=groups, base=based)


def outcomes(seed: int, count: int) -> Iterator[str]:
    """Decode `count` damaged files; yield what came of each."""
    import time

    from laconic.codecs import array_reader, weights
    from laconic.errors import FormatError, UnsupportedInput

    rng = random.Random(seed)
    base, files = base_and_samples()
    origin = weights.base_of(base)
    whole = [weights.expand(data, base=origin) for data in files]
    # The words of damaged files have other checksums: without them the decoders' own answers are seen.
    honest = array_reader.check_of
    for number in range(count):
        which = rng.randrange(len(files))
        mend = number % 2 == 1
        bad = repaired(rng, files[which]) if mend else damaged(rng, files[which], files)
        if bad in files:
            yield "unchanged"
            continue
        start = time.perf_counter()
        array_reader.check_of = (lambda words: Anything(honest(words))) if mend else honest
        try:
            found = weights.expand(bad, base=origin, max_bytes=BYTES, jobs=1 if number % 5 else 2)
        except (FormatError, UnsupportedInput) as error:
            yield f"{'mended ' if mend else ''}{type(error).__name__}"
        else:
            assert sum(tensor.nbytes for tensor in found.tensors) <= BYTES
            assert all(len(tensor.words) == tensor.count for tensor in found.tensors)
            same = [a.words.tobytes() for a in found.tensors] == [a.words.tobytes() for a in whole[which].tensors]
            assert mend or same, f"damage number {number} of seed {seed} passed unseen"
            yield f"{'mended ' if mend else ''}{'same' if same else 'decoded'}"
        finally:
            array_reader.check_of = honest
        seconds = time.perf_counter() - start
        assert seconds < SECONDS_FOR_ONE, f"damage number {number} of seed {seed} took {seconds:.1f} s"


class Anything(int):
    """A checksum that fits every other one."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def series_outcomes(seed: int, count: int) -> Iterator[str]:
    """Damage a series; yield what came of each."""
    import numpy as np

    from laconic.codecs.weights import Series
    from laconic.errors import FormatError

    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.lac"
        values = np.random.default_rng(seed).standard_normal(400).astype(np.float32)
        for step in range(5):
            Series(path, keyframe_every=3).append(
                {"w": (values * (1 + 1e-4 * step)).astype(np.float32), "step": [step]}
            )
        data = path.read_bytes()
        whole = [found["w"].tobytes() for found in Series(path)]
        for _ in range(count):
            bad = damaged(rng, data, [data])
            path.write_bytes(bad)
            try:
                found = [arrays["w"].tobytes() for arrays in Series(path, max_bytes=BYTES)]
            except FormatError as error:
                yield f"series {type(error).__name__}"
                continue
            # Whatever is there is what was appended; a tail that was cut or spoilt may be missing.
            assert found == whole[: len(found)]
            yield "series whole" if bad == data or len(found) == 5 else "series tail"


def check(found: Counter[str]) -> None:
    # An attack that ends at the same door each time tests little: these must all have been reached.
    for name in ("CorruptStream", "TruncatedStream", "NotLaconic", "NewerVersion"):
        assert found[name], name
    for name in ("mended CorruptStream", "mended LimitExceeded", "mended decoded", "mended MissingBase"):
        assert found[name], name
    for name in ("series CorruptStream", "series NotLaconic", "series tail"):
        assert found[name], name
    assert found["unchanged"] < 0.1 * found.total()


def test_thousands_of_damaged_files_of_arrays_end_in_named_errors():
    check(attack(MODULE, 1, FAST))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_thousands_of_damaged_files_of_arrays_end_in_named_errors(seed: int):
    check(attack(MODULE, seed, SLOW // 10))


def test_the_attack_on_arrays_can_fail():
    """Without its checksums the container lets damage pass: the attack must see that."""
    assert "passed unseen" in trusting(MODULE, 1, 300)


def all_outcomes(seed: int, count: int) -> Iterator[str]:
    """Damage files of arrays, and a fifth as many series."""
    yield from outcomes(seed, count)
    yield from series_outcomes(seed, count // 5)


if __name__ == "__main__":
    attacked(all_outcomes)
