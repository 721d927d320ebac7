"""The atlas that comes with the project: it opens, and it is what the starter gives."""

import numpy as np
import pytest

import fnet_core as fn
from fnet_core.networks.example import EXAMPLE_FILE, EXAMPLE_MODEL, example_atlas
from fnet_core.networks.request import AtlasRequest


def test_it_opens_and_is_small():
    atlas = example_atlas()
    assert atlas.model_name == EXAMPLE_MODEL and atlas.maps[0].dtype == np.float32
    assert EXAMPLE_FILE.stat().st_size < 8_000_000
    assert atlas.recipe["components"] == len(atlas) == AtlasRequest(EXAMPLE_MODEL, fn.passages()).components


@pytest.mark.starter
def test_the_starter_gives_it_again():
    kept, found = example_atlas(), fn.find_atlas(EXAMPLE_MODEL)
    assert kept.recipe["model_digest"] == found.recipe["model_digest"]
    assert [p.name for p in kept.passages] == [p.name for p in found.passages]
    stable = np.minimum(kept.stability_K, found.stability_K) > 0.95
    r_KK = np.abs(np.corrcoef(kept.maps[0], found.maps[0])[: len(kept), len(kept) :])
    assert stable.sum() > len(kept) / 2
    assert np.median(r_KK[stable].max(axis=1)) > 0.99
