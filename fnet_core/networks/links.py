"""Networks that work together as a graph: a link for every two whose time courses correlate enough.

Shape legend: K networks, E links.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fnet_core.checks import check_range
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.territories import alike_side_by_side

MOST_LINKS = 600
"""The most links that a graph has, the strongest ones."""


@dataclass(frozen=True, eq=False)
class Links:
    """The networks in an order in which alike ones are neighbours, and the links between them."""

    order_K: np.ndarray
    """int64, numbers of networks."""
    r_KK: np.ndarray
    """float64, the correlation of their time courses in that order; NaN on the diagonal."""
    least: float
    """abs(r) from which on there is a link."""
    ends_E2: np.ndarray
    """int64, places in the order, the strongest link first."""
    left_out: int
    """Links beyond MOST_LINKS, the weakest."""

    @property
    def r_E(self) -> np.ndarray:
        """The correlation of each link, float64."""
        return self.r_KK[self.ends_E2[:, 0], self.ends_E2[:, 1]]

    @property
    def degree_K(self) -> np.ndarray:
        """How many links each network has, int64."""
        return np.bincount(self.ends_E2.ravel(), minlength=len(self.order_K))


def links(atlas: Atlas, least: float = 0.0, networks: Sequence[int] | None = None) -> Links:
    """The connectivity of networks, all of them or some, clustered, with links at abs(r) of `least` or more.

    >>> import fnet_core as fn
    >>> from fnet_core.networks.links import links
    >>> found = links(fn.find_atlas("tiny", components=4), 0.0)
    >>> len(found.order_K), len(found.ends_E2)
    (4, 6)
    """
    check_range(least, 0.0, 1.0, f"A correlation of {least:g} is", "choose 0 to 1")
    shown = np.arange(len(atlas)) if networks is None else np.asarray(networks)
    r_KK = atlas.connectivity()[np.ix_(shown, shown)]
    order = alike_side_by_side(r_KK)
    r_KK = r_KK[np.ix_(order, order)]
    np.fill_diagonal(r_KK, np.nan)
    strength_KK = np.abs(np.triu(np.nan_to_num(r_KK), 1))
    ends_E2 = np.argwhere(np.triu(np.nan_to_num(np.abs(r_KK), nan=-1.0) >= least, 1))
    ends_E2 = ends_E2[np.argsort(-strength_KK[tuple(ends_E2.T)], kind="stable")]
    return Links(shown[order], r_KK, least, ends_E2[:MOST_LINKS], max(0, len(ends_E2) - MOST_LINKS))


def telling_level(atlas: Atlas, networks: Sequence[int] | None = None) -> float:
    """An abs(r), in steps of 0.05, at which there are about as many links as networks: where a graph is readable."""
    found = links(atlas, 0.0, networks)
    strengths = np.abs(found.r_E)
    if not len(strengths):
        return 0.0
    wanted = strengths[min(len(found.order_K), len(strengths)) - 1]
    return float(min(0.95, np.floor(20 * wanted) / 20))
