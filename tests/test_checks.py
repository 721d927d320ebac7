"""Checks of numbers and words: which ends belong to a range, what the sentence says."""

import math

import pytest

from fnet_core.checks import check_choice, check_range, check_seed
from fnet_core.errors import RequestError


@pytest.mark.parametrize(
    ("ends", "allowed"), [("[]", {1, 2, 3}), ("(]", {2, 3}), ("[)", {1, 2}), ("()", {2})], ids=lambda ends: str(ends)
)
def test_ends_are_those_of_the_interval(ends, allowed):
    found = set()
    for value in (0, 1, 2, 3, 4, math.nan, math.inf, -math.inf):
        try:
            check_range(value, 1, 3, "It is", "choose 2", ends)
            found.add(value)
        except RequestError as error:
            assert str(error) == "It is out of range; choose 2."
    assert found == allowed


def test_infinity_can_be_the_open_end():
    check_range(10**400, 1, math.inf, "It is", "choose more")
    with pytest.raises(RequestError):
        check_range(math.inf, 1, math.inf, "It is", "choose less", "[)")


def test_a_word_that_is_not_known_is_told_what_is():
    check_choice("a", {"a": 1}, "letter")
    with pytest.raises(RequestError, match=r"^There is no letter 'c'; choose one of a, b\.$"):
        check_choice("c", ("a", "b"), "letter")


def test_seeds_are_whole_numbers_of_63_bits():
    check_seed(0)
    check_seed(2**63 - 1)
    for seed in (-1, 2**63):
        with pytest.raises(RequestError, match=rf"^The seed {seed} is out of range; choose 0 to 2\^63 - 1\.$"):
            check_seed(seed)
