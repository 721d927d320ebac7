"""Neurons in the plane: who is drawn, whose they are, and that planted groups stand apart."""

from dataclasses import replace

import numpy as np
import pytest
from support.atlases import hand_atlas

from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.neuron_map import WAYS, neuron_map


def planted(networks: int = 3, each: int = 60) -> Atlas:
    """Every network owns neurons of its own, in two layers of unequal width; noise elsewhere."""
    rng = np.random.default_rng(0)
    maps = rng.normal(0, 0.3, (networks, networks * each + 40)).astype(np.float32)
    for network in range(networks):
        maps[network, network * each : (network + 1) * each] += 6.0
    widths = (50, networks * each - 10)
    course = tuple(np.zeros((4, networks), dtype=np.float32) for _ in range(2))
    return replace(
        hand_atlas(),
        widths_L=widths,
        maps=(maps,),
        courses=course,
        labels=tuple("abc"[:networks]),
        variance_K=np.ones(networks),
        stability_K=np.ones(networks),
        recurrence_SK=np.ones((2, networks)),
    )


def test_neurons_by_hand():
    found = neuron_map(hand_atlas(), 0, 2.9)
    assert found.of == len(found) == 6
    at = {(int(layer), int(neuron)): (int(owner), float(z)) for layer, neuron, owner, z in zip(
        found.layer_N, found.neuron_N, found.owner_N, found.z_N, strict=True
    )}  # fmt: skip
    assert at[(2, 4)] == (0, 9.0) and at[(1, 5)] == (1, -8.0) and at[(0, 3)] == (0, -3.5)
    assert (1, 1) in at and at[(1, 1)][0] == 1  # 3.0 in one network, 4.0 in another


def test_places_are_the_principal_components_of_the_drawn_neurons():
    found = neuron_map(planted(), 0, 3.0)
    z_NK = planted().maps[0][:, :180].T.astype(float)
    centred = z_NK - z_NK.mean(axis=0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ directions[:2].T
    np.testing.assert_allclose(np.abs(found.place_N2), np.abs(expected), atol=1e-6)
    np.testing.assert_allclose(found.explained, (singular**2 / (singular**2).sum())[:2], rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_planted_groups_stand_apart(way):
    found = neuron_map(planted(), 0, 3.0, way)
    assert len(found) == 180 and np.isfinite(found.place_N2).all()
    centres = np.stack([found.place_N2[found.owner_N == k].mean(axis=0) for k in range(3)])
    nearest = np.linalg.norm(found.place_N2[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == found.owner_N).mean() > 0.95


def test_a_sample_is_drawn_from_all_and_is_the_same_again():
    atlas = planted()
    some, again = (neuron_map(atlas, 0, 3.0, most=50) for _ in range(2))
    assert len(some) == 50 and some.of == 180
    np.testing.assert_array_equal(some.place_N2, again.place_N2)
    assert len(set(zip(some.layer_N.tolist(), some.neuron_N.tolist(), strict=True))) == 50
    assert (neuron_map(atlas, 0, 3.0, most=50, seed=1).neuron_N != some.neuron_N).any()


def test_networks_of_one_layer_place_its_neurons():
    atlas = hand_atlas("layer")
    with pytest.raises(RequestError, match="2 of the neurons have"):
        neuron_map(atlas, 2, 3.0)
    found = neuron_map(atlas, 2, 0.4)
    assert set(found.layer_N.tolist()) == {2} and set(found.owner_N.tolist()) == {2} and len(found) == 5
    assert sum(found.explained) <= 1.0 + 1e-9
    with pytest.raises(RequestError, match="There is no way 'umap'"):
        neuron_map(atlas, 2, 0.4, "umap")
