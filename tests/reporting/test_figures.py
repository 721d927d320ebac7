"""Figures side by side: the same bits, the same within what arithmetic moves, or not."""

from dataclasses import replace

import numpy as np
from support.atlases import hand_atlas

from fnet_core.reporting.figures import compared, digests, line


def outcomes(a, b) -> dict[str, str]:
    return {each.figure: each.outcome for each in compared(a, b)}


def test_the_same_atlas_is_identical_throughout():
    assert set(outcomes(hand_atlas(), hand_atlas()).values()) == {"identical"}
    assert digests(hand_atlas()) == digests(hand_atlas()) and len(set(digests(hand_atlas()).values())) == 7


def test_one_number_changes_one_figure():
    near = replace(hand_atlas(), stability_K=np.array([1.0, 0.9, 0.4001], dtype=np.float32))
    found = outcomes(hand_atlas(), near)
    assert found.pop("atlas: stability") == "agrees" and set(found.values()) == {"identical"}
    far = replace(hand_atlas(), labels=("abc · def", "gh", "other"))
    assert [each.said for each in compared(hand_atlas(), far) if each.outcome == "differs"] == ["2 of 3 alike"]


def test_networks_in_another_order_are_found_again():
    atlas = hand_atlas()
    found = compared(atlas, replace(atlas, maps=(atlas.maps[0][[1, 0, 2]],)))
    again = next(each for each in found if each.figure == "atlas: networks found again")
    assert found[0].outcome == "differs" and again.outcome == "agrees" and again.said.startswith("3 of 3 have")
    lost = compared(atlas, replace(atlas, maps=(atlas.maps[0][[0, 0, 2]],)))
    assert next(each for each in lost if "found again" in each.figure).outcome == "differs"


def test_what_is_not_a_number_must_be_so_in_both():
    one, other = np.array([1.0, np.nan]), np.array([np.nan, 1.0])
    assert line("x", [one], [one.copy()]).outcome == "identical"
    assert line("x", [one], [one + 1e-5]).outcome == "agrees" and line("x", [one], [other]).outcome == "differs"
    assert line("x", [one], [one[:1]]).said == "it has another shape"
    assert line("x", [one.astype(np.float32)], [one]).outcome == "agrees"
