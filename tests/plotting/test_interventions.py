"""Figures and tables of interventions: the numbers in them, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from support.perplexities import result

from fnet_core.evaluation.generation import Continuation, NextToken
from fnet_core.interventions import tables
from fnet_core.interventions.edits import Edit
from fnet_core.interventions.measuring import Intervention
from fnet_core.interventions.sweeps import Damage, Dose
from fnet_core.plotting import interventions as figures

EDIT = Edit("mlp", ((0, 1), (2, 3)), gain=0.0, name="network 1 (abc)")


def measured(edited=(20.0, 80.0), controls=((10.0, 40.0), (11.0, 44.0), (15.0, 60.0))) -> Intervention:
    """Untouched perplexities 10 and 40: 20 in all."""
    return Intervention((EDIT,), result(10, 40), result(*edited), tuple(result(*c) for c in controls), True)


def test_the_spread_of_the_controls_is_median_and_range():
    assert tables.control_spread(measured()) == pytest.approx((22.0, 20.0, 30.0))
    assert tables.control_effect_spread(measured()) == pytest.approx((1.1, 1.0, 1.5))
    assert tables.control_spread(measured(controls=())) is None


def test_the_passage_table_has_the_numbers_of_each_passage():
    table = tables.passage_table(measured())
    assert table["passage"].tolist() == ["p0", "p1"]
    assert table["untouched"].tolist() == pytest.approx([10, 40])
    assert table["edited"].tolist() == pytest.approx([20, 80])
    assert table["control"].tolist() == pytest.approx([11, 44])
    assert table["ratio"].tolist() == pytest.approx([2, 2])
    assert np.isnan(tables.passage_table(measured(controls=()))["control"]).all()


def test_the_worst_passage_is_the_one_that_suffers_most():
    assert tables.worst_passage(measured(edited=(30.0, 80.0))) == 0
    assert tables.worst_passage(measured(edited=(30.0, np.inf))) == 1


def test_passages_are_drawn_from_untouched_to_edited_first_on_top():
    figure = figures.passages(measured(edited=(20.0, 80.0)))
    by_name = {trace.name: trace for trace in figure.data if trace.name}
    assert list(by_name["untouched"].x) == pytest.approx([10, 40])
    assert list(by_name["edited"].x) == pytest.approx([20, 80])
    assert list(by_name["random controls, median"].x) == pytest.approx([11, 44])
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.layout.xaxis.type == "log"


def test_what_is_not_finite_is_left_out():
    figure = figures.passages(measured(edited=(20.0, np.inf)))
    edited = next(trace for trace in figure.data if trace.name == "edited")
    assert np.isnan(edited.x[1])


def test_the_dose_curve_passes_through_the_untouched_model_at_gain_one():
    doses = [Dose(0.0, measured()), Dose(2.0, measured(edited=(10.0, 10.0)))]
    curves = {trace.name: trace for trace in figures.dose_response(doses, "network 1", "#123456").data}
    assert list(curves["network 1"].x) == [0.0, 1.0, 2.0]
    assert list(curves["network 1"].y) == pytest.approx([40, 20, 10])
    assert list(curves["random controls, median"].y) == pytest.approx([22, 20, 22])
    band = curves["range of the controls"]
    assert list(band.y) == pytest.approx([30, 20, 30, 20, 20, 20])
    assert list(band.x) == [0.0, 1.0, 2.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize(("worst", "scale"), [(99.0, None), (101.0, "log")])
def test_the_perplexity_axis_is_logarithmic_from_a_ratio_of_five(worst, scale):
    figure = figures.dose_response([Dose(0.0, measured(edited=(worst, worst)))], "n", "#123456")
    assert figure.layout.yaxis.type == scale


def test_the_ranking_keeps_its_order_and_its_controls():
    ranking = [Damage(7, "abc", 12, measured()), Damage(3, "def", 5, measured(edited=(10.0, 40.0), controls=()))]
    table = tables.ranking_table(ranking)
    assert table["network"].tolist() == [7, 3] and table["key_neurons"].tolist() == [12, 5]
    assert table["inhibited"].tolist() == pytest.approx([40, 20])
    assert table["ratio"].tolist() == pytest.approx([2, 1])
    assert table["control_ratio"][0] == pytest.approx(1.1) and np.isnan(table["control_ratio"][1])
    figure = figures.importance(ranking, lambda network: f"#00000{network}")
    dots = next(trace for trace in figure.data if trace.name == "network inhibited")
    assert list(dots.x) == ["7", "3"] and list(dots.y) == pytest.approx([2, 1])
    assert list(dots.marker.color) == ["#000007", "#000003"]


def test_next_tokens_are_joined_by_their_text_and_the_unlisted_count_as_the_least():
    before = Continuation("", 0, (NextToken(" a", 0.5), NextToken(" b", 0.3), NextToken(" c", 0.1)), True)
    after = Continuation("", 0, (NextToken(" b", 0.6), NextToken(" d", 0.2)), True)
    table = tables.next_token_table(before, after, count=2)
    assert table["token"].tolist() == [" b", " a", " d"]
    assert table["before"].tolist() == [0.3, 0.5, 0.1]
    assert table["after"].tolist() == [0.6, 0.2, 0.2]
    assert table["difference"].tolist() == pytest.approx([0.3, -0.3, 0.1])
    assert tables.next_token_table(before, replace(after, next_tokens=()))["after"].tolist() == [0, 0, 0]


def test_white_space_of_a_token_is_shown():
    assert [tables.visible_token(t) for t in (" a b", "\n", "  ")] == ["␣a b", "↵", "␣␣"]
