"""What is made ahead comes in order, with its errors, and can be left early."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_items_made_ahead(jobs: int):
    made: list[int] = []

    def items(workers: Workers) -> Iterator[list[int]]:
        for number in range(10):
            made.append(number)
            yield workers.each(lambda part, number=number: number * part, [1, 2, 3])

    with Workers(jobs) as workers:
        for number, item in enumerate(workers.ahead(items(workers))):
            assert item == [number, 2 * number, 3 * number]
            assert workers.each(lambda part: -part, [1, 2]) == [-1, -2]
            assert len(made) <= number + 2  # never further ahead than one
        assert len(made) == 10
        assert list(workers.ahead(iter([]))) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_on_the_way_comes_where_its_item_would(jobs: int):
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with Workers(jobs) as workers:
        ahead = workers.ahead(items())
        assert next(ahead) == 1
        with pytest.raises(OSError, match="gone"):
            next(ahead)


def test_the_rest_may_be_left():
    closed: list[bool] = []

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(True)

    with Workers(2) as workers:
        coming = items()
        ahead = workers.ahead(coming)
        assert [next(ahead), next(ahead)] == [0, 1]
        ahead.close()  # pyright: ignore[reportAttributeAccessIssue]
        coming.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert closed == [True]
