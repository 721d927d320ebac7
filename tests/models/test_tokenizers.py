"""Tokenizers: cut as their own file cuts, never past the embedding, and refused in a sentence where they cannot be."""

import json
from pathlib import Path

import pytest
import sentencepiece
import torch
from support.tiny_models import VOCABULARY, save_tiny, tiny_model
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from fnet_core.errors import RequestError
from fnet_core.models import tokenizers as ours
from fnet_core.models.loading import load, model_digest
from fnet_core.models.tokenizers import PIECE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "model")


def changed_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def added(folder: Path, *tokens: str, **special: str) -> None:
    """Add tokens to the folder's tokenizer without resizing its model."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(list(tokens))
    tokenizer.add_special_tokens(special)
    assert len(tokenizer) > VOCABULARY
    tokenizer.save_pretrained(folder)


def refusal(name: object) -> str:
    with pytest.raises(RequestError) as refused:
        load(str(name))
    return str(refused.value)


def test_an_added_token_without_an_embedding_is_read_as_characters(folder, caplog):
    plain = load(str(folder))
    added(folder, "[extra]", pad_token="[pad]")
    loaded = load(str(folder))
    text = "an [extra] token"
    assert loaded.tokenizer(text)["input_ids"] == plain.tokenizer(text)["input_ids"]
    loaded.model(torch.tensor([loaded.tokenizer(text)["input_ids"]]))
    assert loaded.tokenizer.pad_token is None
    assert (loaded.tokenizer.bos_token_id, loaded.tokenizer.eos_token_id) == (1, 2)
    assert "2 added tokens of" in caplog.text
    assert "([extra], [pad]) have no embedding" in caplog.text


def test_a_tokenizer_without_its_added_tokens_is_saved_without_them(folder, tmp_path):
    added(folder, "[extra]", pad_token="[pad]")
    load(str(folder)).tokenizer.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert max(again.get_vocab().values()) == VOCABULARY - 1


def test_an_added_token_with_an_embedding_is_one_token(tmp_path, caplog):
    folder = save_tiny(tmp_path / "model", vocab_size=VOCABULARY + 3)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<unused1>"])
    tokenizer.save_pretrained(folder)
    loaded = load(str(folder))
    assert VOCABULARY + 2 >= loaded.tokenizer("<unused1>")["input_ids"][0] > 50
    assert len(loaded.tokenizer("<unused1>")["input_ids"]) == 1
    assert caplog.text == ""


def test_a_padding_id_past_the_vocabulary_is_let_go(folder):
    expected = load(str(folder)).model(torch.arange(4, 20)[None]).logits
    changed_json(folder / "config.json", pad_token_id=VOCABULARY)
    assert torch.equal(load(str(folder)).model(torch.arange(4, 20)[None]).logits, expected)


def test_a_tokenizer_of_another_model_is_refused(folder, tmp_path):
    other = save_tiny(tmp_path / "other", vocab_size=VOCABULARY + 9)
    for path in other.glob("tokenizer*"):
        (folder / path.name).write_bytes(path.read_bytes())
    said = refusal(folder)
    assert f"gives ids up to {VOCABULARY + 8} and the model has {VOCABULARY} embeddings, the last for id" in said
    assert "put the tokenizer there that the model was trained with" in said


@pytest.mark.parametrize("setting", [{"model_max_length": "x"}, {"model_max_length": [3]}])
def test_settings_that_show_wrong_when_used_are_refused(folder, setting):
    changed_json(folder / "tokenizer_config.json", **setting)
    assert "has no usable tokenizer" in refusal(folder)


def test_a_start_token_past_the_embedding_is_refused(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"bos_token": "[start]"})
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    start = {"id": "[start]", "ids": [VOCABULARY], "tokens": ["[start]"]}
    backend["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[start]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"[start]": start},
    }
    (folder / "tokenizer.json").write_text(json.dumps(backend))
    assert f"gives ids up to {VOCABULARY} and the model has {VOCABULARY} embeddings" in refusal(folder)


def rebuilt(folder: Path) -> Tokenizer:
    """A Llama folder with a byte-level tokenizer of its own pre-tokenizer under the class of another."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d|\n+|[^\n\d]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False
    )
    tokenizer.train_from_iterator([PIECE], trainer)
    tiny_model("llama", vocab_size=400).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|end|>", eos_token="<|end|>").save_pretrained(
        folder
    )
    return tokenizer


def test_a_class_that_rebuilds_the_tokenizer_otherwise_gives_way_to_the_file(tmp_path, caplog):
    folder = tmp_path / "model"
    own = rebuilt(folder)
    before = model_digest(folder)
    assert load(str(folder)).tokenizer(PIECE)["input_ids"] == own.encode(PIECE).ids
    assert caplog.text == ""
    changed_json(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    assert AutoTokenizer.from_pretrained(folder)(PIECE)["input_ids"] != own.encode(PIECE).ids
    loaded = load(str(folder))
    for text in (PIECE, "for i in range(100):\n    total += 2026 * i\n"):
        assert loaded.tokenizer(text)["input_ids"] == own.encode(text).ids
    assert loaded.tokenizer.eos_token == "<|end|>"
    assert "the file's own way is used" in caplog.text
    assert loaded.digest == model_digest(folder) != before


def test_two_ways_of_cutting_never_share_a_digest(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    rebuilt(folder)
    changed_json(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    by_file = model_digest(folder)
    monkeypatch.setattr("fnet_core.models.folder.differs_from_its_file", lambda _: False)
    assert model_digest(folder) != by_file


def test_the_two_are_compared_once(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    rebuilt(folder)
    changed_json(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    assert ours.differs_from_its_file(folder)
    monkeypatch.setattr(ours, "_own_ids", lambda _: pytest.fail("compared again"))
    assert ours.differs_from_its_file(folder)


@pytest.fixture
def sentencepiece_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    tiny_model("llama", vocab_size=340).save_pretrained(folder)
    (tmp_path / "text.txt").write_text(PIECE.encode("ascii", "ignore").decode())
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=340,
        model_type="bpe",
        byte_fallback=True,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    return folder


def test_tokenizer_model_alone_gives_the_ids_of_sentencepiece(sentencepiece_folder):
    own = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_folder / "tokenizer.model"))
    loaded = load(str(sentencepiece_folder))
    text = "The ferry left at 6:45, two minutes late."
    encoded = loaded.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert encoded["input_ids"] == own.encode(text)
    assert encoded["offset_mapping"][-1][1] == len(text)


def test_tokenizer_model_alone_names_the_library_that_reads_it(sentencepiece_folder, monkeypatch):
    monkeypatch.setattr(ours, "find_spec", lambda _: None)
    said = refusal(sentencepiece_folder)
    assert said.endswith(
        "has tokenizer.model and no tokenizer.json; install sentencepiece (pip install sentencepiece), or add the "
        "model's tokenizer.json."
    )
