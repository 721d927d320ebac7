"""Names and folders: what each name means, and each unusable folder refused with its own sentence."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_models import VOCABULARY, save_tiny, tiny_model, tiny_tokenizer
from transformers import AutoTokenizer

from fnet_core.errors import RequestError
from fnet_core.models import resolving
from fnet_core.models.cards import available, peek
from fnet_core.models.folder import weight_files, write_card
from fnet_core.models.loading import load, model_digest, resolve
from fnet_core.storage import artifacts

IDS = torch.arange(4, 33)[None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "model")


def refusal(name: object, **options) -> str:
    with pytest.raises(RequestError) as refused:
        load(str(name), **options)
    return str(refused.value)


# Names


@pytest.mark.parametrize("name", ["smollm", "", "  ", "gpt2"])
def test_an_unknown_name_lists_the_starters_and_the_forms(name):
    assert refusal(name) == (
        f"There is no starter '{name.strip()}'; choose smollm2-135m, gemma3-270m, tiny, or give a "
        "repository of the Hugging Face hub (owner/model), a model folder, or a .gguf file."
    )


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere", "../nowhere", "~/nowhere-at-all"])
def test_a_path_to_nothing(name):
    assert refusal(name).startswith(f"There is no folder {name}; give a repository")


def test_paths_are_limited_to_the_roots(folder, tmp_path):
    inside, outside = tmp_path / "allowed" / "model", tmp_path / "model"
    shutil.copytree(folder, inside)
    roots = [tmp_path / "allowed"]
    assert resolve(str(inside), roots=roots).path == inside
    assert f"{outside} is outside the folders that this server may read" in refusal(outside, roots=roots)
    (tmp_path / "allowed" / "link").symlink_to(outside)
    sly = ["link", "../model", "../allowed-not/model", "../../../../../../etc"]
    for name in sly:
        assert "is outside the folders" in refusal(tmp_path / "allowed" / name, roots=roots)
    assert "is outside the folders" in refusal("/etc/passwd.gguf", roots=roots)
    assert "is outside the folders" in refusal(outside, roots=[])


def test_the_cache_folder_is_always_allowed(folder, tmp_path):
    kept = artifacts.home() / "models" / "pruned-1"
    shutil.copytree(folder, kept)
    assert resolve("pruned-1", roots=[]).path == kept
    assert resolve(str(kept), roots=[]).path == kept
    assert [card.name for card in available()][-1] == "pruned-1"


def test_a_damaged_model_in_the_cache_folder_is_listed_with_its_reason(folder):
    kept = artifacts.home() / "models" / "cut"
    shutil.copytree(folder, kept)
    (kept / "model.safetensors").write_bytes(b"short")
    card = available()[-1]
    assert (card.name, card.parameters) == ("cut", None)
    assert "is cut short or not a safetensors file" in card.description


def test_a_relative_folder_comes_before_a_repository_of_the_same_name(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder, tmp_path / "owner" / "model")
    assert resolve("owner/model").kind == "folder"
    assert "is outside the folders" in refusal("owner/model", roots=[tmp_path / "allowed"])
    assert resolving.locate("owner/other") == ("hub", None)


# Folders


def changed_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def sharded(folder: Path) -> Path:
    model = tiny_model("llama")
    shutil.rmtree(folder)
    model.save_pretrained(folder, max_shard_size="30KB")
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_shards_are_one_model(folder):
    whole = load(str(folder))
    parts = load(str(sharded(folder)))
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert torch.equal(whole.model(IDS).logits, parts.model(IDS).logits)


def test_a_folder_without_a_configuration(tmp_path):
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'} has no config.json; choose a folder that" in refusal(tmp_path / "empty")


def test_a_configuration_that_is_no_json(folder):
    (folder / "config.json").write_text("{")
    assert "config.json is not valid JSON; copy it again." in refusal(folder)


def test_a_configuration_without_a_model_type(folder):
    (folder / "config.json").write_text("[]")
    assert "names no model_type" in refusal(folder)


def test_a_configuration_with_impossible_values(folder):
    changed_config(folder, num_hidden_layers="three")
    assert "is not valid (" in refusal(folder)


def test_an_unsupported_architecture(folder):
    changed_config(folder, model_type="rwkv")
    assert "The architecture 'rwkv' is not supported; choose a model of one of these: llama" in refusal(folder)


def test_a_folder_without_weights(folder):
    (folder / "model.safetensors").unlink()
    assert refusal(folder) == f"{folder} has no *.safetensors file; choose a folder with weights."


@pytest.mark.parametrize("pickled", ["pytorch_model.bin", "model.pt"])
def test_a_folder_with_pickles_only(folder, pickled):
    (folder / "model.safetensors").rename(folder / pickled)
    said = refusal(folder)
    assert f"holds only pickled weights ({pickled}), which can run any code when opened" in said


def test_a_folder_whose_safetensors_have_another_name(folder):
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert "holds weights.safetensors but neither model.safetensors nor model.saf" in refusal(folder)


def test_a_missing_shard(folder):
    shards = sorted(sharded(folder).glob("model-*.safetensors"))
    shards[1].unlink()
    said = refusal(folder)
    assert f"lacks 1 of the {len(shards)} files that its index names ({shards[1].name}, ...)" in said


def test_an_index_without_a_map(folder):
    (sharded(folder) / "model.safetensors.index.json").write_text("{}")
    assert "model.safetensors.index.json has no weight_map" in refusal(folder)


@pytest.mark.parametrize("kept", [0, 5, 400, -1])
def test_truncated_safetensors(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert refusal(folder) == (f"{path} is cut short or not a safetensors file; copy or download it again.")


def test_weights_that_are_missing_are_not_made_up(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert "lacks the weights of 1 tensors (model.layers.1.mlp.up_proj.weight, ...)" in refusal(folder)


def test_weights_of_another_size_are_refused(folder):
    changed_config(folder, intermediate_size=44)
    assert "does not agree with its config.json" in refusal(folder)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{}")])
def test_a_folder_without_a_usable_tokenizer(folder, damage):
    for path in folder.glob("tokenizer*"):
        damage(path)
    assert "has no usable tokenizer; add the model's tokenizer.json." in refusal(folder)


# Digests


def test_the_digest_is_the_content_not_the_place(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    first = model_digest(folder)
    assert model_digest(tmp_path / "elsewhere") == first
    changed_config(folder, transformers_version="4.0.0")
    assert model_digest(folder) == first


def test_the_digest_changes_with_configuration_weights_and_tokenizer(folder):
    found = {model_digest(folder)}
    changed_config(folder, rms_norm_eps=0.001)
    found.add(model_digest(folder))
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] += 1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    found.add(model_digest(folder))
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace('"x"', '"X"'))
    found.add(model_digest(folder))
    assert len(found) == 4


def test_the_digest_reads_the_weights_once(folder, monkeypatch):
    first = model_digest(folder)
    monkeypatch.setattr(artifacts, "file_digest", lambda *_: pytest.fail("the file was read again"))
    assert model_digest(folder) == first


@pytest.mark.parametrize("name", ["a" * 300, "~nosuchuser/x", "x\0.gguf", "./\0"])
def test_a_name_that_no_path_can_have_is_refused_with_a_sentence(name):
    with pytest.raises(RequestError):
        resolve(name)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors"])
def test_every_file_that_decides_what_the_model_does_is_in_its_digest(tmp_path, file):
    folder = save_tiny(tmp_path / "m")
    before = model_digest(folder)
    content = (folder / file).read_bytes()
    changed = content.replace(b"<s>", b"<S>") if file.startswith("tok") else content.replace(b"0.2", b"0.3")
    (folder / file).write_bytes(changed if changed != content else content[:-1] + bytes([content[-1] ^ 1]))
    assert model_digest(folder) != before


def test_a_single_file_beside_a_stale_index_is_what_is_loaded_and_hashed(folder):
    """Saving a smaller model into a folder of shards leaves the old index behind."""
    shards = model_digest(sharded(folder))
    tiny_model("llama", seed=7).save_pretrained(folder.parent / "new")
    shutil.copy(folder.parent / "new" / "model.safetensors", folder)
    assert [path.name for path in weight_files(folder)] == ["model.safetensors"]
    assert model_digest(folder) != shards
    expected = tiny_model("llama", seed=7)(IDS).logits
    assert torch.equal(load(str(folder)).model(IDS).logits, expected)
    next(folder.glob("model-*.safetensors")).unlink()
    assert torch.equal(load(str(folder)).model(IDS).logits, expected)


def test_a_weights_file_named_by_the_configuration_is_refused(folder):
    changed_config(folder, transformers_weights="other.safetensors")
    with pytest.raises(RequestError, match="names a weights file of its own"):
        resolve(str(folder))


def ids_of(folder: Path) -> list[int]:
    return AutoTokenizer.from_pretrained(folder)("so new <extra> text, 42!")["input_ids"]


@pytest.mark.parametrize("listed", [True, False])
def test_added_tokens_are_in_the_digest_exactly_where_they_are_read(folder, listed):
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings.pop("added_tokens_decoder", None)
    path.write_text(json.dumps(settings | ({"added_tokens_decoder": {}} if listed else {})))
    ids, digest = ids_of(folder), model_digest(folder)
    (folder / "added_tokens.json").write_text(json.dumps({"<extra>": VOCABULARY - 1}))
    assert (ids_of(folder) != ids) == (model_digest(folder) != digest) == (not listed)


def test_vocabularies_are_in_the_digest_exactly_where_there_is_no_tokenizer_json(folder):
    (folder / "vocab.json").write_text("{}")
    before = model_digest(folder)
    (folder / "vocab.json").write_text('{"a": 0}')
    assert model_digest(folder) == before
    (folder / "tokenizer.json").unlink()
    without = model_digest(folder)
    (folder / "vocab.json").write_text("{}")
    assert model_digest(folder) != without


# What a person most likely meant


def test_a_weights_file_stands_for_its_folder(folder, caplog):
    assert resolve(str(folder / "model.safetensors")).path == folder
    assert "model.safetensors is a weights file; the folder that it lies in is used." in caplog.text


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ("alone/model.safetensors", "without a config.json beside it"),
        ("model/other.safetensors", "is not what the model in .* is loaded from"),
        ("model/notes.txt", "is a file; give the folder"),
    ],
)
def test_a_file_that_stands_for_no_model(folder, tmp_path, made, sentence):
    path = tmp_path / made
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((folder / "model.safetensors").read_bytes())
    assert re.search(sentence, refusal(path))


def test_a_training_run_stands_for_its_newest_checkpoint(folder, tmp_path, caplog):
    run = tmp_path / "run"
    for step in (90, 500, 1000):
        shutil.copytree(folder, run / f"checkpoint-{step}")
    (run / "checkpoint-1000" / "config.json").unlink()
    assert resolve(str(run)).path == run / "checkpoint-500"
    assert "newest checkpoint checkpoint-500 is used" in caplog.text
    assert "newest checkpoint checkpoint-500 is used" in peek(str(run)).description


def test_a_repository_in_the_hubs_cache_stands_for_its_current_snapshot(folder, tmp_path, caplog):
    repository = tmp_path / "cache" / "models--owner--small"
    for commit in ("aaa", "bbb"):
        shutil.copytree(folder, repository / "snapshots" / commit)
    assert "2 snapshots with a config.json" in refusal(repository)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("bbb\n")
    assert resolve(str(repository)).path == repository / "snapshots" / "bbb"
    assert resolve(str(repository / "snapshots")).path == repository / "snapshots" / "bbb"
    assert "its snapshot bbb is used" in caplog.text
    assert "give one by its name: owner/small." in refusal(repository.parent)


def test_the_meant_folder_too_must_lie_in_the_roots(folder, tmp_path):
    run = tmp_path / "served" / "run"
    run.mkdir(parents=True)
    (run / "checkpoint-7").symlink_to(folder)
    assert "outside the folders that this server may read" in refusal(run, roots=[tmp_path / "served"])


@pytest.mark.parametrize("source", [[{"package": "some-starter==1", "sha256": "00"}], "a sentence", None])
def test_a_folder_that_fnet_made_is_named_whatever_its_note_says_of_its_source(tmp_path, source):
    """A starter's source is a list: naming its folder, as deriving from it does, is naming any other."""
    folder = save_tiny(tmp_path / "made")
    write_card(folder, {"name": "made", "title": "made", "source": source})
    assert resolve(str(folder)).path == folder
