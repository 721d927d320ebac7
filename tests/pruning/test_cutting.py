"""Mask against cut: the smaller model computes what the masked one does, for every family."""

import copy
import json
import subprocess
import sys

import pytest
import torch
from support.loading import loaded_tiny
from support.pruning_cases import PASSAGES, REQUEST, even_plan, request_for, uneven_plan
from support.tiny_models import HEADS_NOT_IN_CONFIG, HEADS_STAY, TINY_FAMILIES, WIDTH_NOT_IN_CONFIG, tiny_tokenizer
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from fnet_core.errors import RequestError
from fnet_core.interventions.baking import bake
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.models import loading as models
from fnet_core.pruning.cutting import brings_code, cut
from fnet_core.pruning.export import export
from fnet_core.pruning.masking import masking, prepare

IDS = torch.tensor([[5, 9, 22, 7, 31, 14, 40, 12, 6, 8, 19], [33, 4, 11, 27, 9, 50, 16, 21, 45, 3, 18]])


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("compensation", ["none", "bias", "bias-sequential", "networks", "ridge", "blend"])
@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_the_cut_model_computes_what_the_masked_one_does(family, compensation):
    loaded = loaded_tiny(family)
    untouched = logits(loaded.model)
    pruning = prepare(loaded, uneven_plan(loaded), compensation, request_for(family))
    with masking(loaded, pruning):
        masked = logits(loaded.model)
    assert torch.equal(logits(loaded.model), untouched)
    assert (masked - untouched).abs().max() > 1e-3
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, pruning)
    torch.testing.assert_close(logits(smaller), masked, atol=1e-4, rtol=0)
    added = sum(m.bias.numel() for m in _without_bias(loaded.model, smaller))
    assert parameters(smaller) == pruning.plan.parameters + added


def _without_bias(before, after) -> list:
    """Projections that have a bias only after the cut."""
    modules = dict(before.named_modules())
    return [
        module
        for name, module in after.named_modules()
        if getattr(module, "bias", None) is not None and getattr(modules[name], "bias", None) is None
    ]


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_cut_model_is_loaded_by_plain_transformers_and_by_fnet(family, tmp_path):
    """Saved, loaded through its own code and by FNet's loader: the same logits, and generation works."""
    source = tmp_path / "source"
    loaded = loaded_tiny(family)
    loaded.model.save_pretrained(source)
    tiny_tokenizer().save_pretrained(source)
    loaded = models.load(str(source))
    pruning = prepare(loaded, uneven_plan(loaded), "bias", request_for(family))
    folder = export(loaded, pruning, tmp_path / "smaller")
    with masking(loaded, pruning):
        masked = logits(loaded.model)
    trusted = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
    ours = models.load(str(folder))
    for model in (trusted, ours.model):
        torch.testing.assert_close(logits(model), masked, atol=1e-4, rtol=0)
        tokens = model.generate(IDS[:1], max_new_tokens=4, do_sample=False, pad_token_id=0)
        assert tokens.shape[1] > IDS.shape[1]
    assert ours.digest != loaded.digest
    with pytest.raises(Exception, match="mismatch"):
        AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)


@pytest.mark.parametrize("family", [family for family in TINY_FAMILIES if family not in WIDTH_NOT_IN_CONFIG])
def test_an_even_cut_needs_no_code_where_the_configuration_can_say_it(family, tmp_path):
    loaded = loaded_tiny(family)
    heads = family not in (*HEADS_NOT_IN_CONFIG, *HEADS_STAY)
    plan = even_plan(loaded, heads)
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, prepare(loaded, plan, "none", REQUEST))
    smaller.save_pretrained(tmp_path / "even")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "even").eval()
    assert not hasattr(again.config, "fnet_resized")
    torch.testing.assert_close(logits(again), logits(smaller), atol=1e-6, rtol=0)
    assert plan.removed_neurons == 3 * 20 and bool(plan.removed_heads) == heads


@pytest.mark.parametrize("family", WIDTH_NOT_IN_CONFIG)
def test_a_width_that_a_configuration_cannot_say_is_listed(family):
    loaded = loaded_tiny(family)
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, prepare(loaded, even_plan(loaded, heads=False), "none", REQUEST))
    assert len(smaller.config.fnet_resized["projections"]) == 3 * 2


@pytest.mark.parametrize("groups", [2, 4])
def test_both_orders_of_falcons_shared_projection_are_cut(groups):
    changes = {"new_decoder_architecture": groups == 2, "multi_query": False, "num_kv_heads": groups, "bias": True}
    loaded = loaded_tiny("falcon", **changes)
    pruning = prepare(loaded, uneven_plan(loaded), "none", REQUEST)
    assert pruning.plan.removed_heads == 4 // groups
    with masking(loaded, pruning):
        masked = logits(loaded.model)
    cut(loaded.model, pruning)
    torch.testing.assert_close(logits(loaded.model), masked, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", [family for family in HEADS_NOT_IN_CONFIG if family not in HEADS_STAY])
def test_heads_that_a_configuration_cannot_say_are_listed(family):
    loaded = loaded_tiny(family)
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, prepare(loaded, even_plan(loaded, heads=True), "none", REQUEST))
    assert len(smaller.config.fnet_resized["projections"]) > 3


