"""Architectures that are not in the table: read by structure where that is plain and numbers agree, else refused."""

import pytest
import torch
from support.pruning_cases import PASSAGES
from support.tiny_models import tiny_model
from support.unlisted import BY_STRUCTURE, UNCLEAR, MadeUp, MadeUpConfig, save_unlisted, unlisted_config
from transformers import AutoModelForCausalLM
from transformers.models.auto import modeling_auto

from fnet_core.abilities import abilities, told
from fnet_core.activations.hooks import touching
from fnet_core.cli.main import main
from fnet_core.errors import RequestError
from fnet_core.interventions.baking import bake
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.taking import FingerprintRequest, fingerprint_of
from fnet_core.models.cards import peek
from fnet_core.models.families import FAMILIES
from fnet_core.models.loading import load
from fnet_core.models.modules import taps, weight_of
from fnet_core.models.structure import family_of, read_structure, structure_of
from fnet_core.models.structure_check import check_structure
from fnet_core.networks.finding import AtlasRequest, atlas_of
from fnet_core.pruning.anatomy import anatomy

IDS = torch.randint(4, 61, (1, 17), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "family",
    ["llama", "gemma2", "gpt2", "gpt_neox", "phi3", "bloom", "glm4", "olmo2", "opt", "falcon", "gptj", "cohere"],
)
def test_the_structure_of_a_family_in_the_table_is_its_row(family):
    model = tiny_model(family)
    model.config.pad_token_id = None
    found, row = read_structure(model.to("meta")).family, FAMILIES[family]
    for name in ("layers", "down", "mlp_out", "attention_out"):
        assert getattr(found, name) == getattr(row, name)
    assert found.qkv in ((), row.qkv) and found.sites == row.sites


@pytest.mark.parametrize("model_type", BY_STRUCTURE)
def test_a_class_that_is_not_in_the_table_is_read_edited_and_fingerprinted(tmp_path, model_type, caplog):
    assert model_type not in FAMILIES
    loaded = load(str(save_unlisted(tmp_path / "model", model_type)))
    assert "read by its structure" in caplog.text
    with torch.no_grad():
        untouched = loaded.model(IDS).logits
    produced = {}
    handles = [
        tap.module.register_forward_hook(lambda m, a, out, i=i: produced.__setitem__(i, out.reshape(-1, 24)))
        for i, tap in enumerate(taps(loaded.model, "mlp"))
    ]
    seen = {}
    with touching(loaded.model, "mlp", lambda layer, x: seen.__setitem__(layer, x.clone())), torch.no_grad():
        loaded.model(IDS)
    for handle in handles:
        handle.remove()
    for layer, tap in enumerate(taps(loaded.model, "mlp")):
        by_hand = seen[layer].reshape(17, -1) @ weight_of(tap.module).T
        by_hand = by_hand if tap.module.bias is None else by_hand + tap.module.bias
        torch.testing.assert_close(by_hand, produced[layer], atol=1e-5, rtol=1e-5)
    for site in ("mlp", "mlp_out", "residual", "heads"):
        atlas = atlas_of(loaded, AtlasRequest(loaded.name, PASSAGES, site, components=2, restarts=2)).answer
        assert len(atlas) == 2
        with torch.no_grad(), editing(loaded, [Edit(site, ((0, 0), (1, 1), (2, 2)), gain=0.0)]):
            assert (loaded.model(IDS).logits - untouched).abs().max() > 1e-4
        taken = fingerprint_of(loaded, FingerprintRequest(loaded.name, PASSAGES, PASSAGES, site, 2, 1.0)).answer
        assert compare(taken, taken).outcome == "same model"
        assert bool(taken.curves_4L.any()) == bool(family_of(loaded.model.config).qkv)
    with torch.no_grad():
        assert torch.equal(loaded.model(IDS).logits, untouched)
    with pytest.raises(RequestError, match=f"A {model_type} model is read by its structure and pruning needs"):
        anatomy(loaded)
    with pytest.raises(RequestError, match="read by its structure and saving edits in the weights needs"):
        bake(loaded, [Edit("mlp", ((0, 0),), gain=0.0)], tmp_path / "baked", {})


