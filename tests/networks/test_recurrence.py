"""Recurrence: matching and overlap on hand-made masks, chance on noise, planted networks, halves by request."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest
from support.atlases import hand_atlas
from support.planted import sparse_maps, subjects_from

from fnet_core import texts
from fnet_core.decomposition.canica import canica
from fnet_core.errors import RequestError
from fnet_core.models import loading as models
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import compare_atlases, in_halves
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.networks.halves import recurrence_of, split_half
from fnet_core.networks.known_halves import known_recurrence
from fnet_core.networks.matching import map_correlation, mask_overlap, partners, taken
from fnet_core.networks.recurrence import ARRAYS, Recurrence

RECIPE = {"title": "", "threshold": 3.0, "draws": 20, "seed": 0}


def atlas_of(maps_KN: np.ndarray, widths: tuple[int, ...] | None = None) -> Atlas:
    """An atlas whose only content is its maps."""
    hand = hand_atlas()
    count = len(maps_KN)
    return replace(
        hand,
        maps=(maps_KN.astype(np.float32),),
        widths_L=widths or (maps_KN.shape[1],),
        labels=tuple(f"network {k}" for k in range(count)),
        stability_K=np.ones(count, dtype=np.float32),
        variance_K=np.ones(count, dtype=np.float32),
    )


def test_overlap_counts_neurons():
    a = np.array([[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    b = np.array([[0, 1, 1, 1], [0, 0, 0, 1]], dtype=bool)
    np.testing.assert_allclose(mask_overlap(a, b), [[2 / 4, 0], [0, 0], [1 / 3, 1]])


def test_partners_are_one_to_one_and_the_rest_go_without():
    similarity = np.array([[0.9, 0.8], [0.9, 0.1], [0.2, 0.3]])
    assert partners(similarity).tolist() == [1, 0, -1]
    assert taken(similarity, partners(similarity)).tolist() == [0.8, 0.9, 0.0]


def test_a_constant_map_correlates_with_nothing():
    assert map_correlation(np.ones((1, 5)), np.arange(5.0)[None]).tolist() == [[0.0]]


def test_an_atlas_comes_back_in_itself_in_any_order_and_sign():
    a = hand_atlas()
    turned = replace(a, maps=(-a.maps[0][[2, 0, 1]],), labels=("ij", "abc · def", "gh"))
    found = compare_atlases(a, turned, threshold=1.5, seed=3)
    assert found.partner_K.tolist() == [1, 2, 0]
    np.testing.assert_allclose(found.correlation_K, 1)
    np.testing.assert_allclose(found.overlap_K, 1)


def test_the_chance_overlap_is_that_of_two_random_masks():
    """The expectation of the IoU of two random masks, from the hypergeometric distribution of what they share."""
    neurons, first, second = 40, 12, 9
    maps = np.zeros((2, neurons))
    maps[0, :first], maps[1, :second] = 5, 5
    found = compare_atlases(atlas_of(maps[:1]), atlas_of(maps[1:]), draws=4000)
    ways = [comb(first, both) * comb(neurons - first, second - both) for both in range(second + 1)]
    expected = sum(w * both / (first + second - both) for both, w in enumerate(ways)) / sum(ways)
    assert found.chance_overlap_DK.mean() == pytest.approx(expected, abs=0.004)


def test_independent_noise_stays_at_chance():
    rng = np.random.default_rng(0)
    found = compare_atlases(atlas_of(rng.laplace(size=(6, 900))), atlas_of(rng.laplace(size=(6, 900))), draws=200)
    assert found.recurring() == 0
    assert abs(found.correlation_K.mean() - found.chance_correlation_DK.mean()) < 0.02
    assert found.correlation_K.max() < 1.3 * found.correlation_level


def test_the_chance_correlation_is_that_of_independent_normal_maps():
    """The mean abs(r) of two independent maps over N neurons is the square root of 2 / (pi (N - 1)), nearly."""
    maps = np.random.default_rng(1).normal(size=(2, 500))
    found = compare_atlases(atlas_of(maps[:1]), atlas_of(maps[1:]), draws=2000)
    assert found.chance_correlation_DK.mean() == pytest.approx((2 / np.pi / 499) ** 0.5, rel=0.05)


def test_shuffles_stay_within_layers():
    """A network that fills one of two layers overlaps with its like wholly, in every shuffle."""
    maps = np.zeros((1, 20))
    maps[0, :5] = 5
    found = compare_atlases(atlas_of(maps, (5, 15)), atlas_of(maps, (5, 15)), draws=5)
    np.testing.assert_allclose(found.chance_overlap_DK, 1)
    assert found.recurring() == 0


def test_layer_scope_against_model_scope():
    layers = hand_atlas("layer")
    spread = np.zeros((3, 15), dtype=np.float32)
    spread[0, :4], spread[1, 4:10], spread[2, 10:] = (block[0] for block in layers.maps)
    found = compare_atlases(layers, replace(hand_atlas(), maps=(spread,)), threshold=1.0)
    np.testing.assert_allclose(found.correlation_K[1:], 1)


def test_planted_networks_come_back_and_one_that_lives_in_one_half_does_not():
    """Two of three networks are in all twelve subjects, the third in every second one."""
    maps = sparse_maps(3, 300, 20, seed=1)
    subjects, _ = subjects_from(maps, [120] * 12, noise=1.0, seed=2)
    without, _ = subjects_from(maps[:2], [120] * 12, noise=1.0, seed=2)
    group = [
        with_third if i % 2 == 0 else rest for i, (with_third, rest) in enumerate(zip(subjects, without, strict=True))
    ]

    def found_on(part):
        (networks,) = canica(part, [300], 3, seed=0, restarts=5)
        return atlas_of(networks.maps_KN.numpy())

    whole = found_on(group)
    found = in_halves(whole, (found_on(group[0::2]).maps, found_on(group[1::2]).maps), RECIPE)
    planted = map_correlation(maps.numpy(), whole.maps[0])
    twice, once = planted[:2].argmax(axis=1), planted[2].argmax()
    assert found.correlation_K[twice].min() > 0.9 and found.overlap_K[twice].min() > 0.5
    assert planted.max(axis=1).min() > 0.9 and len({*twice, once}) == 3
    assert found.correlation_K[once] < 0.5 and found.overlap_K[once] < 0.2
    assert found.recurring() == 2 and found.trusted_K.sum() == 2 and not found.trusted_K[once]


def test_what_cannot_be_compared_says_which_shape_differs():
    a = hand_atlas()
    with pytest.raises(RequestError, match=r"has 3 layers and .* has 1"):
        compare_atlases(a, atlas_of(np.ones((2, 15))))
    with pytest.raises(RequestError, match=r"Layer 1 has 6 neurons in .* and 5 in"):
        compare_atlases(a, replace(a, widths_L=(4, 5, 6)))


def test_halves_are_answered_once_and_then_read(monkeypatch, tmp_path):
    request = AtlasRequest("tiny", texts.bundled("find")[:8], components=4, restarts=3)
    whole, found = split_half(request)
    assert len(found) == 4 and ((found.correlation_K >= 0) & (found.correlation_K <= 1)).all()
    monkeypatch.setattr("fnet_core.networks.halves.compute_atlas", None)
    _, again = split_half(request)
    assert again.summary() == found.summary() == known_recurrence(whole).summary()
    assert known_recurrence(whole, threshold=2.5) is None
    found.save(tmp_path / "r.safetensors")
    assert Recurrence.load(tmp_path / "r.safetensors").summary() == found.summary()


def test_three_passages_are_too_few_to_split():
    with pytest.raises(RequestError, match="3 passages are too few to split"):
        split_half(AtlasRequest("tiny", texts.bundled("find")[:3], components=4))


def test_progress_of_the_three_atlases_runs_forward():
    """At another threshold than the atlas was found with, its halves are read again."""
    seen = []
    split_half(
        AtlasRequest("tiny", texts.bundled("find")[:7], components=4, restarts=3), 2.0, lambda s, f: seen.append(s)
    )
    order = [stage.partition(": ")[0] if ": " in stage else "" for stage in seen]
    assert [part for i, part in enumerate(order) if i == 0 or order[i - 1] != part] == ["", "first half", "second half"]


def test_recurring_networks_and_those_by_chance_are_counted_at_one_bar():
    """Masks that fill most of a layer overlap widely however they are shuffled."""
    rng = np.random.default_rng(0)
    found = compare_atlases(atlas_of(rng.normal(size=(4, 300))), atlas_of(rng.normal(size=(4, 300))), threshold=0.1)
    assert found.bar() == found.overlap_level > 0.5
    assert found.recurring() <= 1 and found.recurring_by_chance() <= 0.2


def planted_group(present: list[bool]) -> tuple[np.ndarray, list]:
    """Three planted maps, and subjects: two networks are in all of them, the third where it is present."""
    maps = sparse_maps(3, 300, 20, seed=1)
    with_third, _ = subjects_from(maps, [120] * len(present), noise=1.0, seed=2)
    without, _ = subjects_from(maps[:2], [120] * len(present), noise=1.0, seed=2)
    return maps.numpy(), [a if there else b for there, a, b in zip(present, with_third, without, strict=True)]


def found_in_halves(group: list) -> tuple[Atlas, Recurrence]:
    """The atlas of a group, and the recurrence of its networks in both halves, from one reading."""
    (networks,) = canica(group, [300], 3, seed=0, restarts=5, halves=True)
    whole = atlas_of(networks.maps_KN.numpy())
    return whole, in_halves(whole, tuple((half.numpy(),) for half in networks.halves), RECIPE)


@pytest.mark.parametrize(
    ("passages", "found_in_all", "recurs"),
    [
        (range(12), True, True),  # everywhere
        ((0, 1, 4, 5, 8, 9), True, True),  # half of the passages, in both halves
        ((1, 3, 5, 7, 9), True, False),  # five passages of one half
        ((3,), False, False),  # a single passage
    ],
)
def test_a_network_recurs_as_it_was_planted_and_one_of_a_single_passage_is_not_trusted(passages, found_in_all, recurs):
    maps, group = planted_group([i in passages for i in range(12)])
    whole, found = found_in_halves(group)
    alike = map_correlation(maps, whole.maps[0])
    (network,) = {0, 1, 2} - {*alike[:2].argmax(axis=1)}
    assert (alike[2, network] > 0.9) == found_in_all
    assert found.correlation_K[network] > 0.9 if recurs else found.correlation_K[network] < 0.3
    assert found.trusted_K[network] == recurs and found.trusted_K.sum() == 2 + recurs


@pytest.mark.parametrize("scope", ["model", "layer"])
def test_halves_of_one_reading_are_those_of_reading_each_half_anew(scope):
    request = AtlasRequest("tiny", texts.bundled("find")[:7], components=3, restarts=3, scope=scope)
    atlas = find_atlas(request).answer
    anew = recurrence_of(models.get_loaded("tiny"), replace(atlas, halves=None))
    assert anew.recipe == atlas.halves.recipe
    for name in ARRAYS[1:]:  # the first is what a partner is called in its half
        array = anew.arrays[name]
        np.testing.assert_array_equal(array, atlas.halves.arrays[name])


def test_a_network_without_key_neurons_in_common_is_not_trusted():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=500)
    maps = np.stack([shared + 0.2 * rng.normal(size=500) for _ in range(2)])
    found = compare_atlases(atlas_of(maps[:1]), atlas_of(maps[1:]), threshold=9.0)
    assert found.correlation_K[0] > 0.9 and found.overlap_K[0] == 0 and not found.trusted_K[0]
    assert compare_atlases(atlas_of(maps[:1]), atlas_of(maps[1:]), threshold=1.0).trusted_K[0]
