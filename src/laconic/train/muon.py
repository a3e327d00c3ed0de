"""The optimizers of the network, on one flat vector: Muon for the stacked square-ish matrices, AdamW for the rest.

Muon (Jordan et al., 2024) makes the update of a matrix orthogonal, so that every direction moves alike; the factor that
brings it to AdamW's scale is from Liu et al., 2025 (arXiv 2502.16982).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from laconic.train.network_model import Network

__all__ = ["Optimizer"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonal(g: torch.Tensor) -> torch.Tensor:
    """Return about the orthogonal factor of each matrix of a stack (N, rows, columns)."""
    a, b, c = NEWTON_SCHULZ
    tall = g.shape[1] > g.shape[2]
    x = g.transpose(1, 2) if tall else g
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-12)
    for _ in range(5):
        s = x @ x.transpose(1, 2)
        x = a * x + (b * s + c * s @ s) @ x
    return x.transpose(1, 2) if tall else x


class Optimizer:
    """AdamW everywhere, Muon on the matrices named.

    Parameters
    ----------
    network : Network
    decayed, matrices : collection of str
        Parameters with weight decay; those stepped by Muon.
    rate, muon_rate : float
        Greatest learning rates.
    """

    def __init__(
        self,
        network: Network,
        decayed: tuple[str, ...],
        matrices: tuple[str, ...],
        *,
        rate: float,
        muon_rate: float,
        decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.98),
    ) -> None:
        self.rate, self.muon_rate, self.decay, self.betas = rate, muon_rate, decay, betas
        self.state = {"first": torch.zeros(network.size), "second": torch.zeros(network.size), "count": torch.zeros(())}
        self.shrunk = torch.zeros(network.size)
        self.matrices: list[tuple[slice, tuple[int, ...]]] = []
        for name, span in network.spans():
            self.shrunk[span] = float(name in decayed)
            if name in matrices:
                self.matrices.append((span, network.layout[name]))

    def step(self, theta: torch.Tensor, gradient: torch.Tensor, fraction: float) -> None:
        """Change `theta` in place; `fraction` of the greatest rates applies."""
        first, second, count = self.state["first"], self.state["second"], self.state["count"]
        count += 1
        one, two = self.betas
        first.lerp_(gradient, 1 - one)
        second.mul_(two).addcmul_(gradient, gradient, value=1 - two)
        n = float(count)
        update = (first / (1 - one**n)) / ((second / (1 - two**n)).sqrt() + 1e-8)
        rate = torch.full((), self.rate * fraction)
        update = update * rate
        for span, dims in self.matrices:
            momentum = (one * first[span] + (1 - one) * gradient[span]).view(dims)
            scaled = orthogonal(momentum) * (0.2 * max(dims[1:]) ** 0.5 * self.muon_rate * fraction)
            update[span] = scaled.reshape(-1)
        theta.mul_(1 - self.shrunk * (self.decay * self.rate * fraction)).sub_(update)
