"""Models: files of integers that training makes and the package ships, named by what is in them.

A compressed file names its model by a fingerprint, the first 8 bytes of the SHA-256 of the model file. Models are
looked for in the package and in the folders of the environment variable ``LACONIC_MODELS``.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.entropy.context_network import ContextNetwork, contexts_in
from laconic.entropy.tables import ParameterSet
from laconic.errors import MissingModel, ModelError, UsageError
from laconic.transform.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["SETS", "ImageModel", "completed", "default_model", "find_model", "load_model"]

PHOTO = Path(__file__).with_name("photo.safetensors")
KIND, VERSIONS = "laconic.image", ("1", "2", "3", "4", "5", "6")
MAX_MODEL = 64 * 2**20
FINGERPRINT_BYTES = 8
NETWORKS = ("fast", "best", "ssim")
LEVELS = 6
SETS = ("lossy", "trellis", "ssim", "foretold")
"""Without a trellis; with one; with one, and steps that serve MS-SSIM; with one, and details foretold."""


@dataclass(frozen=True, eq=False)
class ImageModel:
    """What the image codec needs to know about pictures.

    Attributes
    ----------
    fingerprint : bytes
        8 bytes.
    lossy : tuple of ParameterSet
        Planes Y, Cb, Cr; one set for each range of rates, of each of `SETS` that the model has, in this order.
    lossless : ParameterSet
        Planes Y, Co, Cg and alpha.
    set_codes : ndarray (S,) uint16
        The first step code of each range of rates, ascending from 0.
    quality_codes : ndarray (101,) uint16
        The step code of each quality.
    networks : dict of str to Network
        The decoder-side networks it has, of "fast", "best" and "ssim".
    details : dict of int to Network
        The networks that foretell details of luma, by level, 1 .. 6.
    contexts : dict of (int, int) to ContextNetwork
        The networks that see the context of a coefficient, by plane and level.
    predicts_chroma : bool
        Since version 3: symbols of chroma stand for what luma does not foretell, see `entropy.causal.TileCoding`.
    """

    fingerprint: bytes
    lossy: tuple[ParameterSet, ...]
    lossless: ParameterSet
    set_codes: NDArray[np.uint16]
    quality_codes: NDArray[np.uint16]
    networks: dict[str, Network]
    details: dict[int, Network]
    contexts: dict[tuple[int, int], ContextNetwork]
    predicts_chroma: bool

    def set_for(self, code: int, kind: str = "lossy") -> int:
        """Return the number of the lossy set of a kind of `SETS` for a step code.

        Raises
        ------
        UsageError
            The model has no such sets.
        """
        if not self.has(kind):
            raise UsageError(f"the model has no sets {kind!r}")
        return SETS.index(kind) * len(self.set_codes) + int(np.searchsorted(self.set_codes, code, side="right")) - 1

    def has(self, kind: str) -> bool:
        """Tell whether the model has sets of a kind of `SETS`."""
        return len(self.lossy) > SETS.index(kind) * len(self.set_codes)

    def kind_of(self, number: int) -> str:
        """Return which of `SETS` a lossy set belongs to."""
        return SETS[number // len(self.set_codes)]


def load_model(data: bytes) -> ImageModel:
    """Read a model file.

    Raises
    ------
    ModelError
        It is damaged, of another kind or version, or holds values no codec can use.
    """
    if len(data) > MAX_MODEL:
        raise ModelError(f"a model of {len(data)} bytes, at most {MAX_MODEL} are read")
    arrays, version = _arrays(data)
    arrays = completed(arrays)
    counts = [sum(name.endswith(".weights") and name.startswith(kind) for name in arrays) for kind in SETS]
    count = counts[0]
    codes = arrays.get("set_codes")
    qualities = arrays.get("quality_code")
    if (
        codes is None
        or codes.dtype != np.uint16
        or codes.shape != (count,)
        or count < 1
        or codes[0] != 0
        or np.any(np.diff(codes.astype(int)) <= 0)
    ):
        raise ModelError("set_codes must rise from 0, one for each lossy set")
    if sorted(counts, reverse=True) != counts or not set(counts) <= {0, count}:
        found = ", ".join(f"{number} {kind}" for kind, number in zip(SETS, counts, strict=True))
        raise ModelError(f"as many sets of each kind are expected, or none of the last: {found}")
    if qualities is None or qualities.dtype != np.uint16 or qualities.shape != (101,) or qualities.max() > 767:
        raise ModelError("quality_code must hold 101 step codes")
    model = ImageModel(
        fingerprint=hashlib.sha256(data).digest()[:FINGERPRINT_BYTES],
        lossy=tuple(
            ParameterSet.of(arrays, f"{kind}{number}.")
            for kind, numbers in zip(SETS, counts, strict=True)
            for number in range(numbers)
        ),
        lossless=ParameterSet.of(arrays, "lossless."),
        set_codes=codes,
        quality_codes=qualities,
        networks={
            name: Network.of(arrays, f"{name}.")
            for name in NETWORKS
            if any(array.startswith(f"{name}.") for array in arrays)
        },
        details={
            level: Network.of(arrays, f"detail{level}.")
            for level in range(1, LEVELS + 1)
            if any(array.startswith(f"detail{level}.") for array in arrays)
        },
        contexts=contexts_in(arrays),
        predicts_chroma=version >= 3,
    )
    if any(parameters.foretells for parameters in model.lossy) and (not model.details or version < 3):
        raise ModelError("sets that foretell details take networks for it, and version 3")
    if any(parameters.listens for parameters in model.lossy) and (not model.contexts or version < 3):
        raise ModelError("sets that listen to networks take networks that see contexts, and version 3")
    if version < 4 and any(name.startswith("context") and ".middle" in name for name in arrays):
        raise ModelError("networks of two layers that see contexts take version 4")
    if version < 5 and any(plane for plane, _ in model.contexts):
        raise ModelError("networks that see contexts of chroma take version 5")
    if version < 6 and any(network.narrow for network in (*model.networks.values(), *model.details.values())):
        raise ModelError("networks that multiply numbers of 8 bits take version 6")
    if model.lossless.foretells or model.lossless.listens:
        raise ModelError("the lossless set takes no networks")
    if any(parameters.planes != 3 for parameters in model.lossy) or model.lossless.planes != 4:
        raise ModelError("lossy sets have planes Y, Cb, Cr; the lossless set Y, Co, Cg and alpha")
    if model.lossless.trellis or any(
        parameters.trellis != (number >= count) for number, parameters in enumerate(model.lossy)
    ):
        raise ModelError("sets with a trellis, and only they, have tables of two quantizers")
    if any(not parameters.ratio.all() for parameters in model.lossy):
        raise ModelError("a lossy set has a step ratio of 0")
    return model


def completed(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a model with those that its sets `foretold` share with the sets `trellis`."""
    whole = dict(arrays)
    for name in {name.split(".")[0] for name in arrays if name.startswith("foretold")}:
        shared = f"trellis{name[len('foretold') :]}."
        for key in arrays:
            if key.startswith(shared):
                whole.setdefault(f"{name}.{key[len(shared) :]}", arrays[key])
    return whole


