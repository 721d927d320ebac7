"""The figures of whether networks come back."""

import numpy as np
import pytest

from fnet_core.networks.recurrence import TRUSTED, Recurrence, mean_interval
from fnet_core.plotting.recurrence import Setting, coming_back, curves


def setting(passages: int = 96, components: int = 32, contrast: str = "cube", r=(0.5, 0.9), text="bundled") -> Setting:
    r_K = np.array(r)
    return Setting("tiny", text, passages, components, contrast, 4, r_K, r_K >= 0.8, 0.01)


def test_each_panel_varies_one_thing_and_shows_means_intervals_and_chance():
    found = [
        *(setting(96), setting(24, r=(0.2, 0.4)), setting(48, r=(0.3, 0.85))),
        *(setting(components=16, r=(0.7, 0.95)), setting(contrast="exp"), setting(24, text="other")),
    ]
    figure = curves(found)
    assert [axis.title.text for axis in figure.select_xaxes() if axis.visible is not False] == [
        "passages, both halves together",
        "networks",
        "contrast",
    ]
    everyone, trusted, chance = figure.data[:3]
    assert figure.layout.xaxis.ticktext == ("24", "48", "96")
    assert everyone.y == pytest.approx((0.3, 0.575, 0.7)) and trusted.y == (None, 0.85, 0.9)
    assert chance.y == (0.01, 0.01, 0.01)
    low, high = mean_interval(np.array([0.3, 0.85]))
    assert everyone.error_y.array[1] == pytest.approx(high - 0.575)
    assert everyone.error_y.arrayminus[1] == pytest.approx(0.575 - low)
    assert [trace.name for trace in figure.data if trace.showlegend] == ["tiny, bundled"]


def test_a_line_for_each_model_and_text_and_none_for_what_never_varies():
    figure = curves([setting(n, text=text) for n in (24, 96) for text in ("bundled", "wiki")])
    assert len(list(figure.select_xaxes())) == 1 and len(figure.data) == 6
    first, second = (np.array(figure.data[i].x) for i in (0, 3))
    assert (first < second).all() and (np.round(first) == np.round(second)).all()
    assert figure.data[0].line.color != figure.data[3].line.color
    with pytest.raises(ValueError, match="differs"):
        curves([setting(), setting(text="wiki")])


def test_the_interval_of_a_mean_narrows_with_the_root_of_the_number_and_holds_the_mean():
    values = np.random.default_rng(1).normal(0.8, 0.1, 400)
    low, high = mean_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert mean_interval(np.array([0.7])) == (0.7, 0.7)


def test_networks_that_are_not_trusted_are_hollow_and_the_level_of_trust_is_drawn():
    chance = np.full((20, 3), 0.01)
    values = np.array([0.9, 0.85, 0.3]), np.array([0.5, 0.4, 0.1])
    found = Recurrence({}, ("a", "<b>", "c"), np.arange(3), *values, chance, chance)
    maps, keys = coming_back(found, selected=2).data
    assert maps.marker.symbol == ("circle", "circle", "circle-open") and keys.marker.symbol[2] == "diamond-open"
    assert maps.marker.size == (8, 8, 13) and maps.customdata[1][0] == "1 · &lt;b&gt;"
    np.testing.assert_allclose(np.subtract(maps.y, maps.error_y.arrayminus), keys.y)
    figure = coming_back(found, trusted_K=np.array([True, False, False]))
    assert figure.data[0].marker.symbol == ("circle", "circle-open", "circle-open")
    assert {TRUSTED, 0.01} <= {line.y0 for line in figure.layout.shapes}
