"""Questions asked before, and everything after which they are new again."""

import os
from dataclasses import replace

import pytest
from support.tiny_models import save_tiny

from fnet_core import texts
from fnet_core.networks import asked
from fnet_core.networks.asked import find, recalled
from fnet_core.networks.finding import AtlasRequest, find_atlas
from fnet_core.storage import memo

REQUEST = AtlasRequest("tiny", texts.bundled("find")[:4], components=3, restarts=2)


@pytest.fixture
def folder(tmp_path):
    return save_tiny(tmp_path / "model", max_position_embeddings=2048)


def test_what_was_asked_is_what_the_store_has(folder):
    request = replace(REQUEST, model=str(folder))
    assert recalled(request) is None
    first = find(request)
    again = recalled(request)
    assert again is not None and (first.computed, again.computed) == (True, False)
    assert again.path == first.path == find_atlas(request).path
    assert again.answer.summary() == first.answer.summary()
    for change in ({"seed": 1}, {"components": 2}, {"site": "residual"}, {"passages": REQUEST.passages[:3]}):
        assert recalled(replace(request, **change)) is None


@pytest.mark.parametrize("change", ["file", "touched", "versions", "accelerator", "chosen", "method", "atlas"])
def test_whatever_decides_the_answer_makes_the_question_new(folder, tmp_path, monkeypatch, change):
    request = replace(REQUEST, model=str(folder))
    found = find(request)
    assert recalled(request) is not None
    if change == "file":
        (folder / "more.safetensors").write_bytes(b"")
    elif change == "touched":
        os.utime(folder / "config.json")
    elif change == "versions":
        monkeypatch.setattr(memo, "installed", lambda package: "0")
    elif change == "accelerator":
        (tmp_path / "nvidia0").touch()
        monkeypatch.setattr(asked, "_DEVICES", tmp_path)
    elif change == "chosen":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    elif change == "method":
        monkeypatch.setattr(asked, "METHOD_VERSION", 0)
    else:
        found.path.unlink()
    assert recalled(request) is None


def test_of_what_is_made_or_warned_about_first_only_the_libraries_tell(folder):
    config = folder / "config.json"
    config.write_text(config.read_text().replace("{", '{"quantization_config": {}, ', 1))
    assert asked._facts(replace(REQUEST, model=str(folder))) is None
    assert asked._facts(replace(REQUEST, model="nobody/model-of-the-hub")) is None
