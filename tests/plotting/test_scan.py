"""The scan as a figure: bars that add up to the layers, and what steps back when a network is selected."""

import numpy as np
from support.atlases import WIDTHS, hand_atlas

from fnet_core.networks.territories import territories
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.scan import CORE, RIM, picture, scan
from fnet_core.plotting.style import channels


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


def test_a_pixel_of_the_picture_has_the_colour_of_its_neuron_and_layer_0_is_at_the_bottom():
    atlas = hand_atlas()
    ordered = territories(atlas, 3.0)
    image_HW4 = picture(atlas, 3.0, max(WIDTHS), len(WIDTHS))
    for layer, (owners_N, z_N) in enumerate(zip(ordered.owners, ordered.z, strict=True)):
        row = image_HW4[len(WIDTHS) - 1 - layer]
        for pixel, owner, z in zip(row, owners_N, z_N, strict=False):
            opacity = round(255 * (CORE if abs(z) > 3.0 else RIM))
            assert tuple(pixel) == (*channels(colour_of(atlas, int(owner))), opacity)
        assert not row[len(owners_N) :].any()


def test_the_picture_has_the_size_that_is_asked_for_whatever_the_models_shape():
    assert picture(hand_atlas(), 3.0, 40, 17).shape == (17, 40, 4)
