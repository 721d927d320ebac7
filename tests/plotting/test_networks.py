"""Figures: the numbers in them, counted by hand, and the promises that every one keeps."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from support.atlases import WIDTHS, hand_atlas

from fnet_core.networks.atlas import Atlas
from fnet_core.networks.territories import alike_side_by_side
from fnet_core.plotting import networks
from fnet_core.plotting.style import MAX_COLUMNS, commonest_of_bins, network_colour, strongest_of_bins

WIDE = 2 * MAX_COLUMNS + 3


def wide_atlas() -> Atlas:
    """One network over two layers, the upper one too wide to draw a column for each neuron."""
    z_N = np.zeros(WIDE + 7, dtype=np.float32)
    z_N[:7] = [0.5, 0, 0, -4.0, 0, 0, 0]
    z_N[7 + 3] = 2.0
    z_N[7 + 4] = -6.0
    z_N[7 + WIDE - 1] = 3.5
    return replace(
        hand_atlas(),
        widths_L=(7, WIDE),
        maps=(z_N[None],),
        courses=tuple(course[:, :1] for course in hand_atlas().courses),
        labels=("one",),
        variance_K=np.array([0.5]),
        stability_K=np.array([1.0]),
        recurrence_SK=np.array([[0.5], [0.25]]),
    )


ALL = {
    "map": lambda atlas: networks.network_map(atlas, 0, 3.0),
    "layers": lambda atlas: networks.layers_by_network(atlas, 3.0, 1),
    "profile": lambda atlas: networks.layer_profile(atlas, 1, 3.0),
    "course": lambda atlas: networks.time_course(atlas, 0, 1),
    "parcels": lambda atlas: networks.parcellation(atlas, 2.5, 0),
    "connectivity": lambda atlas: networks.connectivity(atlas, 1),
    "recurrence": lambda atlas: networks.recurrence(atlas, 0),
}


@pytest.mark.parametrize("scope", ["model", "layer"])
@pytest.mark.parametrize("name", ALL)
def test_every_figure_has_titles_and_lets_the_page_shine_through(name, scope):
    layout = ALL[name](hand_atlas(scope)).layout
    assert layout.title.text and layout.xaxis.title.text and (layout.yaxis.title.text or name == "recurrence")
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"


@pytest.mark.parametrize("name", ["map", "layers", "profile", "parcels"])
def test_depth_runs_upward(name):
    figure = ALL[name](hand_atlas())
    assert list(figure.data[0].y) == [0, 1, 2]
    assert figure.layout.yaxis.autorange != "reversed"


def test_a_narrow_map_shows_every_neuron_at_its_place():
    trace = networks.network_map(hand_atlas(), 1, 3.0).data[0]
    np.testing.assert_allclose(trace.z[1], [3.1, 4.0, 0, 0, 0, -8.0], rtol=1e-6)
    assert list(trace.x) == [0, 1, 2, 3, 4, 5]
    assert np.isnan(trace.z[0][WIDTHS[0] :]).all()
    assert trace.zmin == -trace.zmax


def test_a_map_has_a_point_at_every_neuron_that_a_network_owns():
    atlas = hand_atlas()
    owner_LN = atlas.parcellation(2.5)
    points = networks.network_map(atlas, 1, 2.5).data[1]
    found = {(int(y), int(x)): told[0] for x, y, told in zip(points.x, points.y, points.customdata, strict=True)}
    assert found == {(i, n): owner_LN[i, n] for i, n in np.argwhere(owner_LN >= 0)} and len(set(found.values())) == 2
    assert all(told[3] == atlas.named[told[0]] for told in points.customdata)


def test_a_wide_map_keeps_the_strongest_neuron_of_each_bin_with_its_sign_and_number():
    trace = networks.network_map(wide_atlas(), 0, 3.0).data[0]
    size = 3
    assert trace.z.shape == (2, -(-WIDE // size)) and trace.z.shape[1] <= MAX_COLUMNS
    assert trace.z[1, 1] == -6.0
    assert trace.customdata[1, 1].tolist() == [4, 3, 5]
    assert trace.z[1, -1] == 3.5
    assert trace.customdata[1, -1].tolist() == [514, 513, 514]
    assert trace.z[0, :3].tolist() == [0.5, -4.0, 0.0]
    assert trace.customdata[0, 2].tolist() == [6, 6, 6]
    assert np.isnan(trace.z[0, 3:]).all()


def test_colours_are_centred_at_zero_and_grey_below_the_threshold():
    trace = networks.network_map(wide_atlas(), 0, 3.0).data[0]
    assert trace.zmin == -trace.zmax < -3.0
    stops = {round(float(stop) * 2 * trace.zmax - trace.zmax, 6) for stop, _ in trace.colorscale}
    assert {-3.0, 0.0, 3.0} <= stops


def test_bins_by_hand():
    grid = np.array([[1, -2, 3, -3, 0.5], [np.nan] * 5], dtype=np.float32)
    values, neurons = strongest_of_bins(grid, 2)
    assert values[0].tolist() == [-2, 3, 0.5] and np.isnan(values[1]).all()
    assert neurons.tolist() == [[1, 2, 4], [-1, -1, -1]]
    codes = np.array([[2, 2, 0, -1, -1, -1, 1]])
    assert commonest_of_bins(codes, 3, 3).tolist() == [[2, -1, 1]]


def test_layers_by_network_shows_shares_and_frames_the_selected_network():
    figure = networks.layers_by_network(hand_atlas(), 3.0, selected=1)
    np.testing.assert_allclose(figure.data[0].z, [[50, 0, 0], [0, 50, 0], [20, 0, 0]])
    assert figure.data[0].customdata.tolist() == [[2, 0, 0], [0, 3, 0], [1, 0, 0]]
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.x1) == (0.5, 1.5)
    assert frame.line.color == network_colour(1)
    some = networks.layers_by_network(hand_atlas(), 3.0, selected=2, networks=[1, 2])
    assert list(some.data[0].x) == ["1", "2"] and some.layout.shapes[0].x0 == 0.5


def test_layer_profile_counts_key_neurons():
    bar = networks.layer_profile(hand_atlas(), 0, 3.0).data[0]
    assert list(bar.x) == [2, 0, 1] and bar.marker.color == network_colour(0)


def test_time_course_is_in_standard_deviations_with_its_tokens():
    atlas = hand_atlas()
    scatter = networks.time_course(atlas, 0, 0).data[0]
    scale = np.concatenate([course[:, 0] for course in atlas.courses]).std()
    np.testing.assert_allclose(scatter.y, np.array([2, -2, 0, 0]) / scale, rtol=1e-6)
    assert list(scatter.text) == ["a", "bc", "d", "ef"]


def test_parcellation_colours_each_neuron_by_its_strongest_network():
    figure = networks.parcellation(hand_atlas(), 2.5)
    heatmap = figure.data[0]
    assert np.nan_to_num(heatmap.z[1], nan=-1).tolist() == [1, 1, -1, -1, -1, 1]
    assert [trace.name for trace in figure.data[1:]] == ["network 0", "network 1", "network 2"]
    assert [trace.marker.color for trace in figure.data[1:]] == [network_colour(k) for k in range(3)]
    layers = networks.parcellation(hand_atlas("layer"), 3.0)
    assert np.nan_to_num(layers.data[0].z[2], nan=-1).tolist() == [0, 0, -1, -1, -1, -1]


def test_connectivity_leaves_the_diagonal_out_and_has_symmetric_limits():
    trace = networks.connectivity(hand_atlas()).data[0]
    assert np.isnan(np.diag(trace.z)).all()
    assert trace.zmin == -trace.zmax
    at = [name.partition(" ")[0] for name in trace.x]
    assert trace.z[at.index("0"), at.index("2")] == pytest.approx(1.0)


def test_connectivity_puts_alike_networks_side_by_side_and_names_them():
    atlas = hand_atlas()
    r_KK = np.array([[1.0, -0.2, 0.9, -0.3], [-0.2, 1.0, -0.1, 0.8], [0.9, -0.1, 1.0, -0.2], [-0.3, 0.8, -0.2, 1.0]])
    assert {frozenset(alike_side_by_side(r_KK)[half]) for half in (slice(2), slice(2, 4))} == {
        frozenset({0, 2}),
        frozenset({1, 3}),
    }
    trace = networks.connectivity(atlas, 1).data[0]
    assert sorted(trace.x) == [f"{k} · {label}" for k, label in enumerate(atlas.labels)]
    shown = [int(name.partition(" ")[0]) for name in trace.x]
    expected = atlas.connectivity()[np.ix_(shown, shown)]
    apart = ~np.eye(len(shown), dtype=bool)
    np.testing.assert_allclose(trace.z[apart], expected[apart], rtol=1e-6)


def test_recurrence_is_in_percent_with_the_first_passage_on_top():
    figure = networks.recurrence(hand_atlas(), 1)
    np.testing.assert_allclose(figure.data[0].x, [20, 30], rtol=1e-6)
    assert list(figure.data[0].y) == ["p0", "p1"] and figure.layout.yaxis.autorange == "reversed"


def test_colours_are_fixed_and_the_first_twelve_are_distinct():
    assert len({network_colour(k) for k in range(12)}) == 12
    assert network_colour(700) == network_colour(700) != network_colour(701)
    assert networks.colour_of(hand_atlas("layer"), 2) == network_colour(0)


def test_a_figure_is_small_enough_to_send():
    atlas = hand_atlas()
    z_KN = np.random.default_rng(0).standard_normal((1, 30 * 1536), dtype=np.float32)
    large = replace(atlas, widths_L=(1536,) * 30, maps=(z_KN,), labels=("one",))
    assert len(go.Figure(networks.network_map(large, 0, 3.0)).to_json()) < 400_000
