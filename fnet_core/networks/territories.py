"""Territories: the neurons of each layer ordered by the network that owns them, so that a map is areas, not static.

A neuron's number in its layer means nothing. Here a neuron's place does: it stands with the neurons of the network in
which its z-value is farthest from zero, the strongest first, and networks that work at the same tokens are neighbours.

Shape legend: L layers, N neurons of a layer, K networks of the atlas.
"""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from fnet_core.networks.atlas import Atlas


@dataclass(frozen=True)
class Run:
    """A network's territory in one layer: `core` key neurons, then `rim` neurons below the threshold."""

    network: int
    core: int
    rim: int


@dataclass(frozen=True, eq=False)
class Territories:
    """Every layer's neurons in the order in which the scan shows them."""

    threshold: float
    runs: tuple[tuple[Run, ...], ...]
    """Per layer, its territories from left to right; their cores and rims add up to the layer's neurons."""
    neurons: tuple[np.ndarray, ...]
    """Per layer, (N,) int64: the neuron that stands at each place."""
    owners: tuple[np.ndarray, ...]
    """Per layer, (N,) int64: the network that owns it."""
    z: tuple[np.ndarray, ...]
    """Per layer, (N,) float32: its z-value in that network."""

    def elsewhere(self, atlas: Atlas, network: int) -> tuple[np.ndarray, ...]:
        """Per layer, the places, int64, of a network's key neurons that are stronger in another network."""
        rows = atlas.map_rows(network)
        none = np.empty(0, dtype=np.int64)
        return tuple(
            np.flatnonzero((np.abs(rows[layer][neurons_N]) > self.threshold) & (owners_N != network))
            if layer in rows
            else none
            for layer, (neurons_N, owners_N) in enumerate(zip(self.neurons, self.owners, strict=True))
        )


def territories(atlas: Atlas, threshold: float) -> Territories:
    """Order the neurons of every layer by owner; a key neuron is one with abs(z) above `threshold`.

    >>> import fnet_core as fn
    >>> from fnet_core.networks.territories import territories
    >>> atlas = fn.find_atlas("tiny", components=4)
    >>> found = territories(atlas, 3.0)
    >>> [sum(run.core + run.rim for run in runs) for runs in found.runs] == list(atlas.widths_L)
    True
    """
    runs, neurons, owners, z = [], [], [], []
    r_KK = atlas.connectivity()
    orders: dict[bytes, np.ndarray] = {}
    for layer in range(atlas.layer_count):
        mine, z_KN = atlas.maps_of_layer(layer)
        if (key := mine.tobytes()) not in orders:
            orders[key] = alike_side_by_side(r_KK[np.ix_(mine, mine)])
        order_K = orders[key]
        rank_K = np.empty(len(mine), dtype=np.int64)
        rank_K[order_K] = np.arange(len(mine))
        owner_N = np.abs(z_KN).argmax(axis=0)
        own_N = np.take_along_axis(z_KN, owner_N[None], axis=0)[0]
        place_N = np.lexsort((-np.abs(own_N), rank_K[owner_N]))
        above_K = np.bincount(owner_N[np.abs(own_N) > threshold], minlength=len(mine))
        all_K = np.bincount(owner_N, minlength=len(mine))
        runs.append(tuple(Run(int(mine[k]), int(above_K[k]), int(all_K[k] - above_K[k])) for k in order_K if all_K[k]))
        neurons.append(place_N)
        owners.append(mine[owner_N[place_N]])
        z.append(own_N[place_N].astype(np.float32))
    return Territories(threshold, tuple(runs), tuple(neurons), tuple(owners), tuple(z))


def alike_side_by_side(r_KK: np.ndarray) -> np.ndarray:
    """An order of networks, (K,) int64, in which those with alike time courses are neighbours."""
    if len(r_KK) < 3:
        return np.arange(len(r_KK))
    distance_KK = 1.0 - np.nan_to_num((r_KK + r_KK.T) / 2)
    np.fill_diagonal(distance_KK, 0.0)
    joined = linkage(squareform(np.maximum(distance_KK, 0.0), checks=False), "average", optimal_ordering=True)
    return leaves_list(joined).astype(np.int64)
