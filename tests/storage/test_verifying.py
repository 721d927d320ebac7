"""What the library keeps, read whole on demand."""

import json

import numpy as np
import pytest

from fnet_core.cli.main import main
from fnet_core.interventions.edits import Edit, edits_text
from fnet_core.storage import artifacts, library
from fnet_core.storage.verifying import damaged


@pytest.fixture
def kept():
    artifacts.save_artifact(artifacts.artifact_path("atlas", "a" * 8), "atlas", {"x": np.arange(9)}, {"recipe": {}})
    library.add_text("edits", edits_text([Edit("mlp", ((0, 1),), 0.5)], {"model": "tiny"}))
    return {entry.kind: entry.path for entry in library.library().entries}


@pytest.mark.parametrize(("kind", "old", "new"), [("edits", b"0.5", b"0.6"), ("atlas", b"\x08\0\0", b"\x09\0\0")])
def test_one_changed_byte_is_named(kept, kind, old, new, capsys):
    assert damaged(library.library().entries) == []
    assert main(["library", "--verify", "--all", "--quiet"]) == 0
    content = kept[kind].read_bytes()
    assert old in content
    kept[kind].write_bytes(content.replace(old, new))
    capsys.readouterr()
    assert main(["library", "--verify", "--json", "--quiet"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["damaged"]
    assert found["kind"] == kind and "changed after it was" in found["why"]
