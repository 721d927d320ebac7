"""What leaves the project: names, never places, and a card that can be read back."""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from support.pruning_cases import PASSAGES, REQUEST, uneven_plan
from support.tiny_models import save_tiny

from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.baking import bake
from fnet_core.interventions.edits import Edit
from fnet_core.models import loading as models
from fnet_core.pruning.export import export
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.measuring import measure_pruning


@pytest.mark.parametrize("name", ["plain", "C: x", "#x", "a 'quoted' \"name\"", "- list", "yes"])
def test_the_card_names_its_base_and_can_be_read_back(name, tmp_path):
    loaded = models.load(str(save_tiny(tmp_path / "private place" / name)))
    folder = export(loaded, prepare(loaded, uneven_plan(loaded), "bias", REQUEST), tmp_path / "smaller")
    card = ModelCard.load(folder / "README.md")
    assert card.data.base_model == name and card.data.tags == ["pruned", "fnet"]
    assert card.data.library_name == "transformers" and f"# {name}, pruned" in card.text


def private_words(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if b"private place" in path.read_bytes()]


def test_nothing_that_is_exported_tells_where_the_model_lay(tmp_path):
    loaded = models.load(str(save_tiny(tmp_path / "private place" / "mine")))
    pruning = prepare(loaded, uneven_plan(loaded), "bias", REQUEST)
    measured = measure_pruning(loaded, pruning, Yardstick(PASSAGES[:1]))
    found = {"before": measured.baseline, "after": measured.pruned}
    assert private_words(export(loaded, pruning, tmp_path / "smaller", found)) == []
    scored = replace(pruning, plan=replace(pruning.plan, scores=pruning.plan.scores | {"model": loaded.name}))
    assert private_words(export(loaded, scored, tmp_path / "other")) == []
    edits = (Edit("mlp", ((0, 1),), gain=0.0),)
    assert private_words(bake(loaded, edits, tmp_path / "baked", {"model": loaded.name})) == []
