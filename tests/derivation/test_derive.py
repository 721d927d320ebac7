"""Derived models as folders: what plain transformers loads, what the card says, and what is refused."""

import json
import re
from hashlib import sha256

import pytest
import torch
from support.tiny_models import save_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer

from fnet_core.cli import main
from fnet_core.derivation.derive import CARD, WAYS, derive
from fnet_core.derivation.training import Training
from fnet_core.errors import Cancelled, RequestError
from fnet_core.models import loading as models
from fnet_core.models.folder import model_digest

IDS = torch.randint(4, 61, (2, 19), generator=torch.Generator().manual_seed(1))
QUICK = Training(steps=2, learning_rate=1e-3, window=16)


@pytest.fixture
def parent(tmp_path):
    return save_tiny(tmp_path / "parent", max_position_embeddings=3000)


@pytest.fixture
def hows(tmp_path):
    """Every way, with a value that works for the parent."""
    (tmp_path / "text.txt").write_text("a small text of a few dozen letters to be trained on.")
    save_tiny(tmp_path / "other", seed=8, max_position_embeddings=3000)
    values = {
        "noise": ":0.1",
        "rescale": ":2",
        "quantise": ":4",
        "prune": ":0.3",
        "drop-layers": ":1",
        "merge": f":{tmp_path / 'other'}",
        "upcycle": ":4",
        "finetune": f":{tmp_path / 'text.txt'}",
        "lora": f":{tmp_path / 'text.txt'}",
        "distil": f":{tmp_path / 'text.txt'}",
    }
    return {name: name + values.get(name, "") for name in WAYS}


@torch.no_grad()
def logits(folder):
    return AutoModelForCausalLM.from_pretrained(folder)(IDS).logits


@pytest.mark.parametrize("name", WAYS)
def test_every_way_saves_an_ordinary_model_and_leaves_the_parent(name, parent, hows, tmp_path):
    before, plain = model_digest(parent), logits(parent)
    stages = []
    derived = derive(
        str(parent), hows[name], tmp_path / "out", seed=4, training=QUICK, report=lambda stage, _: stages.append(stage)
    )
    assert model_digest(parent) == before == derived.parent_digest
    assert {"changing", "saving"} <= set(stages)
    change = (logits(tmp_path / "out") - plain).abs().max()
    assert change < 1e-4 if name in ("permute", "permute-residual", "rescale", "rotate", "upcycle") else change > 1e-3
    loaded = models.load(str(tmp_path / "out"))
    assert loaded.digest == derived.digest != before
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "out")("a fox")["input_ids"] == loaded.tokenizer("a fox")["input_ids"]
    )
    card = json.loads((tmp_path / "out" / CARD).read_text())
    published = re.sub(r"(?<=:).*/", "", hows[name])
    assert (card["parent"], card["parent_digest"], card["how"], card["seed"]) == ("parent", before, published, 4)
    assert (derived.parent, derived.how) == ("parent", published)
    for note in ("fnet-derived.json", "fnet.json"):
        assert str(tmp_path) not in (tmp_path / "out" / note).read_text()
    if name == "merge":
        other = model_digest(tmp_path / "other")
        assert (card["merged_with"], card["merged_with_digest"]) == ("other", other)
    if name in ("finetune", "lora"):
        assert card["text_sha256"] == sha256((tmp_path / "text.txt").read_bytes()).hexdigest()
    assert card["written_with"]["torch"] == torch.__version__
    assert loaded.layers == (2 if name == "drop-layers" else 3)
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "out").num_parameters()
    assert derived.parameters_after == saved
    assert (saved < derived.parameters_before) == (name in ("drop-layers", "prune"))


@pytest.mark.parametrize("name", WAYS)
def test_the_same_seed_gives_the_same_model_and_another_another(name, parent, hows, tmp_path):
    def made(folder, seed):
        return derive(str(parent), hows[name], tmp_path / folder, seed=seed, training=QUICK).digest

    assert made("one", 1) == made("again", 1)
    assert (made("two", 2) == made("three", 3)) == (name in ("quantise", "prune", "drop-layers", "merge"))


