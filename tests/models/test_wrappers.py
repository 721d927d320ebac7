"""The text model inside a model that reads pictures: the whole model's numbers, its own tensors, an ordinary export."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.pruning_cases import request_for, uneven_plan
from support.tiny_models import VOCABULARY, tiny_tokenizer, tiny_wrapper
from transformers import AutoModelForCausalLM

from fnet_core.activations.hooks import touching
from fnet_core.errors import RequestError
from fnet_core.interventions.baking import bake
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.models import loading as models
from fnet_core.models.cards import peek
from fnet_core.models.families import FAMILIES
from fnet_core.models.loading import load
from fnet_core.models.wrappers import WRAPPERS, text_tensor
from fnet_core.pruning.export import export
from fnet_core.pruning.masking import masking, prepare

IDS = torch.arange(4, 33)[None]


def saved(folder, wrapper, **changes):
    """A tiny whole model and the folder that it is saved in."""
    whole = tiny_wrapper(wrapper, **changes)
    whole.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return whole, str(folder)


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def on_text(whole):
    """What of a whole model answers text; Llama 4's own forward asks transformers 5.24 for an output it has not."""
    return whole.language_model if whole.config.model_type == "llama4" else whole


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_text_model_computes_what_the_whole_model_does_on_text(tmp_path, wrapper, tied, caplog):
    whole, folder = saved(tmp_path / "whole", wrapper, tie_word_embeddings=tied)
    loaded = load(folder)
    assert loaded.family == WRAPPERS[wrapper] in FAMILIES
    assert torch.equal(logits(loaded.model), logits(on_text(whole)))
    text = loaded.model.num_parameters()
    vision = sum(p.numel() for name, p in whole.named_parameters() if "language_model" not in name)
    head = 0 if tied or wrapper == "llama4" else VOCABULARY * 24  # Llama 4's stands inside
    assert text == whole.num_parameters() - vision + head < whole.num_parameters()
    assert models.estimate(loaded.path).parameters == text and loaded.stored.bytes == 4 * text
    assert f"{wrapper} model the text model is read" in caplog.text
    card = peek(folder)
    assert (card.architecture, card.layers, card.width, card.parameters) == (WRAPPERS[wrapper], 3, 24, text)
    assert "what is saved of it is that text model" in card.description


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_site_is_read_in_the_text_model_as_in_the_whole_one(tmp_path, wrapper):
    whole, folder = saved(tmp_path / "whole", wrapper)
    model = load(folder).model
    inner = on_text(whole).model
    inner = getattr(inner, "language_model", inner)
    modules = {
        "mlp": "mlp.down_proj",
        "mlp_out": {"gemma3": "post_feedforward_layernorm", "llama4": "feed_forward"}.get(wrapper, "mlp"),
        "residual": "",
        "heads": "self_attn.o_proj",
    }
    for site in [site for site in FAMILIES[WRAPPERS[wrapper]].sites if site != "experts"]:
        seen, expected = [], []

        def before(module, inputs, expected=expected):
            expected.append(inputs[0])

        def after(module, inputs, output, expected=expected):
            expected.append(output[0] if isinstance(output, tuple) else output)

        places = [layer.get_submodule(modules[site]) for layer in inner.layers]
        handles = [
            place.register_forward_pre_hook(before) if site in ("mlp", "heads") else place.register_forward_hook(after)
            for place in places
        ]
        logits(on_text(whole))
        with touching(model, site, lambda layer, x, seen=seen: seen.append(x.clone())):
            logits(model)
        for handle in handles:
            handle.remove()
        assert len(seen) == 3 and all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


@pytest.mark.parametrize("wrapper", [name for name in WRAPPERS if name != "llama4"])
def test_a_pruned_export_is_an_ordinary_text_model_and_says_so(tmp_path, wrapper):
    loaded = load(saved(tmp_path / "whole", wrapper)[1])
    pruning = prepare(loaded, uneven_plan(loaded), "bias", request_for(WRAPPERS[wrapper]))
    folder = export(loaded, pruning, tmp_path / "smaller")
    with masking(loaded, pruning):
        masked = logits(loaded.model)
    trusted = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
    again = load(str(folder))
    for model in (trusted, again.model):
        torch.testing.assert_close(logits(model), masked, atol=1e-4, rtol=0)
    names = load_file(folder / "model.safetensors").keys()
    assert all(name.startswith(("model.layers.", "model.embed_tokens.", "model.norm.", "lm_head.")) for name in names)
    assert f"Of this {wrapper} model the text model is read" in (folder / "README.md").read_text()
    assert json.loads((folder / "config.json").read_text())["model_type"] == WRAPPERS[wrapper]


@pytest.mark.parametrize("wrapper", ["gemma3", "qwen2_vl"])
def test_folded_edits_are_saved_as_a_text_model_too(tmp_path, wrapper):
    loaded = load(saved(tmp_path / "whole", wrapper)[1])
    edit = Edit("mlp", ((1, 2), (2, 0)), gain=0.5)
    folder = bake(loaded, [edit], tmp_path / "baked", {})
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    with editing(loaded, [edit]):
        torch.testing.assert_close(logits(plain), logits(loaded.model), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_tensors_are_found_under_each_of_the_names_that_libraries_gave_them(tmp_path, wrapper):
    whole, folder = saved(tmp_path / "whole", wrapper)
    stored = load_file(tmp_path / "whole" / "model.safetensors")
    prefixes = ("language_model.model.", "model.language_model.", "model.")
    found = []
    for prefix in prefixes:
        head = "language_model.lm_head." if prefix.startswith("language_model") else "lm_head."
        renamed = {}
        for name, tensor in stored.items():
            own = text_tensor(name)
            if own is None:
                renamed[name] = tensor
            else:
                renamed[own.replace("lm_head.", head) if own.startswith("lm_head") else prefix + own[6:]] = tensor
        save_file(renamed, tmp_path / "whole" / "model.safetensors", metadata={"format": "pt"})
        found.append(load(folder))
    assert all(torch.equal(logits(loaded.model), logits(on_text(whole))) for loaded in found)
    assert len({loaded.digest for loaded in found}) == 3


def test_a_text_model_of_an_unknown_family_is_refused_by_its_own_name(tmp_path):
    _, folder = saved(tmp_path / "whole", "llava")
    config = json.loads((tmp_path / "whole" / "config.json").read_text())
    config["text_config"]["model_type"] = "perceptron"
    (tmp_path / "whole" / "config.json").write_text(json.dumps(config))
    with pytest.raises(RequestError, match="'perceptron' is not supported"):
        load(folder)


def test_a_flat_configuration_of_an_older_library_is_understood(tmp_path):
    """Qwen2-VL's repositories keep the text model's sizes beside the vision model's, not in a part of their own."""
    whole, folder = saved(tmp_path / "whole", "qwen2_vl")
    path = tmp_path / "whole" / "config.json"
    config = json.loads(path.read_text())
    text = config.pop("text_config")
    text.pop("model_type")
    positions = text.pop("rope_parameters")
    text |= {"rope_theta": positions["rope_theta"], "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 1]}}
    path.write_text(json.dumps(text | config))
    assert torch.equal(logits(load(folder).model), logits(whole))
