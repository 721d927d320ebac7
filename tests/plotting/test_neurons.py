"""Neurons in the plane as a figure: every drawn one once, lit where it is the selected network's."""

from support.atlases import hand_atlas

from fnet_core.networks.neuron_map import neuron_map as placed
from fnet_core.plotting.networks import colour_of
from fnet_core.plotting.neurons import neuron_map
from fnet_core.plotting.style import channels, rgba


def test_every_neuron_is_drawn_once_with_what_it_is():
    atlas = hand_atlas()
    figure = neuron_map(atlas, placed(atlas, 0, 2.9))
    others, own = figure.data
    assert len(others.x) == 6 and len(own.x) == 0
    told = {tuple(row) for row in others.customdata}
    assert (0, "abc · def", 2, "4", "+9.0") in told and (1, "gh", 1, "5", "-8.0") in told
    assert [colour(atlas, row[0], 1.0) for row in others.customdata] == list(others.marker.color)
    assert "of variance" in figure.layout.xaxis.title.text


def colour(atlas, network: int, opacity: float) -> str:
    return rgba(channels(colour_of(atlas, network)), opacity)


def test_the_selected_network_lights_and_the_others_are_pale():
    atlas = hand_atlas()
    others, own = neuron_map(atlas, placed(atlas, 0, 2.9), 1).data
    assert len(own.x) == 3 and set(own.marker.color) == {colour(atlas, 1, 1.0)}
    assert len(others.x) == 3 and set(others.marker.color) == {colour(atlas, 0, 0.3)}


def test_labels_with_markup_are_text():
    atlas = hand_atlas()
    object.__setattr__(atlas, "labels", ("<b>x</b>", "b", "c"))
    others, _ = neuron_map(atlas, placed(atlas, 0, 2.9)).data
    assert all("<" not in row[1] for row in others.customdata)
