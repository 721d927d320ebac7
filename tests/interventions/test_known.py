"""What the store has of an intervention: all of it as it was measured, or nothing."""

from dataclasses import replace

import pytest

from fnet_core import texts
from fnet_core.evaluation.perplexity import PERPLEXITIES
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.edits import edit_networks
from fnet_core.interventions.known import known_intervention
from fnet_core.interventions.measuring import intervene
from fnet_core.models import loading
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.storage import artifacts


@pytest.mark.parametrize(("threshold", "controls"), [(1.5, 2), (1.5, 0)])
def test_what_was_measured_is_known_without_the_model(threshold, controls, monkeypatch):
    atlas = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2)).answer
    edits = (edit_networks(atlas, [1], threshold, gain=0.0),)
    yardstick = Yardstick(texts.bundled("score")[:2])
    assert known_intervention(atlas, edits, yardstick, controls, 1) is None
    measured = intervene(loading.get_loaded("tiny"), edits, yardstick, controls=controls, seed=1)
    monkeypatch.setattr(loading, "get_loaded", lambda *_, **__: pytest.fail("no model is loaded"))
    known = known_intervention(atlas, edits, yardstick, controls, 1)
    assert known is not None and known.done and known.summary() == measured.summary()
    assert (known_intervention(atlas, edits, yardstick, controls, 2) is None) == (controls > 0)
    assert known_intervention(atlas, edits, replace(yardstick, window=64), controls, 1) is None
    stranger = replace(atlas, recipe=atlas.recipe | {"model_digest": "f" * 64})
    assert known_intervention(stranger, edits, yardstick, controls, 1) is None
    for path in artifacts.list_artifacts(PERPLEXITIES.name)[:1]:
        path.unlink()
    assert known_intervention(atlas, edits, yardstick, controls, 1) is None


def test_an_atlas_that_does_not_say_its_model_is_known_by_nothing():
    atlas = find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2)).answer
    edits = (edit_networks(atlas, [0], 1.5, gain=0.0),)
    silent = replace(atlas, recipe={"model": "tiny"})
    assert known_intervention(silent, edits, Yardstick(texts.bundled("score")[:1]), 0, 0) is None
