"""all-MiniLM-L6-v2, its parts named as in its safetensors file, sentences to run it on, and what it is for: neighbors.

The sentences come from the documentation strings of Python's standard library, which is where the interpreter is.
"""

from __future__ import annotations

import ast
import re
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from laconic.signals import array

WIDTH, HEADS, LAYERS, INNER, WORDS = 384, 12, 6, 1536, 30522
SCALE = 20.0
"""Of the cosines that it was trained to tell apart by."""
MOST_TOKENS = 24
BANK = 256
SKIPPED = {
    "test",
    "tests",
    "idle_test",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "turtledemo",
    "tkinter",
}


class Attention(nn.Module):
    """Queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, T, 384), (B, T) -> (B, T, 384)."""
        q, k, v = (f(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None].bool())
        return found.transpose(1, 2).flatten(2)


class Output(nn.Module):
    """A matrix, the way around, and a norm."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B, T, inner), (B, T, 384) -> (B, T, 384)."""
        return self.LayerNorm(self.dense(y) + x)


def _named(**modules: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict(modules)


class MiniLM(nn.Module):
    """A sentence -> cosines to a bank of others, times 20, as logits: what it was trained with."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Module()
        self.embeddings.word_embeddings = nn.Embedding(WORDS, WIDTH)
        self.embeddings.position_embeddings = nn.Embedding(512, WIDTH)
        self.embeddings.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.embeddings.LayerNorm = nn.LayerNorm(WIDTH, eps=1e-12)
        layers: list[nn.Module] = []
        for _ in range(LAYERS):
            attention = nn.ModuleDict({"self": Attention(), "output": Output(WIDTH)})
            layers.append(
                _named(attention=attention, intermediate=_named(dense=nn.Linear(WIDTH, INNER)), output=Output(INNER))
            )
        self.encoder = _named(layer=nn.ModuleList(layers))
        self.pooler = _named(dense=nn.Linear(WIDTH, WIDTH))  # not used by sentence embeddings
        self.register_buffer("bank", torch.zeros(BANK, WIDTH), persistent=False)

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Token numbers (B, T), 0 where there is none -> unit vectors (B, 384)."""
        mask = (ids != 0).float()
        own: Any = self.embeddings
        places = torch.arange(ids.shape[1]).expand_as(ids)
        x = (
            own.word_embeddings(ids)
            + own.position_embeddings(places)
            + own.token_type_embeddings(torch.zeros_like(ids))
        )
        x = own.LayerNorm(x)
        layers: Any = self.encoder["layer"]
        for layer in layers:
            x = layer["attention"]["output"](layer["attention"]["self"](x, mask), x)
            x = layer["output"](functional.gelu(layer["intermediate"]["dense"](x)), x)
        return functional.normalize((x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True), dim=-1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Token numbers (B, T) -> logits (B, 256)."""
        return SCALE * self.embed(ids) @ self.bank.T


def load(folder: Path) -> tuple[MiniLM, dict[str, Any]]:
    """The published network and its arrays, from a folder with model.safetensors."""
    found = {one.name: one.array() for one in array.load(folder / "model.safetensors").tensors}
    arrays = {name: one for name, one in found.items() if one.dtype.kind == "f"}  # the other counts to 511
    model = MiniLM()
    model.load_state_dict({name: torch.from_numpy(one.copy()) for name, one in arrays.items()})
    return model.eval(), arrays


def sentences() -> tuple[list[str], list[str]]:
    """For the test, and for calibration: first sentences of documentation strings, from other modules each."""
    root = Path(sysconfig.get_paths()["stdlib"])
    sides: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for place, path in enumerate(sorted(root.rglob("*.py"))):
        if SKIPPED & set(path.relative_to(root).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for sentence in re.split(r"(?<=\.)\s+", " ".join((ast.get_docstring(node) or "").split())):
                if re.fullmatch(r"[A-Z][A-Za-z ,'-]+\.", sentence) and 5 <= len(sentence.split()) <= 16:
                    sides[place % 4 == 0][sentence] = None
    test, calibration = (list(side) for side in sides)
    return test, [one for one in calibration if one not in sides[0]]


def spread(ids: torch.Tensor, count: int) -> torch.Tensor:
    """So many of the sentences, evenly spread."""
    return ids[torch.linspace(0, len(ids) - 1, count).long()]


def tokens(folder: Path, texts: list[str]) -> torch.Tensor:
    """Token numbers (N, T), 0 where a sentence has ended."""
    from tokenizers import Tokenizer  # pyright: ignore[reportMissingImports]

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.enable_padding(length=MOST_TOKENS)
    return torch.tensor([one.ids for one in tokenizer.encode_batch(texts)])


def random_words(count: int = 512, length: int = 16) -> torch.Tensor:
    """Sentences of no data: words of the vocabulary, the first ones (it is in the order of frequency) more often."""
    signs = torch.Generator().manual_seed(0)
    first = 999  # what stands before is reserved
    places = torch.rand(count, length, generator=signs)
    ids = (first * (WORDS / first) ** places).long().clamp(first, WORDS - 1)  # Zipf's law
    ids[:, 0], ids[:, -1] = 101, 102
    return ids


def embeddings(model: MiniLM, ids: torch.Tensor) -> Any:
    """Unit vectors (N, 384) float64, the longest sentences together."""
    lengths = (ids != 0).sum(1)
    order = lengths.argsort()
    found = torch.zeros(len(ids), WIDTH, dtype=torch.float64)
    with torch.no_grad():
        for part in order.split(100):
            found[part] = model.embed(ids[part, : int(lengths[part].max())]).double()
    return found.numpy()


def neighbors(vectors: Any, count: int = 10) -> Any:
    """The nearest others of each vector, (N, count)."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return np.argpartition(-cosines, count, axis=1)[:, :count]


def agreement(wanted: Any, found: Any) -> float:
    """Share of the nearest that are kept."""
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(wanted.tolist(), found.tolist(), strict=True)]))
