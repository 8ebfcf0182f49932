"""Stages in threads: order, bounds, errors, and that they really overlap."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from irn_video.pipeline.flow import ahead, mapped


def stages() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "irn-stage"]


@pytest.fixture(autouse=True)
def no_thread_remains() -> Iterator[None]:
    yield
    assert not stages()


def test_order() -> None:
    with ahead(range(100)) as numbers, ahead(mapped(lambda i, n: (i, n * n), numbers)) as squares:
        assert list(squares) == [(n, n * n) for n in range(100)]


def test_nothing_in_nothing_out() -> None:
    with ahead(iter(())) as numbers:
        assert list(numbers) == []


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_runs_ahead_so_far_and_no_further(depth: int) -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for n in range(50):
            made.append(n)
            yield n

    with ahead(source(), depth) as numbers:
        for n in numbers:
            time.sleep(0.005)
            assert len(made) <= n + 1 + depth + 1  # what is in the queue, and one in hand
        assert len(made) == 50


def test_error_of_the_source_comes_after_what_it_made() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"), ahead(source()) as numbers, ahead(numbers) as again:  # noqa: PT012
        for n in again:
            seen.append(n)  # noqa: PERF402
    assert seen == [1, 2]


def test_error_of_a_stage() -> None:
    def fails(index: int, number: int) -> int:
        if index == 3:
            raise KeyError(number)
        return number

    seen = []
    with (  # noqa: PT012
        pytest.raises(KeyError),
        ahead(range(1000)) as numbers,
        ahead(mapped(fails, numbers)) as results,
        ahead(results) as last,
    ):
        for n in last:
            seen.append(n)  # noqa: PERF402
    assert seen == [0, 1, 2]


def test_leaving_early_stops_the_threads() -> None:
    made = []

    def endless() -> Iterator[int]:
        while True:
            made.append(0)
            yield 0

    with ahead(endless()) as zeros, ahead(mapped(lambda i, _: i, zeros)) as counted:
        assert next(counted) == 0
    count = len(made)
    assert not stages()
    time.sleep(0.02)
    assert len(made) == count < 20


def test_error_of_the_consumer_stops_the_threads() -> None:
    with pytest.raises(KeyboardInterrupt), ahead(iter(int, 1)) as zeros, ahead(zeros):
        raise KeyboardInterrupt
    assert not stages()


@pytest.mark.alone
def test_stages_overlap() -> None:
    """Two stages that wait take the time of one; enough that a busy machine does not matter."""
    count, pause = 20, 0.02

    def wait(_index: int, number: int) -> int:
        time.sleep(pause)
        return number

    start = time.monotonic()
    with ahead(mapped(wait, range(count))) as first, ahead(mapped(wait, first)) as second:
        assert list(mapped(wait, second)) == list(range(count))
    seconds = time.monotonic() - start
    assert count * pause <= seconds < 2 * count * pause  # three times as long one after the other


def test_a_stage_that_vanishes_is_noticed() -> None:
    """Never a silent end in place of the missing pictures."""
    with ahead(iter([1])) as numbers:
        assert next(numbers) == 1
        assert next(numbers, "end") == "end"
    with ahead(iter(int, 1)) as zeros:
        kept = zeros
    with pytest.raises(RuntimeError, match="died"):  # noqa: PT012
        for _ in range(10):
            next(kept)
