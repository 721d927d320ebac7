"""The reference distribution: pairs of models known to be related or not, with their measured scores."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fnet_core.assets import ASSETS
from fnet_core.errors import RequestError

REFERENCE_FILE = ASSETS / "reference_pairs.json"

DERIVED_SHARE, INDEPENDENT_SHARE = 2 / 3, 1 / 3
"""Where the two cuts lie between the highest independent and the lowest derived reference score."""

LEAST_REFERENCES = 3
"""Reference pairs of either kind below which there are no cuts."""

MINIMUM_GAP = 0.1
"""Distance of the kinds below which there are no cuts: closer ones are told apart by accident."""


@dataclass(frozen=True)
class ReferencePair:
    """A pair of models of which it is known how they are related, with what was measured of it."""

    a: str
    b: str
    kind: Literal["derived", "independent"]
    how: str
    score: float
    interval: tuple[float, float] | None
    weight_curves: float | None
    cka: float | None
    reads: bool
    """Whether both models read the probes; a pair that does not is told but moves no cut, as it gets no verdict."""


@dataclass(frozen=True)
class Cuts:
    """Where the verdict changes, and the reference scores it follows from."""

    highest_independent: float
    independent_below: float
    derived_above: float
    lowest_derived: float


@dataclass(frozen=True)
class Reference:
    """The reference distribution: known pairs measured under one protocol."""

    command: str
    protocol: str
    """The protocol digest of the fingerprints that were compared."""
    measured: str
    """When and on what the pairs were measured."""
    pairs: tuple[ReferencePair, ...]

    def scores(self, kind: Literal["derived", "independent"]) -> tuple[float, ...]:
        """The scores of one kind, lowest first, of the pairs that read the probes."""
        return tuple(sorted(pair.score for pair in self.pairs if pair.kind == kind and pair.reads))

    def without(self, index: int) -> "Reference":
        """The reference less one pair, to judge that pair by the others."""
        return replace(self, pairs=self.pairs[:index] + self.pairs[index + 1 :])

    def save(self, path: Path) -> None:
        """Write the reference as JSON that `load_reference` reads."""
        content: dict[str, Any] = {"command": self.command, "protocol": self.protocol, "measured": self.measured}
        content["pairs"] = [
            {k: round(v, 6) if isinstance(v, float) else v for k, v in vars(pair).items()} for pair in self.pairs
        ]
        written = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        Path(path).write_text(written + "\n", "utf-8")

    def cuts(self) -> Cuts | None:
        """The two cuts; None when there are too few pairs of a kind or the kinds are less than `MINIMUM_GAP` apart."""
        derived, independent = self.scores("derived"), self.scores("independent")
        if min(len(derived), len(independent)) < LEAST_REFERENCES:
            return None
        low, gap = independent[-1], derived[0] - independent[-1]
        if gap < MINIMUM_GAP:
            return None
        return Cuts(low, low + INDEPENDENT_SHARE * gap, low + DERIVED_SHARE * gap, derived[0])


def load_reference(path: Path = REFERENCE_FILE) -> Reference | None:
    """The reference distribution in a JSON file; None if there is no file, RequestError if it cannot be used."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        pairs = tuple(_pair(row) for row in content["pairs"])
        told = {name: content[name] for name in ("command", "protocol", "measured")}
        if not all(isinstance(value, str) for value in told.values()):
            raise ValueError("command, protocol and measured must be text")
        return Reference(**told, pairs=pairs)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(f"{path} is no list of reference pairs ({error}); measure it again.") from None


def _pair(row: dict[str, Any]) -> ReferencePair:
    """One checked entry of the file; ValueError names what is wrong."""
    if row.keys() != ReferencePair.__annotations__.keys():
        raise ValueError("a pair lacks a value or has one too many")
    if not all(isinstance(row[name], str) for name in ("a", "b", "how")):
        raise ValueError("the names of a pair must be text")
    if not isinstance(row["reads"], bool):
        raise ValueError("reads must be true or false")
    if row["kind"] not in ("derived", "independent"):
        raise ValueError(f"there is no kind {row['kind']!r}")
    interval = row["interval"]
    if interval is not None and not (isinstance(interval, list) and len(interval) == 2):
        raise ValueError("an interval must be two numbers")
    for name, values, least in (
        ("score", [row["score"]], 0),
        ("interval", interval or [], 0),
        ("weight_curves", [row["weight_curves"]], -1),
        ("cka", [row["cka"]], 0),
    ):
        optional = name in ("weight_curves", "cka")
        if not all((optional and value is None) or _within(value, least) for value in values):
            raise ValueError(f"the {name} of {row['a']} and {row['b']} is no number from {least} to 1")
    return ReferencePair(**row | {"interval": interval and tuple(interval)})


def _within(value: Any, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least - 1e-6 <= value <= 1 + 1e-6
