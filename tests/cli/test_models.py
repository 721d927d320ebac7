"""The models command about one model."""

import json

from support.tiny_models import save_tiny

from fnet_core.cli.main import main


def test_one_model_is_told_about_before_it_is_loaded(capsys, tmp_path):
    folder = save_tiny(tmp_path / "model", "gpt2")
    assert main(["models", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "yes  find networks: MLP neurons" in out and "no   site experts" in out
    assert main(["models", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    works = {(row["operation"], row["site"]) for row in found["abilities"] if row["works"]}
    assert found["architecture"] == "gpt2" and ("bake", "mlp") in works and ("plain heads", None) not in works


def test_a_name_that_is_none_is_refused(capsys):
    assert main(["models", "no-such-thing"]) == 2
    assert "no starter" in capsys.readouterr().err
