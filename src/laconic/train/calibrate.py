"""What an error in each weight does to a network's output, measured on calibration inputs: the file that
`laconic shrink --calibration` reads.

The measure is the Kullback-Leibler divergence of the outputs, whose second derivative is the Gauss-Newton matrix
(Martens, JMLR 21(146), 2020). One backward pass of randomly signed outputs gives, for each input, a sample D of the
gradient of a weight matrix with E[vec D vec D^T] equal to that matrix. Its two Kronecker factors are the means of
D D^T and D^T D (Tseng et al., YAQA, 2025), taken through a few random projections, so that D itself is never made. A
mean over few inputs is noisy, so the columns are mixed with the second moments of the layer's inputs, which are better
known.

>>> from laconic.train.calibrate import collect
>>> collect(model, inputs, "stats.safetensors")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from laconic.errors import UsageError
from laconic.signals import array as array_files
from laconic.signals.tensors import Arrays, Tensor
from laconic.train.layer_inputs import input_means, unfolded

if TYPE_CHECKING:
    from laconic.signals.locations import Target

__all__ = ["OUTPUTS", "batches_of", "collect", "noise_images", "outputs_of"]

OUTPUTS = ("logits", "features")
PROJECTIONS = 16
INPUT_SHARE = 0.5
"""Of the layer's inputs in the moments of columns."""
MOST_SIDE = 4096
"""Of a matrix of moments; beyond, its diagonal."""
BATCH = 50


@dataclass
class _Matrix:
    """Moments of one weight matrix, summed over inputs."""

    name: str
    rows: torch.Tensor | None = None
    columns: torch.Tensor | None = None
    inputs: torch.Tensor | None = None


