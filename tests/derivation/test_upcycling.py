"""Mixtures made of dense models: equal before training, loaded by plain transformers, trained on, and refused."""

import json

import pytest
import torch
from support.tiny_models import save_tiny, tiny_model
from transformers import AutoModelForCausalLM

from fnet_core.derivation.derive import CARD, derive
from fnet_core.derivation.training import Training
from fnet_core.derivation.upcycling import upcycled
from fnet_core.errors import RequestError
from fnet_core.models import loading as models

IDS = torch.randint(4, 61, (2, 19), generator=torch.Generator().manual_seed(1))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("family", "changes", "kind"),
    [
        ("llama", {}, "mixtral"),
        ("llama", {"tie_word_embeddings": True, "rope_parameters": {"rope_type": "linear", "factor": 4.0}}, "mixtral"),
        ("mistral", {"sliding_window": 8}, "mixtral"),
        ("qwen3", {}, "qwen3_moe"),
    ],
)
@pytest.mark.parametrize("experts", [2, 5])
def test_the_logits_are_equal_and_the_experts_are_copies(family, changes, kind, experts):
    dense = tiny_model(family, **changes)
    mixture = upcycled(dense, experts, 0.0, seeded(3))
    assert mixture.config.model_type == kind
    torch.testing.assert_close(mixture(IDS).logits, dense(IDS).logits, atol=1e-5, rtol=0)
    for layer, old in zip(mixture.model.layers, dense.model.layers, strict=True):
        both = torch.cat([old.mlp.gate_proj.weight, old.mlp.up_proj.weight])
        for expert in range(experts):
            assert torch.equal(layer.mlp.experts.gate_up_proj[expert], both)
            assert torch.equal(layer.mlp.experts.down_proj[expert], old.mlp.down_proj.weight)
        assert 0.1 < layer.mlp.gate.weight.std() < 0.3
    routers = [upcycled(dense, experts, 0.0, seeded(seed)).model.layers[0].mlp.gate.weight for seed in (3, 4)]
    assert torch.equal(routers[0], mixture.model.layers[0].mlp.gate.weight) and not torch.equal(*routers)


def test_noise_tells_the_experts_apart_in_proportion():
    dense = tiny_model("llama")
    mixture = upcycled(dense, 3, 0.05, seeded(0))
    for expert in range(3):
        down, old = mixture.model.layers[1].mlp.experts.down_proj[expert], dense.model.layers[1].mlp.down_proj.weight
        assert 0.04 < (down - old).std() / old.std() < 0.06
    first, second, _ = mixture.model.layers[1].mlp.experts.down_proj
    assert not torch.equal(first, second)
    assert not torch.allclose(mixture(IDS).logits, dense(IDS).logits, atol=1e-3)


@pytest.mark.parametrize(
    ("family", "changes", "sentence"),
    [
        ("gpt2", {}, "no mixture of experts with the layers of a gpt2 model; choose a model of one of these: llama, "),
        ("mixtral", {}, "no mixture of experts with the layers of a mixtral model"),
        ("llama", {"attention_bias": True}, "has tensors that a mixtral model has not"),
        ("llama", {"mlp_bias": True}, "has tensors that a mixtral model has not"),
        (
            "qwen3",
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
            "configuration says something that the mixture's cannot",
        ),
    ],
)
def test_what_has_no_mixture(family, changes, sentence):
    with pytest.raises(RequestError, match=sentence):
        upcycled(tiny_model(family, **changes), 4, 0.0, seeded(0))


def test_a_saved_mixture_names_its_parent_and_can_be_derived_from_in_turn(tmp_path):
    parent = save_tiny(tmp_path / "dense", max_position_embeddings=3000)
    made = derive(str(parent), "upcycle:4", tmp_path / "mixture", seed=2)
    card = json.loads((tmp_path / "mixture" / CARD).read_text())
    assert (card["parent"], card["how"], card["seed"]) == ("dense", "upcycle:4", 2)
    assert (card["experts"], card["experts_per_token"], card["parent_digest"]) == (4, 2, made.parent_digest)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "mixture")
    dense = AutoModelForCausalLM.from_pretrained(parent)
    torch.testing.assert_close(plain(IDS).logits, dense(IDS).logits, atol=1e-5, rtol=0)
    assert models.load(str(tmp_path / "mixture")).family == "mixtral"
    assert made.parameters_after == made.parameters_before + 3 * (3 * 3 * 40 * 24 + 4 * 24)
    text = tmp_path / "text.txt"
    text.write_text("a small text of a few dozen letters to be trained on.")
    for how in (f"finetune:{text}", f"lora:{text}", "noise:0.1", "drop-layers:1"):
        out = tmp_path / how.split(":")[0]
        derive(str(tmp_path / "mixture"), how, out, training=Training(steps=3, learning_rate=1e-2, window=16))
        changed = AutoModelForCausalLM.from_pretrained(out)
        assert changed.config.model_type == "mixtral"
        assert not torch.allclose(changed(IDS).logits, plain(IDS).logits, atol=1e-3)
    tuned = AutoModelForCausalLM.from_pretrained(tmp_path / "finetune").model.layers[1].mlp
    assert not torch.equal(tuned.gate.weight, plain.model.layers[1].mlp.gate.weight)
    assert not torch.equal(tuned.experts.down_proj[0], tuned.experts.down_proj[1])


@pytest.mark.parametrize("how", ["permute", "permute-residual", "rescale:2", "quantise:4", "prune:0.3"])
def test_ways_that_are_not_made_for_mixtures(how, tmp_path):
    parent = save_tiny(tmp_path / "mixture", "mixtral", max_position_embeddings=3000)
    with pytest.raises(RequestError, match=r"is a mixture of experts and .* for one MLP per layer"):
        derive(str(parent), how, tmp_path / "here" / "out")
    assert not (tmp_path / "here").exists()
