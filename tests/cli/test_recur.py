"""`recur` on the command line."""

import json

import pytest

from fnet_core.cli.main import main

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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a", "b", "c"], "3 things were named"),
        (["no-such.safetensors"], "There is no atlas file"),
        ([__file__.replace(".py", ".safetensors"), "tiny"], "There is no atlas file"),
        (["tiny", "--passages", "2"], "2 passages are too few to split"),
        (["tiny", "--scope", "window:1"], "no scope 'window:1'; choose one of model, layer, window:3"),
        (["tiny", "--passages", "4", "--scope", "window:3"], "window of 3 layers is wider than the model, which has 2"),
    ],
)
def test_wrong_requests(arguments, sentence, capsys):
    assert main(["recur", *arguments]) == 2
    assert sentence in capsys.readouterr().err
