"""Matching against brute force."""

import itertools

import numpy as np
import pytest

from fnet_core.networks.matching import matched_correlation


def test_the_best_of_all_pairings():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 30)), rng.normal(size=(5, 30))
    r = np.abs(np.corrcoef(a, b)[:4, 4:])
    best = max(sum(r[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(5), 4))
    assert matched_correlation(a, b).sum() == pytest.approx(best)


def test_order_and_sign_do_not_matter():
    maps = np.random.default_rng(1).normal(size=(6, 40))
    np.testing.assert_allclose(matched_correlation(maps, -maps[[3, 1, 0, 5, 2, 4]] * 2 + 1), 1)
