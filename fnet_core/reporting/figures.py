"""The figures of an atlas, one by one: their digests, and whether those of another are the same.

Shape legend: K networks, N neurons of all layers side by side.
"""

from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Literal

import numpy as np

from fnet_core.networks.atlas import Atlas
from fnet_core.networks.matching import matched_correlation

TOLERANCE = 0.002
"""Of the largest recorded number: what another machine's arithmetic, or half precision, may move a figure by."""
FOUND_AGAIN = 0.9
"""abs(r) of two maps from which on a network counts as found again."""
Outcome = Literal["identical", "agrees", "differs", "not replayed"]


@dataclass(frozen=True)
class Line:
    """One figure, as it was recorded and as it came out again."""

    figure: str
    outcome: Outcome
    said: str = ""
    """By how much, or why not, in words; empty where it is identical."""
    recorded: str = ""
    """What was recorded: a digest, or a number."""
    found: str = ""
    apart: float | None = None
    """The largest difference, as a share of the largest recorded number."""

    def summary(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def arrays_of(atlas: Atlas) -> dict[str, list[np.ndarray]]:
    """The figures of an atlas by name, as they are numbers."""
    found = {
        "maps": list(atlas.maps),
        "time courses": list(atlas.courses),
        "places of tokens": list(atlas.offsets),
        "variance": [atlas.variance_K],
        "recurrence in passages": [atlas.recurrence_SK],
        "stability": [atlas.stability_K],
    }
    if atlas.halves is not None:
        found["recurrence in halves"] = [atlas.halves.correlation_K, atlas.halves.overlap_K]
    return found


def digests(atlas: Atlas) -> dict[str, str]:
    """SHA-256, in hex, of every figure by name, and of the automatic labels."""
    found = {name: digest_of(arrays) for name, arrays in arrays_of(atlas).items()}
    return found | {"automatic labels": sha256("\n".join(atlas.labels).encode()).hexdigest()}


def digest_of(arrays: list[np.ndarray]) -> str:
    """SHA-256, in hex, of arrays with their shapes and number types."""
    running = sha256()
    for array in arrays:
        running.update(f"{array.dtype.str}{array.shape}".encode())
        running.update(np.ascontiguousarray(array).tobytes())
    return running.hexdigest()


def compared(recorded: Atlas, found: Atlas) -> list[Line]:
    """Every figure of an atlas beside that of another of the same request."""
    again = arrays_of(found)
    lines = [
        line("atlas: " + name, arrays, again[name])
        if name in again
        else Line("atlas: " + name, "not replayed", "the passages were too few for it")
        for name, arrays in arrays_of(recorded).items()
    ]
    alike = sum(a == b for a, b in zip(recorded.labels, found.labels, strict=False))
    same = recorded.labels == found.labels
    said = "" if same else f"{alike} of {len(recorded)} alike"
    lines.append(Line("atlas: automatic labels", "identical" if same else "differs", said))
    if lines[0].outcome == "differs" and recorded.scope == "model":
        r_K = matched_correlation(recorded.maps[0], found.maps[0])
        lines.append(
            Line(
                "atlas: networks found again",
                "agrees" if (r_K >= FOUND_AGAIN).all() and len(r_K) == len(recorded) else "differs",
                f"{int((r_K >= FOUND_AGAIN).sum())} of {len(recorded)} have a map alike at abs(r) {FOUND_AGAIN:g} or "
                f"more, in whatever order; the least alike has {r_K.min():.2f}",
            )
        )
    return lines


def line(name: str, recorded: list[np.ndarray], found: list[np.ndarray]) -> Line:
    """One figure beside the other: the same bits, the same within TOLERANCE, or not."""
    before, after = digest_of(recorded), digest_of(found)
    if before == after:
        return Line(name, "identical", "", before, after, 0.0)
    if [array.shape for array in recorded] != [array.shape for array in found]:
        return Line(name, "differs", "it has another shape", before, after)
    apart = max(map(_apart, recorded, found), default=0.0)
    outcome: Outcome = "agrees" if apart <= TOLERANCE else "differs"
    said = f"the largest difference is {apart:.2g} of the largest number"
    return Line(name, outcome, said, before, after, apart if np.isfinite(apart) else None)


def _apart(recorded: np.ndarray, found: np.ndarray) -> float:
    if not recorded.size:
        return 0.0
    a, b = recorded.astype(np.float64), found.astype(np.float64)
    missing = np.isnan(a)
    if not np.array_equal(missing, np.isnan(b)):
        return np.inf
    if missing.all():
        return 0.0
    largest = np.abs(a[~missing]).max() or 1.0
    return float(np.abs(a - b)[~missing].max() / largest)
