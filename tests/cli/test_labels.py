"""`labels` on the command line."""

import json

import pytest
from support.atlases import hand_atlas

from fnet_core.cli.main import main


@pytest.fixture
def file(tmp_path) -> str:
    hand_atlas().save(tmp_path / "a.safetensors")
    return str(tmp_path / "a.safetensors")


def test_what_is_said_is_kept_and_listed(file, capsys):
    said = ["--label", "1=bells = loud", "--note", "2=\x1b[31mred", "--accept", "0", "1", "--reject", "2"]
    assert main(["labels", file, *said, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["networks"]
    assert [row["verdict"] for row in rows] == ["accepted", "accepted", "rejected"]
    assert rows[1]["label"] == "bells = loud" and rows[1]["automatic"] == "gh"
    assert main(["labels", file, "--undecided", "0", "--search", "bells"]) == 0
    out = capsys.readouterr().out
    assert "accepted  bells = loud (gh)" in out and "abc" not in out and "2 of 3 networks of hand-made" in out
    assert main(["labels", file]) == 0
    assert "ij: \\x1b[31mred" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--label", "bells"], "does not name a network and a text"),
        (["--accept", "0", "9"], "There is no network 9"),
        (["--label", "1=" + "x" * 99], "A label of 99 characters is too long"),
    ],
)
def test_wrong_requests_change_nothing(arguments, sentence, file, capsys):
    assert main(["labels", file, "--label", "0=kept out", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert main(["labels", file, "--json"]) == 0
    assert "kept out" not in capsys.readouterr().out
