"""Two networks of one atlas: neurons in common, and correlations against numpy."""

import math

import numpy as np
import pytest
from support.atlases import hand_atlas

from fnet_core.errors import RequestError
from fnet_core.networks.resemblance import resemblance


def test_by_hand():
    atlas = hand_atlas()
    found = resemblance(atlas, 0, 1, 2.9)
    assert found.shared == 1 and found.overlap == pytest.approx(1 / 6)
    assert found.maps == pytest.approx(np.corrcoef(atlas.maps[0][:2])[0, 1])
    assert found.courses == pytest.approx(atlas.connectivity()[0, 1])


def test_networks_of_other_layers_have_nothing_in_common():
    found = resemblance(hand_atlas("layer"), 1, 2, 3.0)
    assert found.shared == 0 and found.overlap == 0.0 and math.isnan(found.maps)
    with pytest.raises(RequestError, match="no network 9"):
        resemblance(hand_atlas(), 0, 9, 3.0)
