"""The vector of a fingerprint: inner products are those of the kernels, and relatives are the nearest."""

import numpy as np
import pytest
from support.fingerprints import hand_fingerprint, waves
from support.kin import members

from fnet_core.errors import RequestError
from fnet_core.lineage.nearest import Vectors, vector_of
from fnet_core.lineage.spearman import unexplained, unit_ranks
from fnet_core.lineage.surface import surface_directions


def kernels(found):
    """Each passage's places by places, written out."""
    surface = surface_directions(tuple(passage.text for passage in found.passages))
    units = [unexplained(unit_ranks(found.grid_signals(p).astype(float)), surface[p]) for p in range(len(surface))]
    return [unit_KG.T @ unit_KG for unit_KG in units]


def test_inner_products_are_those_of_the_kernels():
    a, b = (hand_fingerprint(waves(10, seed=seed), f"m{seed}") for seed in (0, 1))
    exact = {}
    for name, (x, y) in {"ab": (a, b), "aa": (a, a), "bb": (b, b)}.items():
        exact[name] = sum((p * q).sum() for p, q in zip(kernels(x), kernels(y), strict=True))
    cosine = exact["ab"] / np.sqrt(exact["aa"] * exact["bb"])
    assert vector_of(a, 20_000) @ vector_of(b, 20_000) == pytest.approx(cosine, abs=0.03)
    assert np.linalg.norm(vector_of(a)) == pytest.approx(1) and vector_of(a).shape == (1024,)
    assert vector_of(a) @ vector_of(a.called("another name")) == pytest.approx(1)


def test_relatives_are_the_nearest():
    fingerprints = members()
    names = [each.model.name for each in fingerprints]
    vectors_FD = np.stack([vector_of(each) for each in fingerprints])
    at, likeness = Vectors.of(names, vectors_FD).nearest(vectors_FD, 5)
    assert at[:, 0].tolist() == list(range(12)) and likeness[:, 0] == pytest.approx(np.ones(12))
    for row in at:
        kin = {name for name in names if name[:3] == names[row[0]][:3]}
        assert {names[place] for place in row[: len(kin)]} == kin
    assert (np.diff(likeness, axis=1) <= 0).all()


def test_silence_is_near_to_nothing():
    with pytest.raises(RequestError, match="gives a signal, so nothing is near it"):
        vector_of(hand_fingerprint([np.zeros_like(each) for each in waves(10)]))
