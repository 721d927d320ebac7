"""The colours of the figures are told apart by eyes that miss one kind of cones."""

import pytest

from benchmarks.colours import KINDS, PAIRS, backgrounds, contrast, distance, nearest, parsed
from fnet_core.plotting.style import network_colour

BLIND = [kind for kind in KINDS if kind != "all colours"]


def test_the_simulation_leaves_grey_grey_and_loses_the_colours_that_it_should():
    for kind in KINDS:
        assert distance((128, 128, 128), (128, 128, 128), kind) == 0
        assert distance((0, 0, 0), (255, 255, 255), kind) == pytest.approx(100, abs=1)
    red, green = (200, 60, 60), (95, 125, 60)
    assert distance(red, green, "no green cones") < 0.4 * distance(red, green, "all colours")
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


@pytest.mark.parametrize("kind", BLIND)
def test_networks_side_by_side_and_scales_are_told_apart(kind):
    assert nearest(4, kind) > 35 and nearest(8, kind) > 16 and nearest(12, kind) > 14
    for two in PAIRS.values():
        assert distance(*two, kind) > 40


def test_a_networks_colour_stands_out_from_both_backgrounds():
    light, dark = backgrounds()
    assert light == (255, 255, 255) and max(dark) < 40
    for network in range(12):
        assert min(contrast(parsed(network_colour(network)), ground) for ground in (light, dark)) > 2
