"""Two networks of one atlas held against each other: the neurons that they share, and whether they work together."""

from dataclasses import dataclass

import numpy as np

from fnet_core.networks.atlas import Atlas


@dataclass(frozen=True)
class Resemblance:
    """What two networks have in common."""

    shared: int
    """Key neurons of both."""
    overlap: float
    """Those among the key neurons of either (IoU), 0 to 1; 0 where neither has any."""
    maps: float
    """Pearson r of their z-values over the layers that both may have neurons in; NaN without such a layer."""
    courses: float
    """Mean Pearson r of their time courses within passages; NaN if one is silent in all of them."""


def resemblance(atlas: Atlas, first: int, second: int, threshold: float) -> Resemblance:
    """Hold two networks against each other; RequestError for one that the atlas does not have.

    >>> import fnet_core as fn
    >>> from fnet_core.networks.resemblance import resemblance
    >>> found = resemblance(fn.find_atlas("tiny", components=4), 1, 1, threshold=2.0)
    >>> round(found.overlap, 6), round(found.maps, 6), round(found.courses, 6)
    (1.0, 1.0, 1.0)
    """
    rows = atlas.map_rows(first), atlas.map_rows(second)
    common = [layer for layer in rows[0] if layer in rows[1]]
    sizes = [sum(int((np.abs(z_N) > threshold).sum()) for z_N in own.values()) for own in rows]
    maps = float("nan")
    shared = 0
    if common:
        a_N, b_N = (np.concatenate([own[layer] for layer in common]) for own in rows)
        shared = int(((np.abs(a_N) > threshold) & (np.abs(b_N) > threshold)).sum())
        if a_N.std() > 0 and b_N.std() > 0:
            maps = float(np.corrcoef(a_N, b_N)[0, 1])
    either = sum(sizes) - shared
    return Resemblance(shared, shared / either if either else 0.0, maps, float(atlas.connectivity()[first, second]))
