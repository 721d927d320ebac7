"""An atlas held against another one, on the Networks page."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from support.atlases import hand_atlas
from support.pages import page, said

from fnet_core.networks.atlas import KIND, Atlas
from fnet_core.networks.comparing import compare_atlases
from fnet_core.storage import artifacts


def saved(atlas: Atlas) -> str:
    atlas.save(artifacts.artifact_path(KIND, atlas.key))
    return atlas.key


def tab(key: str) -> AppTest:
    """The tab Recurrence with the other atlas asked for."""
    at = page("networks", atlas=key)
    at.session_state["view"], at.session_state["recurrence_against"] = "Recurrence", "Another atlas"
    return at.run()


@pytest.fixture
def three() -> tuple[Atlas, Atlas, Atlas]:
    """An atlas, one with its networks in another order, and one of a model of another shape."""
    atlas = hand_atlas()
    recipe = atlas.recipe
    turned = replace(atlas, maps=(atlas.maps[0][[2, 0, 1]],), recipe=recipe | {"seed": 7}, labels=("ij", "abc", "gh"))
    return atlas, turned, replace(atlas, widths_L=(5, 6, 4), recipe=recipe | {"seed": 8})


def test_each_network_is_shown_with_its_partner_there(three):
    atlas, turned, _ = three
    key, other = saved(atlas), saved(turned)
    at = tab(key)
    assert not at.exception and "Network 0** is most like network 1 there (abc), abs r **1.00**" in said(at)
    box = at.selectbox(key="recurrence_other")
    assert box.value == other and box.options == [
        f"hand-made · MLP neurons · whole model · 3 networks · 2 passages · {other[:6]}"
    ]
    found = compare_atlases(atlas, turned)
    assert f"{found.recurring()} of 3 networks come back" in said(at)
    assert any("Does each network come back?" in chart.proto.spec for chart in at.get("plotly_chart"))


def test_an_atlas_of_another_shape_is_refused_with_the_layer_that_differs(three):
    atlas, _, wider = three
    key = saved(atlas)
    saved(wider)
    assert "Layer 0 has 4 neurons in hand-made at site mlp and 5 in" in said(tab(key))


def test_a_lone_atlas_says_where_another_would_come_from(three):
    assert "There is no other atlas yet" in said(tab(saved(three[0])))
