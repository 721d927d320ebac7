"""What the Intervene page asks for as it stands in an address: gains, controls, and what to measure by.

A text or a file of edits does not fit there: the store keeps it, and the address has its digest.
"""

import math
from dataclasses import dataclass, replace

from fnet_core.choices import DEFINITIONS, Definition
from fnet_core.errors import RequestError
from fnet_core.storage import memo
from fnet_core.storage.artifacts import artifact_path
from fnet_core.storage.notes import LED, NOTES, Led

ALL = "all"
"""The row that stands for every network at once."""
NONE = "none"
Gains = dict[int | str, float]


@dataclass(frozen=True)
class Asked:
    """The edits and what they are measured by; what is at its default is not written."""

    gains: tuple[tuple[int | str, float], ...] | None = None
    """None: the selected network is inhibited."""
    controls: int = 5
    seed: int = 0
    definition: Definition = "token"
    window: int | None = None
    passages: int = 8
    text: str | None = None
    """The digest under which a text of one's own is kept."""
    edits: str | None = None
    """The digest under which edits from a file are kept, in place of gains."""
    threshold: float | None = None
    """None: that of the page."""

    def written(self) -> str | None:
        """The text of the address; None where everything is at its default."""
        parts = []
        if self.gains is not None:
            parts += [f"{network}:{gain:.12g}" for network, gain in self.gains] or [f"{NONE}:0"]
        for name in _SETTINGS:
            if (value := getattr(self, name)) != getattr(Asked, name):
                parts.append(f"{name}:{value:.12g}" if isinstance(value, float) else f"{name}:{value}")
        return ",".join(parts) or None


_SETTINGS = ("controls", "seed", "definition", "window", "passages", "text", "edits", "threshold")
_RANGES = {"controls": (0, 50), "seed": (0, 10**9 - 1), "window": (1, 10**6), "passages": (1, 24)}


def parsed(text: str) -> Asked:
    """What an address asks for; `RequestError` for what means nothing."""
    gains: dict[int | str, float] = {}
    found: dict[str, object] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition(":")
        if name in _RANGES:
            found[name] = _whole(name, value)
        elif name == "definition":
            if value not in DEFINITIONS:
                raise _wrong(name, value, f"choose one of {', '.join(DEFINITIONS)}")
            found[name] = value
        elif name in ("text", "edits"):
            if not (len(value) == 64 and value.isascii() and value.isalnum()):
                raise _wrong(name, value, "copy the whole link")
            found[name] = value
        elif name == "threshold":
            found[name] = _number(name, value)
        elif name == NONE:
            found["gains"] = ()
        elif name == ALL or (name.isascii() and name.isdigit() and len(name) < 10):
            gains[name if name == ALL else int(name)] = _number("gain", value)
        else:
            raise RequestError(f"The address asks for '{name[:40]}' on the Intervene page, which has no such setting.")
    return replace(Asked(**found), gains=tuple(gains.items())) if gains else Asked(**found)  # type: ignore[arg-type]


def keep(text: str) -> str:
    """Keep a text that a link may ask for; its digest."""
    fact = {"text": text}
    if memo.known(LED, fact) is None:
        memo.keep(LED, fact, Led(fact))
    return digest(text)


def digest(text: str) -> str:
    """Under what a text is kept, or would be."""
    return LED.key({"text": text})


def kept(digest: str) -> str:
    """The text of this digest; `RequestError` where this machine does not have it."""
    path = artifact_path(NOTES, digest)
    try:
        return str(Led.load(path).recipe["text"])
    except (RequestError, KeyError) as error:
        raise RequestError(
            "This link measures a text or edits that are not kept on this machine; paste the text or load the edits."
        ) from error


def _whole(name: str, value: str) -> int:
    least, most = _RANGES[name]
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
        raise _wrong(name, value, f"choose a whole number from {least} to {most:,}")
    return int(value)


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(name, value, "choose a number such as 1.5")
    return number


def _wrong(name: str, value: str, remedy: str) -> RequestError:
    return RequestError(f"The address asks for {name} '{value[:40]}'; {remedy}.")
