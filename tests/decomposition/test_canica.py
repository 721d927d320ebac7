"""CanICA on planted networks, and its parts against direct formulas."""

import numpy as np
import pytest
import torch
from sklearn.cluster import AgglomerativeClustering
from support.planted import matched_correlation, sparse_maps, subjects_from

from fnet_core.choices import CONTRASTS
from fnet_core.decomposition.canica import (
    GroupBasis,
    _varies,
    canica,
    cluster_restarts,
    leading_directions,
    oriented_z,
    standardize,
)
from fnet_core.decomposition.ica import decorrelate
from fnet_core.decomposition.projection import untangled
from fnet_core.errors import RequestError

TOKENS = [461, 383, 574, 397, 468]
NEURONS, NETWORKS = 2300, 6


@pytest.fixture(scope="module")
def planted():
    maps = sparse_maps(NETWORKS, NEURONS, active=200, seed=5)
    subjects, courses = subjects_from(maps, TOKENS, noise=1.0, seed=6)
    return maps, subjects, courses


def z_scored_truth(maps, subjects, courses):
    """What is recoverable: the maps after each neuron is divided by its spread, averaged over subjects."""
    spread = torch.stack([s.double().std(dim=0, correction=0) for s in subjects]).mean(dim=0)
    return maps / spread


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_every_planted_map_and_time_course_is_recovered(planted, contrast):
    _, subjects, courses = planted
    (found,) = canica(subjects, [NEURONS], NETWORKS, contrast=contrast, seed=1)
    r, rows, columns = matched_correlation(found.maps_KN, z_scored_truth(*planted))
    assert r.min() > 0.99
    assert found.converged == 1.0
    assert found.stability_K.min() > 0.9
    for course, truth in zip(found.time_courses, courses, strict=True):
        for row, column in zip(rows, columns, strict=True):
            assert abs(np.corrcoef(course[:, row], truth[:, column])[0, 1]) > 0.99


def test_one_passage_alone_gives_its_strongest_networks(planted):
    maps, subjects, _ = planted
    (found,) = canica(subjects[2:3], [NEURONS], NETWORKS)
    r, _, _ = matched_correlation(found.maps_KN, maps / subjects[2].double().std(dim=0, correction=0))
    assert r.min() > 0.9


def test_networks_are_signed_ordered_and_z_scored(planted):
    (found,) = canica(planted[1], [NEURONS], NETWORKS)
    maps = found.maps_KN.double()
    torch.testing.assert_close(maps.mean(dim=1), torch.zeros(NETWORKS).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.std(dim=1, correction=0), torch.ones(NETWORKS).double(), atol=1e-5, rtol=0)
    assert (maps.pow(3).sum(dim=1) > 0).all()
    assert (found.variance_K.diff() <= 0).all()


def test_variance_is_that_of_the_rank_one_reconstruction(planted):
    _, subjects, _ = planted
    (found,) = canica(subjects, [NEURONS], NETWORKS)
    total, carried = 0.0, np.zeros(NETWORKS)
    for subject, course in zip(subjects, found.time_courses, strict=True):
        z = standardize(subject).double()
        total += float(z.square().sum())
        for k in range(NETWORKS):
            carried[k] += float(torch.outer(course[:, k], found.maps_KN[k]).double().square().sum())
    np.testing.assert_allclose(found.variance_K, carried / total, rtol=2e-3)
    assert 0.1 < found.variance_K.sum() < 1.01


def test_same_seed_same_bits_and_input_untouched(planted):
    _, subjects, _ = planted
    before = [s.clone() for s in subjects]
    first, second = (canica(iter(subjects), [NEURONS], NETWORKS, seed=4)[0] for _ in range(2))
    assert torch.equal(first.maps_KN, second.maps_KN)
    assert all(torch.equal(a, b) for a, b in zip(first.time_courses, second.time_courses, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, subjects, strict=True))


def test_two_seeds_find_the_same_networks(planted):
    first, second = (canica(planted[1], [NEURONS], NETWORKS, seed=s)[0] for s in (0, 1))
    assert matched_correlation(first.maps_KN, second.maps_KN)[0].min() > 0.99


def test_blocks_are_decomposed_on_their_own(planted):
    _, subjects, _ = planted
    widths = [1000, 1300]
    both = canica(subjects, widths, 4, seed=2)
    alone = canica([s[:, 1000:] for s in subjects], [1300], 4, seed=2)[0]
    assert [tuple(n.maps_KN.shape) for n in both] == [(4, 1000), (4, 1300)]
    assert matched_correlation(both[1].maps_KN, alone.maps_KN)[0].min() > 0.999


