"""What `laconic shrink` and `laconic expand` say about a file of arrays: the same things, one way and the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laconic.cli.batch import Outcome
from laconic.cli.units import show_count, show_size

if TYPE_CHECKING:
    from laconic.cli.plan import Job
    from laconic.codecs.weights import WeightsInfo
    from laconic.signals.tensors import Arrays

__all__ = ["array_outcome"]


def array_outcome(
    job: Job, arrays: Arrays, info: WeightsInfo, sizes: tuple[int, int], seconds: dict[str, float], more: str = ""
) -> Outcome:
    """Describe a job that is done.

    Parameters
    ----------
    arrays : Arrays
        The tensors outside the `.lac` file.
    info : WeightsInfo
        Of the `.lac` file.
    sizes : tuple of int
        Bytes in, bytes out.
    seconds : dict
        "encode" or "decode", and how long it took.
    more : str
        What the line says beyond names and sizes.
    """
    bytes_in, bytes_out = sizes
    record: dict[str, Any] = {
        "input": job.source,
        "output": job.target,
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "weights": arrays.count,
        "tensors": len(arrays.tensors),
        "bits_per_weight": round(info.bits_per_weight, 6),
        "seconds": {name: round(value, 6) for name, value in seconds.items()},
        "codec": info.codec,
    }
    speed = arrays.count / 1e6 / max(sum(seconds.values()), 1e-9)
    line = f"{job.source} -> {job.target}  {show_size(bytes_in)} -> {show_size(bytes_out)}{more}"
    counts = f"{show_count(arrays.count, 'weight')} in {show_count(len(arrays.tensors), 'tensor')}"
    return Outcome(line, record, bytes_in, bytes_out, remarks=(f"{counts}, {speed:.1f} M/s",))
