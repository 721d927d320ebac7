"""Linear CKA against the formula on whole feature matrices."""

import numpy as np
import pytest

from fnet_core.lineage.cka import compare_layers, packed_gram


def direct_cka(x, y):
    """Kornblith et al. 2019, equation 5 with a linear kernel: ||Y'X||^2 / (||X'X|| ||Y'Y||), columns centred."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def layers(count, width, seed, shared):
    rng = np.random.default_rng(seed)
    return [shared @ rng.normal(size=(5, width)) + rng.normal(size=(31, width)) * (i + 1) for i in range(count)]


@pytest.fixture
def pair():
    shared = np.random.default_rng(9).normal(size=(31, 5))
    return layers(4, 11, 0, shared), layers(3, 17, 1, shared)


def test_heatmap_against_the_formula(pair):
    a, b = pair
    found = compare_layers(np.stack([packed_gram(x) for x in a]), np.stack([packed_gram(y) for y in b]))
    expected = np.array([[direct_cka(x, y) for y in b] for x in a])
    np.testing.assert_allclose(found.heatmap_LJ, expected, rtol=1e-10)
    assert found.middle == pytest.approx(expected[2, 1])
    assert found.best == pytest.approx((expected.max(axis=1).mean() + expected.max(axis=0).mean()) / 2)


def test_half_precision_is_enough(pair):
    packed = [np.stack([packed_gram(x) for x in side]) for side in pair]
    exact = compare_layers(*packed).heatmap_LJ
    stored = compare_layers(*(p.astype(np.float16) for p in packed)).heatmap_LJ
    np.testing.assert_allclose(stored, exact, atol=2e-4)


def test_rotation_and_scale_do_not_matter(pair):
    x = pair[0][0]
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(11, 11)))[0]
    assert packed_gram(x) @ packed_gram(-7 * x @ rotation + 2) == pytest.approx(1)


def test_the_other_way_round_is_the_transpose(pair):
    a, b = (np.stack([packed_gram(x) for x in side]) for side in pair)
    there, back = compare_layers(a, b), compare_layers(b, a)
    np.testing.assert_allclose(there.heatmap_LJ, back.heatmap_LJ.T)
    assert there.middle == pytest.approx(back.middle) and there.best == pytest.approx(back.best)


def test_a_constant_layer_has_no_similarity(pair):
    a = np.stack([packed_gram(x) for x in pair[0]])
    a[2] = packed_gram(np.full((31, 11), 3.3))
    found = compare_layers(a, a[:2])
    assert np.isnan(found.heatmap_LJ[2]).all() and found.middle is None
    assert 0 < found.best <= 1
    assert compare_layers(np.zeros((2, 6)), np.zeros((3, 6))).best is None
