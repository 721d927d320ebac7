"""Twins: the same recipe, other seeds, ordinary model folders."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from benchmarks.twins import Recipe, main, new_model, split, train_tokenizer, train_twins
from fnet_core.derivation.training import Training
from fnet_core.errors import RequestError
from fnet_core.models import loading as models

TINY = Recipe(
    layers=3,
    width=24,
    mlp_width=40,
    heads=4,
    context=32,
    vocabulary=300,
    training=Training(steps=25, learning_rate=1e-2, window=32, batch=4),
)


@pytest.fixture
def text(tmp_path):
    lines = [f"The number {i} comes after {i - 1}, as everyone knows – naïve or not.\n" for i in range(1, 120)]
    (tmp_path / "text.txt").write_text("".join(lines), encoding="utf-8")
    return tmp_path / "text.txt"


def weights(folder):
    return dict(models.load(str(folder)).model.named_parameters())


def test_twins_share_all_but_the_weights_and_learn(text, tmp_path):
    one, two = train_twins(text, tmp_path / "out", [1, 2], TINY)
    again = train_twins(text, tmp_path / "again", [2], TINY)[0]
    assert one["steps"] == two["steps"] == 25 and one["parameters"] == two["parameters"]
    uniform = math.log(one["vocabulary"])
    assert 0 < one["final_loss"] < 0.8 * uniform and one["held_out_bits_per_byte"] < 8
    loaded = models.load(str(tmp_path / "out" / "twin-1"))
    assert loaded.family == "llama" and loaded.layers == 3 and loaded.max_tokens == 32
    first, second, repeated = (weights(tmp_path / place) for place in ("out/twin-1", "out/twin-2", "again/twin-2"))
    assert all(torch.equal(second[name], repeated[name]) for name in second)
    assert not torch.allclose(first["model.embed_tokens.weight"], second["model.embed_tokens.weight"], atol=0.1)
    assert {**two, "model": "", "seconds": 0} == {**again, "model": "", "seconds": 0}
    tokenizers = [(tmp_path / f"out/twin-{seed}/tokenizer.json").read_bytes() for seed in (1, 2)]
    assert tokenizers[0] == tokenizers[1]


def test_the_tokenizer_keeps_every_byte_and_gives_character_offsets():
    tokenizer = train_tokenizer("naïve – text, naïve text\n" * 20, 280, 32)
    strange = "a 語 naïve\n\ttext 🙂"
    encoded = tokenizer(strange, return_offsets_mapping=True)
    assert tokenizer.decode(encoded["input_ids"]) == strange and len(tokenizer) <= 280
    spans = encoded["offset_mapping"]
    assert spans[0][0] == 0 and spans[-1][1] == len(strange) and tokenizer.is_fast
    assert all(a[0] <= b[0] for a, b in pairwise(spans))


def test_what_is_held_out_is_the_end_of_the_text():
    text = "".join(f"line {i}\n" for i in range(1000))
    train, held_out = split(text)
    assert train + held_out == text and train.endswith("\n")
    assert len(held_out) / len(text) == pytest.approx(0.1, abs=0.01)
    with pytest.raises(RequestError, match="no lines to hold out"):
        split("one line")


def test_the_global_random_state_is_left_alone():
    tokenizer = train_tokenizer("some text\n", 260, 32)
    state = torch.random.get_rng_state()
    new_model(TINY, tokenizer, 3)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_minutes_decide_the_steps(text, tmp_path):
    short = replace(TINY, training=replace(TINY.training, steps=1000))
    (twin,) = train_twins(text, tmp_path / "out", [1], short, minutes=0.002)
    assert 1 <= twin["steps"] < 100


def test_refusals(text, tmp_path, monkeypatch):
    with pytest.raises(RequestError, match="seed is given twice"):
        train_twins(text, tmp_path / "out", [1, 1], TINY)
    with pytest.raises(RequestError, match="no text file"):
        train_twins(tmp_path / "none.txt", tmp_path / "out", [1], TINY)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out" / "twin-2").mkdir(parents=True)
    with pytest.raises(RequestError, match="twin-2 exists already"):
        train_twins(text, tmp_path / "out", [1, 2], TINY)
    assert not (tmp_path / "out" / "twin-1").exists()


def test_the_script_prints_a_line_per_model(text, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "benchmarks.twins.Recipe",
        lambda training=TINY.training: replace(TINY, training=replace(TINY.training, steps=training.steps)),
    )
    arguments = ["twins", "--text", str(text), "--out", str(tmp_path / "out"), "--seeds", "3", "4", "--steps", "2"]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["seed"] for line in printed] == [3, 4] and printed[0]["steps"] == 2
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit, match="exists already"):
        main()
