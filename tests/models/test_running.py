"""A model as recipes name it."""

import torch

from fnet_core.models.loading import get_loaded, resolve
from fnet_core.models.running import Running, expected, running


def test_a_model_is_expected_to_run_as_it_then_does(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = get_loaded("tiny")
    assert expected(resolve("tiny")) == running(loaded) == Running("tiny", loaded.digest, "cpu", "float32")


def test_a_recipe_begins_with_the_model_and_the_versions():
    recipe = Running("m", "d", "cpu", "float32").recipe("torch")
    assert recipe.keys() == {"model", "model_digest", "device", "dtype", "versions", "fnet"}
    assert recipe["versions"].keys() == {"torch"}
