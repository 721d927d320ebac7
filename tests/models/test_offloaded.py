"""A model whose weights stay on disk gives what it gives in memory: atlas, edit, plan and fingerprint."""

import numpy as np
import pytest
from support.tiny_models import save_tiny

from fnet_core import texts
from fnet_core.evaluation.perplexity import measure
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import edit_networks
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.taking import fingerprint
from fnet_core.models.loading import load
from fnet_core.models.running import main_device
from fnet_core.networks.finding import AtlasRequest, compute_atlas
from fnet_core.progress import silent
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.plan import make_plan
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, _computed

FIND, SCORE = texts.bundled("find")[:4], texts.bundled("score")[:4]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = str(save_tiny(tmp_path_factory.mktemp("offloaded") / "model", max_position_embeddings=2048))
    whole, on_disk = load(folder), load(folder, max_memory={"cpu": 30_000})
    assert "disk" in on_disk.device and "disk" not in whole.device
    return whole, on_disk


def atlas_of(loaded):
    recipe = {"model": "m", "model_digest": loaded.digest, "site": "mlp", "scope": "model", "seed": 0}
    return compute_atlas(loaded, AtlasRequest("m", FIND, components=4, restarts=3), recipe)


def test_atlas_and_edit(both):
    atlases = [atlas_of(loaded) for loaded in both]
    np.testing.assert_allclose(atlases[1].maps[0], atlases[0].maps[0], atol=1e-4)
    assert atlases[1].labels == atlases[0].labels
    losses = []
    for loaded, atlas in zip(both, atlases, strict=True):
        with editing(loaded, [edit_networks(atlas, [0], 2.0, gain=0.0)]):
            *_, measured = measure(loaded, SCORE[:1])
        losses.append(measured.nll_W)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_plan(both):
    request = ScoreRequest(FIND, components=4)
    plans = [
        make_plan(
            anatomy(loaded),
            _computed(loaded, ["networks"], request, silent, [main_device(loaded.model)])["networks"],
            PlanRequest("networks", 0.3, protected=(0, 0)),
        )
        for loaded in both
    ]
    assert plans[0].removed_neurons > 0
    for kept, same in zip(plans[0].keep_mlp, plans[1].keep_mlp, strict=True):
        np.testing.assert_array_equal(same, kept)


def test_fingerprint(both):
    a, b = (fingerprint(loaded, components=4, threshold=1.5, find=FIND, score=SCORE) for loaded in both)
    assert compare(a, b).score == pytest.approx(compare(a, a).score, abs=1e-3)
