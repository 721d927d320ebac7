"""Numbers as people read them."""

import pytest

from dashboard import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [(4.128, "4.13"), (41.34, "41.3"), (31547.8, "31,548"), (float("inf"), "not finite"), (2e12, "2.0e+12")],
)
def test_perplexities_have_the_digits_that_mean_something(value, shown):
    assert words.perplexity(value) == shown


@pytest.mark.parametrize(("ratio", "shown"), [(1.02, "+2.0 %"), (0.97, "-3.0 %"), (2.5, "2.50x"), (763.5, "764x")])
def test_ratios_are_per_cent_near_one_and_factors_far_from_it(ratio, shown):
    assert words.factor(ratio) == shown
