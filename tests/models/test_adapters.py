"""Adapters: merged with the base they belong to, the same with and without the library, or refused in a sentence."""

import builtins
import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from support.tiny_models import save_tiny, tiny_model

from fnet_core.abilities import abilities
from fnet_core.cli.main import main
from fnet_core.errors import RequestError
from fnet_core.models.cards import peek
from fnet_core.models.folder import published_name
from fnet_core.models.loading import load, model_digest, private_copy, resolve

IDS = torch.arange(4, 33)[None]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "base")


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """A LoRA folder as peft saves it, with weights that change every layer."""
    return saved_adapter(tmp_path / "adapter", str(base))


def saved_adapter(folder: Path, base: str, seed: int = 3) -> Path:
    settings = LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj", "down_proj"], base_model_name_or_path=base)
    adapted = get_peft_model(tiny_model("llama"), settings)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    adapted.save_pretrained(folder)
    changed_json(folder / "adapter_config.json", base_model_name_or_path=base)
    return folder


def changed_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def no_numbers(path: Path) -> None:
    save_file({name: tensor * torch.nan for name, tensor in load_file(path).items()}, path)


def with_adapter(adapter: Path) -> torch.Tensor:
    """The logits that peft gives, with the adapter beside the weights."""
    return PeftModel.from_pretrained(tiny_model("llama"), str(adapter))(IDS).logits


def refusal(name: object) -> str:
    with pytest.raises(RequestError) as refused:
        load(str(name))
    return str(refused.value)


def test_an_adapter_is_merged_with_the_base_named_inside_it(base, adapter):
    loaded = load(str(adapter))
    plain = load(str(base))
    assert torch.allclose(loaded.model(IDS).logits, with_adapter(adapter), atol=1e-4)
    assert (loaded.model(IDS).logits - plain.model(IDS).logits).abs().max() > 0.1
    assert loaded.digest not in (plain.digest, None)
    assert (loaded.family, loaded.stored.dtype) == ("llama", "float32")
    assert torch.equal(private_copy(loaded)(IDS).logits, loaded.model(IDS).logits)
    assert resolve(str(adapter)).path == loaded.path
    card = peek(str(adapter))
    assert "An adapter on" in card.description and card.layers == 3
    assert abilities(card.config, card.name) == abilities(peek(str(base)).config, card.name)


def test_a_base_that_moved_is_named(base, adapter, tmp_path):
    expected = load(str(adapter))
    moved = base.rename(tmp_path / "moved")
    said = refusal(adapter)
    assert said.startswith(f"{adapter} is an adapter on {base}, which cannot be used: There is no folder {base}; give")
    assert said.endswith(f"name it with --base BASE or as {adapter}@BASE.")
    assert load(f"{adapter}@{moved}").digest == expected.digest
    assert main(["perplexity", str(adapter), "--base", str(tmp_path / "nowhere")]) == 2
    (tmp_path / "text.txt").write_text("some words to be read one by one, and a few more of them.")
    assert main(["perplexity", str(adapter), "--base", str(moved), "--texts", str(tmp_path / "text.txt")]) == 0
    assert (
        published_name(f"{adapter}@{moved}", expected.path) == published_name(str(adapter), expected.path) == "adapter"
    )


def test_base_is_for_adapters(base, capsys):
    assert main(["perplexity", str(base), "--base", str(base)]) == 2
    assert capsys.readouterr().err == f"fnet: {base} is no folder with a LoRA adapter; leave --base out.\n"


def test_other_base_other_adapter_other_digest(base, adapter, tmp_path):
    other_base = save_tiny(tmp_path / "other", seed=9)
    other_adapter = saved_adapter(tmp_path / "second", str(base), seed=4)
    stronger = shutil.copytree(adapter, tmp_path / "stronger")
    changed_json(stronger / "adapter_config.json", lora_alpha=16)
    names = [str(base), str(adapter), f"{adapter}@{other_base}", str(other_adapter), str(stronger)]
    assert len({load(name).digest for name in names}) == len(names)


