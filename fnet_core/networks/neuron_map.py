"""Neurons in two dimensions: those that lean to the same networks lie side by side.

Shape legend: N drawn neurons, K networks of the block they are drawn from.
"""

from dataclasses import dataclass

import numpy as np

from fnet_core.checks import check_choice, check_seed
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas

MOST_NEURONS = 2_000
"""The most key neurons that are drawn."""
WAYS = {
    "pca": "PCA: the two directions in which the drawn neurons' z-values differ most",
    "neighbours": "Neighbours (t-SNE): neurons with alike z-values stay together, distances between groups mean little",
}
_PERPLEXITY = 30
_ROUNDS = 500


@dataclass(frozen=True, eq=False)
class NeuronMap:
    """Drawn key neurons with their place in the plane, and out of how many they were drawn."""

    way: str
    layer_N: np.ndarray
    """int64."""
    neuron_N: np.ndarray
    """int64, the number in its layer."""
    owner_N: np.ndarray
    """int64, the network in which abs(z) is largest."""
    z_N: np.ndarray
    """float32, z in that network."""
    place_N2: np.ndarray
    """float64."""
    explained: tuple[float, float] | None
    """The share of the drawn neurons' variance along either axis, 0 to 1; None where the axes mean nothing."""
    of: int
    """All key neurons there are to draw from."""

    def __len__(self) -> int:
        return len(self.layer_N)


def neuron_map(
    atlas: Atlas, network: int, threshold: float, way: str = "pca", most: int = MOST_NEURONS, seed: int = 0
) -> NeuronMap:
    """Place the key neurons of every network that shares the layers of `network`, `most` of them drawn at random.

    A neuron is described by its z-values in all those networks. Source of the second way: van der Maaten and Hinton
    2008, as scikit-learn computes it. RequestError for a network that is not there, a way that does not exist, and a
    threshold that leaves fewer than three neurons.

    >>> import fnet_core as fn
    >>> from fnet_core.networks.neuron_map import neuron_map
    >>> found = neuron_map(fn.find_atlas("tiny", components=4), 0, threshold=2.0, most=50)
    >>> len(found), found.place_N2.shape
    (50, (50, 2))
    """
    check_choice(way, WAYS, "way")
    check_seed(seed)
    layers = atlas.layers_of(network)
    first, block = _block(atlas, network)
    z_KN = atlas.maps[block]
    owner_N = np.abs(z_KN).argmax(axis=0)
    own_N = np.take_along_axis(z_KN, owner_N[None], axis=0)[0]
    key_neurons = np.flatnonzero(np.abs(own_N) > threshold)
    if len(key_neurons) < 3:
        raise RequestError(
            f"{len(key_neurons)} of the neurons have |z| above {threshold:g}, and it takes three; lower the threshold."
        )
    drawn = key_neurons
    if len(key_neurons) > most:
        drawn = np.sort(np.random.default_rng(seed).choice(key_neurons, most, replace=False))
    starts = np.concatenate([[0], np.cumsum([atlas.widths_L[layer] for layer in layers])])
    at = np.searchsorted(starts, drawn, side="right") - 1
    z_NK = z_KN[:, drawn].T.astype(np.float64)
    place_N2, explained = _principal(z_NK) if way == "pca" else (_neighbours(z_NK, seed), None)
    return NeuronMap(
        way,
        np.array(layers)[at],
        drawn - starts[at],
        first + owner_N[drawn],
        own_N[drawn].astype(np.float32),
        place_N2,
        explained,
        len(key_neurons),
    )


def _block(atlas: Atlas, network: int) -> tuple[int, int]:
    """The first network of the block that a network is in, and the block's number."""
    first = 0
    for block, maps in enumerate(atlas.maps):
        if network < first + len(maps):
            return first, block
        first += len(maps)
    raise AssertionError("layers_of has refused it")


def _principal(z_NK: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Places along the first two principal components, and their shares; the larger weight of each is positive."""
    centred_NK = z_NK - z_NK.mean(axis=0)
    values, vectors = np.linalg.eigh(centred_NK.T @ centred_NK)
    order = np.argsort(values)[::-1][:2]
    axes_K2 = vectors[:, order] * np.sign(vectors[np.abs(vectors[:, order]).argmax(axis=0), order])
    place_N2 = np.zeros((len(z_NK), 2))
    place_N2[:, : axes_K2.shape[1]] = centred_NK @ axes_K2
    shares = [float(value / (values.sum() or 1.0)) for value in values[order]]
    return place_N2, (shares[0], shares[1] if len(shares) > 1 else 0.0)


def _neighbours(z_NK: np.ndarray, seed: int) -> np.ndarray:
    """Places by t-SNE of the neurons' directions: z-values scaled to length 1."""
    unit_NK = z_NK / np.linalg.norm(z_NK, axis=1, keepdims=True)
    perplexity = min(_PERPLEXITY, (len(unit_NK) - 1) / 3)
    init = "pca" if min(unit_NK.shape) > 1 else "random"
    from sklearn.manifold import TSNE

    return TSNE(perplexity=perplexity, init=init, random_state=seed, max_iter=_ROUNDS).fit_transform(unit_NK)
