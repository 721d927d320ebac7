"""A small lesion matrix made by hand: two capabilities of two items, each network of an atlas inhibited."""

import numpy as np

from fnet_core.capability.lesions import LesionMatrix, LesionRequest, edits_digest
from fnet_core.networks.atlas import Atlas

ASKED = {"items": 2, "seed": 0}


def hand_lesions(atlas: Atlas, threshold: float = 2.5, gain: float = 0.0) -> LesionMatrix:
    """A whole matrix, of which nothing was measured; its recipe is of this atlas."""
    edits = LesionRequest(threshold, gain).edits(atlas)
    count = len(edits)
    changed_KI = np.tile(np.array([1, 0, 1, 1], dtype=np.float32), (count, 1))
    return LesionMatrix(
        recipe={
            "model": atlas.model_name,
            "model_digest": atlas.recipe.get("model_digest"),
            "edits": edits_digest(edits),
            "asked": ASKED,
            "gain": gain,
            "threshold": threshold,
            "draws": 1,
            "seed": 0,
        },
        networks=tuple(edits),
        labels=tuple(atlas.labels[k] for k in edits),
        key_neurons=tuple(len(edit.neurons) for edit in edits.values()),
        capabilities=("agreement", "sums"),
        capability_I=np.array([0, 0, 1, 1], dtype=np.int16),
        untouched_I=np.ones(4, dtype=np.float32),
        changed_KI=changed_KI,
        random_KMI=np.ones((count, 1, 4), dtype=np.float32),
        possible_K=np.ones(count, dtype=bool),
        total=count,
    )
