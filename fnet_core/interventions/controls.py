"""Random controls: edits that do the same to as many random neurons of the same layers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fnet_core.checks import check_range, check_seed
from fnet_core.errors import RequestError
from fnet_core.interventions.edits import Edit

MOST_CONTROLS = 50


class NoControlError(RequestError):
    """A layer has too few neurons left to draw a random control of the same size from."""


def check_controls(controls: int) -> None:
    """RequestError for a number of random controls that is not measured."""
    check_range(controls, 0, MOST_CONTROLS, f"{controls} controls are", f"choose 0 to {MOST_CONTROLS}")


def random_controls(edits: Sequence[Edit], widths_L: Sequence[int], count: int, seed: int) -> list[tuple[Edit, ...]]:
    """`count` sets of edits that do the same to random neurons: as many in the same layers, none of them edited.

    Within a set every edited neuron has one stand-in of its own, so edits that share neurons share stand-ins. All
    edits must be of one site. Raises NoControlError when a layer has too few other neurons, RequestError for several
    sites or a negative seed.
    """
    check_seed(seed)
    if len({edit.site for edit in edits}) > 1:
        raise RequestError("Random controls are drawn for edits of one site; measure the sites one after the other.")
    taken: dict[int, list[int]] = {}
    for layer, index in sorted({pair for edit in edits for pair in edit.neurons}):
        taken.setdefault(layer, []).append(index)
    for layer, indices in taken.items():
        if 2 * len(indices) > widths_L[layer]:
            raise NoControlError(
                f"Layer {layer} has {widths_L[layer]} neurons and {len(indices)} are edited, which leaves too few for "
                "a random control of the same size; raise the threshold, edit fewer networks, or ask for no controls."
            )
    free = {layer: np.setdiff1d(np.arange(widths_L[layer]), indices) for layer, indices in taken.items()}
    rng = np.random.default_rng(seed)
    sets = []
    for number in range(1, count + 1):
        stand_in = {
            (layer, index): (layer, int(drawn))
            for layer, indices in taken.items()
            for index, drawn in zip(indices, rng.permutation(free[layer]), strict=False)
        }
        sets.append(
            tuple(
                replace(edit, neurons=tuple(stand_in[pair] for pair in edit.neurons), name=f"random control {number}")
                for edit in edits
            )
        )
    return sets
