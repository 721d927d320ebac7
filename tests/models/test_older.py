"""The earlier names beside the present ones: nothing of what transformers 5 reads changes, nor the digest."""

import copy
import json

import pytest
from support.tiny_models import TINY_FAMILIES, save_tiny, starting_tokenizer, tiny_tokenizer
from transformers import AutoConfig, AutoTokenizer, LlamaTokenizer

from fnet_core.models.folder import model_digest
from fnet_core.models.older import LISTED, add_older

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


def read_json(path):
    return json.loads(path.read_text("utf-8"))


def described(folder) -> dict:
    """What transformers 5 makes of a configuration, without the names that mean nothing to it."""
    config = AutoConfig.from_pretrained(folder).to_dict()
    return {key: value for key, value in config.items() if key not in (LISTED, *config.get(LISTED, ()))}


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_this_version_reads_the_same_of_every_family(family, tmp_path):
    folder = save_tiny(tmp_path / "model", family)
    before, digest = described(folder), model_digest(folder)
    add_older(folder)
    first = (folder / "config.json").read_bytes(), (folder / "tokenizer_config.json").read_bytes()
    assert described(folder) == before and model_digest(folder) == digest
    add_older(folder)
    assert first == ((folder / "config.json").read_bytes(), (folder / "tokenizer_config.json").read_bytes())
    config = json.loads(first[0])
    assert config["torch_dtype"] == config["dtype"] == "float32" and "torch_dtype" in config[LISTED]


BASE, TURNED = {"rope_theta": 321.0}, {"rope_theta": 321.0, "partial_rotary_factor": 1.0}
STRETCHED = {"rope_type": "linear", "factor": 8.0}


@pytest.mark.parametrize(
    ("family", "rope", "older"),
    [
        ("llama", BASE, BASE),
        ("llama", LLAMA3 | BASE, BASE | {"rope_scaling": LLAMA3}),
        ("gpt_neox", TURNED, {"rotary_emb_base": 321.0, "rotary_pct": 1.0}),
        ("phi", TURNED, TURNED),
        (
            "gemma3_text",
            {"full_attention": STRETCHED | BASE, "sliding_attention": {"rope_theta": 57.0}},
            BASE | {"rope_local_base_freq": 57.0, "rope_scaling": STRETCHED},
        ),
    ],
)
def test_rotary_embeddings_stand_under_the_names_that_version_4_reads(family, rope, older, tmp_path):
    folder = save_tiny(tmp_path / "model", family, rope_parameters=copy.deepcopy(rope))
    before = described(folder)
    add_older(folder)
    config = read_json(folder / "config.json")
    assert {key: config[key] for key in older} == older
    assert sorted(config[LISTED]) == sorted([*older, "torch_dtype"])
    assert described(folder) == before


def llama_tokenizer():
    return LlamaTokenizer(vocab={"<unk>": 0, "a": 1}, merges=[])


@pytest.mark.parametrize("make", [tiny_tokenizer, starting_tokenizer, llama_tokenizer])
def test_tokens_stay_as_they_were_and_the_class_is_one_that_both_versions_know(make, tmp_path):
    folder = save_tiny(tmp_path / "model")
    tokenizer = make()
    tokenizer.add_special_tokens({"extra_special_tokens": ["cat", "moon"]})
    tokenizer.save_pretrained(folder)
    was, digest = read_json(folder / "tokenizer_config.json"), model_digest(folder)
    before = AutoTokenizer.from_pretrained(folder)
    add_older(folder)
    settings, after = read_json(folder / "tokenizer_config.json"), AutoTokenizer.from_pretrained(folder)
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert settings["additional_special_tokens"] == was["extra_special_tokens"] == ["cat", "moon"]
    assert after("a cat at 5")["input_ids"] == before("a cat at 5")["input_ids"]
    assert after.all_special_tokens == before.all_special_tokens and model_digest(folder) == digest


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_the_digest_leaves_out_nothing_that_somebody_else_changed(file, tmp_path):
    folder = save_tiny(tmp_path / "model")
    add_older(folder)
    digest, settings = model_digest(folder), read_json(folder / file)
    names = settings[LISTED] if isinstance(settings[LISTED], list) else ["tokenizer_class", "pad_token"]
    for name in (*names, LISTED):
        changed = settings | {name: "another"}
        (folder / file).write_text(json.dumps(changed, indent=2, sort_keys=True))
        assert model_digest(folder) != digest
    (folder / file).write_text(json.dumps({k: v for k, v in settings.items() if k not in names[:1]}))
    assert model_digest(folder) != digest


def test_a_folder_without_a_tokenizer_file_keeps_its_class(tmp_path):
    folder = save_tiny(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    before = (folder / "tokenizer_config.json").read_bytes()
    add_older(folder)
    assert (folder / "tokenizer_config.json").read_bytes() == before
