"""What a GGUF file says beyond what transformers reads: carried over with equal numbers, or refused by its name."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, RopeScalingType
from support.here import convert_here
from support.tiny_gguf import write_tiny_gguf, write_tiny_mixture_gguf
from transformers import AutoConfig, PreTrainedModel

from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel, load, resolve
from fnet_core.models.sources import gguf as gguf_conversion
from fnet_core.models.sources.gguf_metadata import Metadata, settled

IDS = torch.arange(40, 140)[None]
BASE = 10_000.0


@pytest.fixture(autouse=True, scope="module")
def in_this_process():
    """The child that converts is tested with the conversion itself; here is asked what comes out."""
    with pytest.MonkeyPatch.context() as patch:
        convert_here(patch)
        yield


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def converted(gguf: Path) -> LoadedModel:
    """The model of a file, converted by the child's own function in this process."""
    folder = gguf.with_suffix("")
    folder.mkdir()
    assert gguf_conversion.main([str(gguf), str(folder)]) == 0
    return load(str(folder))


def linear(writer: GGUFWriter) -> None:
    writer.add_rope_scaling_type(RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(4.0)


def yarn(writer: GGUFWriter) -> None:
    writer.add_rope_scaling_type(RopeScalingType.YARN)
    writer.add_rope_scaling_factor(8.0)
    writer.add_rope_scaling_orig_ctx_len(16)


def yarn_of_its_own(writer: GGUFWriter) -> None:
    yarn(writer)
    writer.add_rope_scaling_yarn_beta_fast(24.0)
    writer.add_rope_scaling_yarn_beta_slow(2.0)
    writer.add_rope_scaling_yarn_attn_factor(1.5)


def factors(values: list[float]):
    return lambda writer: writer.add_tensor("rope_freqs.weight", np.array(values, dtype=np.float32))


def llama3_factors(base: float, size: int, factor: float) -> list[float]:
    """The factors as the format's converter computes them for a model of the Llama 3 kind."""
    found = []
    for step in range(0, size, 2):
        wavelength = 2 * math.pi * base ** (step / size)
        if wavelength < 8192 / 4.0:
            found.append(1.0)
        elif wavelength > 8192 / 1.0:
            found.append(factor)
        else:
            smooth = (8192 / wavelength - 1.0) / (4.0 - 1.0)
            found.append(1 / ((1 - smooth) / factor + smooth))
    return found


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 16}
YARN_OF_ITS_OWN = YARN | {"beta_fast": 24.0, "beta_slow": 2.0, "attention_factor": 1.5 * (0.1 * math.log(8.0) + 1)}


@pytest.mark.parametrize(
    ("more", "rope"),
    [
        (linear, {"rope_type": "linear", "factor": 4.0}),
        (yarn, YARN),
        (yarn_of_its_own, YARN_OF_ITS_OWN),
        (factors(llama3_factors(BASE, 24, 8.0)), LLAMA3),
        (factors(llama3_factors(500_000.0, 24, 8.0)), LLAMA3 | {"rope_theta": 500_000.0}),
    ],
)
def test_rotary_scaling_gives_the_numbers_of_the_model_it_was_made_of(gguf, more, rope):
    rope = {"rope_theta": BASE} | rope
    original = write_tiny_gguf(gguf, more=more, rope_parameters=rope, head_dim=24)
    loaded = converted(gguf)
    assert loaded.model.config.rope_parameters == pytest.approx(rope)
    assert torch.allclose(loaded.model(IDS).logits, original(IDS).logits, atol=1e-6)


@pytest.mark.parametrize("more", [linear, yarn, yarn_of_its_own])
def test_without_its_rotary_scaling_a_model_gives_other_numbers(tmp_path, more):
    written = write_tiny_gguf(tmp_path / "scaled.gguf", more=more)
    scaled = converted(tmp_path / "scaled.gguf").model(IDS).logits
    assert (scaled - written(IDS).logits).abs().max() > 0.01


