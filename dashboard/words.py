"""Numbers, perplexities, ratios and foreign text as people read them."""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fnet_core.assets import APP
from fnet_core.choices import scope_title
from fnet_core.errors import RequestError
from fnet_core.storage.place import home
from fnet_core.visible import visible


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
    """Bytes as "93 MB", "1.2 GB" or "640 B"."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    if count >= 1e6:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e3:.0f} kB" if count >= 1e3 or not count else f"{count} B"


def perplexity(value: float, more: int = 0) -> str:
    """ "4.13", "41.3", "31,548", with `more` digits; "not finite" where the model's output overflowed."""
    if not math.isfinite(value):
        return "not finite"
    if value >= 1e9:
        return f"{value:.{1 + more}e}"
    return f"{value:,.{(2 if value < 10 else 1 if value < 1000 else 0) + more}f}"


def between(bounds: tuple[float, float] | None) -> str:
    """ "38.9 to 44.0", or why there is no interval."""
    return _ends(bounds, perplexity)


def factor(ratio: float, beside: float | None = None) -> str:
    """ "+2.0 %" near 1, "27.6x" far from it; in the notation of the ratio that it stands `beside`, if any."""
    return _factor(ratio, _near_one(ratio if beside is None else beside))


def factors(bounds: tuple[float, float] | None, beside: float) -> str:
    """The interval of a ratio, in the notation of the ratio that it stands `beside`."""
    near = _near_one(beside)
    return _ends(bounds, lambda bound, more: _factor(bound, near, more))


def times(ratio: float, more: int = 0) -> str:
    """ "1.54", "27", "1,142", with `more` digits: what something is multiplied by."""
    return f"{ratio:,.{(2 if ratio < 10 else 0) + more}f}"


def _near_one(ratio: float) -> bool:
    return 0.5 < ratio < 1.5


def _factor(ratio: float, per_cent: bool, more: int = 0) -> str:
    if not math.isfinite(ratio):
        return "not finite"
    return f"{100 * (ratio - 1):+,.{1 + more}f} %" if per_cent else f"{times(ratio, more)}x"


def _ends(bounds: tuple[float, float] | None, shown: Callable[[float, int], str]) -> str:
    """Both ends with as many digits as tell them apart; one number where two more do not."""
    if bounds is None:
        return "no interval"
    for more in range(3):
        low, high = (shown(bound, more) for bound in bounds)
        if low != high:
            return f"{low} to {high}"
    return shown(bounds[0], 0)


def plain(text: str) -> str:
    """Text that Markdown shows as it is: names and sentences that came from elsewhere."""
    return re.sub(r"([\\`*_\[\]<>$~#|])", r"\\\1", text)


def without_places(sentence: str) -> str:
    """The sentence with the folders of this machine under names: FNET_HOME, the code's folder and ~."""
    places = [(APP.parent, "the code's folder")]
    with suppress(RequestError):
        places.append((home(), "FNET_HOME"))
    with suppress(RuntimeError):
        places.append((Path.home(), "~"))
    for place, name in sorted(places, key=lambda place: -len(str(place[0]))):
        if place != Path(place.anchor):
            sentence = re.sub(rf"{re.escape(str(place))}(?=[/\\\s'\"),;:.]|$)", name, sentence)
    return sentence


def file_name(name: str) -> str:
    """The name of an uploaded file as it may be shown and kept: no folders, no control characters, no end in sight."""
    return visible(re.split(r"[/\\]", name)[-1])[:200]


def scope(name: str) -> str:
    """The scope of an atlas in words."""
    return scope_title(name)
