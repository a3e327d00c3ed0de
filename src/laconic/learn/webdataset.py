"""A packed data set as WebDataset tar files, for training code that reads those: one tar for each shard.

A sample is a run of members that share the name up to the first dot (Aizman, Maltby & Breuel, "High Performance I/O For
Large Scale Deep Learning", 2019):

    000000012.npy        symbols, int8 (C, h, w); of further views 000000012.flip.npy and so on
    000000012.cls        the label, a number in ASCII
    000000012.json       key, class and number of the sample

and `latents.json`, which is written last, says what the symbols are: scales, layout, classes, and the SHA-256 of each
tar. Owners, times and modes of members are constant, so the same data set gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from laconic.errors import OutputExists
from laconic.learn.manifest import join, read_json, write_json
from laconic.signals import locations

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from laconic.learn.dataset import LatentDataset

__all__ = ["DESCRIPTION", "TarEntry", "export_webdataset"]

DESCRIPTION = "latents.json"
FORMAT, VERSION = "laconic.webdataset", 1
BATCH = 256
"""Samples that are read at once."""


@dataclass(frozen=True)
class TarEntry:
    """One tar: its file, its samples, its bytes, its SHA-256."""

    file: str
    count: int
    bytes: int
    sha256: str


def export_webdataset(
    dataset: LatentDataset,
    destination: str,
    *,
    force: bool = False,
    report: Callable[[TarEntry], None] | None = None,
) -> list[TarEntry]:
    """Write a packed data set as tar files.

    Parameters
    ----------
    destination : str
        Folder or URL. Each tar takes its name when it is whole.
    force : bool
        Replace what an earlier export wrote there; other files stay.
    report : callable, optional
        Called with each tar that is done.

    Returns
    -------
    list of TarEntry

    Raises
    ------
    OutputExists
        The destination holds an export, or a file of such a name, and `force` is not set.
    CorruptStream, OSError
        A shard is damaged or missing, or nothing can be written; what was written is removed again.
    """
    description = join(destination, DESCRIPTION)
    before = _previous(description) if force else []
    if not force and locations.exists(description):
        raise OutputExists(description)
    locations.make_folder(destination)
    if force:
        _remove(destination, [DESCRIPTION])
    entries: list[TarEntry] = []
    try:
        first = 0
        for number, shard in enumerate(dataset.manifest.shards):
            name = f"shard-{number:05d}.tar"
            with locations.writing(join(destination, name), force=force) as stream:
                hashing = _Hashing(stream)
                _write_tar(hashing, dataset, range(first, first + shard.count))
            entries.append(TarEntry(name, shard.count, hashing.size, hashing.digest.hexdigest()))
            first += shard.count
            if report is not None:
                report(entries[-1])
        write_json(description, _describe(dataset, entries))
    except BaseException:
        _remove(destination, [entry.file for entry in entries])
        raise
    _remove(destination, [name for name in before if name not in {entry.file for entry in entries}])
    return entries


def _write_tar(stream: _Hashing, dataset: LatentDataset, samples: range) -> None:
    views = dataset.manifest.preparation.views
    names = ["npy", *(f"{view}.npy" for view in views[1:])]
    with tarfile.open(fileobj=cast("BinaryIO", stream), mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for start in range(samples.start, samples.stop, BATCH):
            batch = range(start, min(start + BATCH, samples.stop))
            symbols = [dataset.symbols(batch, view) for view in range(len(views))]
            for place, sample in enumerate(batch):
                label = int(dataset.labels[sample])
                about = {"class": dataset.classes[label], "index": sample, "key": dataset.key(sample)}
                members = [(name, _npy(symbols[view][place])) for view, name in enumerate(names)]
                members += [("cls", str(label).encode()), ("json", json.dumps(about, sort_keys=True).encode())]
                for ending, data in members:
                    tar.addfile(_member(f"{sample:09d}.{ending}", len(data)), io.BytesIO(data))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)  # time, owner and group are 0 and without names
    member.size, member.mode = size, 0o644
    return member


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _describe(dataset: LatentDataset, entries: list[TarEntry]) -> dict[str, Any]:
    """What a reader needs who has no laconic: latents are symbols times scales, in pixel values."""
    manifest = dataset.manifest
    return {
        "format": FORMAT,
        "version": VERSION,
        "manifest": manifest.digest,
        "model": manifest.fingerprint,
        "count": manifest.count,
        "shape": list(dataset.shape),
        "views": list(manifest.preparation.views),
        "classes": list(manifest.classes),
        "scales": [float(scale) for scale in dataset.scales],
        "layout": [list(channel) for channel in manifest.grid.layout[: dataset.channels]],
        "tars": [asdict(entry) for entry in entries],
    }


def _previous(description: str) -> list[str]:
    """The tars that an earlier export lists; only names that it can have given."""
    if not locations.exists(description):
        return []
    with contextlib.suppress(Exception):
        names = [str(entry["file"]) for entry in read_json(description)["tars"]]
        return [name for name in names if name.startswith("shard-") and name.endswith(".tar") and "/" not in name]
    return []


def _remove(destination: str, names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            if locations.is_url(destination):
                filesystem, path = locations.file_system(join(destination, name))
                filesystem.rm_file(path)
            else:
                Path(join(destination, name)).unlink()


class _Hashing:
    """A stream that remembers size and SHA-256 of what went through."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.size, self.digest = stream, 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)