def test_a_constant_neuron_belongs_to_no_network(planted):
    subjects = [s.clone() for s in planted[1]]
    for s in subjects:
        s[:, 7] = 2.5
    (found,) = canica(subjects, [NEURONS], NETWORKS)
    assert found.maps_KN[:, 7].abs().max() < 0.3
    assert torch.isfinite(found.maps_KN).all()


def test_more_components_than_directions_is_refused():
    subjects = [torch.randn(4, 50, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    with pytest.raises(RequestError, match="at most 6 components"):
        canica(subjects, [50], 7)


def test_a_repeated_passage_adds_no_directions():
    subject = torch.randn(20, 900, generator=torch.Generator().manual_seed(4))
    with pytest.raises(RequestError, match="at most 19 components"):
        canica([subject, subject.clone()], [900], 20)


def test_standardize_against_numpy():
    x = torch.randn(31, 9, generator=torch.Generator().manual_seed(0)) * 5 + 100
    x[:, 4] = -3.0
    expected = (x.numpy() - x.numpy().mean(0)) / np.where(np.arange(9) == 4, np.inf, x.numpy().std(0))
    np.testing.assert_allclose(standardize(x).numpy(), expected, atol=2e-4)
    assert (standardize(x)[:, 4] == 0).all()


@pytest.mark.parametrize("shape", [(20, 70), (70, 20)])
def test_leading_directions_are_the_right_singular_vectors(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    directions = leading_directions(matrix, 5)
    _, _, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    cosine = (directions.double() * vh[:5]).sum(dim=1).abs()
    torch.testing.assert_close(cosine, torch.ones(5).double(), atol=1e-5, rtol=0)


def test_the_merged_basis_is_that_of_all_directions_stacked_while_nothing_was_dropped():
    generator = torch.Generator().manual_seed(9)
    subjects = [standardize(torch.randn(12, 90, generator=generator)) for _ in range(2)]
    basis = GroupBasis(5, 90, torch.device("cpu"))
    for z in subjects:
        basis.add(z)
    stacked = torch.cat([leading_directions(z, 10) for z in subjects])
    expected = leading_directions(stacked, 5)
    overlap = torch.linalg.svdvals(basis.result() @ expected.T)
    torch.testing.assert_close(overlap, torch.ones(5), atol=1e-4, rtol=0)


def test_a_sketch_that_dropped_directions_keeps_those_that_subjects_share():
    """Sixteen subjects have 160 directions, the sketch keeps 20: the five shared ones are those of the exact stack."""
    generator = torch.Generator().manual_seed(8)
    shared = torch.randn(5, 400, generator=generator)
    basis, stacked = GroupBasis(5, 400, torch.device("cpu")), []
    for _ in range(16):
        noise = torch.randn(40, 400, generator=generator)
        z = standardize(4 * torch.randn(40, 5, generator=generator) @ shared + noise)
        basis.add(z)
        stacked.append(leading_directions(z, 10))
    expected = leading_directions(torch.cat(stacked), 5)
    assert torch.linalg.svdvals(basis.result() @ expected.T).min() > 0.999


def test_a_network_found_by_every_restart_is_stable_and_a_random_one_is_not():
    generator = torch.Generator().manual_seed(3)
    restarts, components = 8, 6
    fixed = torch.eye(components, dtype=torch.float64)[:3]
    runs = []
    for _ in range(restarts):
        free = torch.zeros(3, components, dtype=torch.float64)
        free[:, 3:] = decorrelate(torch.randn(3, 3, generator=generator, dtype=torch.float64))
        runs.append(torch.cat([fixed, free])[torch.randperm(components, generator=generator)])
    chosen, stability = cluster_restarts(torch.stack(runs))
    stable = stability > 0.99
    assert stable.sum() == 3
    assert sorted(chosen[stable].abs().argmax(dim=1).tolist()) == [0, 1, 2]
    assert stability[~stable].max() < 0.9


def test_restarts_are_clustered_as_scikit_learn_does():
    generator = torch.Generator().manual_seed(4)
    rows = decorrelate(torch.randn(6, 7, 7, generator=generator, dtype=torch.float64))
    chosen, stability = cluster_restarts(rows)
    similarity = (rows.flatten(0, 1) @ rows.flatten(0, 1).T).abs().clamp(max=1)
    peer = AgglomerativeClustering(7, metric="precomputed", linkage="average").fit_predict((1 - similarity).numpy())
    within = [float(similarity[peer == label][:, peer == label].mean()) for label in range(7)]
    between = [float(similarity[peer == label][:, peer != label].mean()) for label in range(7)]
    expected = [inside - outside for inside, outside in zip(within, between, strict=True)]
    assert sorted(stability.tolist()) == pytest.approx(sorted(expected))
    found = [int((chosen[k] == rows.flatten(0, 1)).all(dim=1).nonzero()[0]) for k in range(7)]
    assert sorted(peer[found]) == list(range(7))


def test_one_restart_is_kept_as_it_is():
    rows = torch.randn(1, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rows /= rows.norm(dim=-1, keepdim=True)
    chosen, stability = cluster_restarts(rows)
    assert torch.equal(chosen, rows[0])
    similarity = (rows[0] @ rows[0].T).abs()
    expected = [1 - float(similarity[k][torch.arange(5) != k].mean()) for k in range(5)]
    assert stability.tolist() == pytest.approx(expected)


def test_stability_index_by_hand():
    """Two restarts of two networks: one repeated exactly, one turned by 60 degrees into a third dimension."""
    a = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], dtype=torch.float64)
    turn = torch.tensor([[0, 0.5, 3**0.5 / 2], [0, -(3**0.5) / 2, 0.5]], dtype=torch.float64)
    b = torch.cat([a[:1], turn])
    _, stability = cluster_restarts(torch.stack([a, b]))
    half, rest = 0.5, 3**0.5 / 2
    pair = (1 + 1 + 2 * rest) / 4 - 2 * half / 8
    assert sorted(stability.tolist()) == pytest.approx(sorted([1.0, pair, pair]))


def test_orientation():
    maps = torch.tensor([[-5.0, 1, 1, 1, 1, 1], [5, -1, -1, -1, -1, -1]])
    z = oriented_z(maps)
    assert (z[:, 0] > 0).all()
    torch.testing.assert_close(z[0], z[1])


@pytest.mark.parametrize(("tokens", "networks"), [((40,), 30), ((40,), 36), ((20,) * 4, 38), ((20,) * 4, 72)])
def test_shares_of_variance_sum_to_what_the_maps_explain_when_networks_are_as_many_as_tokens(tokens, networks):
    planted = sparse_maps(6, 600, active=40, seed=0)
    subjects, _ = subjects_from(planted, list(tokens), noise=0.3, seed=1)
    (found,) = canica(subjects, [600], networks)
    together, everything = 0.0, 0.0
    span = torch.linalg.qr(found.maps_KN.double().T).Q
    for subject, share_K, course in zip(subjects, found.recurrence_SK, found.time_courses, strict=True):
        z = standardize(subject).double()
        explained = (z @ span).square().sum()
        assert float(share_K.sum()) == pytest.approx(float(explained / z.square().sum()), rel=1e-3)
        carried = course.double().square().sum(dim=0) * found.maps_KN.double().square().sum(dim=1)
        torch.testing.assert_close(carried / z.square().sum(), share_K.double(), rtol=1e-3, atol=1e-6)
        together, everything = together + float(explained), everything + float(z.square().sum())
    assert float(found.variance_K.sum()) == pytest.approx(together / everything, rel=1e-3)
    assert found.variance_K.min() >= 0 and found.variance_K.sum() <= 1.001


def test_maps_that_do_not_overlap_keep_the_courses_they_have():
    maps = torch.zeros(2, 6)
    maps[0, :3], maps[1, 3:] = 2.0, -1.0
    course = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(untangled([course], maps)[0], course)


def test_a_neuron_that_is_at_its_mean_at_the_first_token_still_varies():
    z = standardize(torch.tensor([[2.0, 5.0, 1.0], [1.0, 5.0, 2.0], [3.0, 5.0, 3.0]]))
    assert z[0, 0] == 0 and int(_varies(z).sum()) == 2


def test_halves_of_one_reading_are_the_bits_of_each_half_alone(planted):
    _, subjects, _ = planted
    (found,) = canica(subjects, [NEURONS], NETWORKS, seed=1, restarts=3, halves=True)
    (without,) = canica(subjects, [NEURONS], NETWORKS, seed=1, restarts=3)
    assert torch.equal(found.maps_KN, without.maps_KN) and without.halves is None
    for half, maps_KN in enumerate(found.halves):
        (alone,) = canica(subjects[half::2], [NEURONS], NETWORKS, seed=1, restarts=3)
        assert sorted(row.tobytes() for row in maps_KN.numpy()) == sorted(
            row.tobytes() for row in alone.maps_KN.numpy()
        )


def test_a_half_with_too_few_directions_leaves_the_whole_as_it_is():
    subjects = [torch.randn(4, 50, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    (found,) = canica(subjects, [50], 5, restarts=2, halves=True)
    assert found.halves is None and len(found.maps_KN) == 5
