"""An atlas against that of a pruned copy: over the neurons that the copy kept, and refused where nothing says which."""

import json

import numpy as np
import pytest
from support.pruning_cases import REQUEST, uneven_plan
from support.tiny_models import save_tiny

from fnet_core import texts
from fnet_core.errors import RequestError
from fnet_core.models import loading as models
from fnet_core.models.made import PRUNING
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.comparing import compare_atlases
from fnet_core.networks.finding import AtlasRequest, atlas_of
from fnet_core.networks.matching import map_correlation, partners, taken
from fnet_core.pruning.export import export
from fnet_core.pruning.masking import prepare


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A model, its copy without some neurons, and which of all it kept."""
    place = tmp_path_factory.mktemp("copies")
    whole = models.load(str(save_tiny(place / "whole")))
    plan = uneven_plan(whole)
    copy = models.load(str(export(whole, prepare(whole, plan, "none", REQUEST), place / "pruned")))
    return whole, copy, plan.keep_mlp


_found: dict[tuple[str, str, str], Atlas] = {}


def atlas(loaded: models.LoadedModel, scope: str = "model", site: str = "mlp") -> Atlas:
    """The atlas of a few passages, found once for all tests."""
    key = loaded.name, scope, site
    if key not in _found:
        request = AtlasRequest(loaded.name, texts.bundled("find")[:4], site, scope, 3, restarts=2)
        _found[key] = atlas_of(loaded, request).answer
    return _found[key]


@pytest.mark.parametrize("scope", ["model", "window:2"])
def test_maps_are_compared_over_the_neurons_that_stayed(pair, scope):
    whole, copy, keep_L = pair
    a, b = atlas(whole, scope), atlas(copy, scope)
    assert a.widths_L != b.widths_L
    for found, back in ((compare_atlases(a, b), False), (compare_atlases(b, a), True)):
        blocks = [keep_L] if scope == "model" else [keep_L[:2], keep_L[1:]]
        expected = []
        for a_KN, b_KN, kept in zip(a.maps, b.maps, blocks, strict=True):
            alike = map_correlation(a_KN[:, np.concatenate(kept)], b_KN)
            alike = alike.T if back else alike
            expected.append(taken(alike, partners(alike)))
        np.testing.assert_allclose(found.correlation_K, np.concatenate(expected))
        kept, everything = sum(b.widths_L), sum(a.widths_L)
        assert found.recipe["title"].endswith(f"over the {kept} of {everything} neurons that both have")


def test_a_site_that_no_cut_changes_is_compared_as_it_is(pair):
    whole, copy, _ = pair
    found = compare_atlases(atlas(whole, site="residual"), atlas(copy, site="residual"))
    assert "that both have" not in found.recipe["title"]


@pytest.mark.parametrize("note", [None, "", "no JSON", {"pruned_from_digest": "another"}, {"kept": {"mlp": ["ff"]}}])
def test_a_copy_that_does_not_say_what_it_kept_is_refused(pair, note):
    whole, copy, _ = pair
    a, b, file = atlas(whole), atlas(copy), copy.path / PRUNING
    before = file.read_text()
    said = json.dumps(json.loads(before) | note) if isinstance(note, dict) else note
    try:
        file.unlink() if said is None else file.write_text(said)
        with pytest.raises(RequestError, match=r"Layer 1 has \d+ neurons in .* and \d+ in"):
            compare_atlases(a, b)
    finally:
        file.write_text(before)
