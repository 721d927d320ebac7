"""The fraction of a piece of work never falls, and the time left neither vanishes nor comes out of nothing."""

from itertools import pairwise

import pytest

from fnet_core.time_left import Pace


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


def test_between_reports_it_runs_down_as_long_as_they_are_on_time():
    pace = Pace({"a": 1.0})
    seen(pace, [(10.0 * step, "a", 0.1 * step) for step in range(5)])
    assert [pace.seconds_left(now) for now in (40, 45, 50)] == pytest.approx([60.0, 55.0, 50.0])
    late = [pace.seconds_left(now) for now in range(50, 300, 10)]
    assert all(before < left for before, left in pairwise(late)) and late[-1] == pytest.approx(290 / 0.5 * 0.5)


@pytest.mark.parametrize("last", [0.2, 0.5, 0.9, 0.99])
def test_it_never_says_that_nothing_is_left_before_the_end(last):
    """The last tenth takes 42 minutes; at no second does it sound as if it were over, nor twice as long all at once."""
    pace = Pace({"a": 1.0})
    for step in range(1, 91):
        pace.update("a", 0.01 * step, float(step))
    pace.update("a", 0.9, 90.0)
    left = [pace.seconds_left(90.0 + now) for now in range(int(2520 * last))]
    assert all(one is not None and one >= 5 for one in left)
    assert all(after < 2 * before for before, after in pairwise(left))
    pace.update("a", 1.0, 2610.0)
    assert pace.seconds_left(2610.0) == 0


def test_the_time_until_the_first_report_counts_once_the_work_has_begun():
    for begun, left in ((True, 30.0), (False, 20.0)):
        pace = Pace({"a": 1.0})
        if begun:
            pace.begin(0)
        seen(pace, [(10, "a", 0.0), (30, "a", 0.5)])
        assert pace.seconds_left(30) == pytest.approx(left)


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
