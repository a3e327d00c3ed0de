"""Laws of the error tree: its picture is true, it survives pickling, and exit codes are as promised."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from laconic import errors

SAMPLES = [
    errors.LaconicError("x"),
    errors.UsageError("x"),
    errors.UnsupportedInput("x"),
    errors.FormatError("x"),
    errors.NotLaconic(b"\x89PNG"),
    errors.NotLaconic(),
    errors.NewerVersion(9, 1),
    errors.CorruptStream("width", 12, "1..65535", 0),
    errors.CorruptStream("end state", None, 65536, 3),
    errors.TruncatedStream("segments 0", 40, "9 bytes", 2),
    errors.MissingModel(bytes(8), ["/models", "/elsewhere"]),
    errors.LimitExceeded("pixels", 10, 11),
    errors.MissingBase(bytes(16)),
    errors.MissingBase(bytes(16), bytes(range(16))),
    errors.ModelError("x"),
    errors.OutputExists("out.png"),
    errors.TargetUnreachable("x"),
]


def classes():
    return [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]


def test_every_class_has_a_sample():
    assert {type(sample) for sample in SAMPLES} == set(classes())


def test_the_drawn_tree_is_the_tree():
    """Name, base, depth and exit code of every line of the docstring hold, and no class is left out."""
    drawn = {}
    stack = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^    ([│├└─ ]*)(\w+)(?: \((\w+)\))? +(\d+)  ", line)
        if not match:
            continue
        indent, name, also, code = match.groups()
        depth = len(indent) // 4
        del stack[depth:]
        bases = {stack[-1]} if stack else {"Exception"}
        stack.append(name)
        drawn[name] = (bases | ({also} if also else set()), int(code))
    real = {cls.__name__: ({base.__name__ for base in cls.__bases__}, cls.exit_code) for cls in classes()}
    assert drawn == real
    assert set(errors.__all__) == set(real)


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_errors_cross_process_borders(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_messages_say_field_place_expected_and_found():
    message = str(errors.CorruptStream("width", 12, "1..65535", 0))
    assert all(part in message for part in ("width", "byte 12", "1..65535", "found 0"))
    message = str(errors.MissingModel(bytes(range(8)), ["/models"]))
    assert "0001020304050607" in message
    assert "/models" in message