def test_factors_of_no_known_kind_are_taken_one_by_one(gguf):
    original = write_tiny_gguf(gguf, more=factors([1.0, 2.0, 7.0]))
    loaded = converted(gguf).model
    frequencies = original.model.rotary_emb.inv_freq / torch.tensor([1.0, 2.0, 7.0])
    assert torch.allclose(loaded.model.rotary_emb.inv_freq, frequencies)
    original.model.rotary_emb.inv_freq = frequencies
    assert torch.allclose(loaded(IDS).logits, original(IDS).logits, atol=1e-6)


def test_biases_of_the_attention_are_read(gguf):
    """Llama's projections have none unless the configuration says so, which the file does by holding them."""

    def biases(writer: GGUFWriter) -> None:
        for layer in range(3):
            for name, size in (("attn_q", 24), ("attn_k", 12), ("attn_v", 12), ("attn_output", 24)):
                writer.add_tensor(f"blk.{layer}.{name}.bias", np.full(size, 0.5, dtype=np.float32))

    original = write_tiny_gguf(gguf, more=biases, attention_bias=True)
    for layer in original.model.layers:
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            getattr(layer.self_attn, name).bias.fill_(0.5)
    assert torch.allclose(converted(gguf).model(IDS).logits, original(IDS).logits, atol=1e-6)


def test_a_mixture_keeps_its_experts_and_how_they_are_weighed(gguf):
    original = write_tiny_mixture_gguf(gguf)
    loaded = converted(gguf)
    assert loaded.model.config.moe_intermediate_size == original.config.moe_intermediate_size
    assert loaded.model.config.norm_topk_prob
    assert torch.equal(loaded.model(IDS).logits, original(IDS).logits)


def refused_by_the_child(gguf: Path, folder: Path, capsys) -> str:
    assert gguf_conversion.main([str(gguf), str(folder)]) == 2
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (lambda w: w.add_rope_scaling_type(RopeScalingType.LONGROPE), "llama.rope.scaling.type = longrope"),
        (lambda w: w.add_clamp_kqv(8.0), "llama.attention.clamp_kqv = 8"),
        (lambda w: w.add_sliding_window(16), "llama.attention.sliding_window = 16"),
        (lambda w: w.add_attn_logit_softcapping(30.0), "llama.attn_logit_softcapping = 30"),
        (lambda w: w.add_value_length(8), "llama.attention.value_length = 8"),
        (lambda w: w.add_expert_count(8), "llama.expert_count = 8, a mixture of experts"),
        (
            lambda w: w.add_tensor("blk.0.ffn_gate.bias", np.zeros(40, dtype=np.float32)),
            "1 tensors (blk.0.ffn_gate.bias, ...) that belong to no part of the model",
        ),
    ],
)
def test_what_has_no_place_is_refused_by_its_name(gguf, tmp_path, capsys, more, sentence):
    write_tiny_gguf(gguf, more=more)
    assert refused_by_the_child(gguf, tmp_path, capsys) == (
        f"model.gguf says {sentence}, which cannot be carried over from GGUF; choose the same model with safetensors."
    )


def test_an_architecture_that_the_format_knows_and_nobody_reads_is_refused_by_its_name(gguf, tmp_path, capsys):
    write_tiny_gguf(gguf, architecture="plamo")
    assert "says general.architecture = plamo, which cannot be" in refused_by_the_child(gguf, tmp_path, capsys)


def said(architecture: str, **keys) -> Metadata:
    named = {key.replace("__", "."): value for key, value in keys.items()}
    return Metadata("model.gguf", architecture, named, frozenset(), None)


def test_an_epsilon_goes_where_the_family_keeps_it():
    config = AutoConfig.for_model("nemotron")
    assert settled(config, said("nemotron", attention__layer_norm_epsilon=0.25)).norm_eps == 0.25
    config = AutoConfig.for_model("stablelm")
    assert settled(config, said("stablelm", attention__layer_norm_epsilon=0.25)).layer_norm_eps == 0.25


