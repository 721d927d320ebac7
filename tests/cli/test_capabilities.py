"""`capabilities`, `edit --lesion` and `edit --keep-only` on the command line."""

import csv
import json

import pytest

import fnet_core as fn
from fnet_core import texts
from fnet_core.cli.main import main
from fnet_core.networks.finding import find_atlas
from fnet_core.networks.request import AtlasRequest

FEW = ["--items", "6", "--only", "sums", "tense"]


@pytest.fixture(scope="module")
def atlas_file() -> str:
    return str(find_atlas(AtlasRequest("tiny", texts.bundled("find")[:2], components=2, restarts=2)).path)


def test_capabilities_in_words_json_and_csv(capsys, tmp_path):
    assert main(["capabilities", "tiny", *FEW, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in result["capabilities"]] == ["sums", "tense"]
    expected = fn.capabilities("tiny", items=6, only=["sums", "tense"])
    for row, accuracy in zip(result["capabilities"], expected.accuracy_C, strict=True):
        assert row["accuracy"] == accuracy and row["chance"] == 0.5 and row["items"] == 6
        assert row["interval"][0] <= accuracy <= row["interval"][1]
    file = tmp_path / "c.csv"
    assert main(["capabilities", "tiny", *FEW, "--csv", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"{expected.accuracy_C[1]:.3f}" in out and "Tense (tense)" in out and "chance 0.5" in out
    with file.open() as opened:
        assert [row["capability"] for row in csv.DictReader(opened)] == ["sums", "tense"]


def test_lesions_and_amplification(atlas_file, capsys, tmp_path):
    lesion = ["edit", "tiny", "--atlas", atlas_file, "--threshold", "2", "--controls", "2", *FEW, "--lesion"]
    file = tmp_path / "l.csv"
    assert main([*lesion, "0", "1.5", "--csv", str(file), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [matrix["gain"] for matrix in result["lesions"]] == [0, 1.5]
    assert len(result["lesions"][0]["cells"]) == 4 and result["lesions"][0]["dissociations"] == []
    assert result["amplification"]["helped"] == 0 and len(result["amplification"]["cells"]) == 4
    assert len(file.read_text().splitlines()) == 9
    assert main(lesion) == 0
    out = capsys.readouterr().out
    assert "Gain 0, 2 networks" in out and "0 of 4 cells are a loss" in out and "No double dissociation" in out


def test_only_the_networks_are_kept(atlas_file, capsys):
    keep = ["edit", "tiny", "--atlas", atlas_file, "--passages", "1", "--controls", "1", *FEW, "--keep-only"]
    assert main([*keep, "2", "--thresholds", "1.5", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [(p["networks"], p["threshold"]) for p in result["points"]] == [(2, 1.5), (2, 1.0)]
    assert result["points"][1]["neurons"] > result["points"][0]["neurons"]
    assert result["untouched"]["perplexity"] == pytest.approx(
        fn.perplexity("tiny", [texts.bundled("score")[0]]).value, rel=1e-6
    )
    assert main([*keep, "2", "--thresholds", "1.5", "1"]) == 0
    assert "With 2 networks at |z| > 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["capabilities", "tiny", "--items", "0"], "0 items per capability are out of range"),
        (["capabilities", "tiny", "--only", "juggling"], "invalid choice: 'juggling'"),
        (["edit", "tiny", "--lesion"], "--lesion needs an atlas"),
        (["edit", "tiny", "--keep-only"], "--keep-only needs an atlas"),
        (["edit", "tiny", "--lesion", "--keep-only"], "choose one of them"),
        (["edit", "tiny", "--lesion", "--gain", "1=0"], "leave --gain, --load and --save out"),
        (["edit", "tiny", "--gain", "1=0", "--csv", "x.csv"], "--csv saves the table of --lesion"),
        (["edit", "tiny", "--atlas", "ATLAS", "--lesion", "1"], "A gain of 1 changes nothing"),
        (["edit", "tiny", "--atlas", "ATLAS", "--lesion", "-2"], "A gain of -2.0 is out of range"),
        (["edit", "tiny", "--atlas", "ATLAS", "--lesion", "--controls", "0"], "0 random lesions are out of range"),
        (["edit", "tiny", "--atlas", "ATLAS", "--lesion", "--threshold", "90"], "lower the threshold"),
        (
            ["edit", "tiny", "--atlas", "ATLAS", "--keep-only", "3"],
            "3 networks are out of range; this atlas has 1 to 2",
        ),
    ],
)
def test_wrong_requests(arguments, sentence, atlas_file, capsys):
    assert main([atlas_file if argument == "ATLAS" else argument for argument in arguments]) == 2
    assert sentence in capsys.readouterr().err
