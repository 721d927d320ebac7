"""What is told of a model before it is loaded; `docs/models.md` holds the same against what really runs."""

import pytest
from support.tiny_models import save_tiny, tiny_model
from transformers import AutoConfig, CLIPVisionConfig, LlamaConfig, LlavaConfig

from fnet_core.abilities import abilities, told
from fnet_core.errors import RequestError


def lines(config, name="mine") -> dict[str, tuple[bool, str]]:
    return {line.title: (line.works, line.text) for line in told(abilities(config, name))}


def test_a_dense_model_can_do_all_but_experts():
    said = lines(tiny_model("llama").config)
    assert [title for title, (works, _) in said.items() if not works] == ["site experts"]
    everywhere = "MLP neurons, MLP output, Residual stream, Attention heads"
    assert said["find networks"] == said["take a fingerprint"] == (True, everywhere)
    assert said["save edits in the weights"] == (True, "MLP neurons, Attention heads")


def test_a_mixture_has_experts_and_no_neurons_to_prune():
    said = lines(tiny_model("mixtral").config)
    assert said["find networks"] == (True, "MLP output, Residual stream, Attention heads, Experts")
    assert not said["prune MLP neurons and export"][0] and "mixture" in said["prune MLP neurons and export"][1]
    assert not said["site mlp"][0]


def test_heads_that_share_one_key_stay():
    works, reason = lines(tiny_model("llama", num_key_value_heads=1).config)["prune attention heads and export"]
    assert not works and "share one key" in reason and "mine" in reason


def test_what_a_configuration_cannot_say_is_told():
    assert "short file of code" in lines(tiny_model("gpt2").config)["prune attention heads and export"][1]
    assert "ordinary folder" in lines(tiny_model("gpt2").config)["prune MLP neurons and export"][1]


def test_a_model_that_reads_pictures_can_do_what_its_text_model_can():
    text = LlamaConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, vocab_size=61)
    whole = LlavaConfig(text_config=text, vision_config=CLIPVisionConfig())
    assert abilities(whole, "mine") == abilities(text, "mine")


def test_no_weight_is_read_and_no_memory_taken(tmp_path):
    folder = save_tiny(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers, config.hidden_size, config.intermediate_size = 80, 8192, 28672
    config.head_dim = 2048
    assert lines(config)["find networks"][0]


def test_an_unknown_architecture_is_refused():
    with pytest.raises(RequestError, match="not supported"):
        abilities(AutoConfig.for_model("bert"), "mine")