@pytest.mark.parametrize(("family", "code"), [("llama", True), ("gpt2", False)])
def test_a_bias_that_comes_anew_needs_code_and_one_that_was_there_does_not(family, code, tmp_path):
    loaded = loaded_tiny(family)
    pruning = prepare(loaded, even_plan(loaded, heads=False), "bias", REQUEST)
    assert brings_code(loaded.model, pruning) == code
    smaller = copy.deepcopy(loaded.model)
    cut(smaller, pruning)
    assert hasattr(smaller.config, "fnet_resized") == bool(_without_bias(loaded.model, smaller)) == code
    with masking(loaded, pruning):
        torch.testing.assert_close(logits(smaller), logits(loaded.model), atol=1e-4, rtol=0)


def test_a_pruned_model_can_be_pruned_again(tmp_path):
    loaded = loaded_tiny("llama")
    loaded.model.save_pretrained(tmp_path / "source")
    tiny_tokenizer().save_pretrained(tmp_path / "source")
    loaded = models.load(str(tmp_path / "source"))
    once = models.load(str(export(loaded, prepare(loaded, uneven_plan(loaded), "none", REQUEST), tmp_path / "once")))
    pruning = prepare(once, uneven_plan(once), "networks", REQUEST)
    twice = AutoModelForCausalLM.from_pretrained(export(once, pruning, tmp_path / "twice"), trust_remote_code=True)
    with masking(once, pruning):
        torch.testing.assert_close(logits(twice.eval()), logits(once.model), atol=1e-4, rtol=0)
    assert parameters(twice) < parameters(once.model) < parameters(loaded.model)


def test_the_folder_loads_in_a_process_that_cannot_see_fnet(tmp_path):
    loaded = loaded_tiny("llama")
    loaded.model.save_pretrained(tmp_path / "source")
    tiny_tokenizer().save_pretrained(tmp_path / "source")
    loaded = models.load(str(tmp_path / "source"))
    pruning = prepare(loaded, uneven_plan(loaded), "networks", REQUEST)
    folder = export(loaded, pruning, tmp_path / "smaller")
    program = (
        "import sys, torch; from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        f"model = AutoModelForCausalLM.from_pretrained({str(folder)!r}, trust_remote_code=True).eval()\n"
        f"ids = AutoTokenizer.from_pretrained({str(folder)!r})({PASSAGES[0].text!r}, return_tensors='pt').input_ids\n"
        "assert 'fnet_core' not in sys.modules\n"
        "print(float(model(input_ids=ids, labels=ids).loss))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    ids = loaded.tokenizer(PASSAGES[0].text, return_tensors="pt").input_ids
    with masking(loaded, pruning), torch.no_grad():
        expected = float(loaded.model(input_ids=ids, labels=ids).loss)
    assert float(found.stdout.split()[-1]) == pytest.approx(expected, abs=1e-5)


def test_an_export_refuses_a_folder_that_is_there(tmp_path):
    loaded = loaded_tiny("llama")
    pruning = prepare(loaded, uneven_plan(loaded), "none", REQUEST)
    (tmp_path / "there").mkdir()
    with pytest.raises(RequestError, match="exists already"):
        export(loaded, pruning, tmp_path / "there")


def saved(tmp_path, family="llama"):
    """A tiny model on disk, pruned unevenly and saved: the folder."""
    loaded = loaded_tiny(family)
    loaded.model.save_pretrained(tmp_path / "source")
    tiny_tokenizer().save_pretrained(tmp_path / "source")
    loaded = models.load(str(tmp_path / "source"))
    return export(loaded, prepare(loaded, uneven_plan(loaded), "none", REQUEST), tmp_path / "smaller")


@pytest.mark.parametrize(
    "listed",
    [
        True,
        [1],
        {"projections": {}},
        {"projections": {}, "attributes": {"__class__.__base__.forward": 3}},
        {"projections": {"model.embed_tokens": [4, 4, False]}, "attributes": {}},
        {"projections": {"model.layers.1.mlp.down_proj": [-4, 24, False]}, "attributes": {}},
        {"projections": {"model.layers.1.mlp.down_proj": [4, 24]}, "attributes": {}},
        {"projections": {"model.layers.9.mlp.down_proj": [4, 24, False]}, "attributes": {}},
        {"projections": {}, "attributes": {"model.layers.1.self_attn.head_dim": 3}},
    ],
)
def test_sizes_that_are_not_those_of_a_pruned_model_are_refused(tmp_path, listed):
    """A folder's config.json must not reach anything but projections and head counts."""
    folder = saved(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"fnet_resized": listed}))
    forward = LlamaForCausalLM.forward
    with pytest.raises(RequestError, match="fnet_resized"):
        models.load(str(folder))
    assert LlamaForCausalLM.forward is forward


def test_edits_folded_into_a_pruned_model_load_without_fnet(tmp_path):
    pruned = models.load(str(saved(tmp_path)))
    edit = Edit("mlp", ((1, 2), (2, 0)), gain=0.5)
    folder = bake(pruned, [edit], tmp_path / "baked", {})
    again = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
    with editing(pruned, [edit]):
        torch.testing.assert_close(logits(again), logits(pruned.model), atol=1e-4, rtol=0)


def test_a_folder_that_appears_meanwhile_is_kept_and_said(tmp_path, monkeypatch):
    loaded = loaded_tiny("llama")
    loaded.model.save_pretrained(tmp_path / "source")
    tiny_tokenizer().save_pretrained(tmp_path / "source")
    loaded = models.load(str(tmp_path / "source"))
    pruning = prepare(loaded, uneven_plan(loaded), "none", REQUEST)

    def meanwhile(stage, fraction):
        if stage == "saving" and not (tmp_path / "new").exists():
            (tmp_path / "new").mkdir()
            (tmp_path / "new" / "theirs").write_text("x")

    with pytest.raises(RequestError, match="new"):
        export(loaded, pruning, tmp_path / "new", report=meanwhile)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["theirs"]
