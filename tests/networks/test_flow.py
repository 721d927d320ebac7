"""Shares of networks over depth, counted by hand and against the territories."""

import numpy as np
import pytest
from support.atlases import WIDTHS, hand_atlas

from fnet_core.networks.flow import shares
from fnet_core.networks.territories import territories


def test_shares_by_hand():
    np.testing.assert_allclose(shares(hand_atlas(), 2.9), [[0.5, 0, 0], [0, 0.5, 0], [0.2, 0, 0]])


@pytest.mark.parametrize("scope", ["model", "layer"])
@pytest.mark.parametrize("threshold", [1.0, 2.5, 3.0])
def test_shares_are_the_areas_of_the_territories(scope, threshold):
    atlas = hand_atlas(scope)
    expected = np.zeros((len(WIDTHS), len(atlas)))
    for layer, runs in enumerate(territories(atlas, threshold).runs):
        for run in runs:
            expected[layer, run.network] = run.core / WIDTHS[layer]
    np.testing.assert_allclose(shares(atlas, threshold), expected)
