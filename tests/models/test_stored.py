"""How weights are kept on disk, and that what leaves keeps it: prune, derive, baked edits."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.pruning_cases import PASSAGES, REQUEST, uneven_plan
from support.tiny_models import save_tiny, tiny_model, tiny_tokenizer

from fnet_core.derivation.derive import derive
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import measure
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.baking import bake
from fnet_core.interventions.edits import Edit
from fnet_core.models import loading as models
from fnet_core.models.stored import stored_weights
from fnet_core.pruning.export import export, read_recipe
from fnet_core.pruning.masking import masking, prepare
from fnet_core.pruning.measuring import measure_pruning

TYPES = ("bfloat16", "float16", "float32")


def saved_in(folder, dtype, **changes):
    model = tiny_model("llama", **changes).to(getattr(torch, dtype))
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def kinds(folder) -> set[str]:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("dtype", TYPES)
def test_what_leaves_keeps_the_number_type_it_came_with(dtype, tmp_path):
    source = saved_in(tmp_path / "source", dtype)
    loaded = models.load(str(source))
    assert loaded.dtype == "float32" and loaded.stored.dtype == dtype
    made = (
        export(loaded, prepare(loaded, uneven_plan(loaded), "bias", REQUEST), tmp_path / "pruned"),
        bake(loaded, (Edit("mlp", ((0, 1),), gain=0.5),), tmp_path / "baked", {"model": "source"}),
        derive(str(source), "noise:0.1", tmp_path / "derived").folder,
    )
    for folder in made:
        assert kinds(folder) == kinds(source)
        assert json.loads((folder / "config.json").read_text())["dtype"] == dtype
        assert (folder / "model.safetensors").stat().st_size < 1.05 * (source / "model.safetensors").stat().st_size


def test_a_cut_without_compensation_changes_no_weight_that_stays(tmp_path):
    loaded = models.load(str(saved_in(tmp_path / "source", "bfloat16")))
    pruning = prepare(loaded, uneven_plan(loaded), "none", REQUEST)
    again = models.load(str(export(loaded, pruning, tmp_path / "pruned")))
    ids = torch.arange(4, 40)[None]
    with masking(loaded, pruning):
        torch.testing.assert_close(again.model(ids).logits, loaded.model(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", TYPES)
def test_the_bytes_are_those_on_disk_and_the_exports_own_number_is_stated_with_its_type(dtype, tmp_path):
    source = saved_in(tmp_path / "source", dtype, max_position_embeddings=512)
    loaded, yardstick = models.load(str(source)), Yardstick(PASSAGES)
    pruning = prepare(loaded, uneven_plan(loaded), "bias", REQUEST)
    found = measure_pruning(loaded, pruning, yardstick)
    measured = {"before": found.baseline, "after": found.pruned}
    out = export(loaded, pruning, tmp_path / "pruned", measured, yardstick=yardstick)
    recipe = read_recipe(out)
    size = recipe["summary"]["bytes"]
    assert size["before"] == (source / "model.safetensors").stat().st_size
    assert size["after"] == (out / "model.safetensors").stat().st_size
    assert size["dtype"] == dtype
    assert pruning.summary()["bytes"]["after"] == pytest.approx(size["after"], abs=2000)
    text = (out / "README.md").read_text()
    assert f"weights in {dtype} | {size['before'] / 1e6:,.1f} MB | {size['after'] / 1e6:,.1f} MB" in text
    exported = recipe["perplexity"].get("exported")
    if dtype == "float32":
        assert exported is None
        return
    *_, own = measure(models.load(str(out), dtype=getattr(torch, dtype)), PASSAGES)
    assert exported["dtype"] == dtype and exported["value"] == pytest.approx(own.value, rel=1e-6)
    assert exported["value"] != found.pruned.value
    assert f"run in {dtype}: {own.value:.4g}" in text


def test_weights_that_a_number_type_cannot_hold_are_refused(tmp_path):
    source = saved_in(tmp_path / "source", "float16")
    large = {name: 1e4 * tensor for name, tensor in load_file(source / "model.safetensors").items()}
    save_file(large, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RequestError, match="finite numbers in float16"):
        bake(models.load(str(source)), (Edit("mlp", ((0, 1),), gain=100.0),), tmp_path / "baked", {"model": "source"})
    assert not (tmp_path / "baked").exists()


def test_quantised_parts_do_not_name_the_number_type(tmp_path):
    folder = save_tiny(tmp_path / "model")
    tensors = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors | {"packed": torch.zeros(10**5, dtype=torch.int8)}, folder / "model.safetensors")
    assert stored_weights(folder).dtype == "float16"