def test_windows_bases_and_caps_are_set():
    config = AutoConfig.for_model("gemma2", head_dim=64, query_pre_attn_scalar=256)
    keys = {"attention__sliding_window": 32, "attn_logit_softcapping": 20.0, "final_logit_softcapping": 10.0}
    found = settled(config, said("gemma2", block_count=26, attention__key_length=64, **keys))
    assert (found.sliding_window, found.attn_logit_softcapping, found.final_logit_softcapping) == (32, 20.0, 10.0)
    assert found.query_pre_attn_scalar == 64
    assert settled(AutoConfig.for_model("starcoder2"), said("starcoder2", rope__freq_base=5e5)).rope_parameters[
        "rope_theta"
    ] == pytest.approx(5e5)
    assert settled(AutoConfig.for_model("mistral"), said("llama")).sliding_window is None


def test_the_largest_gemma_scales_its_queries_by_its_width():
    config = AutoConfig.for_model(
        "gemma2", head_dim=128, hidden_size=4608, num_attention_heads=32, num_hidden_layers=46
    )
    keys = {"block_count": 46, "embedding_length": 4608, "attention__head_count": 32}
    assert settled(config, said("gemma2", **keys)).query_pre_attn_scalar == 144


def test_linear_scaling_of_gemma_3_is_that_of_its_full_layers():
    config = AutoConfig.for_model("gemma3_text", query_pre_attn_scalar=256, head_dim=256)
    found = settled(config, said("gemma3", block_count=26, rope__scaling__type="linear", rope__scaling__factor=8.0))
    assert found.rope_parameters["full_attention"]["factor"] == 8.0
    assert found.rope_parameters["sliding_attention"] == config.rope_parameters["sliding_attention"]


def test_what_a_family_works_out_for_itself_is_only_compared():
    config = AutoConfig.for_model("bloom", hidden_size=64, n_head=8)
    keys = {"context_length": 2048, "feed_forward_length": 256, "attention__head_count_kv": 8}
    assert settled(config, said("bloom", **keys)) is config
    with pytest.raises(RequestError, match=r"bloom\.feed_forward_length = 250"):
        settled(config, said("bloom", feed_forward_length=250))


def test_a_configuration_that_lacks_nothing_is_the_same_object():
    config = AutoConfig.for_model("qwen2")
    keys = {"context_length": 32768, "embedding_length": 4096, "attention__layer_norm_rms_epsilon": 9.99999997e-07}
    assert settled(config, said("qwen2", rope__freq_base=10_000.0, **keys)) is config


# Files in parts


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    write_tiny_gguf(tmp_path / "model.gguf", parts=2)
    found = sorted(tmp_path.glob("model-*.gguf"))
    assert [path.name for path in found] == ["model-00001-of-00002.gguf", "model-00002-of-00002.gguf"]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[PreTrainedModel, str]:
    """The same model in one file, and the digest that it has once it is converted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FNET_HOME", str(folder / "home"))
        return write_tiny_gguf(folder / "whole.gguf"), load(str(folder / "whole.gguf")).digest


@pytest.mark.parametrize("named", [0, 1])
def test_parts_are_joined_by_whichever_is_named(parts, whole, named):
    original, digest = whole
    loaded = load(str(parts[named]))
    assert torch.equal(loaded.model(IDS).logits, original(IDS).logits)
    assert loaded.digest == digest
    assert list(loaded.path.glob("*.gguf")) == []


def test_a_part_that_is_not_there_is_named(parts):
    parts[1].unlink()
    with pytest.raises(RequestError) as refused:
        resolve(str(parts[0]))
    assert str(refused.value) == (
        "model-00001-of-00002.gguf is one of 2 parts and model-00002-of-00002.gguf is not beside it; put all parts "
        "into one folder."
    )


def test_another_second_part_is_another_model(parts, tmp_path):
    first = resolve(str(parts[0])).path
    content = bytearray(parts[1].read_bytes())
    content[-1] ^= 1
    parts[1].write_bytes(bytes(content))
    assert resolve(str(parts[0])).path != first
