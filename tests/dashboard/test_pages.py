"""Home, and what no page may go down with."""

import json
import shutil

import pytest
from support.pages import page, said, save_atlas
from support.tiny_models import save_tiny

from fnet_core.cli.main import main
from fnet_core.networks.atlas import KIND
from fnet_core.networks.example import EXAMPLE, example_atlas
from fnet_core.storage import artifacts


def test_home_is_never_blank():
    at = page("app")
    assert [heading.value for heading in at.subheader] == [
        "1. Load a model",
        "2. Find its networks",
        "3. Switch them down or up",
        "4. Prune around them",
        "5. Compare two models",
        "6. Audit many models",
    ]
    assert "functional networks" in said(at) and "None yet" in said(at)
    assert "comes with FNet" in said(at) and "smollm2-135m" in said(at)
    (sent,) = [json.loads(element.proto.mixed.json or element.proto.json) for element in at.get("bidi_component")]
    assert sent["networks"] == len(example_atlas())
    at.button(key="open_lead").click().run()
    assert at.session_state["selection"].atlas == EXAMPLE
    at.switch_page("pages/networks.py").run()
    assert not at.error and f"{len(example_atlas())} networks" in said(at)


def test_home_lists_saved_atlases_and_opens_one():
    key = save_atlas()
    at = page("app")
    assert "hand-made: 3 networks" in said(at) and "2 passages" in said(at)
    assert [picture.proto.imgs[0].alt for picture in at.get("image")] == ["Scan of 3 networks"]
    at.button(key=f"open_{key}").click().run()
    assert at.session_state["selection"].atlas == key


def test_home_tells_of_a_damaged_atlas():
    path = artifacts.artifact_path(KIND, "broken")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not an atlas")
    assert "not a safetensors file" in page("app").error[0].value


@pytest.fixture
def bad_files() -> dict[str, str]:
    """One of each file that cannot be what it lies there as, beside an atlas that can; with words of its sentence."""
    good = save_atlas()
    shutil.copy(artifacts.artifact_path(KIND, good), artifacts.artifact_path(KIND, "a"))
    artifacts.save_artifact(artifacts.artifact_path(KIND, "b"), "fingerprint", {}, {"recipe": {}})
    artifacts.save_artifact(artifacts.artifact_path(KIND, "c"), KIND, {}, {"recipe": None})
    models = artifacts.home() / "models"
    for name in ("no-heads", "no-json", "no-licence"):
        save_tiny(models / name, "llama")
    config = json.loads((models / "no-heads" / "config.json").read_text())
    (models / "no-heads" / "config.json").write_text(json.dumps(config | {"num_attention_heads": 0}))
    (models / "no-json" / "config.json").write_text("{")
    (models / "no-licence" / "fnet.json").write_text("[3]")
    (artifacts.home() / "accepted-licences.json").write_text("{]")
    return {"atlas": "holds 'fingerprint' and no atlas", "recipe": "is no whole atlas"}


@pytest.mark.parametrize("name", ["app", "model", "networks", "compare", "prune", "intervene"])
def test_no_page_goes_down_with_a_bad_file(name, bad_files):
    at = page(name)
    if name in ("app", "intervene"):
        shown = said(at).replace("\\", "")
        assert all(sentence in shown for sentence in bad_files.values()), shown
    if name == "model":
        shown = said(at).replace("\\", "")
        assert "The files of no-heads describe no model that can be built" in shown or "no-heads is not valid" in shown
        assert "config.json is not valid JSON" in shown and "fnet.json is no note of FNet" in shown


def test_the_list_of_models_has_a_row_for_each_bad_one(bad_files, capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("no-heads", "no-json", "no-licence"):
        (row,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} ")]
        assert "unread" in lines[row] and lines[row + 1].endswith(("copy it again.", "remove it."))
