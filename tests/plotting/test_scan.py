"""The scan as a figure: bars that add up to the layers, and what steps back when a network is selected."""

import numpy as np
from support.atlases import WIDTHS, hand_atlas

from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.scan import scan


def test_bars_fill_every_layer():
    core, rim = scan(hand_atlas(), 3.0).data
    filled = np.zeros(len(WIDTHS))
    for bar in (core, rim):
        np.add.at(filled, np.asarray(bar.y), np.asarray(bar.x))
    assert filled.tolist() == list(WIDTHS)
    assert sum(core.x) == (hand_atlas().parcellation(3.0) >= 0).sum()


def test_depth_runs_upward_and_axes_are_named():
    layout = scan(hand_atlas(), 3.0).layout
    assert layout.yaxis.range[0] < layout.yaxis.range[1]
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == ("neurons of the layer, by network", "layer")
    assert layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_a_selected_network_keeps_its_colour_and_the_others_turn_grey():
    atlas = hand_atlas()
    core, _, *elsewhere = scan(atlas, 2.5, 0).data
    colours = {data[0]: colour for data, colour in zip(core.customdata, core.marker.color, strict=True)}
    assert colours[1].startswith("rgba(128,136,144") and not colours[0].startswith("rgba(128,136,144")
    marked = [bar for bar in elsewhere if len(bar.x)]
    assert len(marked) == 1 and marked[0].marker.color == colour_of(atlas, 0)


def test_labels_with_markup_are_text():
    atlas = hand_atlas()
    object.__setattr__(atlas, "labels", ("<b>x</b>", "b", "c"))
    assert all("<b>" not in data[1] for data in scan(atlas, 3.0).data[0].customdata)
