"""`laconic shrink`: model weights and other arrays to .lac files."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laconic.cli import options
from laconic.cli.array_outcome import array_outcome
from laconic.cli.batch import Outcome, may_write, remove_input, run_batch, skipped, target_of
from laconic.cli.plan import STANDARD, Job, Naming, make_plan, split_second_positional
from laconic.errors import UsageError

if TYPE_CHECKING:
    from laconic.codecs.array_base import AbstractBase
    from laconic.train.runnable import Network

__all__ = ["configure", "run"]

SUFFIX = ".lac"
INPUTS = frozenset({".npy", ".npz", ".safetensors"})
_RELATIVE = "%"


def configure(parser: options.CommandParser) -> None:
    """Add the options of `laconic shrink`."""
    parser.example = "laconic shrink model.safetensors --bpw 2.5"
    parser.description = (
        "Compress model weights and other arrays (.safetensors, .npz, .npy) to a size, without loss, or with a bound\n"
        "on every element's error. `laconic expand` gives them back."
    )
    options.add_batch_options(parser, "array files")
    group = parser.add_argument_group("how small (one is needed)")
    target = group.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--bpw", metavar="BITS", type=_positive, help="bits per weight of the whole file: 4 is careful, 2 is bold"
    )
    target.add_argument(
        "--size", metavar="BYTES", type=options.in_bytes, help="size of the whole file, such as 5MB or 800kB"
    )
    target.add_argument(
        "--kl",
        metavar="NATS",
        type=_positive,
        help="the smallest file whose outputs diverge by no more than this, in nats for each input: 0.01 is careful, "
        "0.1 is bold; needs --model and --calibration",
    )
    target.add_argument("--lossless", action="store_true", help="every bit comes back")
    target.add_argument(
        "--max-error",
        metavar="E",
        type=_bound,
        help="no element is off by more than E, such as 0.001, or 0.1%% of each tensor's range; NaN and infinities "
        "come back exactly",
    )
    options.add_base_option(
        group,
        "the model this one was made from, .safetensors or .lac: tensors of the same name and shape are coded as "
        "differences to it, and `laconic expand` needs it too",
    )
    group.add_argument(
        "-e",
        "--effort",
        metavar="N",
        type=options.in_range(int, 1, 10),
        default=5,
        help="1 to 10: 1 searches 8 trellis states, 5 searches 64, 8 and more 256; decoding takes the same time "
        "for all (default: 5)",
    )
    group.add_argument(
        "--no-structure",
        action="store_true",
        help="matrices get no corrections of low rank and lose no rows and columns; they do where that makes the error "
        "less at the same size (a fine-tuned model and --base, dead channels)",
    )
    group = parser.add_argument_group("what errors cost, for many fewer bytes at the same outputs")
    group.add_argument(
        "--calibration",
        metavar="FILE",
        help="with --model, inputs for it (.npz, .npy, .safetensors), 256 to 1,000 of them; one in five is held back "
        "to tell the divergence. Without, what laconic.train.calibrate.collect wrote",
    )
    group.add_argument(
        "--model",
        metavar="NAME",
        help="the network, as package.module:factory or file.py:factory, which takes no arguments and returns a "
        'torch.nn.Module with these tensors; the code is run. Needs pip install "laconic[train]"',
    )
    group.add_argument(
        "--noise",
        metavar="C,H,W",
        type=_shape,
        help="in place of --calibration, for --bpw and --size: run it on noise of this shape, such as 3,224,224, "
        "matched to what its batch norms remember; needs no data",
    )
    group.add_argument(
        "--fold-norms",
        action="store_true",
        help="with --model: what batch norms remember becomes part of their gains and biases; a few percent fewer "
        "bytes, and the network is for use, no longer for training",
    )
    group.add_argument(
        "--outputs",
        choices=["logits", "features"],
        help="what the network returns: logits (default), or features such as embeddings, of which half the squared "
        "distance takes the place of the divergence",
    )
    options.add_output_options(parser)
    options.add_console_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compress what the command line names and return the exit code."""
    inputs: list[str] = arguments.inputs
    output = split_second_positional(inputs, arguments.output, frozenset({SUFFIX}))
    plan = make_plan(inputs, output, Naming(INPUTS, SUFFIX), recursive=arguments.recursive)
    options.check_streams(arguments, plan)
    settings = {name: getattr(arguments, name) for name in ("bpw", "size", "max_error", "effort", "kl")}
    settings |= {"lossless": arguments.lossless, "jobs": options.jobs_of(arguments)}
    settings["structure"] = not arguments.no_structure
    network = _network_of(arguments)
    if network is None:
        settings["calibration"] = arguments.calibration
    else:
        settings["fold_norms"] = arguments.fold_norms
    base = options.base_of(arguments)
    work = _Shrinking(settings, base, network, arguments.force, arguments.no_clobber, arguments.rm)
    return run_batch(plan, work.perform, options.console_of(arguments))


