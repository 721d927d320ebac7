"""Models read whole on demand, also where a changed file looks untouched."""

import json
import os

import pytest
from support.tiny_models import save_tiny

from fnet_core.cli.main import main
from fnet_core.models.loading import resolve
from fnet_core.models.made import CARD, made_folder
from fnet_core.models.verifying import verify, verify_all
from fnet_core.storage import artifacts


@pytest.fixture
def weights():
    resolve("tiny")  # made
    return resolve("tiny").path / "model.safetensors"


def flip_unseen(path, monkeypatch) -> None:
    """Change a byte of a file whose size and times stay as they are, as a failing disk does."""
    seen = artifacts.identity(path.resolve())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    identity = artifacts.identity
    monkeypatch.setattr(artifacts, "identity", lambda p: seen if p == path.resolve() else identity(p))


def test_a_change_that_nothing_shows_is_found_and_mended_at_the_next_use(weights, monkeypatch, capsys):
    before = weights.read_bytes()
    assert [each.state for each in verify_all()] == ["whole"]
    flip_unseen(weights, monkeypatch)
    resolve("tiny")
    assert weights.read_bytes() != before, "what is remembered of the file hides the change"
    assert main(["models", "--verify", "--json", "--quiet"]) == 1
    assert json.loads(capsys.readouterr().out) == {"verified": [{"name": "tiny", "state": "changed"}]}
    resolve("tiny")
    assert weights.read_bytes() == before
    monkeypatch.undo()


def test_a_note_that_was_changed_is_a_change(weights):
    note = weights.with_name(CARD)
    note.write_text(note.read_text().replace("tiny", "tony"))
    assert verify(weights.parent).state == "changed"


def test_one_model_is_named_and_a_folder_without_a_note_says_so(weights, tmp_path, capsys):
    assert main(["models", "tiny", "--verify", "--quiet"]) == 0
    assert capsys.readouterr().out == "tiny: as it was made\n"
    folder = save_tiny(tmp_path / "plain")
    assert main(["models", str(folder), "--verify", "--quiet"]) == 0
    assert "no note of FNet" in capsys.readouterr().out
    assert main(["models", "smollm2-135m", "--verify"]) == 2
    os.rename(made_folder("tiny"), tmp_path / "gone")
    assert main(["models", "--verify", "--quiet"]) == 0
