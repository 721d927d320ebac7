"""Numbers, perplexities, ratios and foreign text as people read them."""

import math
import re


def count(number: int, noun: str) -> str:
    """ "1 neuron", "1,243 neurons"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def parameters(number: int) -> str:
    """ "135 million", "1.2 billion", "83,808"."""
    if number >= 1e9:
        return f"{number / 1e9:.1f} billion"
    if number >= 1e6:
        return f"{number / 1e6:.0f} million"
    return f"{number:,}"


def size(count: int) -> str:
    """Bytes as "93 MB" or "1.2 GB"."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    if count >= 1e6:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e3:.0f} kB"


def perplexity(value: float) -> str:
    """ "4.13", "41.3", "31,548"; "not finite" where the model's output overflowed."""
    if not math.isfinite(value):
        return "not finite"
    if value >= 1e9:
        return f"{value:.1e}"
    return f"{value:,.{2 if value < 10 else 1 if value < 1000 else 0}f}"


def between(bounds: tuple[float, float] | None) -> str:
    """ "38.9 to 44.0", or why there is no interval."""
    return f"{perplexity(bounds[0])} to {perplexity(bounds[1])}" if bounds else "no interval"


def factor(ratio: float) -> str:
    """ "+2.0 %" near 1, "27.6x" far from it."""
    if not math.isfinite(ratio):
        return "not finite"
    if 0.5 < ratio < 1.5:
        return f"{100 * (ratio - 1):+.1f} %"
    return f"{times(ratio)}x"


def factors(bounds: tuple[float, float] | None) -> str:
    """The interval of a ratio, both ends in one notation."""
    if bounds is None:
        return "no interval"
    if all(0.5 < bound < 1.5 for bound in bounds):
        return f"{factor(bounds[0])} to {factor(bounds[1])}"
    return " to ".join(f"{times(bound)}x" for bound in bounds)


def times(ratio: float) -> str:
    """ "1.54", "27", "1,142": what something is multiplied by."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def plain(text: str) -> str:
    """Text that Markdown shows as it is: names and sentences that came from elsewhere."""
    return re.sub(r"([\\`*_\[\]<>$~#|])", r"\\\1", text)
