"""Seconds and seconds of all processors, and how several rounds are told."""

import statistics
from collections.abc import Callable, Sequence
from time import perf_counter, process_time
from typing import TypeVar

Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """What some work gives, its seconds, and its seconds of all processors."""
    wall, processors = perf_counter(), process_time()
    result = work()
    return result, perf_counter() - wall, process_time() - processors


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, lowest and highest."""
    named = (("median", statistics.median), ("low", min), ("high", max))
    return {name: round(of(values), digits) for name, of in named}


def told(values: Sequence[float], digits: int = 2) -> str:
    """Median with the lowest and highest in brackets."""
    median, low, high = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({low} to {high})"
