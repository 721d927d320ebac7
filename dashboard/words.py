"""Numbers and foreign text as people read them."""

import re


def count(number: int, noun: str) -> str:
    """ "1 neuron", "1,243 neurons"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """ "9 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


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


def plain(text: str) -> str:
    """Text that Markdown shows as it is: names and sentences that came from elsewhere."""
    return re.sub(r"([\\`*_\[\]<>$~#|])", r"\\\1", text)
