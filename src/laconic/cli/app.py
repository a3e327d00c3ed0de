"""Finds the command and turns whatever goes wrong into a message and an exit code.

Only the module of the command that was asked for is imported: a process that compresses one photo pays for nothing
else.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "dispatch"]

COMMANDS = {
    "compress": "photos -> .lac",
    "decompress": ".lac -> PNG, TIFF, JPEG, WebP, PPM, BMP",
    "shrink": "model weights and arrays -> .lac",
    "expand": ".lac -> .safetensors, .npz, .npy",
    "info": "what a .lac file holds, without decoding it",
    "verify": "check .lac files to the last bit",
    "bench": "measure against JPEG, WebP, AVIF, JPEG XL and others on your photos",
    "report": "results of bench as one page: plots, tables, pictures side by side",
    "pack": "a data set of photos -> latents to train on",
    "train": "fit the entropy model to your own photos",
    "export": "a network of the model as ONNX, a packed data set as tar files",
}

# What other programs call the same.
_SYNONYMS = {
    "encode": "compress",
    "decode": "decompress",
    "unpack": "decompress",
    "extract": "decompress",
    "inspect": "info",
    "identify": "info",
    "show": "info",
    "check": "verify",
    "test": "verify",
    "benchmark": "bench",
    "quantize": "shrink",
    "dequantize": "expand",
}


def dispatch(words: Sequence[str]) -> int:
    """Run the command named by the first word.

    Returns
    -------
    int
        The exit code.
    """
    if not words or words[0] in {"-h", "--help", "help"}:
        if len(words) == 2 and words[1] in COMMANDS:
            return dispatch([words[1], "--help"])
        (sys.stdout if words else sys.stderr).write(_overview())
        return 0 if words else 2
    name = words[0]
    if name not in COMMANDS:
        sys.stderr.write(_unknown(name))
        return 2
    return _run(name, words[1:])


def _run(name: str, words: Sequence[str]) -> int:
    from laconic.cli.console import in_words
    from laconic.cli.options import CommandParser, add_help
    from laconic.errors import LaconicError

    command: Any = importlib.import_module(f"laconic.cli.{name}")
    parser = CommandParser(f"laconic {name}")
    command.configure(parser)
    add_help(parser)
    _exit_on_termination()
    if not sys.warnoptions:
        # Decoders warn about odd metadata; what matters to a person is said by us.
        warnings.simplefilter("ignore")
    try:
        arguments = parser.parse_intermixed_args(_without_dashes(words))
        return int(command.run(arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except LaconicError as error:
        sys.stderr.write(f"error: {in_words(error)}\n")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output has left (`laconic info *.lac | head`).
        return 1
    except OSError as error:
        sys.stderr.write(f"error: {in_words(error)}\n")
        return 1


def _without_dashes(words: Sequence[str]) -> list[str]:
    """Let `--` end the options: what follows is marked as a path where it begins with a dash.

    argparse loses the `--` when options and inputs may come in any order.
    """
    head = list(words)
    if "--" not in head:
        return head
    place = head.index("--")
    tail = [f".{os.sep}{word}" if word.startswith("-") and word != "-" else word for word in head[place + 1 :]]
    return head[:place] + tail


def _exit_on_termination() -> None:
    """Let `kill` and a closed terminal unwind the stack, so that temporary files are removed."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):  # Windows knows the first only
        number = getattr(signal, name, None)
        # What is ignored stays so: `nohup` lets a batch outlive its terminal.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            try:
                signal.signal(number, leave)
            except ValueError:
                return  # not in the main thread: whoever called us keeps their handlers


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "laconic compress photo.jpg",
            "",
            "Turns photos into few bytes and back.",
            "",
            "commands:",
            *lines,
            "",
            "`laconic COMMAND -h` explains each; `laconic -V` prints the version.",
            "",
        ]
    )


def _unknown(word: str) -> str:
    from difflib import get_close_matches
    from pathlib import Path

    close = [_SYNONYMS[word]] if word in _SYNONYMS else get_close_matches(word, COMMANDS, 1)
    if close:
        hint = f"did you mean `laconic {close[0]}`?"
    elif Path(word).exists():
        command = "decompress" if word.endswith(".lac") else "compress"
        hint = f"to {command} it: laconic {command} {word}"
    else:
        hint = "`laconic -h` lists the commands"
    kind = "option" if word.startswith("-") else "command"
    return f"laconic: unknown {kind} {word!r}; {hint}\n"
