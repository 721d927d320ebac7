"""Intervals and tests against scipy and against numbers worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from fnet_core.capability.comparing import changed, side_by_side
from fnet_core.capability.profiles import Profile
from fnet_core.capability.statistics import controlled, harm, means, paired_interval, sign_test, wilson

CAPABILITY_I = np.array([0, 0, 0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(("right", "asked"), [(0, 7), (3, 10), (100, 100), (61, 100)])
def test_wilson_is_that_of_scipy(right, asked):
    expected = stats.binomtest(right, asked).proportion_ci(method="wilson")
    assert wilson(right, asked) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_sign_test_is_the_exact_binomial_one():
    worse, better = np.array([0, 5, 9, 3]), np.array([0, 0, 2, 8])
    expected = [1.0] + [stats.binomtest(w, w + b, 0.5, "greater").pvalue for w, b in ((5, 0), (9, 2), (3, 8))]
    assert sign_test(worse, better) == pytest.approx(expected)
    assert expected[1] == pytest.approx(1 / 32)


def test_items_are_compared_one_by_one_within_their_capability():
    before = np.array([1, 1, 1, 1, 0, 1, 0.5, np.nan])
    after = np.array([0, 0, 0, 0.5, 1, 1, 0.5, np.nan])
    assert means(after, CAPABILITY_I, 2) == pytest.approx([0.3, 0.75])
    assert harm(after, before, CAPABILITY_I, 2) == pytest.approx([6 / 32, 1.0])  # four of five worse: (1 + 5) / 32
    low, high = paired_interval(after, before, CAPABILITY_I, 2)
    expected = stats.ttest_1samp((after - before)[:5], 0).confidence_interval()
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high)) and (low[1], high[1]) == (0, 0)


def test_false_discoveries_are_controlled_as_by_hand():
    p = np.array([[0.01, 0.04], [0.03, np.nan], [0.005, 0.5]])
    # sorted 0.005 0.01 0.03 0.04 0.5, times 5 / rank: 0.025 0.025 0.05 0.05 0.5
    assert controlled(p) == pytest.approx(np.array([[0.025, 0.05], [0.05, np.nan], [0.025, 0.5]]), nan_ok=True)
    assert controlled(p.ravel()[:3]) == pytest.approx(stats.false_discovery_control([0.01, 0.04, 0.03]))
    assert np.isnan(controlled(np.array([np.nan]))).all()


def test_two_profiles_side_by_side():
    after, before = np.array([0.0, 0, 0, 0, 0, 1, 1, 0.5]), np.ones(8)
    told = np.ones(8, dtype=bool)
    profiles = [
        Profile({"model": "m"}, ("sums", "tense"), CAPABILITY_I, answers, 0 * answers + 0.5, told)
        for answers in (before, after)
    ]
    table = side_by_side(*profiles)
    assert table["after"].tolist() == [0, pytest.approx(2.5 / 3)] and table["p"].tolist() == [1 / 32, 0.5]
    assert table["q"].tolist() == pytest.approx(stats.false_discovery_control([1 / 32, 0.5]).tolist())
    assert changed(table)["lost"] == 0 and [row["items"] for row in changed(table)["rows"]] == [5, 3]
