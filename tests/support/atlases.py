"""A small atlas made by hand: two passages, three layers of unequal width, numbers one can count."""

import numpy as np

from fnet_core.networks.atlas import Atlas
from fnet_core.texts import Passage

WIDTHS = (4, 6, 5)


def hand_atlas(scope: str = "model") -> Atlas:
    """Three networks over 15 neurons (scope model), or one network in each of the three layers."""
    if scope == "model":
        maps = np.zeros((3, 15), dtype=np.float32)
        maps[0, [0, 3, 5, 14]] = [5.0, -3.5, 3.0, 9.0]
        maps[1, [4, 5, 9]] = [3.1, 4.0, -8.0]
        maps[2, 10] = 2.0
        blocks = (maps,)
    else:
        blocks = tuple(np.full((1, w), 0.5, dtype=np.float32) for w in WIDTHS)
        blocks[1][0, 2] = -4.0
        blocks[2][0, :2] = [6.0, 3.5]
    texts = ("abc def", "gh ij kl")
    courses = (
        np.array([[2, 0, 1], [-2, 0, 1], [0, 0, 1], [0, 3, 1]], dtype=np.float32),
        np.array([[1, 1, 5], [-1, -1, 0]], dtype=np.float32),
    )
    return Atlas(
        recipe={"model": "hand-made", "site": "mlp", "scope": scope, "components": 3, "seed": 0},
        passages=tuple(Passage(f"p{i}", text, "test") for i, text in enumerate(texts)),
        widths_L=WIDTHS,
        maps=blocks,
        courses=courses,
        offsets=(np.array([[0, 1], [1, 3], [4, 5], [5, 7]]), np.array([[0, 2], [3, 8]])),
        variance_K=np.array([0.5, 0.25, 0.125], dtype=np.float32),
        recurrence_SK=np.array([[0.5, 0.2, 0.1], [0.5, 0.3, 0.2]], dtype=np.float32),
        stability_K=np.array([1.0, 0.9, 0.4], dtype=np.float32),
        labels=("abc · def", "gh", "ij"),
        converged=1.0,
        seconds={"capturing": 1.5, "separating": 0.5},
        peak_memory_bytes=1234,
    )
