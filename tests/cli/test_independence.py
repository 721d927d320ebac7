"""`independence` on the command line."""

import json

import pytest

from fnet_core.cli.main import main


def test_words_and_json(capsys):
    assert main(["independence", "tiny", "tiny", "--passages", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["matched"] == [0, 1] and result["p"] == result["p_floor"] and result["correction"] == "Bonferroni"
    assert main(["independence", "tiny", "tiny", "--passages", "2"]) == 0
    out = capsys.readouterr().out
    assert result["sentence"] in out and "Layers 0 and 1 of B match layers 0 and 1 of A." in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tiny", "tiny", "--neurons", "5"], "5 neurons are out of range; choose 24 or more"),
        (["tiny", "no-such"], "no starter 'no-such'"),
        (["tiny", "tiny", "--seed", "-1"], "seed -1"),
    ],
)
def test_wrong_requests(arguments, sentence, capsys):
    assert main(["independence", *arguments]) == 2
    assert sentence in capsys.readouterr().err
