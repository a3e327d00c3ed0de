"""Which samples a data set has: folders of classes, a CSV table, or WebDataset tar files, as one sorted list.

No picture is opened here: a list of a million samples takes the time of reading folders.
"""

from __future__ import annotations

import csv
import io
import os
import tarfile
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from laconic.errors import UnsupportedInput, UsageError
from laconic.signals import locations

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LAYOUTS", "SUFFIXES", "Sample", "find_samples", "read_sample"]

LAYOUTS = ("folder", "csv", "webdataset")
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".pam", ".gif", ".lac"}
)
_LABELS = (".cls", ".txt")


class Sample(NamedTuple):
    """One picture.

    Attributes
    ----------
    key : str
        Its name within the data set, unique: `tench/0001.jpg`.
    location : str
        Path or URL of the file that holds it.
    label : int
        Place of its class in the sorted list of classes.
    offset, size : int
        Where in the file it lies, in bytes; -1 and -1 for the whole of it.
    """

    key: str
    location: str
    label: int
    offset: int = -1
    size: int = -1


def find_samples(source: str, layout: str, classes: list[str] | None = None) -> tuple[list[Sample], list[str]]:
    """List the samples of a source, sorted by key, and its classes.

    Parameters
    ----------
    source : str
        `folder`: a folder or URL with a folder for each class. `csv`: a table with columns `path` and `label`, paths
        relative to it. `webdataset`: a tar file, or a folder of them, with `KEY.jpg` and `KEY.cls` for each sample.
    classes : list of str, optional
        The label schema to keep to; a class beyond it is refused.

    Raises
    ------
    UsageError
        No such layout, no samples, a class without samples or outside `classes`, two samples of one key.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"the layout is {layout!r}, expected {', '.join(LAYOUTS)}")
    finder = {"folder": _folder, "csv": _table, "webdataset": _tars}[layout]
    found, named = finder(source)
    if not found:
        raise UsageError(f"{source}: no pictures in the layout `{layout}`")
    held = {label for _, label in found}
    empty = sorted(named - held)
    if empty:
        raise UsageError(f"{source}: the class {empty[0]!r} has no pictures")
    schema = classes if classes is not None else sorted(held, key=_class_order)
    strange = sorted(held - set(schema))
    if strange:
        raise UsageError(f"{source}: the class {strange[0]!r} is not one of the {len(schema)} known")
    places = {name: place for place, name in enumerate(schema)}
    samples = sorted(sample._replace(label=places[label]) for sample, label in found)
    for before, after in pairwise(samples):
        if before.key == after.key:
            raise UsageError(f"{source}: two samples are named {after.key!r}")
    return samples, schema


def _class_order(name: str) -> tuple[bool, int, str]:
    """Numbers by value, then names by letter."""
    number = name.isascii() and name.isdigit() and len(name) < 10
    return not number, int(name) if number else 0, name


def _folder(source: str) -> tuple[list[tuple[Sample, str]], set[str]]:
    found: list[tuple[Sample, str]] = []
    classes: set[str] = set()
    root, files, folders = list_files(source)
    for name in folders:
        if not name.split("/", 1)[0].startswith("."):
            classes.add(name.split("/", 1)[0])
    for name in files:
        parts = name.split("/")
        if len(parts) > 1 and not parts[0].startswith(".") and PurePosixPath(name).suffix.lower() in SUFFIXES:
            found.append((Sample(name, f"{root}{name}", 0), parts[0]))
    return found, classes


def list_files(source: str) -> tuple[str, list[str], list[str]]:
    """List (prefix, files, folders) below a folder or URL, names relative and with slashes."""
    if locations.is_url(source):
        filesystem, path = cast("Any", locations.file_system(source))
        base = str(path).rstrip("/")
        protocol = source.split("://", 1)[0]
        tree: dict[str, Any] = filesystem.find(base, withdirs=True, detail=True)
        names = {name[len(base) + 1 :]: entry["type"] for name, entry in tree.items() if len(name) > len(base)}
        files = [name for name, kind in names.items() if kind == "file"]
        return f"{protocol}://{base}/", files, [name for name, kind in names.items() if kind != "file"]
    root = Path(source)
    if not root.is_dir():
        raise UsageError(f"{source}: no such folder")
    files: list[str] = []
    folders: list[str] = []
    for place, inner, names in os.walk(root, followlinks=True):
        relative = Path(place).relative_to(root)
        folders += [(relative / name).as_posix() for name in inner]
        files += [(relative / name).as_posix() for name in names]
    return f"{os.fspath(root)}{os.sep}", files, folders


def _table(source: str) -> tuple[list[tuple[Sample, str]], set[str]]:
    text = locations.read_bytes(source).decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if not rows.fieldnames or not {"path", "label"} <= set(rows.fieldnames):
        raise UsageError(f"{source}: the table needs the columns path and label")
    found: list[tuple[Sample, str]] = []
    for number, row in enumerate(rows, 2):
        name, label = row["path"], row["label"]
        if not name or not label:
            raise UsageError(f"{source}: row {number} has no path or no label")
        found.append((Sample(name, _beside(source, name), 0), label))
    return found, set()


def _beside(source: str, name: str) -> str:
    if locations.is_url(name):
        return name
    if locations.is_url(source):
        return f"{source.rsplit('/', 1)[0]}/{name}"
    return os.fspath(Path(source).parent / name)


def _tars(source: str) -> tuple[list[tuple[Sample, str]], set[str]]:
    if source.endswith(".tar"):
        tars = [(source, "")]
    else:
        root, files, _ = list_files(source)
        tars = [(f"{root}{name}", f"{name}/") for name in sorted(files) if name.endswith(".tar")]
    found: list[tuple[Sample, str]] = []
    for location, prefix in tars:
        pictures: dict[str, Sample] = {}
        labels: dict[str, str] = {}
        for member, read in _members(location):
            name = member.name.removeprefix("./")
            folder, _, base = name.rpartition("/")
            stem, _, ending = base.partition(".")
            key = f"{folder}/{stem}" if folder else stem
            suffix = f".{ending.lower()}"
            if suffix in SUFFIXES:
                pictures[key] = Sample(f"{prefix}{name}", location, 0, member.offset_data, member.size)
            elif suffix in _LABELS and (suffix == ".cls" or key not in labels):
                labels[key] = read().decode("utf-8", "replace").strip()
        for key, sample in pictures.items():
            if not labels.get(key):
                raise UsageError(f"{location}: the sample {key!r} has no label ({key}.cls)")
            found.append((sample, labels[key]))
    return found, set()


def _members(location: str) -> Iterator[tuple[tarfile.TarInfo, Any]]:
    try:
        with locations.open_binary(location) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                if member.isfile():
                    yield member, lambda member=member: _whole(tar, member)
    except tarfile.TarError as error:
        raise UnsupportedInput(f"{location}: {error}") from error


def _whole(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member) if member.size < 1 << 16 else None
    return b"" if stream is None else stream.read()


def read_sample(sample: Sample) -> bytes:
    """Read the bytes of one picture."""
    if sample.offset < 0:
        return locations.read_bytes(sample.location)
    with locations.open_binary(sample.location) as stream:
        return read_span(stream, sample.offset, sample.size)


def read_span(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Read `size` bytes from `offset`; fewer where the file is shorter."""
    stream.seek(offset)
    return stream.read(size)
