"""All pairs at once against scipy, one pair at a time, with ties."""

import numpy as np
import pytest
from scipy import stats

from fnet_core.lineage.spearman import ranks, spearman


def test_average_ranks():
    series = np.array([[3, 1, 3, 2], [5, 5, 5, 5], [1, 2, 3, 4]])
    assert ranks(series).tolist() == [[3.5, 1, 3.5, 2], [2.5] * 4, [1, 2, 3, 4]]
    rng = np.random.default_rng(0)
    many = rng.integers(0, 9, (6, 37)).astype(np.float16)
    below = (many[:, None, :] < many[:, :, None]).sum(axis=2)
    level = (many[:, None, :] == many[:, :, None]).sum(axis=2)
    np.testing.assert_array_equal(ranks(many), below + (level + 1) / 2)


def test_against_scipy_with_ties():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 7, (5, 41)).astype(float), rng.normal(size=(3, 41)).round(1)
    expected = [[stats.spearmanr(x, y).statistic for y in b] for x in a]
    np.testing.assert_allclose(spearman(a, b), expected, atol=1e-12)


def test_constant_rows_have_no_correlation():
    a = np.array([[1.0, 2, 3, 5], [4, 4, 4, 4]])
    rho = spearman(a, -a[:1])
    assert rho[0, 0] == pytest.approx(-1)
    assert np.isnan(rho[1, 0])


def test_only_order_matters_and_inputs_stay():
    a = np.random.default_rng(2).normal(size=(4, 23))
    before = a.copy()
    np.testing.assert_allclose(np.diag(spearman(a, np.exp(3 * a))), 1)
    np.testing.assert_array_equal(a, before)


def test_lengths_must_agree():
    with pytest.raises(ValueError):
        spearman(np.zeros((2, 5)), np.zeros((2, 6)))
