"""Models: loaded whole or offloaded with the same numbers, cancelled, and kept for the next use."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
import torch
from accelerate.hooks import AlignDevicesHook
from support.tiny_models import NO_MLP, mlp_width, save_tiny, tiny_model
from transformers.utils import logging

from fnet_core.errors import Cancelled, RequestError
from fnet_core.models import loading as models
from fnet_core.models.cards import peek
from fnet_core.models.families import FAMILIES
from fnet_core.models.loading import get_loaded, load, model_digest, release_loaded
from fnet_core.storage import locks

IDS = torch.arange(4, 33)[None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "model")


@pytest.fixture(autouse=True)
def nothing_kept():
    release_loaded()
    yield
    release_loaded()


def refusal(name: object, **options) -> str:
    with pytest.raises(RequestError) as refused:
        load(str(name), **options)
    return str(refused.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads_and_gives_the_numbers_it_was_saved_with(tmp_path, family):
    loaded = load(str(save_tiny(tmp_path / family, family)))
    assert torch.equal(loaded.model(IDS).logits, tiny_model(family)(IDS).logits)
    assert (loaded.family, loaded.layers, loaded.max_tokens) == (family, 3, 128)
    assert (loaded.dtype, loaded.device) == ("float32", "cpu")
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    card = peek(str(tmp_path / family))
    assert (card.architecture, card.layers, card.width, card.mlp_width, card.heads) == (
        family,
        3,
        24,
        mlp_width(family) or None,
        None if family in NO_MLP else 4,
    )
    assert (card.vocabulary, card.context, card.cached) == (61, 128, True)
    assert card.parameters == loaded.model.num_parameters()


def test_a_relative_path_and_a_dtype(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    loaded = load("model", dtype=torch.bfloat16)
    assert loaded.model.dtype == torch.bfloat16
    assert loaded.dtype == "bfloat16"
    assert loaded.path == folder
    assert (loaded.name, loaded.digest) == ("model", model_digest(folder))


def test_what_does_not_fit_stays_on_disk_and_gives_the_same_numbers(folder):
    plain = load(str(folder))
    loaded = load(str(folder), max_memory={"cpu": 30_000})
    assert set(loaded.model.hf_device_map.values()) == {"cpu", "disk"}
    assert "disk" in loaded.device
    down = loaded.model.model.layers[2].mlp.down_proj
    assert isinstance(down._hf_hook, AlignDevicesHook)
    assert down.weight.device.type == "meta"
    assert torch.equal(loaded.model(IDS).logits, plain.model(IDS).logits)
    assert loaded.digest == plain.digest


def test_a_model_too_large_for_memory_is_offloaded_by_itself(folder, monkeypatch):
    need = models.estimate(folder)
    free = need.activation_bytes + need.weight_bytes - 1000
    monkeypatch.setattr("fnet_core.models.memory.available_memory", lambda: free)
    monkeypatch.setattr(models, "available_memory", lambda: free)
    assert "disk" in load(str(folder)).device


def test_a_model_too_large_for_everything_is_refused_with_the_missing_gigabytes(folder, monkeypatch):
    monkeypatch.setattr("fnet_core.models.memory.available_memory", lambda: 1_000)
    said = refusal(folder)
    assert said.startswith(f"{folder}: It does not fit: even with its weights on disk it needs 0.01 GB of memory")
    assert "0.01 GB are missing; free some or choose a smaller model." in said


def test_loading_reports_and_can_be_cancelled(folder):
    seen: list[tuple[str, float]] = []

    def report(stage: str, fraction: float) -> None:
        seen.append((stage, fraction))
        if stage == "loading" and fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        load(str(folder), report=report)
    fractions = [fraction for stage, fraction in seen if stage == "loading"]
    assert fractions == sorted(fractions)
    assert 0.5 < fractions[-1] < 0.6
    assert logging.set_tqdm_hook(None) is None, "the library's hook is put back"
    assert load(str(folder)).layers == 3


# Kept models


def test_the_two_last_models_are_kept(tmp_path):
    names = [str(save_tiny(tmp_path / str(seed), seed=seed)) for seed in range(3)]
    first, second = get_loaded(names[0]), get_loaded(names[1])
    assert first.digest != second.digest
    assert get_loaded(names[0]) is first
    third = get_loaded(names[2])
    assert get_loaded(names[0]) is first
    assert get_loaded(names[2]) is third
    assert get_loaded(names[1]) is not second


def test_a_kept_model_is_the_one_that_was_asked_for(folder):
    plain = get_loaded(str(folder))
    assert get_loaded(str(folder), dtype=torch.bfloat16).model.dtype == torch.bfloat16
    assert get_loaded(str(folder), dtype=torch.float32) is plain
    save_tiny(folder, seed=5)
    changed = get_loaded(str(folder))
    assert not torch.equal(changed.model(IDS).logits, plain.model(IDS).logits)


def test_a_full_memory_lets_go_of_every_kept_model(tmp_path, monkeypatch):
    get_loaded(str(save_tiny(tmp_path / "a")))
    other = save_tiny(tmp_path / "b", seed=1)
    need = models.estimate(other)
    free = need.needed_bytes - 1000
    monkeypatch.setattr("fnet_core.models.memory.available_memory", lambda: free)
    monkeypatch.setattr(models, "available_memory", lambda: free)
    get_loaded(str(other))
    assert len(models._kept) == 1


def test_a_copy_is_the_same_model_under_its_own_name(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    first, copy = get_loaded(str(folder)), get_loaded(str(tmp_path / "copy"))
    assert copy.model is first.model
    assert copy.path == tmp_path / "copy"
    assert copy.name == str(tmp_path / "copy")


def test_a_kept_model_is_at_hand_while_another_loads(folder):
    first = get_loaded(str(folder))
    with models._loading:
        assert get_loaded(str(folder)) is first


def test_changing_a_loaded_model_does_not_change_the_file(folder):
    before = (folder / "model.safetensors").read_bytes()
    loaded = load(str(folder))
    for parameter in loaded.model.parameters():
        parameter.mul_(3)
    del loaded
    assert (folder / "model.safetensors").read_bytes() == before


def test_waiting_for_another_load_can_be_cancelled(folder):
    def report(stage: str, fraction: float) -> None:
        if stage == "waiting for another model":
            raise Cancelled

    with models._loading, pytest.raises(Cancelled):
        get_loaded(str(folder), report=report)
    assert get_loaded(str(folder)).layers == 3


def test_many_at_once_load_once(folder):
    found: list[models.LoadedModel] = []
    threads = [threading.Thread(target=lambda: found.append(get_loaded(str(folder)))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert len({id(loaded.model) for loaded in found}) == 1


def test_several_processes_wait_for_one_lock_and_can_be_cancelled():
    with locks.exclusive("demo", lambda *_: None):
        started = time.monotonic()

        def report(stage: str, fraction: float) -> None:
            assert stage == "waiting for another download"
            if time.monotonic() - started > 0.3:
                raise Cancelled

        with pytest.raises(Cancelled), locks.exclusive("demo", report):
            pytest.fail("two held the lock at once")
    with locks.exclusive("demo", lambda *_: None):
        pass


@pytest.mark.parametrize("asked", ["somebody/some-kernels", "flash_attention_2", "made_up"])
def test_how_a_configuration_asks_to_be_run_is_left_aside(folder, asked):
    expected = load(str(folder)).model(torch.arange(4, 33)[None]).logits
    path = folder / "config.json"
    named = dict.fromkeys(("attn_implementation", "_attn_implementation", "experts_implementation"), asked)
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    loaded = load(str(folder)).model
    assert loaded.config._attn_implementation in ("sdpa", "eager")
    assert torch.equal(loaded(torch.arange(4, 33)[None]).logits, expected)
