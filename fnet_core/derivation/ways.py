"""What is asked of a way to derive a model, checked without any library that runs models."""

import math
from collections.abc import Callable
from typing import Any

from fnet_core.checks import check_range, check_seed
from fnet_core.choices import EXPERTS_PER_TOKEN, MOST_EXPERTS, WAY_EXAMPLES, ways
from fnet_core.derivation.training import Training
from fnet_core.errors import RequestError
from fnet_core.texts import whole_file


def _number(name: str, low: float, high: float, whole: bool = False) -> Callable[[str], float]:
    """A check that a value is a number above `low` (from `low`, if whole) and at most `high`."""

    def check(text: str) -> float:
        try:
            number = int(text) if whole else float(text)
        except ValueError:
            number = math.nan
        span = f"a whole number from {low:g} to {high:g}" if whole else f"above {low:g} and at most {high:g}"
        check_range(number, low, high, f"The {name} '{text}' is", f"choose {span}", "[]" if whole else "(]")
        return number

    return check


def _experts(text: str) -> tuple[int, float]:
    """The number of experts and the noise that tells them apart, 0 where none is asked for."""
    count, colon, noise = text.partition(":")
    number = _number("number of experts", EXPERTS_PER_TOKEN, MOST_EXPERTS, whole=True)(count)
    return int(number), _number("noise", 0, 1)(noise) if colon else 0.0


def _other_model(text: str) -> str:
    if not text.strip():
        raise RequestError("Merge with which model? Write merge:OTHER with its name or folder.")
    return text


def _text_file(text: str) -> str:
    whole_file(text)
    return text


CHECKS: dict[str, Callable[[str], Any]] = {
    "noise": _number("noise", 0, 1),
    "permute": str,
    "permute-residual": str,
    "rescale": _number("factor", 1, 100),
    "rotate": str,
    "quantise": _number("number of bits", 2, 8, whole=True),
    "prune": _number("ratio", 0, 0.9),
    "drop-layers": _number("number of layers", 1, 10_000, whole=True),
    "merge": _other_model,
    "upcycle": _experts,
    "finetune": _text_file,
    "lora": _text_file,
    "distil": _text_file,
}
"""What turns the text behind a way's colon into its value; raises RequestError where it cannot."""


def check_asked(how: str, seed: int, training: Training) -> tuple[str, Any]:
    """The name and the checked value of the way that `NAME` or `NAME:VALUE` asks for.

    RequestError lists the known ways, and refuses a seed or a number of the training that is out of range.
    """
    name, colon, text = how.partition(":")
    if name not in CHECKS:
        raise RequestError(f"There is no way '{name}' to derive a model; choose one of {', '.join(ways())}.")
    example = WAY_EXAMPLES[name]
    if example and not text:
        raise RequestError(f"'{name}' needs a value; write {name}:{example}.")
    if colon and not example:
        raise RequestError(f"'{name}' takes no value; write {name}.")
    value = CHECKS[name](text)
    check_seed(seed)
    training.check()
    return name, value
