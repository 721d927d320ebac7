"""Double dissociations in a lesion matrix, and the networks whose amplification helps, in words.

Source: Teuber 1955; Shallice 1988. Two networks and two capabilities: each network's lesion takes one of them, beyond
matched random lesions and over all cells controlled, and spares the other; and the two lesions differ on either
capability. One network that hurts one task says only that the task is hard; the crossing says that they are apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.capability import statistics
from fnet_core.capability.battery import title
from fnet_core.capability.lesions import LesionMatrix

MOST = 10
"""Dissociations that are listed, the clearest first."""

SAID = 3
"""Dissociations that are told in words."""


@dataclass(frozen=True)
class Dissociation:
    """Network `first` carries `lost_first` and spares `lost_second`, network `second` the reverse."""

    first: int
    second: int
    labels: tuple[str, str]
    lost_first: str
    lost_second: str
    accuracies: tuple[tuple[float, float], tuple[float, float]]
    """Accuracy in (`lost_first`, `lost_second`) with `first` inhibited, then with `second`."""
    untouched: tuple[float, float]
    strength: float
    """The smaller of the two differences of accuracy between the lesions."""

    @property
    def sentence(self) -> str:
        """The dissociation in words."""
        (a_x, a_y), (b_x, b_y) = self.accuracies
        x, y = title(self.lost_first).lower(), title(self.lost_second).lower()
        return (
            f"Network {self.first} ({self.labels[0]}) carries {x} and spares {y}; network {self.second} "
            f"({self.labels[1]}) does the reverse. Without {self.first}: {x} {self.untouched[0]:.2f} to {a_x:.2f}, {y} "
            f"{self.untouched[1]:.2f} to {a_y:.2f}. Without {self.second}: {x} to {b_x:.2f}, {y} to {b_y:.2f}."
        )

    def summary(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "networks": [self.first, self.second],
            "capabilities": [self.lost_first, self.lost_second],
            "accuracies": [list(pair) for pair in self.accuracies],
            "untouched": list(self.untouched),
            "strength": self.strength,
            "sentence": self.sentence,
        }


def double_dissociations(matrix: LesionMatrix, most: int = MOST) -> tuple[Dissociation, ...]:
    """The clearest double dissociations of a matrix of inhibited networks; each pair of networks once."""
    if matrix.amplified:
        return ()
    carries_KC, spares_KC, accuracy_KC = matrix.surviving_KC, matrix.spared_KC, matrix.accuracy_KC
    found: list[tuple[float, int, int, int, int]] = []
    for a, x in np.argwhere(carries_KC):
        for b, y in np.argwhere(carries_KC & spares_KC[a]):
            if a < b and x != y and spares_KC[b, x]:
                strength = min(accuracy_KC[b, x] - accuracy_KC[a, x], accuracy_KC[a, y] - accuracy_KC[b, y])
                found.append((-float(strength), int(a), int(b), int(x), int(y)))
    listed: dict[tuple[int, int], Dissociation] = {}
    for strength, a, b, x, y in sorted(found):
        if len(listed) == most:
            break
        apart = matrix.worse_p(a, b, x) < statistics.LEVEL and matrix.worse_p(b, a, y) < statistics.LEVEL
        if apart and (a, b) not in listed:
            listed[a, b] = _in_words(matrix, a, b, x, y, -strength)
    return tuple(listed.values())


def _in_words(matrix: LesionMatrix, a: int, b: int, x: int, y: int, strength: float) -> Dissociation:
    accuracy_KC, untouched_C = matrix.accuracy_KC, matrix.untouched_C
    return Dissociation(
        matrix.networks[a],
        matrix.networks[b],
        (matrix.labels[a], matrix.labels[b]),
        matrix.capabilities[x],
        matrix.capabilities[y],
        (
            (float(accuracy_KC[a, x]), float(accuracy_KC[a, y])),
            (float(accuracy_KC[b, x]), float(accuracy_KC[b, y])),
        ),
        (float(untouched_C[x]), float(untouched_C[y])),
        strength,
    )


def summary(matrix: LesionMatrix) -> dict[str, Any]:
    """The JSON object of the command line: a matrix with its double dissociations."""
    return matrix.summary() | {"dissociations": [found.summary() for found in double_dissociations(matrix)]}


def sentences(matrix: LesionMatrix) -> list[str]:
    """What a matrix says, in a few sentences: how many cells, the surest one, dissociations or that there are none."""
    cells, survivors = int(np.isfinite(matrix.p_KC).sum()), int(matrix.surviving_KC.sum())
    what = "gain" if matrix.amplified else "loss"
    said = [
        f"{survivors} of {cells} cells are a {what} beyond the untouched model and every matched random lesion, at a "
        f"false-discovery rate of {statistics.LEVEL:.0%}."
    ]
    if survivors:
        changes = np.where(matrix.surviving_KC, matrix.change_KC, 0.0)
        k, c = np.unravel_index(int(np.abs(changes).argmax()), changes.shape)
        low, high = (bound[k, c] for bound in matrix.interval_KC)
        said.append(
            f"The largest: network {matrix.networks[k]} ({matrix.labels[k]}) at gain {matrix.gain:g}, "
            f"{title(matrix.capabilities[c]).lower()} {matrix.untouched_C[c]:.2f} to {matrix.accuracy_KC[k, c]:.2f} "
            f"(change {changes[k, c]:+.2f}, 95 % interval {low:+.2f} to {high:+.2f}; random lesions "
            f"{matrix.random_KC[k, c]:.2f})."
        )
    if not matrix.amplified:
        pairs = double_dissociations(matrix)
        said += [found.sentence for found in pairs[:SAID]] or ["No double dissociation."]
        if len(pairs) > SAID:
            said.append(
                f"The {SAID} clearest double dissociations of {len(pairs)}{' or more' if len(pairs) == MOST else ''}."
            )
    return said


def helped(matrices: Sequence[LesionMatrix]) -> pd.DataFrame:
    """Does any gain help any capability? The cells of amplified matrices, adjusted over all of them, the surest first.

    The columns of `LesionMatrix.table` behind the gain; `helps` where at most 5 % are false discoveries and the
    interval of the change excludes zero.
    """
    tables = []
    for matrix in (each for each in matrices if each.amplified):
        table = matrix.table()
        table.insert(0, "gain", matrix.gain)
        tables.append(table)
    if not tables:
        return pd.DataFrame()
    cells = pd.concat(tables, ignore_index=True).drop(columns="survives")
    cells["q"] = statistics.controlled(cells["p"].to_numpy())
    cells["helps"] = (cells["q"] < statistics.LEVEL) & (cells["low"] > 0)
    return cells.sort_values(["q", "change"], ascending=[True, False], kind="stable").reset_index(drop=True)