def test_tied_embeddings_stay_tied(tmp_path):
    parent = save_tiny(tmp_path / "tied", "gemma3_text", tie_word_embeddings=True)
    derived = derive(str(parent), "permute-residual", tmp_path / "out")
    assert derived.parameters_after == derived.parameters_before
    torch.testing.assert_close(logits(tmp_path / "out"), logits(parent), atol=1e-4, rtol=0)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_the_licence_goes_with_the_weights(parent, tmp_path):
    (parent / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    derive(str(parent), "permute", tmp_path / "out")
    assert models.resolve(str(tmp_path / "out")).licence == "apache-2.0"


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("shrink:3", r"no way 'shrink' .*choose one of noise:0.1, permute, .*lora:FILE"),
        ("", "no way ''"),
        ("noise", "'noise' needs a value; write noise:0.1"),
        ("permute:3", "'permute' takes no value"),
        ("noise:0", "noise '0' is out of range; choose above 0 and at most 1"),
        ("noise:nan", "noise 'nan' is out of range"),
        ("noise:loud", "noise 'loud' is out of range"),
        ("rescale:1", "factor '1' is out of range"),
        ("quantise:4.5", "number of bits '4.5' is out of range; choose a whole number from 2 to 8"),
        ("quantise:1", "number of bits '1'"),
        ("upcycle:1", "number of experts '1' is out of range; choose a whole number from 2 to 64"),
        ("upcycle:4:2", "noise '2' is out of range"),
        ("drop-layers:0", "number of layers '0'"),
        ("drop-layers:2", "2 layers cannot be dropped from 3"),
        ("finetune:nothing.txt", "no text file 'nothing.txt'"),
        ("merge: ", "Merge with which model"),
        ("merge:PARENT", "is the model itself"),
        ("merge:WIDER", "44 x 24 in the other"),
        ("merge:OTHER-FAMILY", "is a gpt2 model and the first a llama one"),
    ],
)
def test_bad_requests_are_refused_and_leave_nothing(how, sentence, parent, tmp_path):
    if how.endswith("WIDER"):
        save_tiny(tmp_path / "WIDER", intermediate_size=44)
    if how.endswith("FAMILY"):
        save_tiny(tmp_path / "OTHER-FAMILY", "gpt2")
    if how.endswith("PARENT"):
        how = f"merge:{parent}"
    elif how.startswith("merge:") and how[6:].strip():
        how = f"merge:{tmp_path / how[6:]}"
    with pytest.raises(RequestError, match=sentence):
        derive(str(parent), how, tmp_path / "here" / "out")
    assert not (tmp_path / "here").exists()


def test_a_way_that_does_not_hold_for_the_family(tmp_path):
    parent = save_tiny(tmp_path / "gpt2", "gpt2")
    with pytest.raises(RequestError, match="neither a gate nor ReLU"):
        derive(str(parent), "rescale:2", tmp_path / "here" / "out")
    assert not (tmp_path / "here").exists()


def test_an_existing_folder_and_a_bad_seed_are_refused_before_anything_is_loaded(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(RequestError, match="exists already; choose a new folder"):
        derive("no-such-model", "permute", tmp_path / "there")
    with pytest.raises(RequestError, match="seed -1 is out of range"):
        derive("no-such-model", "permute", tmp_path / "new", seed=-1)


@pytest.mark.parametrize(("other", "sentence"), [("none", "no folder"), ("gpt2", "gpt2 model and the first a llama")])
def test_the_other_model_of_a_merge_is_checked_before_anything_is_loaded(
    other, sentence, parent, tmp_path, monkeypatch
):
    if other == "gpt2":
        save_tiny(tmp_path / other, "gpt2")
    monkeypatch.setattr("fnet_core.models.loading.load", lambda *_, **__: pytest.fail("a model was loaded"))
    with pytest.raises(RequestError, match=sentence):
        derive(str(parent), f"merge:{tmp_path / other}", tmp_path / "here" / "out")


def test_too_little_memory_is_said_before_the_weights_are_read(parent, tmp_path, monkeypatch):
    monkeypatch.setattr("fnet_core.derivation.derive.available_memory", lambda: 20_000)
    with pytest.raises(RequestError, match=r"needs 0\.\d+ GB of memory and .* are free"):
        derive(str(parent), "noise:0.1", tmp_path / "here" / "out")
    assert not (tmp_path / "here").exists()


def test_weights_that_are_infinite_are_not_saved(parent, tmp_path):
    broken = AutoModelForCausalLM.from_pretrained(parent)
    broken.lm_head.weight.data[3, 5] = float("inf")
    broken.save_pretrained(tmp_path / "parent")
    with pytest.raises(RequestError, match="not all finite numbers"):
        derive(str(parent), "permute", tmp_path / "here" / "out")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("stop_at", ["loading", "changing", "training", "saving"])
def test_cancelling_leaves_nothing_behind(stop_at, parent, hows, tmp_path):
    def report(stage, fraction):
        if stage == stop_at and (stage != "saving" or fraction > 0):
            raise Cancelled

    with pytest.raises(Cancelled):
        derive(str(parent), hows["finetune"], tmp_path / "here" / "out", training=QUICK, report=report)
    assert not list((tmp_path / "here").glob("*"))


def test_the_command(capsys, parent, hows, tmp_path):
    out = tmp_path / "out"
    options = ["--how", hows["lora"], "--out", str(out), "--steps", "3", "--rank", "2", "--window", "20"]
    assert main.main(["derive", str(parent), *options, "--seed", "6", "--json"]) == 0
    printed, progress = capsys.readouterr()
    result = json.loads(printed)
    assert (result["how"], result["parent"], result["seed"]) == ("lora:text.txt", "parent", 6)
    assert result["artifact"] == str(out) and result["digest"] == model_digest(out)
    assert result["parameters"]["before"] == result["parameters"]["after"] > 0
    assert len(result["loss"]) == 2 and "training" in progress
    assert main.main(["derive", str(parent), "--how", "noise:0.1", "--out", str(tmp_path / "noisy"), "--quiet"]) == 0
    assert "noise:0.1 of parent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--how", "noise:0.1", "--out", "new", "--steps", "3"], "--steps goes with finetune and lora"),
        (["--how", "noise:7", "--out", "new"], "out of range"),
        (["--how", "permute"], "--out"),
    ],
)
def test_a_wrong_command_is_one_line(arguments, sentence, capsys, parent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main.main(["derive", str(parent), *arguments]) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1 and not (tmp_path / "new").exists()
