"""The figure of the independence test."""

import numpy as np

from fnet_core.lineage.independence import Independence
from fnet_core.plotting.independence import layer_map


def test_layers_of_a_are_rows_and_matches_are_ringed():
    z_LJ = np.array([[12.0, 0.3, -0.2], [0.1, -1.0, 11.0]])
    figure = layer_map(Independence("one <b>", "two", z_LJ, 200, 600, {}, 1.0))
    heat, rings = figure.data
    assert np.array_equal(heat.z, z_LJ) and list(rings.x) == [0, 2] and list(rings.y) == [0, 1]
    layout = figure.layout
    assert layout.yaxis.title.text == "layer of A: one &lt;b&gt;" and layout.xaxis.title.text == "layer of B: two"
    assert layout.yaxis.autorange == "reversed"
