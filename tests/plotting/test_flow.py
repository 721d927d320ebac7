"""Bands over depth: their widths are the shares, the points to click stand inside, what is not selected is grey."""

import numpy as np
import pytest
from support.atlases import hand_atlas

from fnet_core.networks.flow import shares as of_layers
from fnet_core.plotting import flow as figures
from fnet_core.plotting.flow import flow


def shares(atlas, threshold: float) -> np.ndarray:
    """The same among the layer's key neurons."""
    found = of_layers(atlas, threshold)
    return found / found.sum(axis=1, keepdims=True)


def test_bands_have_the_shares_as_widths_and_depth_runs_upward():
    figure = flow(hand_atlas(), 2.9)
    *bands, points = figure.data
    drawn = {int(band.name.split()[1]): np.array(band.x) for band in bands}
    assert sorted(drawn) == [0, 1, 2]
    for network, share in drawn.items():
        np.testing.assert_allclose(share, 100 * shares(hand_atlas(), 2.9)[:, network])
    assert {band.orientation for band in bands} == {"h"} and list(bands[0].y) == [0, 1, 2]
    assert figure.layout.yaxis.range[0] < figure.layout.yaxis.range[1]
    order = [int(band.name.split()[1]) for band in bands]
    edges = np.cumsum([drawn[network] for network in order], axis=0)
    for x, layer, told in zip(points.x, points.y, points.customdata, strict=True):
        at = order.index(told[0])
        assert edges[at][layer] - drawn[told[0]][layer] < x < edges[at][layer]
        assert told[2] == pytest.approx(drawn[told[0]][layer])


def test_the_selected_network_keeps_its_colour(monkeypatch):
    bands = {band.name: band.fillcolor for band in flow(hand_atlas(), 2.9, 1).data[:-1]}
    opacity = {name: float(colour.rstrip(")").rpartition(",")[2]) for name, colour in bands.items()}
    assert opacity["network 1"] > 3 * opacity["network 0"] == 3 * opacity["network 2"]
    monkeypatch.setattr(figures, "MOST_BANDS", 1)
    *few, rest, _ = flow(hand_atlas(), 2.9, 2).data
    assert {band.name for band in few} == {"network 0", "network 2"} and rest.name == "1 smaller networks"
    np.testing.assert_allclose(rest.x, 100 * shares(hand_atlas(), 2.9)[:, 1])


def test_labels_with_markup_are_text():
    atlas = hand_atlas()
    object.__setattr__(atlas, "labels", ("<b>x</b>", "b", "c"))
    assert all("<" not in told[1] for told in flow(atlas, 2.9).data[-1].customdata)
