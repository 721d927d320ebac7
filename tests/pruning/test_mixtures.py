"""Mixtures of experts lose attention heads alone: masked as cut, exported as loaded, and told what cannot go."""

import copy
import json

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST, random_scores
from support.tiny_models import save_tiny
from transformers import AutoModelForCausalLM

from fnet_core.errors import RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.taking import FingerprintRequest, fingerprint_of
from fnet_core.models import loading as models
from fnet_core.models.saving import CODE
from fnet_core.plotting import pruning as figures
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.cutting import cut
from fnet_core.pruning.export import export
from fnet_core.pruning.factors import find_factors
from fnet_core.pruning.known import known_pruning
from fnet_core.pruning.masking import masking, prepare
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import make_plan, plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import find_scores

IDS = torch.tensor([[5, 9, 22, 7, 31, 14, 40, 12, 6, 8, 19], [33, 4, 11, 27, 9, 50, 16, 21, 45, 3, 18]])
CUT = ("mixtral", "qwen2_moe", "qwen3_moe", "gpt_oss", "llama4_text")
"""Mixtures of which heads can go."""


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def planned(loaded, protected=(0, 0), ratio=0.5):
    """One of two head groups of every layer that is not protected."""
    asked = PlanRequest("random", ratio, protected=protected, heads=True)
    return make_plan(anatomy(loaded), random_scores(loaded), asked)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("mixtures")
    return {family: save_tiny(place / family, family) for family in CUT}


@pytest.mark.parametrize("compensation", ["none", "bias", "bias-sequential", "networks", "ridge", "blend"])
@pytest.mark.parametrize("family", CUT)
def test_the_cut_model_computes_what_the_masked_one_does(family, compensation):
    loaded = loaded_tiny(family)
    untouched = logits(loaded.model)
    pruning = prepare(loaded, planned(loaded, (1, 1), 0.17), compensation, REQUEST)
    assert pruning.plan.removed_heads == 2 and pruning.plan.removed_neurons == 0
    with masking(loaded, pruning):
        masked = logits(loaded.model)
    assert torch.equal(logits(loaded.model), untouched) and (masked - untouched).abs().max() > 1e-3
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, pruning)
    torch.testing.assert_close(logits(smaller), masked, atol=1e-4, rtol=0)
    assert sum(p.numel() for p in smaller.parameters()) == pruning.parameters


@pytest.mark.parametrize("family", CUT)
def test_an_even_cut_is_an_ordinary_folder_and_an_uneven_one_brings_code(folders, family, tmp_path):
    loaded = models.load(str(folders[family]))
    for protected, ratio, code in (((0, 0), 0.5, False), ((1, 1), 0.17, True)):
        pruning = prepare(loaded, planned(loaded, protected, ratio), "none", REQUEST)
        folder = export(loaded, pruning, tmp_path / str(code))
        with masking(loaded, pruning):
            masked = logits(loaded.model)
        assert (folder / CODE).exists() == code
        theirs = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=code).eval()
        ours = models.load(str(folder))
        for model in (theirs, ours.model):
            torch.testing.assert_close(logits(model), masked, atol=1e-4, rtol=0)
    assert not any("sinks" in path for path in theirs.config.fnet_resized["projections"])
    assert ("parameters" in theirs.config.fnet_resized) == (family == "gpt_oss")
    once = prepare(ours, planned(ours, (2, 0), 0.2), "none", REQUEST)
    assert once.plan.removed_heads == 2
    twice = export(ours, once, tmp_path / "twice")
    with masking(ours, once):
        again = AutoModelForCausalLM.from_pretrained(twice, trust_remote_code=True).eval()
        torch.testing.assert_close(logits(again), logits(ours.model), atol=1e-4, rtol=0)


def test_a_mixture_that_lost_heads_is_fingerprinted(folders, tmp_path):
    loaded = models.load(str(folders["gpt_oss"]))
    smaller = models.load(str(export(loaded, prepare(loaded, planned(loaded), "none", REQUEST), tmp_path / "smaller")))
    taken = [
        fingerprint_of(each, FingerprintRequest(each.name, PASSAGES, PASSAGES, "residual", 2, 1.0)).answer
        for each in (loaded, smaller)
    ]
    assert compare(taken[1], taken[1]).outcome == "same model"
    assert compare(*taken).outcome != "same model" and taken[1].model.parameters < taken[0].model.parameters


