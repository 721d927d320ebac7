"""The atlas that comes with the project: it opens, and it is what the starter gives."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

import fnet_core as fn
from fnet_core.capability.battery import make_battery
from fnet_core.capability.lesions import LesionMatrix
from fnet_core.capability.profiles import UNCHANGED, profile
from fnet_core.capability.statistics import paired_interval
from fnet_core.interventions.editing import editing
from fnet_core.interventions.measuring import edit_changes
from fnet_core.networks.example import EXAMPLE_FILE, EXAMPLE_LESIONS, EXAMPLE_MODEL, example_atlas
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


@pytest.mark.starter
def test_the_starter_loses_what_the_bundled_lesions_say():
    """The surest cell measured again, with the example's own maps, which are in half precision."""
    kept = LesionMatrix.load(EXAMPLE_LESIONS)
    surest = kept.table().iloc[0]
    asked, capability = kept.recipe["asked"]["items"], kept.capabilities.index(surest.capability)
    edit = fn.inhibit(example_atlas(), int(surest.network), threshold=kept.recipe["threshold"])
    model, battery = fn.load(EXAMPLE_MODEL), make_battery(asked, only=[surest.capability])
    for changes, around, answers in (
        (UNCHANGED, nullcontext, kept.untouched_I),
        (edit_changes([edit]), partial(editing, model, [edit]), kept.changed_KI[int(surest.network)]),
    ):
        found = profile(model, battery, changes, around).answers_I
        assert np.mean(found == answers[kept.capability_I == capability]) > 0.9


@pytest.mark.starter
def test_the_network_of_negations_turned_up_helps_with_negative_polarity():
    """The one gain that was found beyond random lesions, and again on other items (docs/log.md)."""
    atlas = example_atlas()
    network = next(number for number, label in enumerate(atlas.labels) if "never" in label)
    before = fn.capabilities(EXAMPLE_MODEL, only=["polarity"])
    after = fn.capabilities(EXAMPLE_MODEL, only=["polarity"], edits=fn.amplify(atlas, network, gain=2))
    low, _ = paired_interval(after.answers_I[None], before.answers_I, before.capability_I, 1)
    assert low.item() > 0