@dataclass(frozen=True)
class _Shrinking:
    """Everything the options say about each file."""

    settings: dict[str, Any]
    base: AbstractBase | None
    network: Network | None
    force: bool
    no_clobber: bool
    remove: bool

    def perform(self, job: Job) -> Outcome:
        """Compress one file."""
        from laconic.codecs import weights
        from laconic.codecs.array_reader import MAX_DESCRIBED
        from laconic.signals import array, locations

        assert job.target is not None
        if not may_write(job, force=self.force, no_clobber=self.no_clobber):
            return skipped(job)
        arrays = array.load(sys.stdin.buffer.read() if job.source == STANDARD else job.source)
        loaded = time.perf_counter()
        divergence = None
        if self.network is None:
            data = weights.shrink(arrays, base=self.base, **self.settings)
        else:
            found = self.network.shrink(arrays, base=self.base, **self.settings)
            data, divergence = found.data, found.divergence
        encoded = time.perf_counter()
        with target_of(job, force=self.force) as target:
            locations.write_bytes(target, data, force=self.force)
        info = weights.inspect(data)
        more = f"  {info.bits_per_weight:.3f} bits per weight"
        if divergence is not None:
            more += f", divergence {divergence:.3g}"
        sizes = arrays.nbytes, info.bytes_total
        outcome = array_outcome(job, arrays, info, sizes, {"encode": encoded - loaded}, more)
        if divergence is not None:
            outcome.record["divergence"] = float(f"{divergence:.6g}")
        if not self.remove:
            return outcome
        # Checks every tensor before the only other copy goes.
        weights.expand(job.target, base=self.base, max_bytes=MAX_DESCRIBED)
        return remove_input(outcome, job, ())


def _network_of(arguments: argparse.Namespace) -> Network | None:
    """The network that --model names; None without one.

    Raises
    ------
    UsageError
        It cannot be made, or options that go together stand alone.
    """
    if arguments.model is None:
        if arguments.kl is not None:
            raise UsageError("--kl needs --model and --calibration: a network, and inputs to run it on")
        for option in ("outputs", "noise", "fold_norms"):
            if getattr(arguments, option):
                raise UsageError(f"--{option.replace('_', '-')} goes with --model")
        return None
    if (arguments.calibration is None) == (arguments.noise is None):
        raise UsageError("--model needs --calibration, inputs to run it on, or --noise")
    if arguments.kl is not None and arguments.noise is not None:
        raise UsageError("--kl needs --calibration: a divergence is measured on inputs, not on noise")
    if arguments.lossless or arguments.max_error is not None:
        raise UsageError("--model is for --bpw, --size and --kl: without loss, or within a bound, nothing is weighed")
    try:
        from laconic.train.runnable import Network, load_inputs, make_model
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UsageError('running a network needs torch: pip install "laconic[train]"') from error
    inputs = None if arguments.calibration is None else load_inputs(arguments.calibration)
    return Network(make_model(arguments.model), inputs, arguments.outputs or "logits", arguments.noise)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _shape(text: str) -> tuple[int, int, int]:
    """From 3,224,224 to a shape."""
    sides = [int(side) if side.isascii() and side.isdigit() else 0 for side in text.split(",")]
    if len(sides) != 3 or min(sides) < 1 or max(sides) > 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is not a shape C,H,W such as 3,224,224")
    return sides[0], sides[1], sides[2]


def _bound(text: str) -> Any:
    """From 0.001 or 0.1% to a bound."""
    from laconic.codecs.array import Bound

    value = _positive(text.removesuffix(_RELATIVE))
    return Bound(value / 100, is_relative=True) if text.endswith(_RELATIVE) else Bound(value)
