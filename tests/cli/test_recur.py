"""`recur` on the command line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fnet_core.cli.main import main
from fnet_core.networks.atlas import Atlas

FEW = ["--components", "4", "--passages", "8"]


def test_halves_in_words_and_json(capsys, tmp_path):
    assert main(["recur", "tiny", *FEW, "--csv", str(tmp_path / "r.csv"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["network"] for row in result["networks"]] == [0, 1, 2, 3] and result["recipe"]["draws"] == 20
    assert main(["recur", "tiny", *FEW]) == 0
    out = capsys.readouterr().out
    assert f"{result['recurring']} of 4 networks come back" in out and "shuffled neurons" in out
    assert (tmp_path / "r.csv").read_text().splitlines()[0].startswith("network,label,partner,correlation,overlap")


def test_an_atlas_against_another(capsys, tmp_path):
    file = tmp_path / "a.safetensors"
    assert main(["atlas", "tiny", *FEW, "--out", str(file)]) == 0
    out = capsys.readouterr().out
    assert "I_q  recurs  trusted" in out and "of 4 networks are to be trusted: in two halves of the text" in out
    assert main(["recur", str(file), "tiny", *FEW, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_correlation"] == pytest.approx(1)


def test_an_atlas_kept_without_its_recurrence_says_how_to_ask_and_then_has_it(capsys, tmp_path):
    assert main(["atlas", "tiny", *FEW, "--json"]) == 0
    path = Path(json.loads(capsys.readouterr().out)["artifact"])
    whole = Atlas.load(path)
    replace(whole, halves=None).save(path)
    assert main(["atlas", "tiny", *FEW]) == 0
    out = capsys.readouterr().out
    assert "recurs" not in out.splitlines()[0] and f"after: fnet recur {path}" in " ".join(out.split())
    assert main(["recur", str(path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["mean_correlation"] == pytest.approx(whole.halves.correlation_K.mean())
    assert main(["atlas", "tiny", *FEW]) == 0
    assert f"{whole.trusted_K.sum()} of 4 networks are to be trusted" in capsys.readouterr().out


def test_passages_alone_beside_halves(capsys):
    assert main(["recur", "tiny", *FEW, "--single", "2", "--json"]) == 0
    single = json.loads(capsys.readouterr().out)["single"]
    assert len(single["passages"]) == 2 and single["recipe"]["threshold"] == 3.0
    assert main(["recur", "tiny", *FEW, "--single", "2"]) == 0
    out = capsys.readouterr().out
    assert "networks come back" in out and f"A passage alone has {single['per_passage']:.1f} of 4 networks" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a", "b", "c"], "3 things were named"),
        (["no-such.safetensors"], "There is no atlas file"),
        ([__file__.replace(".py", ".safetensors"), "tiny"], "There is no atlas file"),
        (["tiny", "--passages", "2"], "2 passages are too few to split"),
        (["tiny", "tiny", "--single", "2"], "--single holds one atlas against its own passages"),
        (["tiny", "--passages", "8", "--single", "9"], "9 passages are out of range; there are 8"),
        (["tiny", "--passages", "8", "--single", "0"], "0 passages are out of range"),
        (["tiny", "--scope", "window:1"], "no scope 'window:1'; choose one of model, layer, window:3"),
        (["tiny", "--passages", "4", "--scope", "window:3"], "window of 3 layers is wider than the model, which has 2"),
    ],
)
def test_wrong_requests(arguments, sentence, capsys):
    assert main(["recur", *arguments]) == 2
    assert sentence in capsys.readouterr().err
