"""The digest covers the files that decide the numbers and no other: each is changed, and the numbers looked at."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from support.tiny_models import VOCABULARY, save_tiny, tiny_model, tiny_tokenizer

from fnet_core.models.loading import load, model_digest

IDS = torch.arange(4, 33)[None]
TEXT = " so new <extra> text, 42!"


def numbers(folder: Path) -> tuple:
    """What a model computes and how it reads a text, or that it cannot be loaded."""
    try:
        loaded = load(str(folder))
    except Exception as error:
        return ("refused", type(error).__name__)
    return tuple(loaded.tokenizer(TEXT)["input_ids"]), tuple(loaded.model(IDS).logits.flatten().tolist())


def scaled(path: Path) -> None:
    tensors = {name: tensor * 1.5 for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def edited(old: str, new: str):
    def change(path: Path) -> None:
        before = path.read_text("utf-8")
        assert old in before
        path.write_text(before.replace(old, new), "utf-8")

    return change


def written(text: str):
    return lambda path: path.write_text(text, "utf-8")


CHANGES = [
    # changed
    ("model.safetensors", scaled),
    ("config.json", edited('"rms_norm_eps": 1e-06', '"rms_norm_eps": 0.5')),
    ("tokenizer.json", edited('"Lowercase"', '"Strip","strip_left":true,"strip_right":true')),
    ("config.json", edited('"transformers_version": "5', '"transformers_version": "4')),
    ("generation_config.json", edited("{", '{"max_new_tokens": 7, ')),
    # added
    ("added_tokens.json", written(json.dumps({"<extra>": VOCABULARY}))),
    ("README.md", written("# A model")),
    ("notes.txt", written("of no account")),
    ("chat_template.jinja", written("{{ messages }}")),
    ("chat_template.json", written(json.dumps({"chat_template": "{{ messages }}"}))),
    ("merges.txt", written("#version: 0.2\na b\n")),
    ("spiece.model", written("no model")),
    ("preprocessor_config.json", written("{}")),
    ("fnet.json", written(json.dumps({"name": "another"}))),
    ("vocab.txt", written("a\nb\n")),
    ("model.safetensors.index.json", written(json.dumps({"weight_map": {"a": "other.safetensors"}}))),
    ("other.safetensors", lambda path: save_file({"a": torch.ones(2)}, path)),
    ("model-00001-of-00002.safetensors", lambda path: save_file({"a": torch.ones(2)}, path)),
    ("adapter_config.json", written(json.dumps({"peft_type": "LORA"}))),
    ("pytorch_model.bin", written("no pickle")),
    # removed
    ("generation_config.json", Path.unlink),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[f"{i}-{name}" for i, (name, _) in enumerate(CHANGES)])
def test_the_digest_changes_exactly_where_the_numbers_do(tmp_path, name, change):
    folder = tmp_path / "model"
    tiny_model("llama", vocab_size=VOCABULARY + 3).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    before, digest = numbers(folder), model_digest(folder)
    change(folder / name)
    assert (model_digest(folder) != digest) == (numbers(folder) != before)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    tiny_model("llama").save_pretrained(folder, max_shard_size="30KB")
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_every_shard_and_no_other_file_counts(shards):
    parts = sorted(shards.glob("model-*.safetensors"))
    digests = {model_digest(shards)}
    for part in parts:
        before = numbers(shards)
        scaled(part)
        assert numbers(shards) != before
        digests.add(model_digest(shards))
    assert len(digests) == len(parts) + 1


def test_what_is_loaded_beside_an_old_index_is_what_is_hashed(shards, tmp_path):
    """Both where the shards are still there and where they are gone."""
    alone = save_tiny(tmp_path / "alone", seed=8)
    shutil.copy(alone / "model.safetensors", shards)
    assert numbers(shards) == numbers(alone)
    digest = model_digest(shards)
    for part in shards.glob("model-*.safetensors"):
        part.unlink()
    assert numbers(shards) == numbers(alone)
    assert model_digest(shards) == digest


# An adapter and its base


def saved_adapter(folder: Path, base: Path) -> Path:
    """A LoRA folder as peft saves it, with a tokenizer of its own."""
    adapted = get_peft_model(tiny_model("llama"), LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj"]))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)) * 0.3
    adapted.save_pretrained(folder)
    edited('"base_model_name_or_path": null', f'"base_model_name_or_path": "{base}"')(folder / "adapter_config.json")
    tiny_tokenizer().save_pretrained(folder)
    return folder


ADAPTED = [
    ("adapter/adapter_model.safetensors", scaled),
    ("adapter/adapter_config.json", edited('"lora_alpha": 8', '"lora_alpha": 4')),
    ("adapter/adapter_config.json", edited('"inference_mode": true', '"inference_mode": false')),
    ("adapter/tokenizer.json", edited('"Lowercase"', '"Strip","strip_left":true,"strip_right":true')),
    ("adapter/README.md", written("# An adapter")),
    ("adapter/training_args.bin", written("no pickle")),
    ("base/model.safetensors", scaled),
    ("base/config.json", edited('"rms_norm_eps": 1e-06', '"rms_norm_eps": 0.5')),
    ("base/README.md", written("# A base")),
]


@pytest.mark.parametrize(("name", "change"), ADAPTED, ids=[f"{i}-{name}" for i, (name, _) in enumerate(ADAPTED)])
def test_an_adapters_digest_changes_exactly_where_the_numbers_do(tmp_path, name, change):
    adapter = saved_adapter(tmp_path / "adapter", save_tiny(tmp_path / "base"))
    before, digest = numbers(adapter), load(str(adapter)).digest
    change(tmp_path / name)
    assert (load(str(adapter)).digest != digest) == (numbers(adapter) != before)


# Quantised weights


def packed_in_eight_bits(folder: Path) -> Path:
    """A tiny model whose projections are whole numbers of eight bits and one scale each, in blocks of a matrix."""
    save_tiny(folder)
    tensors = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if "_proj." in name:
            tensors[f"{name}_scale_inv"] = torch.rand(-(-tensor.shape[0] // 10), -(-tensor.shape[1] // 10)) + 0.5
            tensor = tensor.to(torch.float8_e4m3fn)
        tensors[name] = tensor
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    settings = '"quantization_config": {"quant_method": "fp8", "weight_block_size": [10, 10], "note": "a"}, '
    path = folder / "config.json"
    path.write_text("{" + settings + path.read_text("utf-8").lstrip()[1:], "utf-8")
    return folder


def scales_doubled(path: Path) -> None:
    tensors = load_file(path)
    save_file(
        {name: tensor * 2 if name.endswith("scale_inv") else tensor for name, tensor in tensors.items()},
        path,
        metadata={"format": "pt"},
    )


QUANTISED = [
    ("model.safetensors", scales_doubled),
    ("config.json", edited("[10, 10]", "[10, 12]")),
    ("config.json", edited('"note": "a"', '"note": "b"')),
    ("tokenizer.json", edited('"Lowercase"', '"Strip","strip_left":true,"strip_right":true')),
    ("generation_config.json", edited("{", '{"max_new_tokens": 7, ')),
    ("README.md", written("# A model")),
    ("quantize_config.json", written("{}")),
]


@pytest.mark.parametrize(("name", "change"), QUANTISED, ids=[f"{i}-{name}" for i, (name, _) in enumerate(QUANTISED)])
def test_a_quantised_models_digest_changes_exactly_where_the_numbers_do(tmp_path, name, change):
    folder = packed_in_eight_bits(tmp_path / "m")
    before, digest = numbers(folder), load(str(folder)).digest
    change(folder / name)
    assert (load(str(folder)).digest != digest) == (numbers(folder) != before)
