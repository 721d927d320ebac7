"""The correlation sketch against numpy, and against planted directions where it cannot hold everything."""

import numpy as np
import pytest
import torch
from support.planted import sparse_maps, subjects_from

from fnet_core.decomposition.sketch import HELD_SUBJECTS, PROBE_FACTOR, CorrelationSketch
from fnet_core.errors import RequestError


def filled(subjects, components, seed=0, probes=None):
    sketch = CorrelationSketch(components, seed, probes)
    for subject in subjects:
        sketch.add(subject)
    return sketch


def sketched(subjects, components, seed=0, probes=None):
    return filled(subjects, components, seed, probes).result()


def within(subjects):
    return np.concatenate([s.double().numpy() - s.double().numpy().mean(axis=0) for s in subjects])


@pytest.mark.parametrize("count", [2, HELD_SUBJECTS, HELD_SUBJECTS + 3])
def test_with_a_probe_for_every_signal_it_is_the_correlation_matrix(count):
    generator = torch.Generator().manual_seed(count)
    mix = torch.randn(13, 13, generator=generator)
    subjects = [torch.randn(31 + 5 * i, 13, generator=generator) @ mix + 7 * i for i in range(count)]
    found = sketched(subjects, 5)
    assert PROBE_FACTOR * 5 >= 13
    expected = within(subjects)
    np.testing.assert_allclose((found.root_PN.T @ found.root_PN).numpy(), np.corrcoef(expected.T), atol=2e-5)
    np.testing.assert_allclose(found.spread_N.numpy(), expected.std(axis=0), rtol=1e-5)
    values, vectors = np.linalg.eigh(np.corrcoef(expected.T))
    cosines = np.abs((found.leading(3).numpy() * vectors[:, :-4:-1].T).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-4)
    assert values[-3] - values[-4] > 0.1  # the directions are told apart


def test_planted_directions_are_found_among_many_signals():
    """Six sources in 300 signals under noise: 18 probes hold what the sources span, later subjects included."""
    subjects, _ = subjects_from(sparse_maps(6, 300, 25, 3), [70, 90, 60, 80, 75, 100, 65], 0.3, 5)
    expected = within(subjects)
    _, _, vectors = np.linalg.svd(expected / expected.std(axis=0), full_matrices=False)
    overlap = np.linalg.svd(sketched(subjects, 6).leading(6).numpy() @ vectors[:6].T, compute_uv=False)
    assert overlap.min() > 0.999


def test_probes_of_other_text_serve_and_are_left_as_they_are():
    """The same six sources in other subjects, looked at with the probes of the first: what these span is found."""
    maps = sparse_maps(6, 300, 25, 3)
    first, other = (subjects_from(maps, [70, 90, 60, 80, 75], 0.3, seed)[0] for seed in (5, 6))
    begun = filled(first, 6)
    before = begun.result().root_PN
    expected = within(other)
    _, _, vectors = np.linalg.svd(expected / expected.std(axis=0), full_matrices=False)
    found = sketched(other, 6, probes=begun.probes)
    assert np.linalg.svd(found.leading(6).numpy() @ vectors[:6].T, compute_uv=False).min() > 0.999
    np.testing.assert_allclose(found.spread_N.numpy(), expected.std(axis=0), rtol=1e-5)
    assert torch.equal(begun.result().root_PN, before)


def test_a_constant_signal_and_one_that_wakes_up_late():
    generator = torch.Generator().manual_seed(8)
    subjects = [torch.randn(40, 9, generator=generator) for _ in range(HELD_SUBJECTS + 2)]
    for i, subject in enumerate(subjects):
        subject[:, 2] = 5.0
        subject[:, 6] *= 0.02 if i < HELD_SUBJECTS else 20.0
    found = sketched(subjects, 4)
    assert (found.root_PN[:, 2] == 0).all() and found.spread_N[2] == 0
    expected = np.delete(within(subjects), 2, axis=1)
    others = np.delete((found.root_PN.T @ found.root_PN).numpy(), 2, axis=0)
    np.testing.assert_allclose(np.delete(others, 2, axis=1), np.corrcoef(expected.T), atol=1e-4)


def test_same_seed_same_bits_and_subjects_stay_as_they_are():
    subjects = [torch.randn(20, 50, generator=torch.Generator().manual_seed(i)) for i in range(6)]
    before = [s.clone() for s in subjects]
    first, again, other = (sketched(subjects, 4, seed).root_PN for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert all(torch.equal(a, b) for a, b in zip(subjects, before, strict=True))


def test_more_components_than_the_text_holds_is_a_sentence():
    with pytest.raises(RequestError, match="at most 6 components and 7 were asked for"):
        sketched([torch.randn(4, 50, generator=torch.Generator().manual_seed(i)) for i in range(2)], 7).leading(7)
    with pytest.raises(RequestError, match="at most 0 components"):
        sketched([torch.ones(12, 10)] * 9, 3).leading(3)
