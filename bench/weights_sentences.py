"""Claim: all-MiniLM-L6-v2 keeps at 3 bits per weight at least the neighbors that it keeps in GGUF's Q4_K_M, and at 2
bits those that it keeps in Q2_K.

    LACONIC_MINILM=folder python bench/weights_sentences.py     # needs pip install gguf tokenizers

The folder holds model.safetensors and tokenizer.json. Measured is the share of the ten nearest of 2,000 sentences
(`minilm.py`) that stay among the ten nearest. The peers' blocks are packed by `k_quants.py`, our own writing, and read
by `gguf`; blocks run on across rows, as 384 is no multiple of 256 (llama.cpp itself would fall back to larger types).
The mixes are those of llama.cpp's names, with the table of words one step below what it takes for output matrices, so
that the bits are near the nominal 4.84 and 3.35; positions and vectors stay float16 and float32. Ours are whole files
of no more than the bits asked: of the weights alone, and with 512 sentences of other modules.

Parts are kept in LACONIC_PARTS, as by `weights_networks.py`, whose calibrations are used.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import k_quants
import minilm
import numpy as np
import record
import torch
import weights_networks as networks

from laconic.codecs import weights
from laconic.codecs.array_reader import arrays_of as as_file
from laconic.codecs.curvature import curvatures_of
from laconic.codecs.shrink import LANDING, prepare
from laconic.train.shrink_model import arrays_of
from laconic.train.state import fill

SENTENCES = 2000
PEERS = {3.0: "Q4_K_M", 2.0: "Q2_K"}
WAYS = ("weights alone", "calibrated")
MORE_BITS = {0, 2, 5}
"""Layers whose values and outputs get more bits in Q4_K_M: the first eighth, the last, every third between."""


def kind_of(name: str, mix: str) -> str:
    """The k-quant of a matrix."""
    layer = int(name.split(".")[2]) if name.startswith("encoder") else -1
    wants_more = "self.value" in name or name.endswith(f"{layer}.output.dense.weight")
    if mix == "Q4_K_M":
        return "Q6_K" if wants_more and layer in MORE_BITS else "Q4_K"
    return "Q3_K" if wants_more or "word_embeddings" in name or "attention.output" in name else "Q2_K"


def peer(arrays: dict[str, Any], mix: str) -> tuple[float, dict[str, Any]]:
    """Bits per weight, and what comes back."""
    bits, found = 0.0, {}
    for name, one in arrays.items():
        if one.ndim < 2:
            bits, found[name] = bits + 32 * one.size, one
        elif "position" in name or "token_type" in name:
            bits, found[name] = bits + 16 * one.size, one.astype(np.float16).astype(np.float32)
        else:
            kind = kind_of(name, mix)
            found[name] = k_quants.dequantize(k_quants.quantize(one.ravel(), kind), kind).reshape(one.shape)
            bits += k_quants.bits(kind) * one.size
    return bits / sum(one.size for one in arrays.values()), found


@functools.cache
def network() -> tuple[Any, dict[str, Any], Any, Any]:
    """MiniLM with inputs, its arrays, the sentences, and their neighbors; loaded only where a part is missing."""
    subject = networks.sentences()
    model: Any = subject.model
    folder = networks.Path(networks.os.environ["LACONIC_MINILM"])
    ids = minilm.spread(minilm.tokens(folder, minilm.sentences()[0]), SENTENCES)
    return subject, arrays_of(model), ids, minilm.neighbors(minilm.embeddings(model, ids))


def kept(found: dict[str, Any]) -> float:
    """The share of neighbors that a network with these arrays keeps."""
    subject, arrays, ids, wanted = network()
    fill(subject.model, found)
    share = minilm.agreement(wanted, minilm.neighbors(minilm.embeddings(subject.model, ids)))
    fill(subject.model, arrays)
    return share


def measured_peer(mix: str) -> dict[str, float]:
    """One of GGUF's."""
    bits, found = peer(network()[1], mix)
    return {"bits_per_weight": round(bits, 4), "agreement": kept(found)}


@functools.cache
def ready(way: str) -> Any:
    """The model, prepared for encoding."""
    subject, arrays, _, _ = network()
    file, known = as_file(arrays), networks.curvature(subject, way)
    return prepare(file, curvatures=None if known is None else curvatures_of(known, file.tensors), jobs=1)


def measured(way: str, bpw: float) -> dict[str, float]:
    """One of ours."""
    work = ready(way)
    data = work.land(int(bpw * work.arrays.count / 8), work.least()).data
    return {"bits_per_weight": 8 * len(data) / work.arrays.count, "agreement": kept(weights.load(data))}


def main() -> None:
    """Measure all, and write the result."""
    peers = {mix: networks.kept(f"sentences_{mix}", lambda mix=mix: measured_peer(mix)) for mix in PEERS.values()}
    print(peers, flush=True)
    ours: dict[str, Any] = {}
    for word in sys.argv[1:] or WAYS:  # such as calibrated, or calibrated:3 for one rate only
        way, _, only = word.partition(":")
        ours[way] = {
            f"{bpw:g}": networks.kept(f"sentences_{way}_{bpw:g}", lambda way=way, bpw=bpw: measured(way, bpw))
            for bpw in PEERS
            if only in {"", f"{bpw:g}"}
        }
        print(way, ours[way], flush=True)
    claims = [
        record.claim(
            f"neighbors kept at {bpw:g} bits, {way}, over those of {mix}",
            ours[way][f"{bpw:g}"]["agreement"] / peers[mix]["agreement"],
            1.0,
            at_most=False,
        )
        for way in ours
        for bpw, mix in PEERS.items()
        if f"{bpw:g}" in ours[way]
    ]
    landed = [one["bits_per_weight"] / float(bpw) for files in ours.values() for bpw, one in files.items()]
    claims += [
        record.claim("bits per weight over those asked, the most", max(landed), 1.0, at_most=True),
        record.claim("bits per weight over those asked, the least", min(landed), LANDING, at_most=False),
    ]
    record.write("weights_sentences", {"claims": claims, "sentences": SENTENCES, "peers": peers, "laconic": ours})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
