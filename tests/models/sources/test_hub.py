"""Hub repositories: looked at before anything large is fetched, each refusal with its own sentence."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants
from support.local_servers import model_hub
from support.tiny_models import save_tiny
from transformers import AutoModelForCausalLM

from fnet_core.errors import Cancelled, RequestError
from fnet_core.models.cards import peek
from fnet_core.models.resolving import resolve
from fnet_core.models.sources import hub

NAME = "somebody/tiny-llama"


@pytest.fixture(autouse=True)
def own_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    folder = save_tiny(tmp_path / "original")
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {
        "README.md": b"---\nlicense: apache-2.0\n---\nA tiny model.",
        "pytorch_model.bin": b"pickled",
        "original/consolidated.safetensors": b"another format",
    }


def at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)


def test_a_repository_becomes_a_folder_with_only_the_files_that_are_needed(tmp_path, files, monkeypatch):
    with model_hub(NAME, files) as (endpoint, asked):
        at(monkeypatch, endpoint)
        found = resolve(NAME)
        assert resolve(NAME) == found
    assert found.kind == "hub"
    assert found.licence == "apache-2.0"
    assert sorted(asked) == sorted({*files} - {"pytorch_model.bin", "original/consolidated.safetensors"})
    original = AutoModelForCausalLM.from_pretrained(tmp_path / "original")
    copy = AutoModelForCausalLM.from_pretrained(found.path)
    ids = torch.arange(4, 19)[None]
    assert torch.equal(original(ids).logits, copy(ids).logits)


def test_a_model_on_this_machine_needs_no_hub(files, monkeypatch):
    with model_hub(NAME, files) as (endpoint, _):
        at(monkeypatch, endpoint)
        found = resolve(NAME)
    at(monkeypatch, "http://127.0.0.1:9")
    assert resolve(NAME).path == found.path
    assert peek(NAME).cached


def test_a_card_is_shown_before_the_weights_are_fetched(files, monkeypatch):
    with model_hub(NAME, files) as (endpoint, asked):
        at(monkeypatch, endpoint)
        card = peek(NAME)
    assert asked == ["config.json"]
    assert (card.layers, card.width, card.mlp_width, card.parameters) == (3, 24, 40, 16920)
    assert not card.cached
    assert card.download_bytes >= len(files["model.safetensors"])


def without(files: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: body for name, body in files.items() if name not in names}


def changed_config(files: dict[str, bytes], **changes) -> dict[str, bytes]:
    return files | {"config.json": json.dumps(json.loads(files["config.json"]) | changes).encode()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda files: changed_config(files, model_type="rwkv"), "architecture 'rwkv' is not supported"),
        (
            lambda files: changed_config(files, quantization_config={"quant_method": "awq"}),
            "quantised by awq",
        ),
        (lambda files: without(files, "config.json"), "has no config.json"),
        (lambda files: without(files, "model.safetensors"), "only pickled weights"),
        (lambda files: without(files, "model.safetensors", "pytorch_model.bin"), "no model*.safetensors"),
        (lambda files: without(files, "model.safetensors") | {"a.gguf": b"GGUF"}, "holds .gguf files only"),
        (lambda files: files | {"config.json": b"{"}, "not valid JSON"),
    ],
)
def test_an_unusable_repository_is_refused_before_its_weights_are_fetched(files, monkeypatch, change, sentence):
    with model_hub(NAME, change(files)) as (endpoint, asked):
        at(monkeypatch, endpoint)
        with pytest.raises(RequestError) as refused:
            resolve(NAME)
    assert sentence in str(refused.value)
    assert set(asked) <= {"config.json"}


def test_an_unknown_repository(files, monkeypatch):
    with model_hub(NAME, files) as (endpoint, _):
        at(monkeypatch, endpoint)
        with pytest.raises(RequestError, match="There is no model somebody/else on the hub, or it is private"):
            resolve("somebody/else")


def test_a_gated_repository(files, monkeypatch):
    with model_hub(NAME, files, gated=True) as (endpoint, _):
        at(monkeypatch, endpoint)
        with pytest.raises(RequestError, match=r"behind an agreement on the hub.*hf auth login"):
            resolve(NAME)


def test_a_hub_that_fails(files, monkeypatch):
    with model_hub(NAME, files, status=500) as (endpoint, _):
        at(monkeypatch, endpoint)
        with pytest.raises(RequestError, match=r"hub does not answer for somebody/tiny-llama .*500"):
            resolve(NAME)


def test_no_hub_at_all_is_told_within_seconds(monkeypatch):
    at(monkeypatch, "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(RequestError, match="hub cannot be reached and org/none is not on this machine"):
        resolve("org/none")
    assert time.monotonic() - started < hub.ANSWER_SECONDS + 2


def test_a_silent_hub_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(hub, "_look_up", lambda name: time.sleep(30))

    def report(stage: str, fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        resolve("org/none", report=report)


def test_a_silent_hub_counts_as_unreachable(monkeypatch):
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(hub, "_look_up", lambda name: time.sleep(30))
    with pytest.raises(RequestError, match="cannot be reached"):
        resolve("org/none")


def test_a_download_reports_and_is_killed_on_cancel_and_goes_on_later(tmp_path, files, monkeypatch, own_hub_cache):
    big = save_tiny(tmp_path / "big", intermediate_size=30_001)
    files |= {path.name: path.read_bytes() for path in big.iterdir()}
    seen: list[float] = []

    def report(stage: str, fraction: float) -> None:
        if stage == "downloading":
            seen.append(fraction)
            if fraction > 0.3:
                raise Cancelled

    with model_hub(NAME, files, pause=0.03) as (endpoint, _):
        at(monkeypatch, endpoint)
        with pytest.raises(Cancelled):
            resolve(NAME, report=report)
        assert 0.3 < seen[-1] < 1.0
        before = _bytes_below(own_hub_cache)
        time.sleep(0.5)
        assert _bytes_below(own_hub_cache) == before
    with model_hub(NAME, files) as (endpoint, _):
        at(monkeypatch, endpoint)
        assert resolve(NAME).path.is_dir()


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_is_told_before_the_download(files, monkeypatch):
    monkeypatch.setattr(hub, "shutil", SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=10)))
    with model_hub(NAME, files) as (endpoint, asked):
        at(monkeypatch, endpoint)
        with pytest.raises(RequestError, match=r"needs .* of disk and .* has 0.01 GB free"):
            resolve(NAME)
    assert "model.safetensors" not in asked
