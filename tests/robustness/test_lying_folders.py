"""Model folders that lie, through the command line: exit 2 and a sentence, never a number and never a traceback."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from support.tiny_models import save_tiny

from fnet_core.cli.main import main
from fnet_core.models import folder as folders
from fnet_core.models.loading import model_digest

CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "no layers": ({"num_hidden_layers": 0}, "num_hidden_layers"),
    "fewer than no layers": ({"num_hidden_layers": -1}, "num_hidden_layers"),
    "fewer layers than the weights": ({"num_hidden_layers": 2}, "model.layers.2."),
    "more layers than the weights": ({"num_hidden_layers": 4}, "model.layers.3."),
    "a million layers": ({"num_hidden_layers": 10**6}, ""),
    "another activation": ({"hidden_act": "made_up"}, "made_up"),
    "no activation": ({"hidden_act": None}, ""),
    "another rotation": ({"rope_parameters": {"rope_type": "made_up", "rope_theta": 10000.0}}, "made_up"),
    "a rotation without its factor": ({"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0}}, "factor"),
    "another number type": ({"dtype": "float31"}, "float31"),
    "a number type that is none": ({"dtype": 7}, ""),
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads"),
    "fewer than no heads": ({"num_attention_heads": -4}, "num_attention_heads"),
    "heads that do not divide": ({"num_attention_heads": 5, "num_key_value_heads": 2}, ""),
    "more groups than heads": ({"num_key_value_heads": 8}, ""),
    "no groups": ({"num_key_value_heads": 0}, "num_key_value_heads"),
    "heads of no size": ({"head_dim": 0}, "head_dim"),
    "heads of half the size": ({"head_dim": 3}, ""),
    "no width": ({"hidden_size": 0}, "hidden_size"),
    "no neurons": ({"intermediate_size": 0}, ".mlp."),
    "no vocabulary": ({"vocab_size": 0}, "vocab_size"),
    "a smaller vocabulary": ({"vocab_size": 20}, ""),
    "a larger vocabulary": ({"vocab_size": 10**7}, ""),
    "no positions": ({"max_position_embeddings": 0}, "max_position_embeddings"),
    "words for numbers": ({"hidden_size": "24"}, "hidden_size"),
    "half a layer": ({"num_hidden_layers": 2.5}, "num_hidden_layers"),
    "a number that is none": ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
    "a rotation that is none": (
        {"rope_parameters": {"rope_type": "default", "rope_theta": float("nan")}},
        "rope_theta",
    ),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("plain") / "model")


@pytest.fixture
def folder(plain, tmp_path) -> Path:
    shutil.copytree(plain, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def refused(folder, tmp_path, capsys) -> Callable[[], str]:
    """What the command line says of the folder, once it has refused it in one line."""
    (tmp_path / "text.txt").write_text("the harbour was quiet and nobody looked up. " * 20)

    def ask() -> str:
        capsys.readouterr()
        status = main(["perplexity", str(folder), "--texts", str(tmp_path / "text.txt"), "--quiet"])
        said = capsys.readouterr()
        assert (status, said.out) == (2, ""), said
        (sentence,) = said.err.splitlines()
        return sentence

    return ask


@pytest.mark.parametrize("change", CHANGES)
def test_a_configuration_that_does_not_fit_is_refused(change, folder, refused):
    changes, named = CHANGES[change]
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert named in refused()


def weights(folder: Path, change: Callable[[dict], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight"])
def test_weights_that_are_no_numbers_are_refused_by_name(name, number, folder, refused):
    weights(folder, lambda tensors: tensors[name].view(-1)[3:4].fill_(number))
    assert name in refused()


def test_weights_that_the_model_has_no_place_for_are_refused_by_name(folder, refused):
    weights(
        folder, lambda tensors: tensors.update({"model.layers.0.mlp.more.weight": tensors["model.norm.weight"] * 1})
    )
    assert "model.layers.0.mlp.more.weight" in refused()


def test_links_in_a_circle_are_refused(folder, refused):
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")
    assert "config.json" in refused()


def test_a_folder_that_is_a_link_to_itself(folder, refused):
    shutil.rmtree(folder)
    folder.symlink_to(folder.name)
    assert refused()


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_file_that_is_a_link_to_itself(file, folder, refused):
    (folder / file).unlink()
    (folder / file).symlink_to(file)
    assert refused()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_folder_in_the_place_of_a_file(file, folder, refused):
    (folder / file).unlink()
    (folder / file).mkdir()
    assert refused()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer_config.json"])
def test_a_file_that_may_not_be_read(file, folder, refused, monkeypatch):
    def refusing(real: Callable) -> Callable:
        def read(path, *arguments, **options):
            if Path(path).name == file:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real(path, *arguments, **options)

        return read

    for place, name in ((Path, "read_bytes"), (Path, "read_text"), (folders, "safe_open")):
        monkeypatch.setattr(place, name, refusing(getattr(place, name)))
    said = refused()
    assert file in said or "no permission" in said


@pytest.mark.parametrize("option", ["--texts", "--out"])
def test_names_too_long_are_refused(option, folder, capsys, tmp_path):
    name = str(tmp_path / ("n" * 300))
    assert main(["atlas", str(folder), option, name, "--quiet"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("count", ["0", "-5", "1000000000000", "10000000"])
def test_resamples_beyond_reason_are_refused(count, folder, capsys):
    assert main(["compare", str(folder), str(folder), "--resamples", count, "--quiet"]) == 2
    assert "resamples" in capsys.readouterr().err


def test_infinity_in_a_configuration_is_a_number_like_others(folder, tmp_path):
    path = folder / "config.json"
    before = model_digest(folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"initializer_range": float("inf")}))
    assert model_digest(folder) != before
    assert main(["models", str(folder), "--quiet"]) in (0, 2)


def test_names_of_earlier_libraries_in_a_configuration_that_lies(folder, refused):
    path = folder / "config.json"
    listed = {"fnet_also_for_transformers_4": ["rope_theta"], "rope_theta": 1.0, "rope_parameters": 1e300}
    path.write_text(json.dumps(json.loads(path.read_text()) | listed))
    assert "rope_parameters" in refused()
