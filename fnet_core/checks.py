"""Checks of the numbers and words that people give."""

from collections.abc import Iterable

from fnet_core.errors import RequestError


def check_range(value: float, low: float, high: float, what: str, remedy: str, ends: str = "[]") -> None:
    """RequestError "`what` out of range; `remedy`." unless the value lies between `low` and `high`; NaN never does.

    `ends` is "[" or "(" and "]" or ")", as intervals are written: whether the value may be `low`, and `high`.
    """
    above = low < value if ends[0] == "(" else low <= value
    below = value < high if ends[1] == ")" else value <= high
    if not (above and below):
        raise RequestError(f"{what} out of range; {remedy}.")


def check_choice(value: object, known: Iterable[str], what: str) -> None:
    """RequestError unless the value is one of those known, which the sentence lists; `what` is their kind."""
    if value not in (listed := tuple(known)):
        raise RequestError(f"There is no {what} '{value}'; choose one of {', '.join(listed)}.")


def check_seed(seed: int) -> None:
    """RequestError unless the seed is between 0 and 2^63 - 1."""
    check_range(seed, 0, 2**63, f"The seed {seed} is", "choose 0 to 2^63 - 1", "[)")


def position(number: int, count: int, whose: str, what: str) -> int:
    """`number` counted from the start, a negative one from the end; IndexError says which there are."""
    if not -count <= number < count:
        raise IndexError(f"There is no {what} {number}; {whose} has 0 to {count - 1}.")
    return range(count)[number]
