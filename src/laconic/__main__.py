"""The program `laconic`, also as `python -m laconic`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0 done, 1 failure, 2 usage, 3..8 as in `laconic.errors`.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after the program's name; those of this process by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # Asked for by scripts and package tools, all the time: answered before anything else is imported.
    if words[:1] in (["-V"], ["--version"]):
        from laconic import __version__

        sys.stdout.write(f"laconic {__version__}\n")
        return 0
    try:
        from laconic.cli.app import dispatch

        return dispatch(words)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; no partial files were left\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
