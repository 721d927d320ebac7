"""The atlas: counts by hand, files that come back whole, damage that is noticed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.atlases import WIDTHS, hand_atlas

from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.recurrence import Recurrence
from fnet_core.storage import artifacts


def test_key_counts_by_hand_and_strictly_above_the_threshold():
    atlas = hand_atlas()
    assert atlas.key_counts(3.0).tolist() == [[2, 0, 1], [0, 3, 0], [0, 0, 0]]
    assert atlas.key_counts(2.9).tolist() == [[2, 1, 1], [0, 3, 0], [0, 0, 0]]
    assert hand_atlas("layer").key_counts(3.0).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 2]]


def test_table_by_hand():
    table = hand_atlas().table(3.0)
    assert table["key_neurons"].tolist() == [3, 3, 0]
    assert table["layers"].tolist() == [2, 1, 0]
    assert table["first_layer"].tolist() == [0, 1, -1]
    assert table["last_layer"].tolist() == [2, 1, -1]
    assert table["label"].tolist() == ["abc · def", "gh", "ij"]


def test_key_neurons_are_named_by_layer_and_sorted_by_strength():
    rows = hand_atlas().key_neurons(0, 2.9)
    assert rows[["layer", "neuron"]].to_numpy().tolist() == [[2, 4], [0, 0], [0, 3], [1, 1]]
    assert rows["z"].tolist() == [9.0, 5.0, -3.5, 3.0]
    layer_rows = hand_atlas("layer").key_neurons(2, 3.0)
    assert layer_rows[["layer", "neuron", "z"]].to_numpy().tolist() == [[2, 0, 6.0], [2, 1, 3.5]]
    assert len(hand_atlas().all_key_neurons(3.0)) == 6


def test_the_grid_puts_each_neuron_in_its_layer_and_nothing_beyond_its_width():
    grid = hand_atlas().map_grid(1)
    assert grid.shape == (3, 6)
    assert grid[1].tolist() == pytest.approx([3.1, 4.0, 0, 0, 0, -8.0])
    assert np.isnan(grid[0, 4:]).all() and np.isnan(grid[2, 5]) and not np.isnan(grid[2, :5]).any()
    assert np.isnan(hand_atlas("layer").map_grid(0)[1:]).all()


def test_parcellation_gives_a_neuron_to_its_strongest_network():
    grid = hand_atlas().parcellation(2.5)
    assert grid[1].tolist() == [1, 1, -1, -1, -1, 1]
    assert grid[0].tolist() == [0, -1, -1, 0, -1, -1]
    assert hand_atlas("layer").parcellation(3.0)[2].tolist() == [2, 2, -1, -1, -1, -1]


def test_counts_are_made_once_for_a_threshold_and_nobody_can_change_them(monkeypatch):
    atlas = hand_atlas()
    first = atlas.key_counts(3.0)
    counted: list[float] = []
    count = Atlas._count
    monkeypatch.setattr(Atlas, "_count", lambda self, at: counted.append(at) or count(self, at))
    first[:] = 99
    assert atlas.key_counts(3.0).sum() == 6 and counted == []
    for threshold in np.arange(1.0, 2.0, 0.1):
        atlas.key_counts(float(threshold))
    assert len(counted) == 10 and len(atlas._counted) <= 8
    assert atlas.key_counts(3.0).sum() == 6 and counted[-1] == 3.0


def test_connectivity_by_hand():
    connectivity = hand_atlas().connectivity()
    first = np.corrcoef(hand_atlas().courses[0][:, 0], hand_atlas().courses[0][:, 1])[0, 1]
    assert connectivity[0, 1] == pytest.approx((first + 1.0) / 2)
    assert connectivity[0, 2] == pytest.approx(1.0)  # constant in the first passage, so the second alone counts
    assert np.allclose(np.diag(connectivity), 1)


def test_an_unknown_network_is_refused():
    for call in (hand_atlas().map_grid, hand_atlas().layers_of, lambda k: hand_atlas().key_neurons(k, 3)):
        with pytest.raises(RequestError, match=r"no network 3; this atlas of hand-made has 0 to 2"):
            call(3)
        with pytest.raises(RequestError, match="no network -1"):
            call(-1)


@pytest.mark.parametrize("scope", ["model", "layer"])
def test_a_saved_atlas_comes_back_whole(tmp_path, scope):
    atlas = hand_atlas(scope)
    atlas.save(tmp_path / "a.safetensors")
    back = Atlas.load(tmp_path / "a.safetensors")
    assert back.summary(3.0) == atlas.summary(3.0)
    assert back.key == atlas.key and back.passages == atlas.passages and back.widths_L == WIDTHS
    for name in ("maps", "courses", "offsets"):
        for a, b in zip(getattr(atlas, name), getattr(back, name), strict=True):
            assert np.array_equal(a, b) and a.dtype == b.dtype
    assert np.array_equal(back.recurrence_SK, atlas.recurrence_SK)


def test_many_passages_come_back_in_order(tmp_path):
    atlas = hand_atlas()
    courses = tuple(np.full((2, 3), i, dtype=np.float32) for i in range(12))
    shares_SK, passages = np.repeat(atlas.recurrence_SK[:1], 12, axis=0), (atlas.passages[1],) * 12
    many = replace(atlas, courses=courses, offsets=(atlas.offsets[1],) * 12, passages=passages, recurrence_SK=shares_SK)
    many.save(tmp_path / "a.safetensors")
    assert [int(c[0, 0]) for c in Atlas.load(tmp_path / "a.safetensors").courses] == list(range(12))


def test_a_damaged_or_missing_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    hand_atlas().save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RequestError):
        Atlas.load(path)
    with pytest.raises(RequestError):
        Atlas.load(tmp_path / "none.safetensors")


WRONG = {
    "a recipe that is none": lambda arrays, header: header.update(recipe=False),
    "no model": lambda arrays, header: header["recipe"].pop("model"),
    "a site that there is not": lambda arrays, header: header["recipe"].update(site="knee"),
    "a digest that is no text": lambda arrays, header: header["recipe"].update(model_digest=7),
    "layers without number": lambda arrays, header: header.update(widths=[4, 6, "5"]),
    "a label too many": lambda arrays, header: header["labels"].append("more"),
    "a passage of two parts": lambda arrays, header: header["passages"][0].pop(),
    "a lone surrogate": lambda arrays, header: header["labels"].__setitem__(0, "\ud800"),
    "maps of fewer neurons": lambda arrays, header: arrays.update({"maps.0": arrays["maps.0"][:, 1:]}),
    "maps that are not numbers": lambda arrays, header: arrays["maps.0"].fill(np.nan),
    "a token past the text": lambda arrays, header: arrays["offsets.0"].fill(99),
    "a course of other networks": lambda arrays, header: arrays.update({"course.0": arrays["course.0"][:, :2]}),
    "no variance": lambda arrays, header: arrays.pop("variance"),
    "halves of nothing": lambda arrays, header: header.update(halves={}),
    "an end that means nothing": lambda arrays, header: header["recipe"].update(enough={"looks": 3, "reason": "all"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_parts_that_do_not_fit_are_refused_whatever_the_checksums_say(what, tmp_path):
    path = tmp_path / "a.safetensors"
    hand_atlas().save(path)
    arrays, header = artifacts.load_artifact(path, "atlas", 1)
    arrays = {name: array.copy() for name, array in arrays.items()}
    artifacts.save_artifact(path, "atlas", arrays, header, 1)
    assert len(Atlas.load(path)) == 3
    WRONG[what](arrays, header)
    artifacts.save_artifact(path, "atlas", arrays, header, 1)
    with pytest.raises(RequestError, match="no whole atlas"):
        Atlas.load(path)


def test_summary_has_the_stable_fields():
    summary = hand_atlas().summary(3.0)
    assert summary["networks"][0] == {
        "id": 0, "label": "abc · def", "variance": 0.5, "stability": 1.0, "key_neurons": 3, "layers": {0: 2, 2: 1},
    }  # fmt: skip
    assert summary["tokens"] == 6 and summary["seconds"]["capturing"] == 1.5
    assert summary["peak_memory_bytes"] == 1234


def with_halves() -> Atlas:
    """The hand-made atlas whose networks 0 and 2 come back, 2 of which the restarts do not agree on."""
    atlas = hand_atlas()
    chance = np.full((20, 3), 0.1)
    found = Recurrence(
        {"title": "halves", "threshold": 3.0, "draws": 20},
        atlas.labels,
        np.array([2, 0, 1]),
        np.array([0.95, 0.6, 0.9]),
        np.array([0.7, 0.2, 0.5]),
        chance,
        chance,
    )
    return replace(atlas, halves=found)


def test_recurrence_and_trust_stand_beside_stability(tmp_path):
    atlas = with_halves()
    assert "recurrence" not in hand_atlas().table(3.0) and hand_atlas().trusted_K is None
    table = atlas.table(3.0)
    assert list(table)[3:6] == ["stability", "recurrence", "trusted"]
    assert table["recurrence"].tolist() == [0.95, 0.6, 0.9] and table["trusted"].tolist() == [True, False, False]
    first = atlas.summary(3.0)["networks"][0]
    assert (first["recurrence"], first["trusted"]) == (0.95, True)
    json.dumps(atlas.summary(3.0))
    assert "recurrence 0.95" in atlas._repr_html_() and "1 of 3 networks" in atlas._repr_html_()
    atlas.save(tmp_path / "a.safetensors")
    back = Atlas.load(tmp_path / "a.safetensors")
    assert back.halves.summary() == atlas.halves.summary() and back.halves.recipe == atlas.halves.recipe
