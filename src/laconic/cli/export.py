"""`laconic export`: writes the decoder-side network of a model for other runtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laconic.cli import options
from laconic.cli.plan import STANDARD
from laconic.errors import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["configure", "run"]


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic export`."""
    parser.example = "laconic export best --onnx -o best.onnx"
    parser.description = (
        "Write a network that runs over decoded pictures as ONNX (opset 17). Inputs: the decoded planes Y, Cb, Cr,\n"
        "float32 (1, 3, H, W) in units of 256 levels with zero at mid-gray, and the step code of the picture; output:\n"
        "the corrected planes. It computes in floating point: near to what laconic shows, not equal to the bit.\n"
        'Needs onnx: pip install "laconic[onnx]"'
    )
    parser.add_argument("network", choices=["fast", "best", "ssim"], help="which network of the model")
    parser.add_argument("--onnx", action="store_true", required=True, help="the format; there is one so far")
    parser.add_argument("--model", metavar="FILE", help="take the network of this model (default: the installed one)")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: NETWORK.onnx; - is stdout")
    parser.add_argument("-f", "--force", action="store_true", help="replace an existing file")
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the network and return the exit code."""
    from laconic.models import default_model, load_model
    from laconic.signals import locations

    console = options.console_of(arguments)
    name: str = arguments.network
    target: str = arguments.output or f"{name}.onnx"
    if arguments.json and target == STANDARD:
        raise UsageError("--json and the data would share stdout; write to a file with -o")
    model = default_model() if arguments.model is None else load_model(locations.read_bytes(arguments.model))
    if name not in model.networks:
        raise UsageError(f"the model has no network {name}; it has {', '.join(model.networks) or 'none'}")
    try:
        from laconic.train.onnx_export import to_onnx
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UsageError('this needs onnx: pip install "laconic[onnx]"') from error
    fingerprint = model.fingerprint.hex()
    data = to_onnx(
        model.networks[name], name=f"laconic_{name}", about={"laconic.network": name, "laconic.model": fingerprint}
    )
    if target == STANDARD:
        from laconic.cli.batch import data_out

        with data_out(force=arguments.force) as stream:
            stream.write(data)
        return 0
    locations.write_bytes(target, data, force=arguments.force)
    if arguments.json:
        console.record({"output": target, "bytes_out": len(data), "network": name, "model": fingerprint})
    console.line(f"wrote {target}")
    return 0
