"""How networks share out the layers, from the input to the output.

Shape legend: L layers, K networks.
"""

import numpy as np

from fnet_core.networks.atlas import Atlas


def shares(atlas: Atlas, threshold: float) -> np.ndarray:
    """The share of each layer's neurons that each network owns as key neurons, (L, K) float64, 0 to 1.

    A neuron belongs to the network in which its abs(z) is largest, if that is above `threshold`: a row sums to the
    share of the layer that any network owns.

    >>> import fnet_core as fn
    >>> from fnet_core.networks.flow import shares
    >>> shares(fn.find_atlas("tiny", components=4), 2.0).shape
    (2, 4)
    """
    owner_LN = atlas.parcellation(threshold)
    owned_LK = np.stack([np.bincount(row[row >= 0], minlength=len(atlas)) for row in owner_LN])
    return owned_LK / np.array(atlas.widths_L)[:, None]
