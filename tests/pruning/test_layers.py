"""Whole layers: how they are scored, which go, and that a model without them computes what passing over them does."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.loading import loaded_tiny
from support.perplexities import result
from support.pruning_cases import PASSAGES, REQUEST
from support.tiny_models import ALL_FAMILIES, HEADLESS, NO_MLP, starting_tokenizer, tiny_tokenizer
from transformers import AutoModelForCausalLM

from fnet_core.choices import LAYER_METHODS
from fnet_core.errors import RequestError
from fnet_core.models import loading as models
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.curves import CurvePoint, width_stops
from fnet_core.pruning.cutting import cut
from fnet_core.pruning.export import export, read_recipe
from fnet_core.pruning.masking import masking, prepare
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import make_plan, plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import Scores, find_scores
from fnet_core.pruning.stream import changed_maps, read_stream

IDS = torch.tensor([[5, 9, 22, 7, 31, 14, 40, 12, 6, 8, 19]])
FAMILIES = tuple(family for family in ALL_FAMILIES if family not in NO_MLP)
SCORED = REQUEST.with_heads(False)


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def layer_scores(loaded, *values: float) -> Scores:
    recipe = {"model": loaded.name, "model_digest": loaded.digest}
    return Scores("layer-random", "model", tuple(np.array([value]) for value in values), (), (), (), recipe)


def plan_of(loaded, *values: float, ratio=1 / 3, protected=(0, 0), **options):
    asked = PlanRequest("layer-random", ratio, protected=protected, **options)
    return make_plan(anatomy(loaded), layer_scores(loaded, *values), asked)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_without_a_layer_computes_what_passing_over_it_does(family, tmp_path):
    loaded = loaded_tiny(family)
    untouched = logits(loaded.model)
    gone = 0 if family in HEADLESS else 1
    pruning = prepare(loaded, plan_of(loaded, *(1.0 + (layer != gone) for layer in range(3))), "networks", SCORED)
    with masking(loaded, pruning):
        masked = logits(loaded.model)
    assert torch.equal(logits(loaded.model), untouched) and (masked - untouched).abs().max() > 1e-3
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, pruning)
    assert pruning.plan.dropped == (gone,) and pruning.compensation == "none"
    count = sum(p.numel() for p in smaller.parameters())
    assert count == pruning.parameters == pruning.plan.summary()["parameters"]["after"]
    assert pruning.plan.estimated_speed > 1
    smaller.save_pretrained(tmp_path / "fewer")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "fewer").eval()
    for model in (smaller, again):
        torch.testing.assert_close(logits(model), masked, atol=1e-4, rtol=0)
    cached, anew = (
        smaller.generate(IDS, max_new_tokens=2, do_sample=False, pad_token_id=0, use_cache=use) for use in (True, False)
    )
    assert torch.equal(cached, anew)


@pytest.mark.parametrize("family", HEADLESS)
def test_the_last_layer_with_attention_does_not_go(family):
    loaded = loaded_tiny(family)
    with pytest.raises(RequestError, match="No layer with attention would be left of tiny-"):
        prepare(loaded, plan_of(loaded, 3.0, 1.0, 2.0), "none", SCORED)


def test_influence_is_one_less_the_mean_cosine_of_what_enters_and_leaves():
    loaded = loaded_tiny("llama", tokenizer=starting_tokenizer())
    found = find_scores(loaded, ["block-influence"], SCORED)["block-influence"]
    cosines = []
    for passage in PASSAGES:
        ids = torch.tensor(loaded.tokenizer(passage.text)["input_ids"])[None]
        ends = []
        handle = loaded.model.model.layers[-1].register_forward_hook(lambda m, i, o, ends=ends: ends.append(o))
        with torch.no_grad():
            states = loaded.model(ids, output_hidden_states=True).hidden_states
        handle.remove()
        stream = torch.stack([*states[:-1], ends[0]])[:, 0, 1:].double()
        cosines.append(torch.nn.functional.cosine_similarity(stream[:-1], stream[1:], dim=-1))
    expected = 1 - torch.cat(cosines, dim=1).mean(dim=1)
    np.testing.assert_allclose(np.concatenate(found.mlp), expected.numpy(), atol=1e-6)


def test_a_layer_that_leaves_the_networks_as_they_are_changes_no_map():
    maps_KPH = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(2))
    maps_KPH[:, 1] = 2 * maps_KPH[:, 0]
    found = changed_maps(maps_KPH).numpy()
    a, b = maps_KPH[:, 1].double().flatten(), maps_KPH[:, 2].double().flatten()
    np.testing.assert_allclose(found, [0, 1 - float(a @ b / (a.norm() * b.norm()))], atol=1e-7)


def test_networks_put_a_layer_that_does_nothing_last():
    loaded = loaded_tiny("llama", num_hidden_layers=4)
    for name in ("self_attn.o_proj", "mlp.down_proj"):
        loaded.model.model.layers[2].get_submodule(name).weight.mul_(1e-3)
    for method in ("layer-networks", "block-influence"):
        scores = np.concatenate(find_scores(loaded, [method], SCORED)[method].mlp)
        assert scores.argmin() == 2 and scores[2] < 1e-3 < scores[[0, 1, 3]].min()
        plan = plan_for(loaded, PlanRequest(method, 0.25, protected=(0, 0)), SCORED)
        assert plan.dropped == (2,)


def test_the_stream_is_what_layers_hand_on():
    loaded = loaded_tiny("gpt2")
    (stream_TPH,) = read_stream(loaded, PASSAGES[:1])
    ids = torch.tensor(loaded.tokenizer(PASSAGES[0].text)["input_ids"])[None]
    with torch.no_grad():
        states = loaded.model(ids, output_hidden_states=True).hidden_states
    torch.testing.assert_close(stream_TPH[:, :-1], torch.stack(states[:-1], dim=2)[0])


def test_methods_of_layers_are_those_that_are_listed_and_go_with_others(tmp_path):
    assert tuple(name for name, method in METHODS.items() if method.of_layers) == LAYER_METHODS
    loaded = loaded_tiny("llama")
    alone = find_scores(loaded, ["block-influence"], SCORED)["block-influence"]
    found = find_scores(loaded, ["wanda-sp", "layer-random", "layer-networks"], SCORED)
    assert len(found["wanda-sp"].mlp[0]) == 40 and len(found["wanda-sp"].mean_mlp) == 3
    assert [len(layer) for layer in found["layer-networks"].mlp] == [1, 1, 1] == [len(x) for x in alone.mlp]


def test_as_many_go_as_come_nearest_to_the_ratio():
    loaded = loaded_tiny("llama", num_hidden_layers=5)
    values = (0.5, 0.1, 0.4, 0.2, 0.3)
    assert plan_of(loaded, *values, ratio=0.4).dropped == (1, 3)
    assert plan_of(loaded, *values, ratio=0.4, protected=(0, 2)).dropped == (1, 2)
    assert plan_of(loaded, *values, ratio=0.05).removes_nothing
    assert plan_of(loaded, *values, ratio=None, threshold=0.3).dropped == (1, 3, 4)
    share = anatomy(loaded).layer_parameters_L[0] / anatomy(loaded).parameters
    assert plan_of(loaded, *values, ratio=2.2 * share, share="parameters").dropped == (1, 3)
    assert plan_of(loaded, *values, ratio=0.4).masks() != plan_of(loaded, 0.1, *values[1:], ratio=0.4).masks()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"ratio": 0.9}, "3 layers are to go and at most 2 of 3 may"),
        ({"ratio": 0.9, "protected": (1, 1)}, "3 layers are to go and at most 1 of 3 may"),
        ({"ratio": 0.99, "share": "parameters"}, "99% of all parameters is more than the layers that may go hold"),
        ({"ratio": 0.3, "protected": (2, 1)}, "leaves nothing to prune"),
    ],
)
def test_too_many_layers_are_a_sentence(options, sentence):
    with pytest.raises(RequestError, match=sentence):
        plan_of(loaded_tiny("llama"), 1.0, 2.0, 3.0, **options)


def test_a_model_that_was_cut_to_several_widths_loses_layers_too(tmp_path):
    loaded = loaded_tiny("llama")
    loaded.model.save_pretrained(tmp_path / "source")
    tiny_tokenizer().save_pretrained(tmp_path / "source")
    loaded = models.load(str(tmp_path / "source"))
    asked = PlanRequest("random", 0.2, protected=(1, 0), compensation="bias")
    once = export(loaded, prepare(loaded, plan_for(loaded, asked, SCORED), "bias", SCORED), tmp_path / "once")
    narrow = models.load(str(once))
    pruning = prepare(narrow, plan_of(narrow, 3.0, 1.0, 2.0), "none", SCORED)
    folder = export(narrow, pruning, tmp_path / "twice")
    with masking(narrow, pruning):
        masked = logits(narrow.model)
    torch.testing.assert_close(logits(models.load(str(folder)).model), masked, atol=1e-4, rtol=0)
    assert read_recipe(folder)["summary"]["dropped_layers"] == [1]
    assert "| layers | 3 | 2 |" in (folder / "README.md").read_text()


def test_width_stops_paying_where_layers_cost_less_than_the_line_between_its_points():
    loaded = loaded_tiny("llama", num_hidden_layers=5)

    def point(method, share, perplexity):
        plan = plan_of(loaded, 0.5, 0.1, 0.4, 0.2, 0.3, ratio=share)
        return CurvePoint(method, share, plan, result(perplexity))

    def of_width(perplexity):
        return replace(point("networks", 0.6, perplexity), method="networks")

    depth = [point("block-influence", 0.2, 45.0), point("block-influence", 0.4, 60.0)]
    share = 1 - depth[1].plan.parameters / depth[1].plan.anatomy.parameters
    middle = 30 * (90 / 30) ** (2 / 3)
    assert width_stops([*depth, of_width(90.0)], 30.0, "networks", "block-influence") == pytest.approx(share)
    assert middle > 60 and width_stops([*depth, of_width(50.0)], 30.0, "networks", "block-influence") is None
    early = [point("block-influence", 0.2, 31.0), point("block-influence", 0.4, 70.0), of_width(90.0)]
    assert width_stops(early, 30.0, "networks", "block-influence") is None