def test_what_works_with_it_is_told_before_it_is_loaded(tmp_path, capsys):
    folder = str(save_unlisted(tmp_path / "model", "apertus"))
    assert "read by its structure, for its architecture is not in the table" in peek(folder).description
    works = {line.title: line.works for line in told(abilities(unlisted_config("apertus"), "mine"))}
    assert works["find networks"] and works["edit networks"] and works["take a fingerprint"]
    assert not works["save edits in the weights"] and not works["prune MLP neurons and export"]
    assert main(["models", folder]) == 0
    out = capsys.readouterr().out
    assert "It is read by its structure" in out and "no   prune attention heads and export: A apertus model is" in out


@pytest.mark.parametrize("model_type", UNCLEAR)
def test_a_class_whose_structure_is_not_plain_is_refused_with_what_was_ambiguous(model_type):
    with pytest.raises(RequestError) as refused:
        structure_of(unlisted_config(model_type))
    said = str(refused.value)
    assert said.startswith(f"The architecture '{model_type}' is not supported; choose a model of one of these: llama, ")
    assert f", for it is not in the table, and by its structure {UNCLEAR[model_type]}" in said and said.endswith(".")


@pytest.fixture
def made_up(monkeypatch):
    """The structure of a made-up model, which the library then knows."""
    monkeypatch.setitem(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, "made_up", "MadeUp")
    monkeypatch.setitem(AutoModelForCausalLM._model_mapping._extra_content, MadeUpConfig, MadeUp)
    return lambda kind: structure_of(MadeUpConfig(kind))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("two MLPs", "a layer's output is not what entered it and two branches added to it"),
        ("scaled", "what a branch adds to the stream is not what one projection gives"),
        ("two stacks", "2 lists of 3 alike modules could be its decoder layers"),
        ("narrow", "it cannot be told which branch is attention"),
    ],
)
def test_a_made_up_model_that_is_ambiguous(made_up, kind, sentence):
    with pytest.raises(RequestError, match=f"'made_up' is not supported; .*, for it is not in the table, .*{sentence}"):
        made_up(kind)


def test_a_made_up_model_that_is_plain(made_up):
    found = made_up("plain")
    assert (found.family.layers, found.family.down, found.family.mlp_out) == ("blocks", "narrow", "narrow")
    assert (found.family.attention_out, found.attention_branch, found.family.qkv) == ("mix_out", "mix_out", ())
    check_structure(MadeUp(MadeUpConfig("plain")).eval())


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("layer", "layer 1 does not give what entered it and what its two branches add"),
        ("projection", "layer 1 has activations that its projection does not turn into its output"),
        ("future", "layer 1 lets a token hear of later ones"),
        ("between", "layer 2 does not read what the one before it gave"),
    ],
)
def test_a_model_whose_numbers_differ_from_its_row_is_refused_once_loaded(tmp_path, monkeypatch, lie, sentence):
    model = AutoModelForCausalLM.from_config(unlisted_config("apertus")).eval()
    check_structure(model)
    layer, following = model.model.layers[1], model.model.layers[2]
    if lie == "layer":
        own = layer.forward
        monkeypatch.setattr(layer, "forward", lambda *a, **k: own(*a, **k) * 1.01)
    elif lie == "projection":
        down = layer.mlp.down_proj
        monkeypatch.setattr(down, "forward", lambda x: torch.nn.functional.linear(x, down.weight) * 1.01)
    elif lie == "between":
        own = following.__class__.__call__
        monkeypatch.setattr(
            type(following), "__call__", lambda self, x, **k: own(self, x * 1.01 if self is following else x, **k)
        )
    else:
        layer.self_attn.is_causal = False
    with pytest.raises(RequestError, match=f"'apertus' is not supported; .* read by its structure, {sentence}"):
        check_structure(model)
