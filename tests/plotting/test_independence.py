"""The figure of the independence test."""

import numpy as np

from fnet_core.lineage.calibration import LEVELS, calibration_of
from fnet_core.lineage.independence import Independence
from fnet_core.plotting.independence import calibration, layer_map


def test_layers_of_a_are_rows_and_matches_are_ringed():
    z_LJ = np.array([[12.0, 0.3, -0.2], [0.1, -1.0, 11.0]])
    figure = layer_map(Independence("one <b>", "two", z_LJ, 200, 600, {}, 1.0))
    heat, rings = figure.data
    assert np.array_equal(heat.z, z_LJ) and list(rings.x) == [0, 2] and list(rings.y) == [0, 1]
    layout = figure.layout
    assert layout.yaxis.title.text == "layer of A: one &lt;b&gt;" and layout.xaxis.title.text == "layer of B: two"
    assert layout.yaxis.autorange == "reversed"


def test_the_calibration_stands_beside_what_p_promises():
    known = calibration_of("gated")
    promised, layers, models = calibration("gated").data
    assert list(promised.x) == list(promised.y) == list(layers.x) == list(LEVELS)
    assert [y or 0 for y in layers.y] == list(known.below_layers)
    assert [y or 0 for y in models.y] == list(known.below_pairs)
    assert f"{known.pairs:,} pairs of models" in models.name
