"""Does it fit? Parameters against the real class, bytes by hand, the answer at each boundary."""

from pathlib import Path

import pytest
import torch
from support.tiny_models import save_tiny, tiny_model
from transformers import AutoConfig, LlamaConfig

from fnet_core.models import memory
from fnet_core.models.families import FAMILIES
from fnet_core.models.memory import activation_bytes, count_parameters, default_dtype, estimate, gigabytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "model")


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: count)


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_those_of_the_real_class(tmp_path, family):
    model = tiny_model(family)
    assert estimate(save_tiny(tmp_path / family, family)).parameters == model.num_parameters()
    assert count_parameters(model.config) == model.num_parameters()


def test_tied_weights_that_a_file_holds_twice_count_once(tmp_path):
    model = tiny_model("llama", tie_word_embeddings=False)
    model.save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    config.tie_word_embeddings = True
    config.save_pretrained(tmp_path)
    assert estimate(tmp_path).parameters == model.num_parameters() - 61 * 24


def test_a_large_model_is_counted_without_making_it():
    llama_7b = LlamaConfig()
    assert count_parameters(llama_7b) == 6_738_415_616
    need = estimate(llama_7b, torch.bfloat16)
    assert need.weight_bytes == 2 * 6_738_415_616
    assert need.dtype == "bfloat16"


def test_activations_by_hand():
    config = tiny_model("llama", max_position_embeddings=100).config
    logits = 3 * 100 * 61 * 4
    sites = 100 * 3 * (40 + 2 * 24 + 4) * 4
    working = 100 * (3 * 40 + 8 * 24 + 4 * 100) * 4
    assert activation_bytes(config, torch.float32) == logits + sites + working


def test_the_estimate_covers_a_real_forward_pass():
    """SmolLM2's sizes at half width: torch's own count of what it allocates stays below the estimate."""
    config = LlamaConfig(
        vocab_size=49_152, hidden_size=288, intermediate_size=768, num_hidden_layers=6, num_attention_heads=9
    )
    model = tiny_model("llama", **{key: getattr(config, key) for key in _SIZES}, max_position_embeddings=512)
    ids = torch.arange(512)[None]
    with torch.no_grad(), torch.profiler.profile(profile_memory=True, record_shapes=False) as profile:
        model(ids, labels=ids, output_hidden_states=True)
    running = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            running += event.nbytes()
            peak = max(peak, running)
    assert 10_000_000 < peak < activation_bytes(model.config, torch.float32)


_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")


def test_the_answer_at_each_boundary(folder, monkeypatch):
    need = estimate(folder)
    assert need.weight_bytes == 4 * need.parameters
    assert need.needed_bytes == need.weight_bytes + need.activation_bytes
    free(monkeypatch, need.needed_bytes)
    assert estimate(folder).fits == "device"
    free(monkeypatch, need.needed_bytes - 1)
    assert estimate(folder).fits == "offload"
    free(monkeypatch, need.minimum_bytes)
    assert estimate(folder).fits == "offload"
    free(monkeypatch, need.minimum_bytes - 1)
    assert estimate(folder).fits == "no"


def test_the_sentences(monkeypatch):
    """Llama 2 7B: 26.95 GB of weights, 1.63 GB of activations; two layers are 1.62 GB."""
    llama_7b = LlamaConfig()
    free(monkeypatch, 64 * 10**9)
    assert estimate(llama_7b).sentence == "It fits: 28.6 GB of 64.0 GB free memory."
    free(monkeypatch, 16 * 10**9)
    assert estimate(llama_7b).sentence == (
        "It needs 28.6 GB and 16.0 GB of memory are free: the rest is read from disk, which is slow."
    )
    free(monkeypatch, 10**9)
    assert estimate(llama_7b).sentence == (
        "It does not fit: even with its weights on disk it needs 3.3 GB of memory and 1.0 GB are free, so "
        "2.3 GB are missing; free some or choose a smaller model."
    )


def test_a_gpu_is_asked_first(folder, monkeypatch):
    need = estimate(folder, torch.bfloat16)
    sizes = {0: need.needed_bytes - 10, 1: 5}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (sizes[index], 80 * 10**9))
    free(monkeypatch, 64 * 10**9)
    found = estimate(folder, torch.bfloat16)
    assert (found.device, found.device_bytes, found.host_bytes) == ("cuda", need.needed_bytes - 5, 64 * 10**9)
    assert found.fits == "offload"
    assert "the rest goes to main memory (64.0 GB free) and then to disk, which is slow" in found.sentence


@pytest.mark.parametrize(("has_bfloat16", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_the_number_type_on_a_gpu(monkeypatch, has_bfloat16, expected):
    assert default_dtype() == torch.float32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bfloat16)
    assert default_dtype() == expected


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    whole = memory.available_memory()
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("300000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 20000\n")
    assert memory.available_memory() == 720_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() > whole / 2


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0.00 GB"), (1, "0.01 GB"), (538_000_000, "0.54 GB"), (28_010_000_000, "28.1 GB")]
)
def test_gigabytes_are_rounded_up(count, text):
    assert gigabytes(count) == text
