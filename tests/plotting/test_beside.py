"""Two networks side by side: bars to either side, both courses in one passage."""

import numpy as np
from support.atlases import hand_atlas

from fnet_core.plotting.beside import courses, layer_profiles


def test_bars_go_to_either_side_with_the_counts_as_they_are():
    left, right = layer_profiles(hand_atlas(), 0, 1, 2.9).data
    assert list(left.x) == [-2, -1, -1] and list(left.customdata) == [2, 1, 1]
    assert list(right.x) == [0, 3, 0]


def test_both_courses_are_in_standard_deviations():
    atlas = hand_atlas()
    first, second = courses(atlas, 0, 1, 0).data
    np.testing.assert_allclose(first.y, atlas.courses[0][:, 0] / atlas.course_scale(0), rtol=1e-6)
    np.testing.assert_allclose(second.y, atlas.courses[0][:, 1] / atlas.course_scale(1), rtol=1e-6)
    assert first.line.dash != second.line.dash  # their colours may be alike
