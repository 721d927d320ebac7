"""Models that FNet made: whatever is changed in their folders is noticed at the next use and made again."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.here import convert_here
from support.tiny_gguf import write_tiny_gguf
from support.tiny_models import save_tiny

from fnet_core.errors import RequestError
from fnet_core.models import keeping
from fnet_core.models.loading import model_digest, resolve
from fnet_core.models.made import CARD
from fnet_core.models.sources import tiny


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def another_models(folder: Path) -> None:
    other = save_tiny(folder.parent / "other")
    shutil.move(other / "model.safetensors", folder / "model.safetensors")
    shutil.rmtree(other)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "weights of another model": another_models,
    "a bit of the weights": lambda folder: flip(folder / "model.safetensors"),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "cut weights": lambda folder: (folder / "model.safetensors").write_bytes(b"short"),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "another tokenizer": lambda folder: flip(folder / "tokenizer.json"),
    "no configuration": lambda folder: (folder / "config.json").unlink(),
    "another configuration": lambda folder: (folder / "config.json").write_text("{}"),
    "no note": lambda folder: (folder / CARD).unlink(),
    "a broken note": lambda folder: (folder / CARD).write_text("{"),
    "a note of nothing": lambda folder: (folder / CARD).write_text("{}"),
}


def notes(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == keeping.__name__]


@pytest.mark.parametrize(
    ("kind", "damages"), [("starter", DAMAGES), ("gguf", ("weights of another model", "no tokenizer"))]
)
def test_what_was_changed_in_a_made_folder_is_made_again_and_told_in_one_line(
    kind, damages, tmp_path, caplog, monkeypatch
):
    named = "tiny"
    if kind == "gguf":
        convert_here(monkeypatch)
        named = str(tmp_path / "small.gguf")
        write_tiny_gguf(Path(named))
    folder = resolve(named).path
    digest = model_digest(folder)
    assert notes(caplog) == []
    for name in damages:
        DAMAGES[name](folder)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert resolve(named).path == folder, name
        assert model_digest(folder) == digest, name
        assert notes(caplog) == [
            f"{folder.name} was not as this FNet makes it (its files were changed) and was made again."
        ], name
        caplog.clear()
        resolve(named)
        assert notes(caplog) == [], name
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_what_cannot_be_made_again_is_refused_and_left(monkeypatch):
    folder = resolve("tiny").path
    flip(folder / "model.safetensors")

    def fail(_):
        raise RequestError("The index is out of reach.")

    monkeypatch.setattr(tiny, "build_tiny", fail)
    with pytest.raises(RequestError) as refused:
        resolve("tiny")
    assert str(refused.value) == (
        f"{folder} is not as this FNet makes it, and making it again failed: The index is out of reach."
    )
    assert (folder / "model.safetensors").is_file()


def test_a_second_use_reads_no_weights(monkeypatch):
    resolve("tiny")
    resolve("tiny")

    def forbidden(*_):
        raise AssertionError("read again")

    monkeypatch.setattr("fnet_core.storage.artifacts.file_digest", forbidden)
    resolve("tiny")


def test_a_folder_that_was_changed_since_it_was_saved_is_used_and_told(tmp_path, caplog):
    folder = tmp_path / "copy"
    shutil.copytree(resolve("tiny").path, folder)
    with caplog.at_level(logging.WARNING):
        resolve(str(folder))
        assert caplog.messages == []
        flip(folder / "model.safetensors")
        resolve(str(folder))
    assert caplog.messages == [f"{folder} was changed since FNet saved it; results are of what it holds now."]
