"""Claim: the integer runtime beats torch on the same network, comes near the processor's peak, and leaves the learned
codecs' synthesis networks far behind.

    LACONIC_DATA=... python bench/network_runtime.py

A picture of 6 megapixels, planes in memory to pixels in memory. Torch gets the same layers in the faster of two forms
(matrix products over positions, convolutions over channels-last pictures), in float32 and bfloat16, without gradients.
The peak is that of bench/integer_peak.cpp, which does nothing but multiply and add on registers, at the network's bits.
The comparison with `mbt2018-mean` (Minnen et al., 2018) runs its decoder's layers in torch with random weights, hyper
synthesis and synthesis, without its entropy coder, against our whole decode of a Kodak photo from bytes to pixels.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import record
import torch
from torch import nn
from torch.nn import functional

import laconic
from laconic import _native
from laconic.models import default_model
from laconic.train.network_model import SIZES, Network
from laconic.transform import network as runtime
from laconic.transform.workers import Workers

FLAGS = {
    "avx512vnni": ["-mavx512bw", "-mavx512vnni"],
    "avx512": ["-mavx512bw"],
    "avx2": ["-mavx2"],
}
CODE, STEP = 400, 20_000
ROUNDS = 7


def peaks() -> tuple[float, ...] | None:
    """GMAC/s that one core reaches on registers with the instructions in use, of 8 bits and 16; None but on x86."""
    flags = FLAGS.get(_native.instruction_set())
    if flags is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "peak")
        source = Path(__file__).with_name("integer_peak.cpp")
        subprocess.run(["c++", "-O2", *flags, str(source), "-o", str(program)], check=True)
        runs = [subprocess.run([program], check=True, capture_output=True).stdout.split() for _ in range(3)]
        return tuple(max(map(float, column)) for column in zip(*runs, strict=True))


def narrow(network: runtime.Network) -> runtime.Network:
    """The network with 8 bits in its inner layers, grains 1/16: as fast as one that was trained so."""
    if network.narrow:
        return network
    blocks, channels, expanded = network.contract_weight.shape
    sizes = (channels, channels, channels, expanded)
    fineness = [np.full((blocks, size), 256, np.int16) for size in sizes]
    exponents = network.exponents + np.array([0, 4, 4, 4, 4, 0, 0], np.uint8)
    return replace(network, exponents=exponents, **dict(zip(runtime.FINENESS, fineness, strict=True)))


def race(contestants: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the fastest of several runs of each, in turn, so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, work in contestants.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: min(found) for name, found in times.items()}


class Convolutions(nn.Module):
    """The network once more as convolutions, for the form that torch runs best on channels-last pictures."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        c, e = channels, 2 * channels
        self.first, self.last = nn.Conv2d(48, c, 1), nn.Conv2d(c, 48, 1)
        self.mix = nn.ModuleList(nn.Conv2d(c, c, 1) for _ in range(blocks))
        self.spread = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1, groups=c) for _ in range(blocks))
        self.merge = nn.ModuleList(nn.Conv2d(c, c, 1) for _ in range(blocks))
        self.expand = nn.ModuleList(nn.Conv2d(c, e, 1) for _ in range(blocks))
        self.contract = nn.ModuleList(nn.Conv2d(e, c, 1) for _ in range(blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 48, H / 4, W / 4) to the same."""
        h = self.first(x)
        layers = (self.mix, self.spread, self.merge, self.expand, self.contract)
        for mix, spread, merge, expand, contract in zip(*layers, strict=True):
            h = h + merge(spread(functional.leaky_relu(mix(h), 0.125)))
            h = h + contract(functional.leaky_relu(expand(h), 0.125))
        return self.last(h)


def torch_forms(size: str, height: int, width: int, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """The network in torch, a callable for each form."""
    network = Network(replace(SIZES[size], narrow=False), (0, 767))
    rows, columns = height // 4, width // 4
    folded = network.at(network.start(), CODE, dtype)
    blocks = torch.randn(rows * columns, 48).to(dtype)
    picture = torch.randn(1, 48, rows, columns).to(dtype).to(memory_format=torch.channels_last)
    shape = SIZES[size]
    convolutions = Convolutions(shape.channels, shape.blocks).to(dtype).to(memory_format=torch.channels_last)

    def products() -> None:
        with torch.inference_mode():
            network.forward(folded, blocks, rows, columns)

    def convolve() -> None:
        with torch.inference_mode():
            convolutions(picture)

    return {"matrix products": products, "convolutions": convolve}


class InverseGdn(nn.Module):
    """Inverse generalized divisive normalization (Balle et al., 2016): x * sqrt(beta + gamma x^2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        return x * torch.sqrt(self.norm(x * x).abs() + 1e-6)


def mbt2018(n: int, m: int) -> tuple[nn.Module, nn.Module]:
    """Synthesis and hyper synthesis of mbt2018-mean with n and m channels, random weights."""

    def up(a: int, b: int) -> nn.Module:
        return nn.ConvTranspose2d(a, b, 5, stride=2, padding=2, output_padding=1)

    synthesis = nn.Sequential(up(m, n), InverseGdn(n), up(n, n), InverseGdn(n), up(n, n), InverseGdn(n), up(n, 3))
    middle = m * 3 // 2
    hyper = nn.Sequential(
        up(n, m), nn.LeakyReLU(), up(m, middle), nn.LeakyReLU(), nn.Conv2d(middle, 2 * m, 3, padding=1)
    )
    return synthesis, hyper


def against_mbt2018(data: bytes, dtype: torch.dtype, n: int, m: int) -> dict[str, float]:
    """Seconds for one 768 x 512 photo: our whole decode with each network, and the peer's layers."""
    synthesis, hyper = (part.to(dtype).to(memory_format=torch.channels_last) for part in mbt2018(n, m))
    y = torch.randn(1, m, 32, 48).to(dtype).to(memory_format=torch.channels_last)
    z = torch.randn(1, n, 8, 12).to(dtype).to(memory_format=torch.channels_last)

    def peer() -> None:
        with torch.inference_mode():
            hyper(z)
            synthesis(y)

    contestants: dict[str, Callable[[], object]] = {"mbt2018-mean": peer}
    for name in ("fast", "best"):
        contestants[name] = lambda name=name: laconic.decompress(data, network=name, jobs=2)
    return race(contestants)


def main() -> None:
    """Measure and record."""
    model = default_model()
    claims, result = [], {}
    most = peaks()
    rng = np.random.default_rng(0)
    height, width = 2048, 3072
    planes = rng.integers(-1500, 1500, (3, height, width)).astype(np.int16)
    for size in ("fast", "best"):
        network, macs = model.networks[size], SIZES[size].macs
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with Workers(threads) as workers:
                contestants: dict[str, Callable[[], object]] = {
                    name: lambda network=which, workers=workers: runtime.synthesize(
                        planes, network, code=CODE, step=STEP, workers=workers
                    )
                    for name, which in (("laconic", network), ("laconic, 8 bits", narrow(network)))
                }
                for dtype in (torch.float32, torch.bfloat16):
                    for form, work in torch_forms(size, height, width, dtype).items():
                        contestants[f"{str(dtype).removeprefix('torch.')}, {form}"] = work
                seconds = race(contestants)
            ours, narrower = seconds["laconic"], seconds["laconic, 8 bits"]
            rate = macs * height * width / ours / 1e9
            result[f"{size}, {threads} threads"] = {"seconds": seconds, "GMAC_per_s": rate}
            print(f"{size}, {threads} threads: {rate:.1f} GMAC/s;", {k: round(v, 4) for k, v in seconds.items()})
            for dtype, asked in (("bfloat16", 1.5), ("float32", 3.0)):
                theirs = min(v for k, v in seconds.items() if k.startswith(dtype))
                what = f"{size}, {threads} threads: times as fast as torch {dtype}"
                claims.append(record.claim(what, theirs / ours, asked, at_most=False))
            if not network.narrow:
                what = f"{size}, {threads} threads: times as fast with 8 bits as with 16"
                claims.append(record.claim(what, ours / narrower, 1.0, at_most=False))
            if threads == 1 and most:
                share = rate / most[0 if network.narrow else 1]
                claims.append(record.claim(f"{size}: share of the integer peak", share, 0.5, at_most=False))
                share = rate * ours / narrower / most[0]
                claims.append(record.claim(f"{size} with 8 bits: share of their peak", share, 0.5, at_most=False))
    torch.set_num_threads(2)
    photos = record.kodak()
    data = laconic.compress(photos[0].pixels, quality=60)
    for n, m, rates in ((128, 192, "low rates"), (192, 320, "high rates")):
        runs = {str(d).removeprefix("torch."): against_mbt2018(data, d, n, m) for d in (torch.float32, torch.bfloat16)}
        result[f"mbt2018-mean, {rates}"] = runs
        for size in ("fast", "best"):
            ratio = runs["float32"]["mbt2018-mean"] / runs["float32"][size]
            what = f"whole decode through {size} against the layers of mbt2018-mean ({rates}, float32), times as fast"
            claims.append(record.claim(what, ratio, 20.0, at_most=False))
    everything = [
        min(race({"": lambda p=photo: laconic.decompress(p, network="best", jobs=2)}).values())
        for photo in [laconic.compress(picture.pixels, quality=60) for picture in photos[:6]]
    ]
    result["seconds of a Kodak photo through best"] = statistics.mean(everything)
    record.write(
        "network_runtime",
        {
            "instruction_set": _native.instruction_set(),
            "peak_GMAC_per_s_one_core": dict(zip(("8 bits", "16 bits"), most, strict=True)) if most else None,
            "claims": claims,
            "runs": result,
        },
    )


if __name__ == "__main__":
    main()
