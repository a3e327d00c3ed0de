"""Whatever a decoder raises on damaged bytes becomes an error of our tree that names the file."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from laconic.errors import LaconicError, UnsupportedInput, UsageError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["naming_damage"]


@contextlib.contextmanager
def naming_damage(name: str, kind: str) -> Generator[None]:
    """Let errors inside the block name the file `name` of format `kind`.

    Raises
    ------
    UnsupportedInput
        For anything a decoder raises that is no error of our tree and none of the operating system.
    """
    try:
        yield
    except (UnsupportedInput, UsageError) as error:
        raise type(error)(f"{name}: {error}") from error
    except LaconicError:
        raise  # these have a field, a limit or a path of their own to name
    except MemoryError as error:
        raise UnsupportedInput(f"{name}: the picture does not fit into memory") from error
    except Exception as error:
        # An operating system error has a number; what image decoders raise (OSError too) has none.
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or name  # rows are read while the output is open: say which of the two
            raise
        reason = str(error) or type(error).__name__
        raise UnsupportedInput(f"{name}: damaged or unusual {kind.upper()} file: {reason}") from error
