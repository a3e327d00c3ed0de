"""`laconic export`: writes the network of a model, or a packed data set, for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laconic.cli import options
from laconic.cli.plan import STANDARD
from laconic.cli.units import show_count, show_size
from laconic.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from laconic.learn.webdataset import TarEntry

__all__ = ["configure", "run"]

NETWORKS = ("fast", "best", "ssim")


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic export`."""
    parser.example = "laconic export best --onnx -o best.onnx"
    parser.description = (
        "--onnx: a network that runs over decoded pictures (opset 17). Inputs: the decoded planes Y, Cb, Cr, float32\n"
        "(1, 3, H, W) in units of 256 levels with zero at mid-gray, and the step code of the picture; output: the\n"
        "corrected planes. It computes in floating point: near to what laconic shows, not equal to the bit.\n"
        'Needs onnx: pip install "laconic[onnx]"\n\n'
        "--webdataset: a data set that `laconic pack` made, as tar files with KEY.npy (symbols, int8), KEY.cls and\n"
        "KEY.json for each sample, and latents.json, which says what the symbols are."
    )
    parser.add_argument("what", metavar="WHAT", help="fast, best or ssim, a network of the model; or a packed data set")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--onnx", action="store_true", help="write a network as ONNX")
    form.add_argument("--webdataset", action="store_true", help="write a data set as WebDataset tar files")
    parser.add_argument("--model", metavar="FILE", help="take the network of this model (default: the installed one)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="of ONNX a file (default: NETWORK.onnx; - is stdout), of tar files a folder",
    )
    parser.add_argument("-f", "--force", action="store_true", help="replace what is there")
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the network or the data set and return the exit code."""
    return _export_tars(arguments) if arguments.webdataset else _export_onnx(arguments)


def _export_tars(arguments: argparse.Namespace) -> int:
    from laconic.learn.dataset import open_dataset
    from laconic.learn.webdataset import export_webdataset

    console = options.console_of(arguments)
    if arguments.output in (None, STANDARD):
        raise UsageError("--webdataset writes several files: name a folder with -o")
    if arguments.model is not None:
        raise UsageError("--model is for networks: a data set names its own")
    target: str = arguments.output
    dataset = open_dataset(arguments.what)
    done: list[TarEntry] = []

    def report(entry: TarEntry) -> None:
        done.append(entry)
        if arguments.json:
            console.record({"output": entry.file, "samples": entry.count, "bytes": entry.bytes, "sha256": entry.sha256})
        console.line(f"{entry.file}  {show_count(entry.count, 'sample')}, {show_size(entry.bytes)}")
        console.progress(len(done), len(dataset.manifest.shards), entry.file)

    export_webdataset(dataset, target, force=arguments.force, report=report)
    console.clear()
    total = sum(entry.bytes for entry in done)
    if arguments.json:
        console.record({"output": target, "samples": len(dataset), "bytes": total, "manifest": dataset.manifest.digest})
    console.line(
        f"{target}  {show_count(len(dataset), 'sample')} in {show_count(len(done), 'tar')}, {show_size(total)}"
    )
    return 0


def _export_onnx(arguments: argparse.Namespace) -> int:
    from laconic.models import default_model, load_model
    from laconic.signals import locations

    console = options.console_of(arguments)
    name: str = arguments.what
    target: str = arguments.output or f"{name}.onnx"
    if name not in NETWORKS:
        raise UsageError(f"{name!r} is no network: there are {', '.join(NETWORKS)}")
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
