"""Figures and tables of pruning: the numbers in them, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from support.atlases import hand_atlas
from support.perplexities import result

from fnet_core.models.stored import StoredWeights
from fnet_core.plotting import pruning as figures
from fnet_core.pruning.anatomy import Anatomy
from fnet_core.pruning.curves import CurvePoint, against, point_table, ranking, read_off
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import PrunePlan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.survival import network_survival, random_kept, survival_table

ANATOMY = Anatomy(
    model="hand-made",
    model_digest="0" * 64,
    widths_L=(4, 6, 5),
    heads_L=(2, 4, 2),
    head_size=3,
    heads_per_group=2,
    neuron_parameters_L=(10, 10, 10),
    group_parameters_L=(7, 7, 7),
    hidden_size=8,
    parameters=400,
    parameters_per_token=300,
    stored=StoredWeights("float32", 1600),
)
KEEP_MLP = (
    np.array([1, 1, 1, 1], dtype=bool),
    np.array([0, 1, 1, 0, 0, 1], dtype=bool),
    np.array([1, 0, 1, 1, 1], dtype=bool),
)
KEEP_HEADS = (np.array([1, 1], dtype=bool), np.array([1, 1, 0, 0], dtype=bool), np.array([1, 1], dtype=bool))


def plan(**changes) -> PrunePlan:
    """Three of six neurons and two of four heads of the second layer go, one of five neurons of the third."""
    made = PrunePlan(ANATOMY, PlanRequest("flap", 0.25, protected=(1, 0)), KEEP_MLP, KEEP_HEADS, {})
    return replace(made, **changes)


def point(method: str, ratio: float, *perplexities: float) -> CurvePoint:
    return CurvePoint(method, ratio, plan(), result(*perplexities))


POINTS = [
    point("random", 0.2, 30, 120),  # 60 in all
    point("flap", 0.2, 20, 80),  # 40
    point("flap", 0.4, 80, 320),  # 160
    CurvePoint("random", 0.4, None, None, "too much"),
]


def test_the_table_lists_points_by_ratio_and_method():
    table = point_table(POINTS)
    assert table["method"].tolist() == ["flap", "random", "flap", "random"]
    assert table["perplexity"].tolist()[:3] == pytest.approx([40, 60, 160]) and np.isnan(table["perplexity"][3])
    # 4 neurons of 10 and one group of 7 of 400 parameters
    assert table["removed"].tolist()[:3] == pytest.approx([47 / 400] * 3) and np.isnan(table["removed"][3])
    assert table["low"][0] < 40 < table["high"][0]
    assert table["problem"].tolist() == ["", "", "", "too much"]
    assert point_table([]).empty


def test_curves_start_at_the_untouched_model_and_mark_the_position():
    figure = figures.curves(POINTS, 20.0, 0.3, "flap")
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["FLAP"].x) == pytest.approx([0, 20, 40])
    assert list(traces["FLAP"].y) == pytest.approx([20, 40, 160])
    assert list(traces["Random"].y)[:2] == pytest.approx([20, 60])
    assert traces["FLAP"].line.width > traces["Random"].line.width and traces["Random"].line.dash == "dash"
    assert traces["slider"].x[0] == pytest.approx(30) and traces["slider"].y[0] == pytest.approx(80)
    lines = [shape for shape in figure.layout.shapes if shape.x0 == shape.x1]
    assert [shape.x0 for shape in lines] == [30]
    assert list(traces["untouched"].y) == [20, 20]
    assert figure.layout.yaxis.title.text == "perplexity per token"
    assert not figure.layout.annotations  # their place on a logarithmic axis would be the exponent
    assert figure.layout.yaxis.type == "log"  # 160 is eight times 20
    assert figures.curves(POINTS[:2], 20.0, 0.3, "flap").layout.yaxis.type is None


def test_curves_without_any_point_draw():
    figure = figures.curves([], None, 0.2, "flap")
    assert len(figure.data) == 0 and figure.layout.xaxis.title.text == "removed, of all MLP neurons"


@pytest.mark.parametrize(
    ("position", "value"),
    [(0.0, 20.0), (0.1, (20 * 40) ** 0.5), (0.2, 40.0), (0.3, 80.0), (0.35, 40 * 4**0.75), (0.41, None)],
)
def test_between_two_points_the_logarithm_is_a_straight_line(position, value):
    assert read_off(POINTS, 20.0, "flap", position) == (pytest.approx(value) if value else None)


def test_nothing_is_read_off_beside_what_is_not_finite():
    broken = [point("flap", 0.2, 20, np.inf)]
    assert read_off(broken, 20.0, "flap", 0.1) is None
    assert read_off([], None, "flap", 0.1) is None


def test_the_ranking_is_at_the_nearest_ratio_that_methods_share():
    ranked = ranking(POINTS, 0.4)
    assert [(p.method, p.ratio) for p in ranked] == [("flap", 0.2), ("random", 0.2)]
    assert ranking(POINTS[:1], 0.2) == []
    untouched = [point("random", 0.0, 10, 40), point("flap", 0.0, 10, 40)]
    assert ranking([*POINTS, *untouched], 0.0) == []
    assert [p.ratio for p in ranking([*POINTS, *untouched], 0.05)] == [0.2, 0.2]
    assert against(ranked[0], ranked[1]).value == pytest.approx(1.5)


def test_the_keep_map_has_a_column_per_neuron_where_there_are_few():
    heat = figures.keep_map(plan()).data[0]
    assert np.asarray(heat.z)[1].tolist() == [0, 100, 100, 0, 0, 100]
    assert np.isnan(np.asarray(heat.z, dtype=float)[0, 4:]).all() and list(heat.y) == [0, 1, 2]


def test_the_keep_map_bins_wide_layers():
    keep = np.ones(1000, dtype=bool)
    keep[:4], keep[4:6] = False, False  # all of the first bin of four, half of the second
    wide = replace(ANATOMY, widths_L=(1000, 1000, 998))
    figure = figures.keep_map(plan(anatomy=wide, keep_mlp=(keep, keep, keep[:998])))
    shares = np.asarray(figure.data[0].z, dtype=float)
    assert shares.shape == (3, 250)
    assert shares[0, :3].tolist() == [0, 50, 100] and shares[2, -1] == 100
    assert figure.data[0].customdata[2][-1].tolist() == [996, 997]
    assert "4 per column" in figure.layout.xaxis.title.text


def test_the_head_map_tells_what_goes():
    heat = figures.head_map(plan()).data[0]
    assert np.asarray(heat.z, dtype=float)[1].tolist() == [100, 100, 0, 0]
    assert list(heat.customdata[1]) == ["stays", "stays", "goes", "goes"]


def test_the_layer_profile_counts_neurons_and_heads():
    neurons, heads = figures.layer_profile(plan()).data
    assert list(neurons.x) == pytest.approx([0, 50, 20]) and list(neurons.customdata) == [0, 3, 1]
    assert list(heads.x) == pytest.approx([0, 50, 0]) and list(heads.customdata) == [0, 2, 0]
    whole = tuple(np.ones(count, dtype=bool) for count in (2, 4, 2))
    alone = figures.layer_profile(plan(keep_heads=whole))
    assert len(alone.data) == 1
    assert figures.layer_profile(plan()).layout.margin.t > alone.layout.margin.t  # the legend stands below the title


def test_what_networks_keep_stands_beside_a_random_cut():
    atlas = hand_atlas()
    # key neurons beyond 2.9: network 0 has layer 0: 0, 3; layer 1: 1; layer 2: 4. Network 1 has layer 1: 0, 1, 5
    made = plan()
    random_K = random_kept(atlas, made, 2.9)
    assert random_K[:2] == pytest.approx([(2 + 0.5 + 0.8) / 4, 0.5]) and np.isnan(random_K[2])
    found = network_survival(atlas, made, 2.9)
    table = survival_table(found, random_K)
    assert table["kept"].tolist()[:2] == pytest.approx([1.0, 2 / 3])
    assert table["beyond"].tolist()[:2] == pytest.approx([1 - 0.825, 2 / 3 - 0.5])
    figure = figures.survival(found, random_K, lambda network: f"#00000{network}")
    traces = {trace.name: trace for trace in figure.data if trace.name}
    assert list(traces["this plan"].x) == ["0", "1"]  # network 2 has no key neurons
    assert list(traces["this plan"].y) == pytest.approx([100, 200 / 3])
    assert list(traces["a random cut, as many of each layer"].y) == pytest.approx([82.5, 50])
    assert list(traces["this plan"].marker.color) == ["#000000", "#000001"]


def test_every_method_has_a_colour_of_its_own():
    assert len({figures.method_colour(method) for method in METHODS}) == len(METHODS)
