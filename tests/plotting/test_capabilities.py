"""Figures of capabilities show the numbers of their results."""

from dataclasses import replace

import numpy as np
import pytest

from fnet_core.capability.keeping import Kept, Preservation
from fnet_core.capability.lesions import LesionMatrix
from fnet_core.capability.profiles import Profile
from fnet_core.plotting import capabilities

CAPABILITY_I = np.repeat([0, 1], 8).astype(np.int16)


def hand_matrix() -> LesionMatrix:
    """Networks 2 and 5: the first loses every item of the second capability."""
    right = np.ones(16, dtype=np.float32)
    lost = np.where(CAPABILITY_I == 1, 0, 1).astype(np.float32)
    recipe = {"model": "hand", "gain": 0.0, "threshold": 3.0, "asked": {"items": 6, "seed": 0}}
    return LesionMatrix(
        recipe, (2, 5), ("a", "b"), (7, 8), ("sums", "tense"), CAPABILITY_I, right, np.stack([lost, right]),
        np.ones((2, 3, 16), dtype=np.float32), np.array([True, True]), 2,
    )  # fmt: skip


def test_the_matrix_has_a_point_to_click_in_every_cell_and_a_mark_where_it_survives():
    heat, points = capabilities.matrix(hand_matrix(), selected=5).data
    assert np.asarray(heat.z).tolist() == [[0, -1], [0, 0]] and list(heat.y) == ["2", "5"]
    assert list(points.y) == ["2", "2", "5", "5"] and list(points.text) == ["", "●", "", ""]
    assert (
        points.x[1] == "Tense"
        and "0.00</b>, untouched 1.00, random lesions 1.00<br>change -1.00" in points.hovertext[1]
    )
    assert len(capabilities.matrix(hand_matrix(), selected=5).layout.shapes) == 1
    assert capabilities.matrix(hand_matrix(), selected=4).layout.shapes == ()
    amplified = replace(hand_matrix(), recipe=hand_matrix().recipe | {"gain": 1.5})
    assert "multiplied by 1.5" in capabilities.matrix(amplified).layout.title.text


def test_a_profile_and_a_preservation_curve():
    answers = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], dtype=np.float32)
    found = Profile({"model": "hand"}, ("sums", "tense"), CAPABILITY_I, answers, 0.5 + 0 * answers, answers >= 0)
    assert capabilities.profile(found).data[0].x.tolist() == [0.5, 1.0]
    points = (
        Kept(1, 3.0, 5, np.inf, np.array([90.0, 110.0]), np.array([0.5, 0.5]), np.full((2, 2), 0.4)),
        Kept(2, 3.0, 9, 20.0, np.array([60.0, 80.0]), np.array([0.75, 1.0]), np.full((2, 2), 0.6)),
    )
    curve = Preservation({"model": "hand"}, ("sums", "tense"), 10, 10.0, np.array([1.0, 1.0]), points)
    networks, random, *_ = capabilities.preservation(curve).data
    assert np.isnan(networks.y[0]) and networks.y[1] == 20 and list(random.y) == [100, 70]
    assert curve.summary()["points"][0]["perplexity"] is None and list(networks.x) == pytest.approx([50, 90])
