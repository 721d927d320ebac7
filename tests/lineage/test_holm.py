"""Holm's correction against hand computation and against its definition by closed testing."""

from itertools import combinations

import numpy as np
import pytest

from fnet_core.lineage.holm import holm


def test_against_a_hand_computation():
    """Five tests: 5 x 0.005, 4 x 0.01, 3 x 0.03; the fourth, 2 x 0.04, would fall below the third and may not."""
    assert holm([0.04, 0.01, 0.03, 0.005, 0.6]) == pytest.approx([0.09, 0.04, 0.09, 0.025, 0.6])
    assert holm([]) == [] and holm([0.2]) == [0.2] and holm([0.9, 0.8]) == [1.0, 1.0]


def test_against_closed_testing():
    """A hypothesis is rejected when Bonferroni rejects every set of hypotheses with it: the largest of their p."""
    rng = np.random.default_rng(7)
    for _ in range(20):
        p = rng.uniform(size=5) ** 3
        for at in range(5):
            others = [k for k in range(5) if k != at]
            sets = [(at, *more) for size in range(5) for more in combinations(others, size)]
            closed = max(min(1.0, len(chosen) * min(p[k] for k in chosen)) for chosen in sets)
            assert holm(p.tolist())[at] == pytest.approx(closed)
