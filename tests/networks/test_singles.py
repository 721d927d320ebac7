"""The published form of recurrence: masks by hand, chance, planted networks, passages of a model."""

from math import comb

import numpy as np
import pytest
import torch
from support.planted import sparse_maps, subjects_from

from fnet_core import texts
from fnet_core.decomposition.canica import canica, standardize
from fnet_core.errors import RequestError
from fnet_core.models.loading import get_loaded
from fnet_core.networks.finding import find_atlas
from fnet_core.networks.matching import map_correlation
from fnet_core.networks.request import AtlasRequest
from fnet_core.networks.singles import Singles, decomposed, in_singles, overlap_with_chance


def one_block(whole: np.ndarray, single: np.ndarray, widths: tuple[int, ...], draws: int = 20):
    return overlap_with_chance([whole], [single], [range(len(widths))], widths, 3.0, draws, 0)


def test_partners_have_the_largest_overlap_one_to_one():
    whole, single = np.zeros((2, 10)), np.zeros((3, 10))
    whole[0, :4], whole[1, 6:8] = 5, -5
    single[0, 7:9], single[1, 1:5], single[2, :4] = 4, 4, 2
    overlap_K, _ = one_block(whole, single, (10,))
    np.testing.assert_allclose(overlap_K, [3 / 5, 1 / 3])


def test_chance_is_that_of_random_masks_and_stays_within_layers():
    first, second, neurons = 12, 9, 40
    whole, single = np.zeros((1, neurons)), np.zeros((1, neurons))
    whole[0, :first], single[0, :second] = 5, 5
    _, chance_DK = one_block(whole, single, (neurons,), draws=4000)
    ways = [comb(first, both) * comb(neurons - first, second - both) for both in range(second + 1)]
    expected = sum(w * both / (first + second - both) for both, w in enumerate(ways)) / sum(ways)
    assert chance_DK.mean() == pytest.approx(expected, abs=0.004)
    overlap_K, filled_DK = one_block(whole, whole, (first, neurons - first))
    assert overlap_K[0] == 1 and (filled_DK == 1).all()


def test_a_network_is_found_in_the_passages_that_it_was_planted_in():
    maps = sparse_maps(3, 900, 30, seed=1)
    with_third, _ = subjects_from(maps, [150] * 8, noise=1.0, seed=2)
    without, _ = subjects_from(maps[:2], [150] * 8, noise=1.0, seed=2)
    has_third = np.array([i % 4 != 0 for i in range(8)])
    subjects = [a if there else b for there, a, b in zip(has_third, with_third, without, strict=True)]
    (whole,) = canica(subjects, [900], 3, restarts=3)
    planted = map_correlation(maps.numpy(), whole.maps_KN.numpy()).argmax(axis=1)
    found, chance = [], []
    for subject in subjects:
        (alone_KN,) = decomposed(
            [standardize(subject)], {"components": 3, "seed": 0, "restarts": 3, "contrast": "cube"}
        )
        overlap_K, chance_DK = one_block(whole.maps_KN.numpy(), alone_KN, (900,))
        found.append(overlap_K[planted] > 0.2)
        chance.append(chance_DK > 0.2)
    found_SK = np.array(found)
    assert found_SK[:, :2].all() and (found_SK[:, 2] == has_third).all()
    assert np.mean(chance) < 0.02


def test_passages_of_a_model_are_answered_once_and_then_read(monkeypatch, tmp_path):
    loaded = get_loaded("tiny")
    atlas = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:6], components=3, restarts=2)).answer
    found = in_singles(loaded, atlas, 3)
    assert found.passages == tuple(atlas.passages[i].name for i in (0, 2, 4))
    assert found.overlap_SK.shape == (3, 3) and found.table()["passages"].max() <= 3
    assert found.per_passage == found.found_SK.sum() / 3
    monkeypatch.setattr("fnet_core.networks.singles.decomposed", None)
    assert in_singles(loaded, atlas, 3).summary() == found.summary()
    found.save(tmp_path / "s.safetensors")
    assert Singles.load(tmp_path / "s.safetensors").summary() == found.summary()
    with pytest.raises(RequestError, match="7 passages are out of range; there are 6"):
        in_singles(loaded, atlas, 7)


def test_a_passage_with_fewer_directions_than_networks_is_refused():
    with pytest.raises(RequestError, match="allows at most 5 networks and this atlas has 8"):
        decomposed([standardize(torch.randn(6, 50))], {"components": 8, "seed": 0, "restarts": 2, "contrast": "cube"})
