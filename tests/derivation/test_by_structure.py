"""Models read by structure are derived by the ways that need no row of the table, and refused by the others."""

import pytest
import torch
from support.unlisted import save_unlisted
from torch import nn
from transformers import AutoModelForCausalLM

from fnet_core.derivation.derive import derive
from fnet_core.derivation.training import Training
from fnet_core.derivation.weights import quantise
from fnet_core.errors import RequestError
from fnet_core.models.loading import load

IDS = torch.randint(4, 61, (2, 19), generator=torch.Generator().manual_seed(1))
QUICK = Training(steps=2, learning_rate=1e-2, window=16)


@pytest.fixture(scope="module")
def parents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parents")
    return {name: save_unlisted(folder / name, name) for name in ("apertus", "mpt")}


def logits(folder) -> torch.Tensor:
    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(folder).eval()(input_ids=IDS).logits


@pytest.mark.parametrize("name", ["apertus", "mpt"])
@pytest.mark.parametrize("how", ["noise:0.1", "quantise:3", "drop-layers:1", "finetune:TEXT", "lora:TEXT"])
def test_ways_that_need_no_row_give_a_folder_that_the_library_and_fnet_load(parents, tmp_path, name, how):
    text = tmp_path / "text.txt"
    text.write_text("a small text of a few dozen letters to be trained on.")
    made = derive(str(parents[name]), how.replace("TEXT", str(text)), tmp_path / "out", training=QUICK)
    theirs = logits(made.folder)
    assert (theirs - logits(parents[name])).abs().max() > 1e-3
    with torch.no_grad():
        torch.testing.assert_close(load(str(made.folder)).model(input_ids=IDS).logits, theirs, atol=1e-5, rtol=0)
    layers = AutoModelForCausalLM.from_pretrained(made.folder).config.num_hidden_layers
    assert layers == (2 if how.startswith("drop") else 3)


def test_the_mean_of_two_models_of_one_class(parents, tmp_path):
    other = derive(str(parents["apertus"]), "noise:0.2", tmp_path / "other").folder
    made = derive(str(parents["apertus"]), f"merge:{other}", tmp_path / "mean").folder
    whole = [AutoModelForCausalLM.from_pretrained(folder) for folder in (parents["apertus"], other, made)]
    for a, b, mean in zip(*(model.parameters() for model in whole), strict=True):
        torch.testing.assert_close(mean, (a + b) / 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize("how", ["permute", "permute-residual", "rescale:2", "prune:0.3"])
def test_ways_that_need_to_know_the_architecture_are_refused(parents, tmp_path, how):
    with pytest.raises(RequestError, match=r"A apertus model is read by its structure and .* needs to know its ar"):
        derive(str(parents["apertus"]), how, tmp_path / "here" / "out")
    with pytest.raises(RequestError, match="no mixture of experts with the layers of a apertus model"):
        derive(str(parents["apertus"]), "upcycle:4", tmp_path / "here" / "out")
    assert not (tmp_path / "here").exists()


def test_matrices_that_no_linear_map_holds_are_not_left_out_of_rounding(parents):
    model = load(str(parents["apertus"])).model
    model.model.layers[1].more = nn.Parameter(torch.ones(2, 3), requires_grad=False)
    with pytest.raises(RequestError, match=r"A apertus model .*, and more is no linear map .*; choose noise instead"):
        quantise(model, 4)