def test_numbers_per_head_that_no_gpt_oss_has_are_refused(folders, tmp_path):
    loaded = models.load(str(folders["gpt_oss"]))
    folder = export(loaded, prepare(loaded, planned(loaded, (1, 1), 0.17), "none", REQUEST), tmp_path / "smaller")
    config = json.loads((folder / "config.json").read_text())
    assert set(config["fnet_resized"]["parameters"].values()) == {2}
    for listed in ({"model.layers.1.self_attn.sinks": 0}, {"model.norm.weight": 2}, [1]):
        config["fnet_resized"]["parameters"] = listed
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(RequestError, match="fnet_resized"):
            models.load(str(folder))


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.of_layers])
def test_every_method_scores_the_heads_of_a_mixture(method):
    loaded = loaded_tiny("qwen3_moe")
    scores = find_scores(loaded, [method], REQUEST)[method]
    assert scores.mlp == () and [len(layer) for layer in scores.heads] == [2, 2, 2]
    assert len(np.unique(np.concatenate(scores.heads))) > 3
    assert scores.range_mlp[0] < scores.range_mlp[2]
    plan = plan_for(loaded, PlanRequest(method, 0.34, protected=(0, 0), heads=True), REQUEST)
    assert plan.removed_heads == 4 and plan.removed_share == pytest.approx(4 / 12)
    assert "34% of the heads" in plan.title and "heads" in repr(plan)


def test_factors_of_heads_alone_come_back_from_the_store():
    loaded = loaded_tiny("mixtral")
    made, again = (find_factors(loaded, PASSAGES, 4, heads=True) for _ in range(2))
    assert made.mlp_L == again.mlp_L == () and len(again.attention_L) == 3
    for one, other in zip(made.attention_L, again.attention_L, strict=True):
        assert torch.equal(one.loading_KN, other.loading_KN)


@pytest.mark.parametrize("share", ["neurons", "parameters"])
def test_a_share_of_the_parameters_is_met_by_heads_alone(share):
    loaded = loaded_tiny("gpt_oss")
    asked = PlanRequest("random", 0.02 if share == "parameters" else 0.34, protected=(0, 0), share=share, heads=True)
    plan = make_plan(anatomy(loaded), random_scores(loaded), asked)
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, prepare(loaded, plan, "none", REQUEST))
    assert sum(p.numel() for p in smaller.parameters()) == plan.parameters
    if share == "parameters":
        gone, group = plan.anatomy.parameters - plan.parameters, plan.anatomy.group_parameters_L[0]
        assert gone - group < 0.02 * plan.anatomy.parameters <= gone


def test_a_token_is_not_multiplied_with_experts_that_it_is_not_sent_to():
    loaded = loaded_tiny("mixtral")
    sizes = anatomy(loaded)
    expert = 3 * 24 * 40
    looked_up = 61 * 24
    assert sizes.parameters - sizes.parameters_per_token == 3 * (5 - 2) * expert + looked_up


@pytest.mark.parametrize(
    ("family", "heads", "sentence"),
    [
        ("mixtral", False, "is a mixture of experts and pruning is made for one MLP per layer; let attention heads go"),
        ("olmoe", False, "for one MLP per layer; choose a model that is not a mixture"),
        ("olmoe", True, "No attention head of .* normalised over all heads together; choose a model that is not a mix"),
        ("qwen3_next", True, "its heads are in some layers only; choose a model that is not a mixture"),
    ],
)
def test_what_cannot_go_is_said_before_anything_is_scored(family, heads, sentence):
    loaded = loaded_tiny(family)
    asked, request = PlanRequest("random", 0.2, protected=(0, 0), heads=heads), REQUEST.with_heads(heads)
    with pytest.raises(RequestError, match=sentence):
        plan_for(loaded, asked, request)
    with pytest.raises(RequestError, match=sentence):
        find_scores(loaded, ["magnitude"], request)
    known = known_pruning(loaded, asked, ["random"], [0.2], request, Yardstick(PASSAGES))
    with pytest.raises(RequestError, match=sentence):
        raise RequestError(known.problem)


def test_the_figures_of_a_plan_show_its_heads():
    plan = planned(loaded_tiny("qwen2_moe"))
    assert plan.plot() == figures.head_map(plan)
    bars = figures.layer_profile(plan).data
    assert [bar.name for bar in bars] == ["heads"] and list(bars[0].x) == [50, 50, 50]
