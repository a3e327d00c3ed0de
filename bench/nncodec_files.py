"""Codes a model with NNCodec (ISO/IEC 15938-17) at several QPs; a process of its own, as it needs numpy below 2.

    python bench/nncodec_files.py WEIGHTS.npz FOLDER QP [QP ...]

Writes FOLDER/QP.npz: the decoded arrays, and the length of the bitstream as `bytes`. Dependent quantization is on, all
else is the package's default. Its packages for training are not needed to code arrays, so they may be absent.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np

for name in ("torchvision", "torchvision.datasets", "torchvision.models", "torchvision.transforms", "cv2", "ptflops"):
    sys.modules[name] = MagicMock()
for name in ("datasets", "models"):
    sys.modules[f"nncodec.framework.applications.{name}"] = MagicMock()
cases = ModuleType("nncodec.framework.use_case_init")
cases.use_cases = {}
sys.modules[cases.__name__] = cases

from nncodec.nn import decode, encode  # noqa: E402

weights = dict(np.load(sys.argv[1]))
folder = Path(sys.argv[2])
for qp in map(int, sys.argv[3:]):
    stream = encode(dict(weights), {"qp": qp, "use_dq": True, "verbose": False, "results": str(folder)})
    np.savez(folder / f"{qp}.npz", bytes=len(stream), **{f"/{name}": one for name, one in decode(stream).items()})
