"""Optional packages, loaded when they are first needed, with an error that says what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from laconic.errors import UsageError


def need(module: str, purpose: str) -> Any:
    """Import an optional module.

    Parameters
    ----------
    module
        Import name, such as ``"imagecodecs"``.
    purpose
        What it is needed for, as the end of the sentence "... is needed ...".

    Raises
    ------
    UsageError
        When the module is not installed; the message names the extra to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UsageError(f'{package} is needed {purpose}: pip install "laconic[bench]"') from error
