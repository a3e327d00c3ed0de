"""Training needs torch, which only `laconic[train]` brings: without it these tests are not collected."""

from __future__ import annotations

try:
    import torch
except ImportError:
    collect_ignore_glob = ["test_*.py"]
else:
    torch.set_num_threads(1)