def test_a_merged_model_keeps_the_number_type_of_its_base(adapter, tmp_path):
    half = tmp_path / "half"
    save_tiny(half)
    tiny_model("llama").to(torch.bfloat16).save_pretrained(half)
    assert load(f"{adapter}@{half}").stored.dtype == "bfloat16"


def test_an_adapter_of_another_model_is_refused(adapter, tmp_path):
    wider = save_tiny(tmp_path / "wider", hidden_size=32, head_dim=8)
    assert "does not belong to" in refusal(f"{adapter}@{wider}")
    deeper = save_tiny(tmp_path / "deeper", num_hidden_layers=4)
    assert "do not agree on 4 tensors" in refusal(f"{adapter}@{deeper}")


def test_an_adapter_on_itself_is_refused(adapter):
    changed_json(adapter / "adapter_config.json", base_model_name_or_path=str(adapter))
    assert f"{adapter} is an adapter and no base for" in refusal(adapter)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: changed_json(folder / "adapter_config.json", peft_type="IA3"), "an adapter of type IA3"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "does not say what it is; copy it again."),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"short"), "is cut short; copy it again."),
        (lambda folder: changed_json(folder / "adapter_config.json", megatron_config={"a": 1}), "adapter for Megatron"),
        (lambda folder: changed_json(folder / "adapter_config.json", lora_alpha="eight"), "does not belong to"),
        (lambda folder: changed_json(folder / "adapter_config.json", rank_pattern=[3]), "does not belong to"),
        (lambda folder: no_numbers(folder / "adapter_model.safetensors"), "cannot be put onto"),
    ],
)
def test_a_damaged_or_other_adapter(adapter, change, sentence):
    change(adapter)
    assert sentence in refusal(adapter)


def test_without_the_library_it_is_named(adapter, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "peft":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert refusal(adapter) == f"{adapter} is a LoRA adapter; install peft (pip install peft) to merge it."


def test_a_trainers_newest_checkpoint_may_be_an_adapter(adapter, tmp_path):
    shutil.copytree(adapter, tmp_path / "run" / "checkpoint-20")
    assert resolve(str(tmp_path / "run")).path.name.startswith("checkpoint-20-")


def test_an_adapter_beside_a_whole_model_is_left_alone_and_told_of(base, adapter, caplog):
    plain, digest = load(str(base)).model(IDS).logits, model_digest(base)
    for path in adapter.glob("adapter_*"):
        shutil.copy(path, base)
    loaded = load(str(base))
    assert torch.equal(loaded.model(IDS).logits, plain)
    assert torch.equal(private_copy(loaded)(IDS).logits, plain)
    assert loaded.digest == digest
    assert "holds a whole model and an adapter beside it; the model is used as it is" in caplog.text


def on_embeddings(folder: Path, target: str, **config) -> torch.Tensor:
    """Save a LoRA on `target` as peft does by default, with the embedding under it; its logits."""
    adapted = get_peft_model(tiny_model("llama", **config), LoraConfig(r=2, target_modules=["q_proj", target]))
    generator = torch.Generator().manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    adapted.save_pretrained(folder, save_embedding_layers=True)
    return PeftModel.from_pretrained(tiny_model("llama", **config), str(folder))(IDS).logits


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_an_adapter_on_an_embedding_is_merged_where_the_base_has_two(base, target, tmp_path):
    expected = on_embeddings(tmp_path / "adapter", target)
    found = load(f"{tmp_path / 'adapter'}@{base}").model(IDS).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_an_adapter_on_the_one_embedding_of_a_base_is_refused(target, tmp_path):
    tied = save_tiny(tmp_path / "tied", tie_word_embeddings=True)
    on_embeddings(tmp_path / "adapter", target, tie_word_embeddings=True)
    assert "has one matrix for both" in refusal(f"{tmp_path / 'adapter'}@{tied}")


def test_a_sum_that_the_number_type_cannot_hold_is_refused(adapter, tmp_path):
    half = save_tiny(tmp_path / "half")
    tiny_model("llama").to(torch.float16).save_pretrained(half)
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file({name: torch.full_like(w, 300.0) for name, w in weights.items()}, adapter / "adapter_model.safetensors")
    assert "not all finite numbers in float16" in refusal(f"{adapter}@{half}")
