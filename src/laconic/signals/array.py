"""Array files: `.npy`, `.npz` and `.safetensors`, loaded and saved without a learning framework.

Every file is hostile: what a header announces is compared with the bytes that are there before memory is taken, and
nothing is ever unpickled. PyTorch's own checkpoints are pickles and so are refused, with a word about how to convert
them.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from laconic.errors import UnsupportedInput
from laconic.signals import locations
from laconic.signals.tensors import KINDS, MAX_DIMENSIONS, Arrays, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from laconic.signals.locations import Source, Target

__all__ = ["FORMS", "form_of", "load", "save"]

FORMS = ("npy", "npz", "safetensors")
MAX_HEADER = 100_000_000
"""Bytes of the largest safetensors header, as in its own implementation."""
DEFLATE_DENSITY = 1040
"""Deflate never expands a byte to more than this."""
_PICKLES = (".pt", ".pth", ".th", ".ckpt", ".bin", ".pkl")
_BY_TAG = {kind.tag: kind for kind in KINDS}
_SIZE_LAW = "the number of bytes its header announces"


def form_of(name: str) -> str:
    """The form a file name's ending asks for.

    Raises
    ------
    UnsupportedInput
        Another ending; pickled checkpoints are told how to become safetensors.
    """
    ending = name.rpartition(".")[2].lower()
    if ending in FORMS:
        return ending
    if f".{ending}" in _PICKLES:
        raise UnsupportedInput(
            f"{name}: pickled checkpoints can run code when they are loaded, so they are not read here; "
            "convert it once with torch.load(..., weights_only=True) and safetensors.torch.save_file"
        )
    raise UnsupportedInput(f"{name}: the ending is none of {', '.join('.' + form for form in FORMS)}")


def load(source: Source, *, form: str | None = None) -> Arrays:
    """Load a file.

    Parameters
    ----------
    source : path, URL, binary file or bytes
    form : {"npy", "npz", "safetensors"}, optional
        Default: by what the file begins with.

    Raises
    ------
    UnsupportedInput
        A damaged file, one that holds pickled objects, or kinds of numbers that no codec here can hold.
    """
    if isinstance(source, locations.PATH_TYPES):
        name = locations.name_of(source)
        if any(name.lower().endswith(ending) for ending in _PICKLES):
            form_of(name)
    data = locations.read_bytes(source)
    name = locations.name_of(source)
    form = form or _sniff(data)
    try:
        if form == "npy":
            return Arrays("npy", (_from_npy("", data),), {})
        if form == "npz":
            return Arrays("npz", tuple(_from_npz(data)), {})
        return _from_safetensors(data)
    except UnsupportedInput as error:
        raise UnsupportedInput(f"{name}: {error}") from error


def save(target: Target, arrays: Arrays, *, form: str | None = None, force: bool = False) -> None:
    """Save arrays; a path is written at once or not at all.

    Parameters
    ----------
    form : {"npy", "npz", "safetensors"}, optional
        Default: the ending of the target, for open files the form the arrays came in.

    Raises
    ------
    OutputExists
        The target exists and `force` is not set.
    UnsupportedInput
        Several arrays for `.npy`, a kind that numpy lacks for `.npy` and `.npz`, or names that the form cannot hold.
    """
    if form is None:
        form = form_of(locations.name_of(target)) if isinstance(target, locations.PATH_TYPES) else arrays.form
    locations.write_bytes(target, spelled(arrays, form), force=force)


def spelled(arrays: Arrays, form: str) -> bytes:
    """The bytes of a file; see `save`."""
    if form == "safetensors":
        return _safetensors(arrays)
    if form == "npy":
        if len(arrays.tensors) != 1:
            raise UnsupportedInput(f".npy holds one array, not {len(arrays.tensors)}: write .npz or .safetensors")
        return _npy(arrays.tensors[0])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for tensor in arrays.tensors:
            # A fixed date: the same arrays make the same bytes.
            archive.writestr(zipfile.ZipInfo(f"{tensor.name or 'arr_0'}.npy"), _npy(tensor))
    return stream.getvalue()


def _sniff(data: bytes) -> str:
    if data[:6] == b"\x93NUMPY":
        return "npy"
    if data[:4] in {b"PK\x03\x04", b"PK\x05\x06"}:
        return "npz"
    return "safetensors"


def _npy(tensor: Tensor) -> bytes:
    if tensor.kind.native is None:
        raise UnsupportedInput(f"{tensor.name or 'the array'} is {tensor.kind.name}, which numpy lacks: .safetensors")
    stream = io.BytesIO()
    np.lib.format.write_array(stream, tensor.array(), allow_pickle=False)
    return stream.getvalue()


def _from_npy(name: str, data: bytes) -> Tensor:
    stream = io.BytesIO(data)
    shape, fortran, dtype = _npy_header(stream)
    rest = len(data) - stream.tell()
    if math.prod(shape) * dtype.itemsize != rest:
        raise UnsupportedInput(f"{name or 'the array'} does not have {_SIZE_LAW}")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return Tensor.of(name, flat.reshape(shape, order="F" if fortran else "C"))


def _npy_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, SyntaxError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise UnsupportedInput(f"no readable .npy header: {error}") from error
    if dtype.hasobject or dtype.itemsize == 0 or any(side < 0 for side in shape):
        raise UnsupportedInput(f"arrays of {dtype} are not read")
    return shape, fortran, dtype


def _from_npz(data: bytes) -> list[Tensor]:
    tensors: list[Tensor] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if not entry.filename.endswith(".npy"):
                    raise UnsupportedInput(f"{entry.filename!r} in it is no array")
                if entry.file_size > DEFLATE_DENSITY * max(entry.compress_size, 1) + 1024:
                    raise UnsupportedInput(f"{entry.filename!r} in it announces more than its bytes can hold")
                with archive.open(entry) as stream:
                    content = stream.read(entry.file_size + 1)
                tensors.append(_from_npy(entry.filename.removesuffix(".npy"), content))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise UnsupportedInput(f"no readable .npz archive: {error}") from error
    except Exception as error:  # zlib.error and its like have no common root
        if isinstance(error, UnsupportedInput):
            raise
        raise UnsupportedInput(f"no readable .npz archive: {error}") from error
    _check_names([tensor.name for tensor in tensors])
    return tensors


def _check_names(names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise UnsupportedInput("two arrays of the same name")


def _from_safetensors(data: bytes) -> Arrays:
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MAX_HEADER, len(data) - 8) or data[8:9] != b"{":
        raise UnsupportedInput("neither .npy, .npz nor .safetensors")
    try:
        header = json.loads(data[8 : 8 + size], object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise UnsupportedInput(f"no readable .safetensors header: {error}") from error
    texts = header.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(
        isinstance(text, str) for text in cast("dict[str, object]", texts).values()
    ):
        raise UnsupportedInput("the metadata of a .safetensors file are texts")
    places = [(_place(name, entry), name, entry) for name, entry in cast("dict[str, Any]", header).items()]
    places.sort(key=lambda item: item[0])
    tensors: list[Tensor] = []
    at, body = 0, memoryview(data)[8 + size :]
    for (begin, end), name, entry in places:
        kind, shape = _BY_TAG[entry["dtype"]], tuple(cast("list[int]", entry["shape"]))
        # The offsets leave no holes and do not overlap, as the format demands.
        if begin != at or end > len(body) or end - begin != math.prod(shape) * kind.size:
            raise UnsupportedInput(f"tensor {name!r} does not have {_SIZE_LAW}")
        tensors.append(Tensor(name, kind, shape, np.frombuffer(body[begin:end], kind.word)))
        at = end
    if at != len(body):
        raise UnsupportedInput("bytes are left over after the last tensor")
    return Arrays("safetensors", tuple(tensors), cast("dict[str, str]", texts))


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_names([name for name, _ in pairs])
    return dict(pairs)


def _place(name: str, entry: Any) -> tuple[int, int]:
    """Begin and end of a tensor, its header entry checked for form."""
    fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    tag, shape, offsets = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    if not isinstance(tag, str) or tag not in _BY_TAG:
        raise UnsupportedInput(f"tensor {name!r} is {tag!r}; supported are {', '.join(_BY_TAG)}")
    if not _naturals(shape) or len(cast("list[int]", shape)) > MAX_DIMENSIONS:
        raise UnsupportedInput(f"tensor {name!r} has no lawful shape")
    if not _naturals(offsets) or len(cast("list[int]", offsets)) != 2:
        raise UnsupportedInput(f"tensor {name!r} has no lawful place")
    begin, end = cast("list[int]", offsets)
    return begin, end


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**48 for item in cast("list[Any]", value))


def _safetensors(arrays: Arrays) -> bytes:
    header: dict[str, Any] = {"__metadata__": dict(arrays.metadata)} if arrays.metadata else {}
    parts: list[bytes] = []
    at = 0
    for tensor in arrays.tensors:
        if tensor.name == "__metadata__":
            raise UnsupportedInput("no tensor of a .safetensors file may be called __metadata__")
        place = [at, at + tensor.nbytes]
        entry: Mapping[str, Any] = {"dtype": tensor.kind.tag, "shape": list(tensor.shape), "data_offsets": place}
        header[tensor.name or "array"] = entry
        parts.append(tensor.words.tobytes())
        at += tensor.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the data begin on a multiple of 8, as the format's own writer has it
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])
