"""Made-up families of fingerprints: a parent and children whose networks and neurons are the parent's with noise."""

from dataclasses import replace

import numpy as np
from support.fingerprints import LENGTHS, hand_fingerprint, mixed, waves

from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.signatures import Signatures

POINTS = tuple(len(range(0, length, 4)) for length in LENGTHS[:2])
PLAN = {"ant": 5, "bee": 4, "cod": 2, "doe": 1}
"""Families with their number of members, twelve in all."""


def member(family: str, child: int, *, layers: int = 4, kept: tuple[int, ...] | None = None) -> Fingerprint:
    """The parent of a family (child 0) or one of its children; `kept` names the parent's layers that it has."""
    number = sum(map(ord, family))
    signals = waves(10, seed=number)
    made = mixed(signals, 0.25 if child else 0.0, seed=100 + child)
    rng = np.random.default_rng((number, child))
    kept = tuple(range(layers)) if kept is None else kept
    bits = np.random.default_rng(number).integers(0, 256, (2, layers, 64, 2, 32), dtype=np.uint8)[:, list(kept)]
    bits = np.where(rng.random(bits.shape) < (0.15 if child else 0.0), rng.integers(1, 256, bits.shape, np.uint8), bits)
    gate, up = bits.reshape(2, len(kept) * 64, 2, 32)
    name = f"{family}-{child}"
    found = hand_fingerprint(made, name, layers=len(kept), seed=1000 * number + child)
    return replace(found, neurons=Signatures("gated", (64,) * len(kept), POINTS, gate, up), untested="")


def members() -> list[Fingerprint]:
    """All twelve, families mixed."""
    found = [member(family, child) for family, count in PLAN.items() for child in range(count)]
    return [found[at] for at in np.random.default_rng(0).permutation(len(found))]
