"""`fingerprint` and `compare` on the command line."""

import json
from pathlib import Path

import pytest
from support.fingerprints import hand_fingerprint, mixed, waves
from support.tiny_models import save_tiny

from fnet_core import texts
from fnet_core.cli import main
from fnet_core.lineage.comparison import compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.storage import artifacts

SMALL = ["--components", "9", "--threshold", "1.5"]


@pytest.fixture
def probes(tmp_path):
    """Options that name two short texts to find networks and to score on."""
    options = []
    for split in ("find", "score"):
        path = tmp_path / f"{split}.txt"
        path.write_text("\n\n".join(p.text for p in texts.bundled(split)[:5]))
        options += [f"--{split}", str(path)]
    return options


@pytest.fixture
def files(tmp_path):
    signals = waves(10)
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    hand_fingerprint(signals, "base").save(paths[0])
    hand_fingerprint(mixed(signals, 0.4, 2), "copy", seed=3).save(paths[1])
    return [str(path) for path in paths]


def run(capsys, *arguments):
    status = main.main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def test_fingerprint_saves_what_it_says(capsys, tmp_path, probes):
    out_file = tmp_path / "f.safetensors"
    status, out, err = run(capsys, "fingerprint", "tiny", *SMALL, *probes, "--json", "--out", str(out_file))
    result = json.loads(out)
    taken = Fingerprint.load(out_file)
    assert status == 0 and "scoring" in err
    assert result["artifact"] == str(out_file) and result["computed"]
    assert result["networks"] == 9 and result["passages"] == len(taken.passages)
    assert result["protocol_digest"] == taken.protocol_digest
    again = json.loads(run(capsys, "fingerprint", "tiny", *SMALL, *probes, "--json")[1])
    assert not again["computed"] and artifacts.home() in artifacts.list_artifacts("fingerprint")[0].parents
    lines = run(capsys, "fingerprint", "tiny", *SMALL, *probes)[1]
    assert "hardly reads their language" in lines and "from the store" in lines


def test_compare_models_and_files(capsys, tmp_path, probes):
    other = save_tiny(tmp_path / "other", "llama", seed=4, max_position_embeddings=2048)
    saved = tmp_path / "f.safetensors"
    run(capsys, "fingerprint", "tiny", *SMALL, *probes, "--out", str(saved))
    status, out, _ = run(capsys, "compare", str(saved), str(other), *SMALL, *probes, "--json")
    result = json.loads(out)
    assert status == 0 and result["verdict"] == "inconclusive"
    assert set(result) >= {"verdict", "score", "interval", "reasons", "second_opinions"}
    assert set(result["second_opinions"]) >= {"weight_curves", "cka"}
    assert any("hardly better than a file compressor" in reason for reason in result["reasons"])
    turned = json.loads(run(capsys, "compare", str(other), "tiny", *SMALL, *probes, "--json")[1])
    assert turned["score"] == result["score"] and turned["a"] == result["b"]


def test_one_model_given_twice_is_called_that(capsys, files):
    lines = run(capsys, "compare", files[0], files[0])[1]
    assert lines.startswith("same model: base and base") and "one and the same model" in lines
    assert json.loads(run(capsys, "compare", files[0], files[0], "--json")[1])["verdict"] == "same model"


def test_two_files_and_a_report(capsys, tmp_path, files):
    report = tmp_path / "report.html"
    status, out, err = run(capsys, "compare", *files, "--json", "--seed", "5", "--report", str(report))
    expected = compare(*map(Fingerprint.load, files), seed=5)
    result = json.loads(out)
    assert status == 0 and err == ""
    assert result["score"] == expected.score and result["interval"] == list(expected.interval)
    assert result["report"] == str(report) and "base and copy" in report.read_text("utf-8")


def test_the_lines_for_people(capsys, files):
    lines = run(capsys, "compare", *files)[1].splitlines()
    assert lines[0].startswith("inconclusive: base and copy")
    assert any(line.strip().startswith("To do:") for line in lines) and len(lines) > 12


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compare", "FILE"], "required: B"),
        (["compare", "FILE", "nowhere.safetensors"], "no file nowhere.safetensors"),
        (["compare", "FILE", "medium"], "no starter 'medium'"),
        (["compare", "FILE", "FILE", "--resamples", "199"], "199 resamples"),
        (["compare", "nowhere.safetensors", "FILE", "--resamples", "199"], "199 resamples"),
        (["compare", "nowhere.safetensors", "FILE", "--report", "FILE/r.html"], "is a file; choose another folder"),
        (["compare", "nowhere.safetensors", "FILE", "--report", "/tmp"], "/tmp is a folder"),
        (["fingerprint", "nowhere", "--out", "FILE/f.safetensors"], "is a file; choose another folder"),
        (["fingerprint", "nowhere", "--out", "/tmp"], "/tmp is a folder"),
        (["compare", "FILE", "FILE", "--seed", "-1"], "seed -1"),
        (["fingerprint", "tiny", "--threshold", "nan"], "threshold nan"),
        (["fingerprint", "tiny", "--find", "nowhere.txt"], "no text file"),
        (["fingerprint", "tiny", "--components", "9999"], "9999 components"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(capsys, files, arguments, sentence):
    status, out, err = run(capsys, *[word.replace("FILE", files[0]) for word in arguments])
    assert status == 2 and out == "" and len(err.strip().splitlines()) == 1
    assert sentence in err


def test_files_of_other_probes_are_refused(capsys, tmp_path, files, probes):
    other = tmp_path / "c.safetensors"
    run(capsys, "fingerprint", "tiny", *SMALL, *probes, "--out", str(other))
    status, _, err = run(capsys, "compare", files[0], str(other))
    assert status == 2 and "cannot be compared" in err and "python -m fnet_core fingerprint" in err


@pytest.mark.parametrize("order", [1, -1])
def test_a_model_is_not_measured_for_a_file_of_other_probes(capsys, files, monkeypatch, order):
    def forbidden(*_, **__):
        raise AssertionError("the model was measured")

    monkeypatch.setattr("fnet_core.lineage.taking.find_fingerprint", forbidden)
    status, out, err = run(capsys, "compare", *[files[0], "tiny"][::order])
    assert status == 2 and out == "" and "differ in: " in err and "base" in err and "tiny" in err


def test_the_second_model_is_checked_before_the_first_is_measured(capsys, tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("the model was measured")

    monkeypatch.setattr("fnet_core.lineage.taking.find_fingerprint", forbidden)
    folder = save_tiny(tmp_path / "model")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"model_type": "llama"', '"model_type": "perceptron"'))
    status, out, err = run(capsys, "compare", "tiny", str(folder), *SMALL)
    assert status == 2 and out == "" and "'perceptron' is not supported" in err


def test_a_changed_file_is_refused(capsys, files):
    content = bytearray(Path(files[1]).read_bytes())
    content[-3] ^= 1
    Path(files[1]).write_bytes(content)
    status, _, err = run(capsys, "compare", *files)
    assert status == 2 and "changed after it was made" in err
