"""What a pruned model is to reach in place of a ratio, as a person writes it: a size, a speed, a perplexity."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from fnet_core.errors import RequestError

Quantity = Literal["bytes", "parameters", "reading", "writing", "perplexity"]

EXAMPLES = ("450MB", "100Mparams", "600tok/s", "25written/s", "ppl<=40")
"""One of each kind: on disk, parameters, tokens per second read at once and written one by one, perplexity at most."""

_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_NUMBER = r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*"
_FORMS: tuple[tuple[Quantity, str], ...] = (
    ("bytes", _NUMBER + r"(?P<scale>[kmg])b"),
    ("parameters", _NUMBER + r"(?P<scale>[kmb]?)\s*param(?:eter)?s?"),
    ("reading", _NUMBER + r"tok(?:en)?s?/s"),
    ("writing", _NUMBER + r"written/s"),
    ("perplexity", r"(?:ppl|perplexity)\s*<=?\s*" + _NUMBER),
)
TOLERANCE = 0.01
"""How near to a target what is measured has to come, as a share of it; counted sizes come as near as they can."""


@dataclass(frozen=True)
class Target:
    """A quantity of the pruned model and the value that it must not be above, or below if it is a speed."""

    quantity: Quantity
    value: float
    """Bytes, parameters, tokens per second, or perplexity."""
    written: str
    """As it was asked for."""

    @property
    def counted(self) -> bool:
        """Whether it follows from the sizes alone, so that no model has to run."""
        return self.quantity in ("bytes", "parameters")

    @property
    def is_speed(self) -> bool:
        """Whether more is better."""
        return self.quantity in ("reading", "writing")

    def met(self, value: float) -> bool:
        """Whether this value will do."""
        return value >= self.value if self.is_speed else value <= self.value

    def near(self, value: float) -> bool:
        """Whether this value will do and is within `TOLERANCE` of what is asked for."""
        return self.met(value) and abs(value - self.value) <= TOLERANCE * self.value

    def words(self, value: float) -> str:
        """A value of the quantity, as people read it: "449.8 MB"."""
        match self.quantity:
            case "bytes":
                return f"{value / 1e9:,.4g} GB" if value >= 1e9 else f"{value / 1e6:,.4g} MB"
            case "parameters":
                return f"{value:,.0f} parameters"
            case "reading":
                return f"{value:,.4g} tokens read per second"
            case "writing":
                return f"{value:,.4g} tokens written per second"
            case "perplexity":
                return f"a perplexity of {value:,.4g}"


def read_target(text: str) -> Target:
    """The target that a person writes, such as one of `EXAMPLES`; RequestError for what is none, or not above 0."""
    for quantity, form in _FORMS:
        if match := re.fullmatch(form, text.strip(), re.IGNORECASE):
            scale = _SCALES[(match.groupdict().get("scale") or "").lower()]
            value = float(match["number"]) * scale
            if value > 0 and math.isfinite(value):
                return Target(quantity, value, text.strip())
    raise RequestError(
        f"'{text[:40]}' is no target; give a size on disk (450MB), a number of parameters (100Mparams), tokens per "
        "second on this machine, read (600tok/s) or written (25written/s), or a perplexity (ppl<=40)."
    )
