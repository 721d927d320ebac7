"""`listen` on the command line."""

import json
from pathlib import Path

import pytest

from fnet_core import texts
from fnet_core.cli.main import main
from fnet_core.networks.finding import find_atlas
from fnet_core.networks.request import AtlasRequest


@pytest.fixture(scope="module")
def atlas_file() -> str:
    return str(find_atlas(AtlasRequest("tiny", texts.bundled("find")[:3], components=4)).path)


def test_words_and_json(atlas_file, capsys, tmp_path: Path):
    text = "The rain fell all day. Then the sun came out."
    assert main(["listen", "tiny", "--atlas", atlas_file, "--text", text, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["text"] == text and len(result["networks"]) == 4
    assert "".join(token["text"] for token in result["tokens"]) == text
    top = result["networks"][0]
    assert max(top["course"]) == pytest.approx(top["peak"], abs=1e-4) and len(top["course"]) == len(result["tokens"])
    file = tmp_path / "own.txt"
    file.write_text(text, encoding="utf-8")
    assert main(["listen", "tiny", "--atlas", atlas_file, "--file", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"{len(result['tokens'])} tokens" in out and f"{top['peak']:.1f}" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--text", "  "], "There is no text to listen to"),
        (["--file", "nowhere.txt"], "nowhere.txt"),
        (["--text", "a"], "1 token(s)"),
        ([], "one of the arguments --text --file is required"),
    ],
)
def test_wrong_requests(atlas_file, arguments, sentence, capsys):
    try:
        status = main(["listen", "tiny", "--atlas", atlas_file, *arguments])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    assert sentence in capsys.readouterr().err


def test_a_file_that_is_no_text(atlas_file, capsys, tmp_path):
    file = tmp_path / "own.txt"
    file.write_bytes("the boats".encode("utf-16"))
    assert main(["listen", "tiny", "--atlas", atlas_file, "--file", str(file)]) == 2
    assert "own.txt' is not a text file" in capsys.readouterr().err
