"""Alignments of depth against ones drawn by hand, and against every possible one."""

from itertools import product

import numpy as np
import pytest

from fnet_core.lineage.layer_map import align, in_words, layers_in_words, strays


def planted(partners: list[int], layers: int) -> np.ndarray:
    score = np.zeros((layers, len(partners)))
    for j, i in enumerate(partners):
        if i >= 0:
            score[i, j] = 10 + i
    return score


@pytest.mark.parametrize("partners", [[0, 1, 2, 3], [0, 3], [0, 1, 1, 2, 3], [-1, 0, -1, 2], [-1, -1], [0, 0, 3, 3]])
def test_a_monotone_map_is_found(partners):
    assert align(planted(partners, 4)).tolist() == partners


def test_no_other_monotone_map_is_better():
    rng = np.random.default_rng(3)
    for _ in range(20):
        score = np.maximum(rng.normal(size=(3, 4)), 0)
        maps = [m for m in product(range(-1, 3), repeat=4) if (k := [i for i in m if i >= 0]) == sorted(k)]
        sums = [sum(score[i, j] for j, i in enumerate(m) if i >= 0) for m in maps]
        found = align(score)
        kept = [i for i in found if i >= 0]
        assert kept == sorted(kept)
        assert sum(score[i, j] for j, i in enumerate(found) if i >= 0) == pytest.approx(max(sums))


def test_a_layer_out_of_order_is_found_beside_the_line():
    score = planted([0, 1, 2, 0], 3)
    assert align(score).tolist() == [0, 1, 2, -1] and strays(score, align(score)) == {3: 0}


@pytest.mark.parametrize(
    ("partners", "layers", "said"),
    [
        ([0, 1, 2, 3], 4, ["Layers 0 to 3 of B match layers 0 to 3 of A."]),
        (
            [0, 1, 4, 5],
            6,
            [
                "Layers 0 and 1 of B match layers 0 and 1 of A.",
                "Layers 2 and 3 of B match layers 4 and 5 of A.",
                "Layers 2 and 3 of A match no layer of B.",
            ],
        ),
        (
            [0, 1, 1],
            2,
            [
                "Layers 0 and 1 of B match layers 0 and 1 of A.",
                "Layer 2 of B matches layer 1 of A.",
                "Layer 1 of A stands 2 times in B, as layers 1 and 2.",
            ],
        ),
        ([-1, 0], 1, ["Layer 1 of B matches layer 0 of A.", "Layer 0 of B matches no layer of A."]),
        ([-1, -1], 3, ["No layer of B matches a layer of A."]),
    ],
)
def test_the_map_in_words(partners, layers, said):
    assert in_words(np.array(partners), {}, layers, "A", "B") == said


def test_out_of_order_in_words():
    said = in_words(np.array([1, 2, -1]), {2: 0}, 3, "A", "B")
    assert said == ["Layers 0 and 1 of B match layers 1 and 2 of A.", "Layer 2 of B matches layer 0 of A out of order."]


def test_lists_of_layers():
    assert layers_in_words([4]) == "layer 4" and layers_in_words([0, 1, 2, 3, 7, 9]) == "layers 0 to 3, 7 and 9"
