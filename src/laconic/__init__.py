"""laconic: dense signals into few bytes and back, bit-exactly on every machine.

One path serves every kind of signal::

    signal --analyze--> latents --quantize--> symbols --(prior + coder)--> words --write--> .lac bytes
    signal <-synthesize- latents <-dequantize- symbols <-(prior + coder)-- words <--read--- .lac bytes

To see one photo become bytes read, in this order: `cli/compress.py`, `signals/image.py`, `codecs/image.py`,
`transform/lifting.py`, `quantize/uniform.py`, `entropy/causal.py` and `entropy/tables.py`, `coder/rans.py`,
`container/writer.py`; and back from `codecs/image_decoder.py`.

>>> import laconic as lac
>>> data = lac.compress(pixels, quality=60)
>>> pixels = lac.decompress(data)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from laconic import errors as errors
    from laconic import learn as learn
    from laconic.codecs import weights as weights
    from laconic.codecs.files import compress_file, decompress_file, verify
    from laconic.codecs.image import ImageCodec, compress
    from laconic.codecs.image_decoder import decompress, restore
    from laconic.codecs.inspection import Info, inspect
    from laconic.codecs.latents import Latents
    from laconic.codecs.pixels import Restored

__version__ = "0.1.0"

# Where each public name lives. Loaded on first use, so that `laconic --version` does not wait for numpy.
_HOMES = {
    "ImageCodec": "laconic.codecs.image",
    "Info": "laconic.codecs.inspection",
    "Latents": "laconic.codecs.latents",
    "Restored": "laconic.codecs.pixels",
    "compress": "laconic.codecs.image",
    "compress_file": "laconic.codecs.files",
    "decompress": "laconic.codecs.image_decoder",
    "decompress_file": "laconic.codecs.files",
    "inspect": "laconic.codecs.inspection",
    "restore": "laconic.codecs.image_decoder",
    "verify": "laconic.codecs.files",
}

_MODULES = {"errors": "laconic.errors", "learn": "laconic.learn", "weights": "laconic.codecs.weights"}

__all__ = [
    "ImageCodec",
    "Info",
    "Latents",
    "Restored",
    "__version__",
    "compress",
    "compress_file",
    "decompress",
    "decompress_file",
    "errors",
    "inspect",
    "learn",
    "restore",
    "verify",
    "weights",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'laconic' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
