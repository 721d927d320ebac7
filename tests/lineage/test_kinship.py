"""Families, trees and directions from hand-made relations and layer maps."""

import pytest

from fnet_core.lineage.kinship import Cut, Relation, cut_between, families


def related(pairs: dict[tuple[int, int], float]) -> dict[tuple[int, int], Relation]:
    return {pair: Relation("verdict", likeness) for pair, likeness in pairs.items()}


def test_two_families_and_one_alone():
    """0 is the parent of 2 and 5, which are less like each other; 1 and 4 are a pair; 3 stands alone."""
    found = families(6, related({(0, 2): 0.9, (0, 5): 0.8, (2, 5): 0.7, (1, 4): 0.95}))
    assert [family.members for family in found] == [(0, 2, 5), (1, 4)]
    assert found[0].branches == ((0, 2), (0, 5)) and found[0].centre == 0 and found[0].bridges == ()
    assert families(4, {}) == ()


def test_a_chain_is_a_chain():
    found = families(4, related({(0, 1): 0.9, (1, 2): 0.8, (2, 3): 0.7, (0, 2): 0.6, (1, 3): 0.5, (0, 3): 0.4}))
    assert found[0].branches == ((0, 1), (1, 2), (2, 3)) and found[0].centre in (1, 2)


def test_a_merge_of_two_origins_is_told():
    """2 is related to 0 and to 1, which are independent of each other."""
    found = families(3, related({(0, 2): 0.7, (1, 2): 0.6}), lambda a, b: (a, b) == (0, 1))
    assert found[0].members == (0, 1, 2) and found[0].bridges == ((2, 0, 1),)
    assert families(3, related({(0, 2): 0.7, (1, 2): 0.6}))[0].bridges == ()


@pytest.mark.parametrize(
    ("matched_J", "matched_L", "widths", "expected"),
    [
        # b has 4 of a's 6 layers
        ((0, 1, 4, 5), (0, 1, -1, -1, 2, 3), ((), ()), (0, 1, "has 4 of the 6 layers of {source}, in order")),
        # the same the other way round
        ((0, 1, -1, -1, 2, 3), (0, 1, 4, 5), ((), ()), (1, 0, "has 4 of the 6 layers")),
        # b stands with layers 1 and 2 of a twice
        ((0, 1, 1, 2, 2, 3), (0, 1, 3, 5), ((), ()), (0, 1, "has all 4 layers of {source}, 2 of them more than once")),
        ((0, 1, 3, 5), (0, 1, 1, 2, 2, 3), ((), ()), (1, 0, "has all 4 layers")),
        # neurons cut away
        ((0, 1), (0, 1), ((40, 40), (30, 40)), (0, 1, "has 88% of the MLP neurons of {source}")),
        # fewer layers, and fewer neurons in one of them
        ((0, 2), (0, -1, 1), ((40, 40, 40), (40, 30)), (0, 1, "and no other, 1 of them with fewer neurons")),
        # the same shape says nothing
        ((0, 1), (0, 1), ((40, 40), (40, 40)), None),
        ((0, 1), (0, 1), ((), ()), None),
        # a layer that matches none may be new
        ((0, -1), (0, -1, -1), ((), ()), None),
        # fewer layers but wider ones
        ((0, 2), (0, -1, 1), ((40, 40, 40), (40, 50)), None),
        ((), (), ((), ()), None),
    ],
)
def test_what_shapes_tell_of_direction(matched_J, matched_L, widths, expected):
    found = cut_between(0, 1, matched_J, matched_L, widths)
    if expected is None:
        assert found is None
    else:
        assert isinstance(found, Cut) and (found.source, found.result) == expected[:2] and expected[2] in found.why
