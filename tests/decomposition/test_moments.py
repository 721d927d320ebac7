"""Updates from fourth moments against updates from the data."""

import pytest
import torch

from fnet_core.decomposition.ica import _step, fastica, random_starts, whiten
from fnet_core.decomposition.moments import FourthMoments, fewer_operations


@pytest.fixture(scope="module")
def white():
    normal = torch.randn(2, 7, 5000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return whiten(normal.pow(3))


def test_an_update_from_the_moments_is_the_update_from_the_data(white):
    w = random_starts(2, 3, 7, seed=1)
    moments = FourthMoments(white)
    expected = _step(white, w, "cube")
    torch.testing.assert_close(moments.step(torch.arange(2), w), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(moments.step(torch.tensor([1]), w[1:]), expected[1:], rtol=1e-6, atol=1e-6)


def test_separation_is_that_of_the_data_alone(white, monkeypatch):
    starts = random_starts(2, 4, 7, seed=3)
    from_moments = fastica(white, starts)
    monkeypatch.setattr("fnet_core.decomposition.ica.fewer_operations", lambda *_: False)
    from_data = fastica(white, starts)
    assert from_data.converged_BR.all() and from_moments.converged_BR.all()
    torch.testing.assert_close(from_moments.unmixing_BRKK, from_data.unmixing_BRKK, rtol=0, atol=1e-3)


def test_moments_are_for_few_components_and_many_samples():
    assert fewer_operations(32, 46_080, restarts=10)
    assert not fewer_operations(64, 46_080, restarts=10)
    assert not fewer_operations(32, 1_536, restarts=10)
