"""Enough text: passages are taken in steps until networks come back in both halves of them, or more text adds nothing.

What was read is not read again: each look separates what was merged so far.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Literal

from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import maps_in_halves
from fnet_core.networks.recurrence import CHANCE_DRAWS, STABLE

if TYPE_CHECKING:
    from fnet_core.decomposition.projection import Separated

Reason = Literal["", "agree", "level", "all"]
"""Why no more was taken: the networks agree, they level off, or there is no more; nothing while more is wanted."""

FIRST_LOOK = 24
"""Passages before the first look; each further look comes at twice as many."""

AGREED = 0.9
"""The mean abs(r) of trusted networks between halves that is enough where at least half of all networks are trusted."""

GAIN = 0.02
"""The gain in mean abs(r) of all networks, in twice the text, below which recurrence levels off."""

RULE = 1
"""Raised when the rule changes, so that what an older one took is not taken for an answer."""


@dataclass(frozen=True)
class Look:
    """What the networks of so many passages are worth."""

    passages: int
    networks: int
    trusted: int
    of_trusted: float | None
    """Mean abs(r) between halves of the trusted ones; None where there is none."""
    of_all: float


def looks_at(passages: int) -> tuple[int, ...]:
    """After how many passages to look where there are so many in all: 24, 48, 96, ..., all of them."""
    counts, count = [], FIRST_LOOK
    while count < passages:
        counts.append(count)
        count *= 2
    return (*counts, passages)


def reason(looks: Sequence[Look]) -> Reason:
    """Why the last of these looks saw enough; nothing where it did not."""
    last = looks[-1]
    if not last.trusted or last.of_trusted is None:
        return ""
    if 2 * last.trusted >= last.networks and last.of_trusted >= AGREED:
        return "agree"
    if len(looks) < 2 or last.passages < 2 * looks[-2].passages:
        return ""
    before = looks[-2]
    return "level" if last.trusted <= before.trusted and last.of_all - before.of_all < GAIN else ""


class Watch:
    """Looks at what passages give as they arrive, and says when they are enough; keeps what it saw."""

    def __init__(self, passages: int, scope: str, widths_L: tuple[int, ...]) -> None:
        self.at = looks_at(passages)
        self.looks: list[Look] = []
        self._scope, self._widths_L = scope, widths_L

    def __call__(self, passages: int, found: "Sequence[Separated]") -> bool:
        """Whether so many passages, which give these networks in each block, are enough."""
        even, odd = ([own.halves[half].numpy() for own in found if own.halves is not None] for half in (0, 1))
        if not even:
            return False
        recipe = {"threshold": DEFAULT_THRESHOLD, "draws": CHANCE_DRAWS, "seed": 0}
        maps = [own.maps_KN.cpu().numpy() for own in found]
        there = maps_in_halves(maps, (even, odd), self._scope, self._widths_L, recipe)
        stable = [bool(value >= STABLE) for own in found for value in own.stability_K]
        trusted_K = there.trusted_K & stable
        r_K = there.correlation_K
        of_trusted = round(float(r_K[trusted_K].mean()), 4) if trusted_K.any() else None
        self.looks.append(Look(passages, len(r_K), int(trusted_K.sum()), of_trusted, round(float(r_K.mean()), 4)))
        return reason(self.looks) != ""

    def record(self) -> dict[str, Any]:
        """What was seen and why it ended, JSON-able, for the recipe."""
        return {
            "rule": RULE,
            "looks": [list(astuple(look)) for look in self.looks],
            "reason": (reason(self.looks) if self.looks else "") or "all",
        }


def answers(atlas: Atlas, passages: int) -> bool:
    """Whether taking until enough, of so many passages, would have ended with this kept atlas."""
    kept = atlas.recipe.get("enough", {})
    taken = len(atlas.passages)
    seen = [look[0] for look in kept.get("looks", [])]
    return (
        kept.get("rule") == RULE
        and all(count in looks_at(passages) for count in seen)
        and (kept["reason"] != "all" or taken == passages)
    )


def sentence(recipe: dict[str, Any]) -> str:
    """How much text an atlas took and why it took no more; empty where that was not asked."""
    kept = recipe.get("enough")
    if not kept:
        return ""
    taken = f"{recipe['passages']} passages were taken"
    if not kept["looks"]:
        return f"{taken}, all there are: too few for so many networks in both halves."
    *before, last = (Look(*look) for look in kept["looks"])
    if kept["reason"] == "agree":
        return (
            f"{taken} and are enough: {last.trusted} of {last.networks} networks are trusted, and their maps agree at "
            f"abs(r) {last.of_trusted:.2f} in both halves ({AGREED:g} is enough)."
        )
    if kept["reason"] == "level":
        return (
            f"{taken} and are enough: recurrence levels off at abs(r) {last.of_all:.2f} "
            f"({before[-1].of_all:.2f} after {before[-1].passages}), and no more networks are trusted "
            f"({last.trusted} of {last.networks})."
        )
    more = "give more text" if last.trusted else "no network is trusted"
    return (
        f"{taken}, the most that were allowed: recurrence has not levelled off ({last.trusted} of {last.networks} "
        f"networks are trusted; abs(r) {last.of_all:.2f}); {more}."
    )
