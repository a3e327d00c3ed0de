"""Where and how a figure was made: processor, versions, commit and command, kept beside every result."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import laconic


def record(versions: dict[str, str] | None = None) -> dict[str, Any]:
    """Facts of this machine and run, ready for JSON.

    Parameters
    ----------
    versions
        Versions to add to those of Python, numpy and laconic, by codec name.
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command(),
        "commit": commit(),
        "machine": {
            "processor": processor(),
            "cores": usable_cores(),
            "memory_GiB": round(_memory_bytes() / 2**30, 1),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": {
            "laconic": laconic_version(),
            "python": platform.python_version(),
            "numpy": metadata.version("numpy"),
            **(versions or {}),
        },
    }


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Model name of the processor."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def commit() -> str:
    """Commit of the working tree this code runs from, with "+" where files differ from it; "" outside of one."""
    folder = Path(__file__).resolve().parent
    try:
        name = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(
            folder, "status", "--porcelain", "--untracked-files=no", "--", ":/src", ":/native", ":/bench/*.py"
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name + ("+" if changed else "")


def command() -> str:
    """The command line of this process as one would type it; where the interpreter lies does not matter."""
    words = sys.orig_argv[1:]
    if words and Path(words[0]).name == "laconic":
        return shlex.join(["laconic", *words[1:]])
    return shlex.join(["python", *words])


def laconic_version() -> str:
    """Version of laconic."""
    return laconic.__version__


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
