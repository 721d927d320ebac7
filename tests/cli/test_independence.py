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


def test_two_files_do_without_models(capsys, tmp_path, monkeypatch):
    path = str(tmp_path / "f.safetensors")
    assert main(["fingerprint", "tiny", "--components", "4", "--threshold", "1.5", "--out", path, "--quiet"]) == 0
    capsys.readouterr()
    for sides in ([path, path], [path, "tiny"]):
        assert main(["independence", *sides, "--json", "--quiet"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["matched"] == [0, 1] and result["from_files"] and result["order_p"] == 1 / 2000
    assert main(["independence", path, path, "--passages", "2"]) == 2
    assert "brings its own passages" in capsys.readouterr().err


def test_what_p_was_measured_on_is_told(capsys):
    assert main(["independence", "tiny", "tiny", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "small models trained apart" in out and "Neurons of the same number: p 0.0005, exact" in out
