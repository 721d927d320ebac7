"""Scopes: which layers are decomposed together, and a planted network found by the windows that hold it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.atlases import hand_atlas
from support.planted import sparse_maps, subjects_from
from support.tiny_models import save_tiny

from fnet_core import texts
from fnet_core.choices import is_scope, window_of
from fnet_core.decomposition.canica import canica
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.blocks import block_name, layer_blocks
from fnet_core.networks.comparing import compare_atlases
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.networks.matching import map_correlation
from fnet_core.plotting import networks as figures


def windows_atlas() -> Atlas:
    """Two windows of two of three layers (4, 6 and 5 neurons), one network in each."""
    maps = np.zeros((1, 10), dtype=np.float32), np.zeros((1, 11), dtype=np.float32)
    maps[0][0, [1, 4, 5]] = [5.0, 4.0, 6.0]
    maps[1][0, [0, 2, 8]] = [7.0, 3.5, 9.0]
    atlas = hand_atlas("layer")
    return replace(
        atlas,
        recipe=atlas.recipe | {"scope": "window:2"},
        maps=maps,
        labels=("one", "two"),
        courses=tuple(course[:, :2] for course in atlas.courses),
        variance_K=atlas.variance_K[:2],
        stability_K=atlas.stability_K[:2],
        recurrence_SK=atlas.recurrence_SK[:, :2],
    )


@pytest.mark.parametrize(
    ("scope", "width"),
    [("model", 0), ("window:3", 3), ("window:12", 12), ("window:1", 0), ("window:", 0), ("window:²", 0)],
)
def test_scopes_in_words(scope, width):
    assert window_of(scope) == width and is_scope(scope) == (scope == "model" or width > 0)


def test_blocks_of_every_scope():
    assert layer_blocks("model", 4) == [range(4)]
    assert layer_blocks("layer", 3) == [range(1), range(1, 2), range(2, 3)]
    assert layer_blocks("window:3", 5) == [range(3), range(1, 4), range(2, 5)]
    assert [block_name(b) for b in (range(4, 5), range(4, 7))] == ["layer 4", "layers 4 to 6"]
    with pytest.raises(RequestError, match="window of 6 layers is wider than the model, which has 5"):
        layer_blocks("window:6", 5)


def test_a_network_of_two_neighbouring_layers_is_found_whole_by_the_windows_that_hold_both():
    """Eight layers of 60 neurons; the network lives in layers 4 and 5, others everywhere else."""
    layers, width = 8, 60
    maps = sparse_maps(1 + layers, layers * width, 0, seed=3).numpy()
    rng = np.random.default_rng(4)
    for layer in range(layers):
        inside = rng.choice(width // 2, 12, replace=False) + layer * width
        maps[1 + layer, inside] = rng.uniform(4, 8, 12)
    across = np.concatenate(
        [rng.choice(width // 2, 12, replace=False) + layer * width + width // 2 for layer in (4, 5)]
    )
    maps[0, across] = rng.uniform(4, 8, 24)
    subjects, _ = subjects_from(torch.from_numpy(maps), [150] * 6, noise=1.0, seed=5)
    blocks = layer_blocks("window:2", layers)
    found = canica(subjects, [2 * width] * len(blocks), 3, starts=[block.start * width for block in blocks], restarts=4)
    whole = []
    for block, networks in zip(blocks, found, strict=True):
        spread = np.zeros((3, layers * width))
        spread[:, block.start * width : block.stop * width] = networks.maps_KN.numpy()
        whole.append(map_correlation(maps[:1], spread).max())
    assert np.argmax(whole) == 4 and whole[4] > 0.8
    assert max(whole[3], whole[5]) < 0.7 and max(whole[:3] + whole[6:]) < 0.3


def test_an_atlas_of_windows_knows_its_layers_and_draws():
    atlas = windows_atlas()
    assert [atlas.layers_of(k) for k in (0, 1)] == [range(2), range(1, 3)]
    assert atlas.key_counts(3.0).tolist() == [[1, 2, 0], [0, 2, 1]]
    assert np.isnan(atlas.map_grid(0)[2]).all() and atlas.map_grid(1)[1, 0] == 7
    owner = atlas.parcellation(3.0)
    assert owner[0, 1] == 0 and owner[1, :3].tolist() == [1, 0, 1] and owner[2, 2] == 1
    assert figures.parcellation(atlas, 3.0, 1).data and figures.colour_of(atlas, 1) == figures.colour_of(atlas, 0)


def test_windows_are_held_against_windows_and_against_the_whole_model():
    atlas = windows_atlas()
    np.testing.assert_allclose(compare_atlases(atlas, atlas, 3.0).correlation_K, 1)
    spread = np.zeros((2, 15), dtype=np.float32)
    spread[0, :10], spread[1, 4:] = atlas.maps[0], atlas.maps[1]
    whole = replace(atlas, recipe=atlas.recipe | {"scope": "model"}, maps=(spread,))
    np.testing.assert_allclose(compare_atlases(atlas, whole, 3.0).overlap_K, 1)


def test_windows_of_a_model_and_one_that_is_wider_than_it(tmp_path):
    folder = str(save_tiny(tmp_path / "model", "mixtral", max_position_embeddings=2048))
    passages = texts.bundled("find")[:5]
    asked = {"site": "residual", "components": 3, "restarts": 2}
    atlas = find_atlas(AtlasRequest(folder, passages, scope="window:2", **asked)).answer
    assert len(atlas.maps) == 2 and len(atlas) == 6 and len(atlas.halves) == 6
    table = atlas.table(1.0)
    assert (table["first_layer"].to_numpy() >= [0, 0, 0, 1, 1, 1]).all() and (table["layers"] <= 2).all()
    with pytest.raises(RequestError, match="window of 4 layers is wider than the model, which has 3"):
        find_atlas(AtlasRequest(folder, passages, scope="window:4", **asked))
    with pytest.raises(RequestError, match="no scope 'window:0'; choose one of model, layer, window:3"):
        AtlasRequest(folder, passages, scope="window:0")
