"""Kept models go once nobody has asked for them for a while, unless somebody still has one in hand."""

import time
from dataclasses import replace

import pytest
import torch
from support.tiny_models import save_tiny

from fnet_core.models import loading
from fnet_core.models.kept import KeptModels


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return loading.load(str(save_tiny(tmp_path_factory.mktemp("kept") / "model")))


def anew(loaded):
    """The same with a model of its own, which nothing else holds."""
    return replace(loaded, model=torch.nn.Linear(2, 2))


@pytest.fixture
def clock(monkeypatch):
    """The time as the kept models read it, in seconds; nobody else looks for idle ones meanwhile."""
    now = [0.0]
    monkeypatch.setattr("fnet_core.models.kept.monotonic", lambda: now[0])
    return now


def test_an_idle_model_goes_and_one_asked_for_stays(loaded, clock):
    kept = KeptModels(idle=900)
    for key in "ab":
        kept.put(key, anew(loaded))
    clock[0] = 600.0
    assert kept.get("b") is not None
    clock[0] = 1000.0
    kept.release_idle()
    assert kept.get("a") is None and kept.get("b") is not None
    clock[0] = 3000.0
    kept.release_idle()
    assert len(kept) == 0


def test_one_that_is_in_use_is_kept_so_that_nobody_loads_it_twice(loaded, clock):
    kept = KeptModels(idle=900)
    used = anew(loaded)
    kept.put("a", used)
    model = used.model
    del used
    clock[0] = 1000.0
    kept.release_idle()
    found = kept.get("a")
    assert found is not None and found.model is model and found.digest == loaded.digest
    del found, model
    clock[0] = 3000.0
    kept.release_idle()
    assert len(kept) == 0


def test_somebody_looks_without_being_asked(loaded):
    kept = KeptModels(idle=0.02)
    kept.put("a", anew(loaded))
    until = time.monotonic() + 10
    while len(kept) and time.monotonic() < until:
        time.sleep(0.01)
    assert len(kept) == 0