def collect(
    model: nn.Module,
    inputs: Any,
    target: Target | None = None,
    *,
    outputs: str = "logits",
    centered: bool = False,
    draws: int = 1,
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Measure the curvature of all weights of a model.

    Parameters
    ----------
    model : nn.Module
        In the mode it is used in; left as it was. Matrices of Linear, Conv1d, Conv2d, Embedding, MultiheadAttention and
        recurrent cells get moments of rows and columns, other matrices their diagonals, all else a square for each
        element.
    inputs : Tensor (N, ...) or iterable of batches
        Calibration inputs, 256 to 1,000 of them; a batch is a tensor, a tuple of arguments or a dict of them, inputs
        along the first axis of the output.
    target : path, optional
        Where to write them, as `.safetensors`.
    outputs : {"logits", "features"}
        What the model returns, along the last axis: logits, whose divergence counts, or features, whose squared error
        does. Of a tuple or dict the first.
    centered : bool
        Whether biases will be repaired (`shrink_model`): then errors that shift the mean of a layer's outputs cost
        nothing, where a bias can take them up. Not for noise: its means are not those of what comes later.
    draws : int
        Random signs tried for each input.
    seed : int
    force : bool
        Whether an existing target may be overwritten.

    Returns
    -------
    dict of str to ndarray float32
        As `codecs/curvature.py` describes.

    Raises
    ------
    UsageError
        No inputs, outputs of an unknown kind, or gradients that are not finite.
    OutputExists
        The target exists and `force` is not set.
    """
    if outputs not in OUTPUTS:
        raise UsageError(f"outputs are one of {', '.join(OUTPUTS)}, not {outputs!r}")
    means: dict[str, torch.Tensor] = {}
    if centered:
        inputs = list(batches_of(inputs))
        means = input_means(model, lambda: _run(model, inputs))
    signs = torch.Generator().manual_seed(seed)
    matrices: dict[str, _Matrix] = {}
    squares: dict[str, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(hook)
        for name, module in model.named_modules()
        if (hook := _hook_of(f"{name}.weight".removeprefix("."), module, matrices, signs, means.get(name))) is not None
    ]
    needed = {name: one.requires_grad for name, one in model.named_parameters()}
    kept = {name: one.grad for name, one in model.named_parameters()}
    count = 0
    try:
        model.requires_grad_(requires_grad=True)
        for batch in batches_of(inputs):
            for _ in range(draws):
                model.zero_grad(set_to_none=True)
                with torch.enable_grad():
                    found = outputs_of(model, batch)
                    _probe(found, outputs, signs).backward()
                for name, one in model.named_parameters():
                    known = matrices.get(name)
                    if one.grad is not None and (known is None or known.columns is None):
                        squares[name] = squares.get(name, 0) + one.grad.detach().double() ** 2
                count += len(found)
    finally:
        for handle in handles:
            handle.remove()
        for name, one in model.named_parameters():
            one.requires_grad_(needed[name])
            one.grad = kept[name]
    if not count:
        raise UsageError("there are no calibration inputs")
    arrays = _spelled(model, matrices, squares, count)
    if any(not torch.isfinite(one).all() for one in arrays.values()):
        raise UsageError("the gradients of this model are not finite")
    result = {name: one.float().contiguous().numpy() for name, one in arrays.items()}
    if target is not None:
        tensors = tuple(Tensor.of(name, one) for name, one in result.items())
        metadata = {"made by": "laconic.train.calibrate", "outputs": outputs, "inputs": str(count // draws)}
        array_files.save(target, Arrays("safetensors", tensors, metadata), force=force)
    return result


def noise_images(shape: tuple[int, int, int], count: int = 300, *, seed: int = 0) -> torch.Tensor:
    """Inputs for `collect` where there are no data: noise with the spectrum of photographs (Field, JOSA A 4(12), 1987).

    Amplitudes fall with the inverse of the frequency, and channels agree mostly, so each layer sees about the moments
    that it sees of photographs. For networks whose inputs are normalized to mean 0 and deviation 1.

    Parameters
    ----------
    shape : (C, H, W)
    count : int
    seed : int

    Returns
    -------
    Tensor (count, C, H, W) float32
    """
    channels, height, width = shape
    signs = torch.Generator().manual_seed(seed)
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1 / max(height, width)
    common = torch.randn(count, 1, height, width, generator=signs)
    noise = common + 0.5 * torch.randn(count, channels, height, width, generator=signs)
    images = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency, s=(height, width))
    axes = (0, 2, 3)
    return (images - images.mean(axes, keepdim=True)) / images.std(axes, keepdim=True).clamp_min(1e-6)


def batches_of(inputs: Any) -> Iterator[Any]:
    """Batches of calibration inputs: a tensor is cut into some."""
    if isinstance(inputs, torch.Tensor):
        yield from inputs.split(BATCH)
    elif isinstance(inputs, Iterable) and not isinstance(inputs, (str, bytes, Mapping)):
        yield from inputs
    else:
        raise UsageError("calibration inputs are a tensor or batches of them")


def outputs_of(model: nn.Module, batch: Any) -> torch.Tensor:
    """The output of a batch, (N, ..., K)."""
    if isinstance(batch, Mapping):
        found = model(**batch)
    elif isinstance(batch, (tuple, list)):
        found = model(*batch)
    else:
        found = model(batch)
    if isinstance(found, Mapping):
        found = next(iter(found.values()))
    return found[0] if isinstance(found, (tuple, list)) else found


def _run(model: nn.Module, batches: Iterable[Any]) -> None:
    for batch in batches:
        outputs_of(model, batch)


def _probe(found: torch.Tensor, outputs: str, signs: torch.Generator) -> torch.Tensor:
    """A number whose gradient has, over random signs, the second moments wanted."""
    sign = _signs(found.shape, signs)
    if outputs == "features":
        return (sign * found).sum()
    logarithms = found.log_softmax(-1)
    # The Gauss-Newton matrix of the divergence is the sum over k of p_k times the gradient of log p_k, squared.
    return (sign * logarithms.detach().exp().sqrt() * logarithms).sum()


def _signs(shape: Iterable[int], generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 2, tuple(shape), generator=generator).float() * 2 - 1


def _hook_of(
    name: str,
    module: nn.Module,
    matrices: dict[str, _Matrix],
    signs: torch.Generator,
    mean: torch.Tensor | None,
) -> Any:
    """A forward hook for modules with a matrix; None for others. `mean` is taken from what comes in."""
    if isinstance(module, nn.MultiheadAttention):
        own = name.removesuffix("weight") + "in_proj_weight"

        def attend(_: nn.Module, arguments: tuple[Any, ...], __: Any) -> None:
            # Its rows have no gradients that a hook could see: `_spelled` takes those of the parameter.
            matrix = matrices.setdefault(own, _Matrix(own))
            x = arguments[0].detach().flatten(0, -2)
            matrix.inputs = _sum(matrix.inputs, x.T @ x)

        return attend if module.in_proj_weight is not None else None
    if isinstance(module, nn.RNNCellBase):
        prefix = name.removesuffix("weight")

        def step(_: nn.Module, arguments: tuple[Any, ...], __: Any) -> None:
            state = arguments[1] if len(arguments) > 1 else None
            hidden = state[0] if isinstance(state, tuple) else state
            for own, seen in ((f"{prefix}weight_ih", arguments[0]), (f"{prefix}weight_hh", hidden)):
                if seen is not None:
                    matrix = matrices.setdefault(own, _Matrix(own))
                    x = seen.detach().reshape(-1, seen.shape[-1])
                    matrix.inputs = _sum(matrix.inputs, _moments(x))

        return step
    if not isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)):
        return None

    def forward(_: nn.Module, arguments: tuple[Any, ...], output: torch.Tensor) -> None:
        if not output.requires_grad:
            return
        matrix = matrices.setdefault(name, _Matrix(name))
        seen = arguments[0].detach()

        def backward(gradient: torch.Tensor) -> None:
            if isinstance(module, nn.Embedding):
                _add_embedding(matrix, seen, gradient.detach(), module.num_embeddings)
            else:
                x = unfolded(module, seen)
                if mean is not None:
                    x = x - mean[:, :, None].to(x.dtype)
                _add(matrix, x, _gradients(module, gradient.detach()), signs)

        output.register_hook(backward)

    return forward


def _gradients(module: nn.Module, g: torch.Tensor) -> torch.Tensor:
    """What meets the rows of a matrix, (B, groups, m, positions)."""
    if isinstance(module, nn.Linear):
        if g.ndim == 1:
            g = g[None]
        return g.reshape(len(g), -1, g.shape[-1]).transpose(1, 2)[:, None]
    assert isinstance(module, (nn.Conv1d, nn.Conv2d))
    return g.reshape(len(g), module.groups, module.out_channels // module.groups, -1)


def _add(matrix: _Matrix, x: torch.Tensor, g: torch.Tensor, signs: torch.Generator) -> None:
    """Count one backward pass: D = g x^T of each input, through projections."""
    groups, n, m = x.shape[1], x.shape[2], g.shape[2]
    r = min(PROJECTIONS, m)
    projected = torch.matmul(_signs((groups, r, m), signs) / r**0.5, g)  # (B, groups, r, T)
    matrix.columns = _sum(matrix.columns, _moments((projected @ x.transpose(2, 3)).reshape(-1, n)))
    r = min(PROJECTIONS, n)
    projected = g @ (_signs((groups, r, n), signs) / r**0.5 @ x).transpose(2, 3)  # (B, groups, m, r)
    matrix.rows = _sum(matrix.rows, _moments(projected.permute(0, 3, 1, 2).reshape(-1, groups * m)))
    x = x[..., :: max(1, x.shape[-1] // 256)]
    matrix.inputs = _sum(matrix.inputs, _moments(x.transpose(2, 3).reshape(-1, n)))


def _add_embedding(matrix: _Matrix, ids: torch.Tensor, g: torch.Tensor, count: int) -> None:
    """The same of a table: what comes in is one row at a time."""
    g = g.reshape(-1, g.shape[-1])
    matrix.columns = _sum(matrix.columns, _moments(g))
    rows = torch.zeros(count, dtype=torch.float64)
    matrix.rows = _sum(matrix.rows, rows.index_add_(0, ids.reshape(-1), (g.double() ** 2).sum(1)))


def _moments(values: torch.Tensor) -> torch.Tensor:
    """Of vectors (N, K): (K, K) or, where that is large, (K,)."""
    if values.shape[1] > MOST_SIDE:
        return (values.double() ** 2).sum(0)
    return (values.T @ values).double()


def _sum(total: torch.Tensor | None, more: torch.Tensor) -> torch.Tensor:
    return more if total is None else total + more


def _level(moments: torch.Tensor) -> torch.Tensor:
    diagonal = moments.diagonal() if moments.ndim == 2 else moments
    return diagonal.mean().clamp_min(1e-30)


def _spelled(
    model: nn.Module, matrices: dict[str, _Matrix], squares: dict[str, torch.Tensor], count: int
) -> dict[str, torch.Tensor]:
    """The moments by the names of the file: rows carry the units, columns are 1 in the mean."""
    found: dict[str, torch.Tensor] = {}
    shapes = {name: one.shape for name, one in model.named_parameters()}
    for name, one in matrices.items():
        # Of attention and recurrent cells: rows of the parameter.
        if one.columns is None and one.inputs is not None and name in squares:
            one.rows, one.columns = squares.pop(name).sum(1), one.inputs
        if one.rows is None or one.columns is None or name not in shapes:
            continue
        columns = one.columns / _level(one.columns)
        if one.inputs is not None:
            columns = (1 - INPUT_SHARE) * columns + INPUT_SHARE * one.inputs / _level(one.inputs)
        found[f"{name}.rows"] = one.rows / count / len(columns)
        found[f"{name}.columns"] = columns
    for name, one in squares.items():
        if f"{name}.rows" in found:
            continue
        if one.ndim > 1:  # a matrix of a layer without a hook: sums of squares along both sides
            flat = one.reshape(len(one), -1)
            found[f"{name}.rows"] = flat.sum(1) / count / flat.shape[1]
            found[f"{name}.columns"] = flat.sum(0) / _level(flat.sum(0))
        else:
            found[f"{name}.elements"] = one / count
    for prefix, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and f"{prefix}.weight" in squares:
            # Mean and variance act through the same sums as bias and weight.
            assert module.running_var is not None
            variance = module.running_var.double() + module.eps
            gain = module.weight.detach().double()
            found[f"{prefix}.running_mean.elements"] = squares[f"{prefix}.bias"] * gain**2 / variance / count
            found[f"{prefix}.running_var.elements"] = squares[f"{prefix}.weight"] * gain**2 / (4 * variance**2) / count
    return found
