"""The fraction of a piece of work never falls, and the time left neither vanishes nor comes out of nothing."""

from itertools import pairwise

import pytest

from fnet_core.progress import Pace


def seen(pace: Pace, reports: list[tuple[float, str, float]]) -> list[tuple[float, float | None]]:
    """Fraction and seconds left right after each (clock, stage, fraction) report."""
    found = []
    for now, stage, fraction in reports:
        pace.update(stage, fraction, now)
        found.append((pace.fraction, pace.seconds_left(now)))
    return found


def test_even_work_is_foreseen():
    (*_, (fraction, left)) = seen(Pace({"a": 1.0, "b": 3.0}), [(0, "a", 0), (10, "a", 1), (10, "b", 0), (25, "b", 0.5)])
    assert fraction == pytest.approx(0.625) and left == pytest.approx(15.0)


def test_the_fraction_never_falls():
    stages = ["a", "b", "a", "fetching", "b", "c", "b", "c"]
    reports = [(float(i), stage, part) for i, stage in enumerate(stages) for part in (0.0, 0.9, 0.3)]
    fractions = [fraction for fraction, _ in seen(Pace({"a": 1.0, "b": 1.0, "c": 2.0}), reports)]
    assert all(before <= after for before, after in pairwise(fractions)) and fractions[-1] == pytest.approx(0.95)


def test_a_stage_slower_than_its_weight_shows_before_the_countdown_is_over():
    pace = Pace({"quick": 9.0, "slow": 1.0})
    (_, (_, left)) = seen(pace, [(0, "quick", 0), (9, "quick", 1)])
    assert left == pytest.approx(1.0)
    pace.update("slow", 0.0, 9)
    waiting = [pace.seconds_left(now) for now in range(9, 60)]
    assert all(left is not None and before <= left for before, left in zip([0.0, *waiting], waiting, strict=False))
    pace.update("slow", 0.01, 34)
    assert pace.seconds_left(34) == pytest.approx(25 * 99)


def test_what_is_not_counted_says_nothing_about_the_rest():
    pace = Pace({"a": 1.0, "b": 1.0})
    seen(pace, [(0, "downloading", 0), (600, "downloading", 1)])
    assert pace.fraction == 0 and pace.seconds_left(600) is None
    seen(pace, [(600, "a", 0), (605, "a", 0.5)])
    assert pace.seconds_left(605) == pytest.approx(15.0)


def test_too_little_says_nothing():
    pace = Pace({"a": 1.0})
    assert seen(pace, [(0, "a", 0), (1, "a", 0.5), (100, "a", 0.5)])[1] == (0.5, None)
    assert Pace({}).seconds_left(3) is None
