"""Territories: areas that equal the counts, neurons that stand with their owner, neighbours that are alike."""

from dataclasses import replace

import numpy as np
import pytest
from support.atlases import WIDTHS, hand_atlas

from fnet_core.networks.territories import Run, territories


@pytest.mark.parametrize("scope", ["model", "layer"])
@pytest.mark.parametrize("threshold", [1.0, 3.0, 3.2, 20.0])
def test_areas_are_the_counts_of_the_parcellation(scope, threshold):
    atlas = hand_atlas(scope)
    owner_LN = atlas.parcellation(threshold)
    found = territories(atlas, threshold)
    for layer, runs in enumerate(found.runs):
        for run in runs:
            assert run.core == (owner_LN[layer] == run.network).sum()
        assert sum(run.core + run.rim for run in runs) == WIDTHS[layer]
        assert len({run.network for run in runs}) == len(runs)


def test_every_neuron_stands_once_with_its_owner_the_strongest_first():
    atlas = hand_atlas()
    found = territories(atlas, 3.0)
    for layer, runs in enumerate(found.runs):
        assert sorted(found.neurons[layer]) == list(range(WIDTHS[layer]))
        assert found.owners[layer].tolist() == [run.network for run in runs for _ in range(run.core + run.rim)]
        at = 0
        for run in runs:
            size_N = np.abs(found.z[layer][at : at + run.core + run.rim])
            assert (np.diff(size_N) <= 0).all()
            assert (size_N > 3.0).sum() == run.core
            at += run.core + run.rim
    for network in range(3):
        for layer, z_N in atlas.map_rows(network).items():
            mine = found.owners[layer] == network
            np.testing.assert_array_equal(found.z[layer][mine], z_N[found.neurons[layer][mine]])


def test_counted_by_hand():
    found = territories(hand_atlas(), 3.0)
    assert {run.network: run.core for run in found.runs[0]} == {0: 2}
    assert {run.network: run.core for run in found.runs[1]} == {0: 0, 1: 3}
    assert Run(0, 1, 3) in found.runs[2]
    assert found.neurons[0].tolist()[:2] == [0, 3]


def test_key_neurons_that_are_stronger_elsewhere_are_found_where_they_stand():
    atlas = hand_atlas()
    found = territories(atlas, 2.5)
    away = found.elsewhere(atlas, 0)
    # neuron 5 of the model, the second of layer 1, has 3.0 in network 0 and 4.0 in network 1
    assert [places.tolist() for places in away] == [[], [found.neurons[1].tolist().index(1)], []]
    assert [len(places) for places in found.elsewhere(hand_atlas(), 1)] == [0, 0, 0]
    for network in range(3):
        own = sum(run.core for runs in found.runs for run in runs if run.network == network)
        elsewhere = sum(len(places) for places in found.elsewhere(atlas, network))
        assert own + elsewhere == atlas.key_counts(2.5)[network].sum()


def test_networks_that_work_at_the_same_tokens_are_neighbours():
    rng = np.random.default_rng(0)
    base_TK = rng.normal(size=(200, 2))
    # networks 0 and 3 share a time course, 1 and 2 the other
    courses_TK = base_TK[:, [0, 1, 1, 0]] + 0.1 * rng.normal(size=(200, 4))
    maps_KN = rng.normal(size=(4, 15)).astype(np.float32)
    atlas = replace(
        hand_atlas(),
        maps=(maps_KN,),
        courses=(courses_TK.astype(np.float32),),
        offsets=(np.zeros((200, 2), dtype=np.int64),),
        labels=("a", "b", "c", "d"),
    )
    wide = replace(atlas, widths_L=(15,))
    order = [run.network for run in territories(wide, 0.0).runs[0]]
    assert abs(order.index(0) - order.index(3)) == 1
    assert abs(order.index(1) - order.index(2)) == 1
