"""Folding edits into weights gives the hooked model's logits, in files that plain transformers loads."""

import json

import pytest
import torch
from support.loading import loaded_tiny
from support.tiny_models import HEADLESS, MIXTURES, TINY_FAMILIES, save_tiny, tiny_model
from transformers import AutoModelForCausalLM

from fnet_core.errors import RequestError
from fnet_core.interventions.baking import bake, fold
from fnet_core.interventions.editing import editing
from fnet_core.interventions.edits import Edit
from fnet_core.models import loading as models
from fnet_core.models.families import FAMILIES
from fnet_core.storage.atomic import new_folder

IDS = torch.randint(4, 61, (2, 19), generator=torch.Generator().manual_seed(1))
EDITS = [
    Edit("mlp", ((0, 5), (1, 17), (2, 39)), 0.0),
    Edit("heads", ((1, 2), (2, 0)), 1.7),
    Edit("mlp", ((0, 7),), 3.0),
]


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_folded_equals_hooked_in_every_family(family):
    loaded = loaded_tiny(family)
    edits = [edit for edit in EDITS if edit.site in FAMILIES[family].sites]
    with torch.no_grad(), editing(loaded, edits):
        hooked = loaded.model(IDS).logits
    folded = tiny_model(family)
    fold(folded, edits)
    torch.testing.assert_close(folded(IDS).logits, hooked, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(hooked, loaded.model(IDS).logits, atol=1e-4)


@pytest.mark.parametrize("family", [family for family in MIXTURES if family not in HEADLESS])
def test_heads_of_a_mixture_fold(family):
    loaded = loaded_tiny(family)
    with torch.no_grad(), editing(loaded, EDITS[1:2]):
        hooked = loaded.model(IDS).logits
    folded = tiny_model(family)
    fold(folded, EDITS[1:2])
    torch.testing.assert_close(folded(IDS).logits, hooked, atol=1e-5, rtol=1e-5)


def test_an_edit_of_experts_names_the_site_that_folds(tmp_path):
    with pytest.raises(RequestError, match="site experts cannot be folded into weights; choose site heads\\."):
        bake(loaded_tiny("mixtral"), [Edit("experts", ((0, 1),), 0.0)], tmp_path / "new", {})


@pytest.mark.parametrize("family", ["gpt2", "opt", "gpt_neox"])
def test_offsets_fold_where_there_is_a_bias(family):
    edits = [Edit("mlp", ((0, 5), (2, 9)), 0.5, 0.25), Edit("heads", ((1, 2),), 1.0, -0.5)]
    loaded = loaded_tiny(family)
    with torch.no_grad(), editing(loaded, edits):
        hooked = loaded.model(IDS).logits
    folded = tiny_model(family)
    fold(folded, edits)
    torch.testing.assert_close(folded(IDS).logits, hooked, atol=1e-5, rtol=1e-5)


def test_the_saved_model_loads_with_plain_transformers_and_the_loaded_one_is_unchanged(tmp_path):
    loaded = models.load(str(save_tiny(tmp_path / "origin", "llama")))
    before = loaded.model(IDS).logits
    out = bake(loaded, EDITS, tmp_path / "baked", {"model": "origin"})
    with editing(loaded, EDITS):
        hooked = loaded.model(IDS).logits
    plain = AutoModelForCausalLM.from_pretrained(out)
    torch.testing.assert_close(plain(IDS).logits, hooked, atol=1e-5, rtol=1e-5)
    assert torch.equal(loaded.model(IDS).logits, before)
    note = json.loads((out / "fnet-edits.json").read_text())
    assert note["recipe"]["baked_from_digest"] == loaded.digest and len(note["edits"]) == 3
    assert models.load(str(out)).digest != loaded.digest


def test_what_cannot_be_baked(tmp_path):
    loaded = models.load(str(save_tiny(tmp_path / "origin", "llama")))
    (tmp_path / "there").mkdir()
    for edits, name, sentence in (
        ([Edit("residual", ((0, 1),), 0.0)], "new", "cannot be folded"),
        ([Edit("mlp", ((0, 1),), 1.0, 2.0)], "new", "no bias"),
        ([Edit("mlp", ((9, 1),), 0.0)], "new", "no layer 9"),
        (EDITS, "there", "exists already"),
    ):
        with pytest.raises(RequestError, match=sentence):
            bake(loaded, edits, tmp_path / name, {})
    assert not (tmp_path / "new").exists()


def test_a_name_too_long_for_the_disk_is_a_sentence(tmp_path):
    with pytest.raises(RequestError, match="more than 200 bytes cannot be saved"):
        new_folder(tmp_path / ("x" * 300))
    with pytest.raises(RequestError, match="cannot be a folder"):
        new_folder(tmp_path.joinpath(*["y" * 190] * 30))