def _arrays(data: bytes) -> tuple[dict[str, NDArray[Any]], int]:
    import json

    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"not a model file: {error}") from error
    about = header.get("__metadata__", {})
    if about.get("kind") != KIND:
        raise ModelError(f"a model of kind {about.get('kind')!r}, expected {KIND!r}")
    if about.get("version") not in VERSIONS:
        raise ModelError(f"a model of version {about.get('version')!r}, this program reads {', '.join(VERSIONS)}")
    return arrays, int(about["version"])


def folders() -> list[Path]:
    """List where models are looked for, the package first."""
    return [PHOTO.parent, *(Path(part) for part in os.environ.get("LACONIC_MODELS", "").split(os.pathsep) if part)]


@lru_cache(maxsize=4)
def _load_path(path: Path) -> ImageModel:
    return load_model(path.read_bytes())


def default_model() -> ImageModel:
    """Return the model that new files are written with."""
    return _load_path(PHOTO)


@lru_cache(maxsize=16)
def find_model(fingerprint: bytes) -> ImageModel:
    """Return the model with this fingerprint.

    Raises
    ------
    MissingModel
        None of the folders holds it.
    """
    if PHOTO.is_file() and default_model().fingerprint == fingerprint:  # already read, most of the time
        return default_model()
    for folder in folders():
        for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else []:
            if path.stat().st_size <= MAX_MODEL and _fingerprint(path) == fingerprint:
                return _load_path(path)
    raise MissingModel(fingerprint, [str(folder) for folder in folders()])


def _fingerprint(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()[:FINGERPRINT_BYTES]
