"""The command line: one JSON object on stdout, progress on stderr, exit status by kind of ending."""

import json
import re
import subprocess
import sys

import pandas as pd
import pytest

from fnet_core.cli import main
from fnet_core.networks.atlas import Atlas

ATLAS = ["atlas", "tiny", "--components", "4", "--restarts", "2", "--passages", "4"]


def run(capsys, *arguments):
    status = main.main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def test_atlas_prints_one_json_object_and_saves_what_it_says(capsys, tmp_path):
    csv, copy = tmp_path / "neurons.csv", tmp_path / "copy.safetensors"
    status, out, err = run(capsys, *ATLAS, "--json", "--csv", str(csv), "--out", str(copy), "--threshold", "2.5")
    result = json.loads(out)
    assert status == 0 and "capturing" in err
    atlas = Atlas.load(copy)
    assert result["artifact"] == str(copy)
    assert [n["key_neurons"] for n in result["networks"]] == atlas.key_counts(2.5).sum(axis=1).tolist()
    assert {int(k): v for k, v in result["networks"][1]["layers"].items()} == {
        layer: count for layer, count in enumerate(atlas.key_counts(2.5)[1].tolist()) if count
    }
    assert result["tokens"] == atlas.tokens and set(result["seconds"]) >= {"capturing", "separating"}
    assert result["peak_memory_bytes"] > 10_000_000
    assert len(pd.read_csv(csv)) == atlas.key_counts(2.5).sum()


def test_the_same_request_is_answered_from_the_store(capsys):
    assert json.loads(run(capsys, *ATLAS, "--json")[1])["computed"]
    assert not json.loads(run(capsys, *ATLAS, "--json")[1])["computed"]


def test_as_many_passages_as_it_takes(capsys):
    arguments = [*ATLAS[:-1], "auto:8"]
    result = json.loads(run(capsys, *arguments, "--json")[1])
    assert result["passages"] == 8 and result["recipe"]["enough"]["looks"][0][0] == 8
    assert "8 passages were taken" in run(capsys, *arguments)[1]


def test_the_table_for_people(capsys):
    status, out, _ = run(capsys, *ATLAS, "--quiet")
    lines = out.splitlines()
    assert status == 0 and lines[0].split() == [
        *("#", "variance", "I_q", "recurs", "trusted", "neurons", "layers", "label")
    ]
    assert "of 4 networks are to be trusted" in lines[-2]
    assert len(lines) == 4 + 3 and "from the store" not in lines[-1]


def test_models_lists_starters(capsys):
    names = [m["name"] for m in json.loads(run(capsys, "models", "--json")[1])["models"]]
    assert names[:3] == ["smollm2-135m", "gemma3-270m", "tiny"]
    assert "Apache-2.0" in run(capsys, "models")[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["atlas", "medium"], "no starter 'medium'"),
        (["atlas"], "MODEL"),
        (["dance"], "dance"),
        (["atlas", "tiny", "--components", "many"], "many"),
        (["atlas", "tiny", "--texts", "nowhere.txt"], "no text file 'nowhere.txt'"),
        (["atlas", "tiny", "--passages", "0"], "--passages 0 is out of range"),
        (["atlas", "tiny", "--threshold", "nan"], "threshold nan is out of range"),
        (["atlas", "gemma3-270m"], "licence|terms"),
    ],
)
def test_a_wrong_request_is_one_line_on_stderr_and_exit_2(capsys, arguments, sentence):
    status, out, err = run(capsys, *arguments)
    assert status == 2 and out == ""
    assert len(err.strip().splitlines()) == 1
    assert re.search(sentence, err, re.IGNORECASE)


def test_a_failure_of_ours_is_exit_1_without_a_traceback(capsys, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("the drum broke")

    monkeypatch.setattr("fnet_core.networks.finding.find_atlas", fail)
    status, _, err = run(capsys, *ATLAS)
    assert status == 1 and "RuntimeError: the drum broke" in err and "Traceback" not in err


def test_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fnet_core", "atlas", "nothing"],
        capture_output=True, text=True, env=None, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == "" and "no starter 'nothing'" in done.stderr
