"""Figures of a comparison: the numbers in them, and names from files that stay text."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression
from support.fingerprints import hand_fingerprint, hand_reference, mixed, waves

from fnet_core.lineage.comparison import compare
from fnet_core.lineage.surface import surface_directions
from fnet_core.lineage.verdict import MARGIN
from fnet_core.plotting import lineage as figures

SIGNALS = waves(10)
A = hand_fingerprint(SIGNALS, "<i>base</i>")
B = hand_fingerprint([-s[:9] for s in mixed(SIGNALS, 0.3, 3)], "copy", layers=6, seed=5)
B = replace(B, recipe=B.recipe | {"protocol": A.protocol})
FOUND = compare(A, B, reference=hand_reference(A.protocol_digest))

ALL = {
    "score": figures.score_on_reference,
    "matrix": figures.matrix,
    "signals": figures.matched_signals,
    "curves": figures.weight_curves,
    "layers": figures.layer_similarity,
}


@pytest.mark.parametrize("name", ALL)
def test_every_figure_keeps_the_house_style(name):
    figure = ALL[name](FOUND)
    assert figure.layout.title.text and figure.layout.xaxis.title.text
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)" and figure.layout.height
    assert "<i>" not in figure.to_json().replace("\\u003c", "<") and "<b>0</b>" not in figure.to_json()


def trace(figure, name):
    return next(t for t in figure.data if t.name == name)


def test_the_score_stands_among_the_reference_pairs():
    figure = figures.score_on_reference(FOUND)
    assert sorted(trace(figure, "derived pair").x) == [0.6, 0.75, 0.9]
    assert sorted(trace(figure, "independent pair").x) == [0.1, 0.2, 0.3]
    this = trace(figure, "this pair")
    assert this.x[0] == FOUND.score
    assert (this.x[0] - this.error_x.arrayminus[0], this.x[0] + this.error_x.array[0]) == pytest.approx(FOUND.interval)
    assert list(trace(figure, "mismatched passages").x) == list(FOUND.null_scores)
    assert sorted(shape.x0 for shape in figure.layout.shapes) == pytest.approx([0.4, 0.5])


def test_the_band_behind_the_score_is_the_interval_that_decides():
    low, high = FOUND.interval
    assert list(trace(figures.score_on_reference(FOUND), "what decides").x) == pytest.approx(
        [low - MARGIN, min(1.0, high + MARGIN)]
    )
    assert "The band is the 95 % interval widened by 0.02" in figures.score_note(FOUND)
    alone = replace(FOUND, interval=None)
    assert "what decides" not in [t.name for t in figures.score_on_reference(alone).data]
    assert "band" not in figures.score_note(alone)


def test_pairs_that_move_no_cut_are_hollow_and_explained():
    pairs = [replace(pair, reads=pair.score != 0.3) for pair in FOUND.reference.pairs]
    found = replace(FOUND, reference=replace(FOUND.reference, pairs=tuple(pairs)))
    shown = trace(figures.score_on_reference(found), "independent pair")
    assert dict(zip(shown.x, shown.marker.symbol, strict=True)) == {
        0.1: "circle",
        0.2: "circle",
        0.3: "circle-open",
    }
    assert shown.customdata[2][2] == "apart, hardly reads the passages"
    assert {*trace(figures.score_on_reference(found), "derived pair").marker.symbol} == {"circle"}
    assert "6 reference pairs, once, on paper" in figures.score_note(found)
    assert "1 of them is hollow" in figures.score_note(found) and "hollow" not in figures.score_note(FOUND)
    assert "orientation" not in figures.score_note(FOUND)
    other = replace(FOUND, reference=replace(FOUND.reference, protocol="other"))
    assert "another version of the method, and are shown for orientation" in figures.score_note(other)


def test_without_a_reference_the_score_stands_alone():
    alone = replace(FOUND, reference=None, verdict=replace(FOUND.verdict, cuts=None), interval=None, null_scores=())
    figure = figures.score_on_reference(alone)
    assert len(trace(figure, "derived pair").x) == 0 and not figure.layout.shapes
    assert trace(figure, "this pair").error_x.array[0] == 0
    assert "No reference pairs are stored yet" in figures.score_note(alone)


def test_matched_pairs_lie_on_the_diagonal():
    heat = figures.matrix(FOUND).data[0]
    assert np.shape(heat.z) == (10, 9)
    np.testing.assert_allclose(np.diag(heat.z), FOUND.values_M)
    assert [(int(y), int(x)) for y, x in zip(heat.y, heat.x, strict=False)] == [tuple(p) for p in FOUND.matched_M2]
    assert sorted(map(int, heat.y)) == list(range(10))


def test_matched_signals_show_both_series_on_the_same_characters():
    for passage in (0, 3):
        figure = figures.matched_signals(FOUND, 1, passage)
        first, second = figure.data
        assert list(first.x) == list(second.x) == list(range(0, len(A.passages[passage].text), 4))
        np.testing.assert_allclose(first.y, A.grid_signals(passage)[FOUND.matched_M2[1, 0]])
        surface = surface_directions(tuple(each.text for each in A.passages))[passage]
        ranked = np.stack([stats.rankdata(first.y), stats.rankdata(second.y)], axis=1)
        rho = stats.pearsonr(*(ranked - LinearRegression().fit(surface, ranked).predict(surface)).T).statistic
        assert rho == pytest.approx(FOUND.passage_values_MP[1, passage])
        assert f"abs(ρ) = {rho:.2f}" in figure.layout.title.text
        assert second.name.endswith("turned over") and not first.name.endswith("turned over")


def test_ranks_decide_whether_a_signal_is_turned_over():
    varied = np.random.default_rng(3).normal(size=(1, 40))
    opposed = varied.copy()
    opposed[0, varied.argmax()] = -1e4
    assert float(varied[0] @ opposed[0]) < 0 < stats.spearmanr(varied[0], opposed[0]).statistic
    found = compare(hand_fingerprint([varied], "a"), hand_fingerprint([opposed], "b"))
    _, first, second, turned = figures.pair_series(found, 0, 0)
    assert not turned and stats.spearmanr(first, second).statistic > 0.8


def test_weight_curves_are_standardised_over_depth():
    figure = figures.weight_curves(FOUND)
    assert [len(t.x) for t in figure.data] == [4] * 4 + [6] * 4
    for line in figure.data:
        assert (np.mean(line.y), np.std(line.y)) == pytest.approx((0, 1), abs=1e-9)
    assert f"Q: r = {FOUND.curves.q:.2f}" in [a.text for a in figure.layout.annotations]


def test_a_figure_without_its_title_keeps_the_size_of_its_plot():
    figure = figures.layer_similarity(FOUND)
    plot = figure.layout.height - figure.layout.margin.t
    bare = figures.untitled(figure, 16)
    assert not bare.layout.title.text and bare.layout.height - bare.layout.margin.t == plot
    assert bare.layout.margin.t == 16


def test_layers_of_a_run_upward():
    heat = figures.layer_similarity(FOUND).data[0]
    np.testing.assert_array_equal(heat.z, FOUND.layers.heatmap_LJ)
    assert np.shape(heat.z) == (4, 6)
