"""GGUF files: converted once, whole or not at all, and refused in a sentence when they cannot be read."""

import json
import os
import time
from pathlib import Path

import psutil
import pytest
import torch
from support.tiny_gguf import END, START, TOKENS, write_tiny_gguf

from fnet_core.errors import Cancelled, RequestError
from fnet_core.models import memory
from fnet_core.models.cards import available, peek
from fnet_core.models.loading import load, resolve
from fnet_core.models.sources import gguf as gguf_conversion
from fnet_core.storage import artifacts

INCOMPLETE = (
    "my model.Q8.gguf is not a complete GGUF file of a supported architecture; copy or download it again, or "
    "choose a model with safetensors."
)


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return tmp_path / "my model.Q8.gguf"


def test_a_gguf_file_is_converted_once_and_gives_the_same_numbers(gguf, tmp_path):
    original = write_tiny_gguf(gguf)
    assert not peek(str(gguf)).cached
    stages: dict[str, float] = {}
    loaded = load(str(gguf), report=stages.__setitem__)
    ids = torch.arange(40, 71)[None]
    assert torch.equal(loaded.model(ids).logits, original(ids).logits)
    assert {"reading the GGUF file", "converting", "loading"} <= stages.keys()
    assert (loaded.family, loaded.layers, loaded.max_tokens) == ("llama", 3, 128)
    card = json.loads((loaded.path / "fnet.json").read_text())
    assert card["source"] == {"file": gguf.name, "sha256": artifacts.file_digest(gguf)}
    assert card["model_digest"] == loaded.digest
    assert "quantization_config" not in (loaded.path / "config.json").read_text()

    text = "the  other\n\u00e9t\u00e9"
    encoded = loaded.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert loaded.tokenizer.decode(encoded.input_ids) == text
    assert encoded.input_ids[0] == TOKENS.index("the")
    assert encoded.offset_mapping[0] == (0, 3)
    assert (loaded.tokenizer.bos_token_id, loaded.tokenizer.eos_token_id) == (START, END)

    before = (loaded.path / "config.json").stat().st_mtime_ns
    elsewhere = tmp_path / "elsewhere" / gguf.name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(gguf.read_bytes())
    again = resolve(str(elsewhere))
    assert again.path == loaded.path, "the key is the content, not the place"
    assert (again.path / "config.json").stat().st_mtime_ns == before
    assert peek(str(gguf)).cached
    by_key = next(card for card in available() if card.name == loaded.path.name)
    assert (by_key.parameters, by_key.mlp_width) == (original.num_parameters(), 40)
    assert resolve(by_key.name).path == loaded.path


def test_a_truncated_file_leaves_nothing(gguf):
    write_tiny_gguf(gguf)
    os.truncate(gguf, 60_000)
    with pytest.raises(RequestError) as refused:
        resolve(str(gguf))
    assert str(refused.value) == INCOMPLETE
    assert _kept() == []


def test_what_is_no_gguf_file_is_refused_at_once(gguf):
    with pytest.raises(RequestError) as refused:
        resolve(str(gguf))
    assert str(refused.value) == f"There is no file {gguf}; check the path."
    for content in (b"GGU", b"PK\x03\x04" + bytes(5000)):
        gguf.write_bytes(content)
        with pytest.raises(RequestError) as refused:
            resolve(str(gguf))
        assert str(refused.value) == INCOMPLETE


@pytest.mark.parametrize("kept", [4, 2000, 30_000])
def test_the_child_finds_a_truncated_file_unreadable(gguf, tmp_path, kept):
    write_tiny_gguf(gguf)
    os.truncate(gguf, kept)
    assert gguf_conversion.main([str(gguf), str(tmp_path)]) == 3


def test_the_child_finds_an_unheard_of_architecture_unreadable(gguf, tmp_path):
    write_tiny_gguf(gguf, architecture="nonesuch")
    assert gguf_conversion.main([str(gguf), str(tmp_path)]) == 3


def test_the_child_refuses_a_file_that_lacks_a_tensor(gguf, tmp_path, capsys):
    write_tiny_gguf(gguf, leave_out="blk.1.ffn_up.weight")
    assert gguf_conversion.main([str(gguf), str(tmp_path)]) == 2
    assert capsys.readouterr().out.splitlines()[-1] == INCOMPLETE


def test_the_child_refuses_an_architecture_without_a_family(gguf, tmp_path, capsys):
    write_tiny_gguf(gguf, architecture="t5")
    assert gguf_conversion.main([str(gguf), str(tmp_path)]) == 2
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("The architecture 't5' is not supported; choose a model of one of these: llama")


def test_cancel_kills_the_conversion_and_leaves_nothing(gguf):
    write_tiny_gguf(gguf)
    cancelled_at = []

    def report(stage: str, fraction: float) -> None:
        if stage == "reading the GGUF file":
            assert len({os.getpgid(process.pid) for process in _conversions()}) == 1, "a conversion and its guard"
            cancelled_at.append(time.monotonic())
            raise Cancelled

    with pytest.raises(Cancelled):
        resolve(str(gguf), report=report)
    assert time.monotonic() - cancelled_at[0] < 1.0
    assert _conversions() == []
    assert _kept() == []


def _kept() -> list[Path]:
    """Everything in the cache's models folder, hidden leftovers too."""
    folder = artifacts.home() / "models"
    return list(folder.iterdir()) if folder.is_dir() else []


def _conversions() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "fnet_core.models.sources.gguf" in child.cmdline()]


def test_too_little_memory_is_told_in_numbers(gguf, capsys, monkeypatch, tmp_path):
    write_tiny_gguf(gguf)
    monkeypatch.setattr(gguf_conversion, "available_memory", lambda: 100_000)
    assert gguf_conversion.main([str(gguf), str(tmp_path)]) == 2
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("Converting my model.Q8.gguf needs 0.01 GB of memory and 0.01 GB are free; free ")
    assert memory.available_memory() > 100_000


def test_a_failure_of_our_own_is_not_blamed_on_the_file(gguf, monkeypatch):
    write_tiny_gguf(gguf)
    monkeypatch.setattr(gguf_conversion.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match=r"Converting my model.Q8.gguf failed"):
        resolve(str(gguf))
