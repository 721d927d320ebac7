"""Connectivity as a graph: its correlations are numpy's, its links those beyond the level."""

from dataclasses import replace

import numpy as np
import pytest
from support.atlases import hand_atlas

from fnet_core.errors import RequestError
from fnet_core.networks import links as linking
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.links import links, telling_level


def random_atlas(networks: int = 12) -> Atlas:
    """Time courses of three passages in which every three networks follow one signal."""
    rng = np.random.default_rng(3)
    courses = []
    for tokens in (80, 120, 60):
        signal = rng.normal(size=(tokens, networks // 3))
        courses.append((signal.repeat(3, axis=1) + rng.normal(size=(tokens, networks))).astype(np.float32))
    return replace(
        hand_atlas(),
        courses=tuple(courses),
        labels=tuple(f"n{k}" for k in range(networks)),
        maps=(np.zeros((networks, 15), dtype=np.float32),),
    )


def test_connectivity_is_the_mean_of_numpys_correlations():
    atlas = random_atlas()
    expected = np.mean([np.corrcoef(course, rowvar=False) for course in atlas.courses], axis=0)
    np.testing.assert_allclose(atlas.connectivity(), expected, atol=1e-6)
    found = links(atlas, 0.3)
    expected = expected[np.ix_(found.order_K, found.order_K)]
    apart = ~np.eye(len(expected), dtype=bool)
    np.testing.assert_allclose(found.r_KK[apart], expected[apart], atol=1e-6)
    assert np.isnan(np.diag(found.r_KK)).all()


def test_links_are_all_pairs_beyond_the_level_the_strongest_first():
    found = links(random_atlas(), 0.3)
    strength = np.abs(np.triu(np.nan_to_num(found.r_KK), 1))
    assert len(found.ends_E2) == (strength >= 0.3).sum() == found.degree_K.sum() / 2
    assert (np.diff(np.abs(found.r_E)) <= 1e-12).all() and np.abs(found.r_E).min() >= 0.3
    groups = found.order_K[found.ends_E2] // 3
    assert (groups[:, 0] == groups[:, 1]).all()  # the planted groups, and no others
    assert [set(found.order_K[i : i + 3] // 3) for i in range(0, 12, 3)] == [
        {found.order_K[i] // 3} for i in (0, 3, 6, 9)
    ]


def test_some_networks_alone_a_level_that_reads_and_the_most_links(monkeypatch):
    atlas = random_atlas()
    assert sorted(links(atlas, 0.0, [0, 1, 5]).order_K) == [0, 1, 5]
    level = telling_level(atlas)
    assert level > 0.1 and len(atlas) <= len(links(atlas, level).ends_E2) <= 2 * len(atlas)
    monkeypatch.setattr(linking, "MOST_LINKS", 5)
    cut = links(atlas, 0.0)
    assert len(cut.ends_E2) == 5 and cut.left_out == 66 - 5
    with pytest.raises(RequestError, match="choose 0 to 1"):
        links(atlas, 1.5)


def test_one_network_has_no_links():
    found = links(hand_atlas(), 0.0, [1])
    assert len(found.ends_E2) == 0 and found.degree_K.tolist() == [0]
    assert telling_level(hand_atlas(), [1]) == 0.0
