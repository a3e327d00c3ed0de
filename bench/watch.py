"""Whole processes, watched from outside: their seconds and their peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["run"]

# Runs a command and prints its seconds, peak memory and exit code. A small process does this: the peak that the system
# reports for a child begins with the size of the process that started it.
WATCHER = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, 1, 0)])
_, status, usage = os.wait4(child, 0)
unit = 1 if sys.platform == "darwin" else 1024
print(time.perf_counter() - start, usage.ru_maxrss * unit, os.waitstatus_to_exitcode(status))
"""


def run(arguments: Sequence[str]) -> tuple[float, int]:
    """Run a process to its end: seconds, and peak memory in bytes.

    An installation holds compiled modules; so that a checkout has them too, Python may write them.
    """
    watched = [sys.executable, "-S", "-E", "-c", WATCHER, *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(watched, check=True, capture_output=True, text=True, env=environment)
    seconds, peak, code = done.stdout.split()
    if int(code):
        raise SystemExit(f"{' '.join(arguments)}: exit code {code}\n{done.stderr}")
    return float(seconds), int(peak)
