"""The prune command: figures, export, refusals."""

import json

import pytest
from support.pruning_cases import SENTENCES
from support.tiny_models import save_tiny

import fnet_core as fn
from fnet_core.cli.main import main
from fnet_core.evaluation.perplexity import measure
from fnet_core.models import loading as models
from fnet_core.texts import whole_file


@pytest.fixture
def model(tmp_path):
    return save_tiny(tmp_path / "model", max_position_embeddings=4000)


@pytest.fixture
def options(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(sentence * 9 for sentence in SENTENCES))
    words = f"--calibration {text} --texts {text} --components 4 --groups 2 --protect 1 0"
    return words.split()


def run(capsys, *arguments):
    code = main(["prune", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, (json.loads(out) if code == 0 else err)


def test_the_export_has_the_perplexity_that_the_command_reports(capsys, caplog, model, options, tmp_path):
    out = tmp_path / "smaller"
    asked = [
        "--ratio",
        "0.3",
        "--compensation",
        "networks",
        "--heads",
        "--capabilities",
        "--items",
        "6",
        "--only",
        "sums",
    ]
    code, found = run(capsys, model, *asked, "--out", out, *options)
    assert code == 0
    assert found["method"] == "networks" and found["ratio"] == 0.3 and found["artifact"] == str(out)
    loaded = models.load(str(out))
    *_, again = measure(loaded, whole_file(options[1]))
    assert again.value == pytest.approx(found["perplexity"]["value"], rel=1e-5)
    assert sum(p.numel() for p in loaded.model.parameters()) == found["parameters"]["after"]
    assert found["baseline"]["value"] != found["perplexity"]["value"]
    card = json.loads((out / "fnet-pruning.json").read_text())
    assert card["plan"]["ratio"] == 0.3 and card["perplexity"]["after"]["value"] == found["perplexity"]["value"]
    readme = (out / "README.md").read_text()
    assert f"{found['parameters']['after']:,}" in readme and "trust_remote_code=True" in readme
    assert "GGUF has no place for such layers" in readme
    (row,) = found["capabilities"]["rows"]
    again = fn.capabilities(loaded, items=6, only=["sums"]).accuracy_C[0]
    assert row["after"] == again and row["items"] == 6 and card["capabilities"] == [row]
    assert f"| One-digit sums | 6 | {row['before']:.2f} | {again:.2f} |" in readme
    assert "and not as GGUF. For GGUF: --even" in caplog.text


@pytest.mark.parametrize("method", ["fn", "wanda-sp", "flap", "magnitude", "random"])
def test_every_method_with_a_bias(capsys, model, options, method):
    code, found = run(capsys, model, "--ratio", "0.2", "--method", method, "--bias", *options)
    assert code == 0 and found["compensation"] == "bias" and found["neurons"] == {"before": 120, "after": 96}


@pytest.mark.parametrize(
    ("name", "words"), [("ridge", "by least squares"), ("blend", "that believes the layer's networks")]
)
def test_the_surgeon_with_least_squares(capsys, model, options, tmp_path, name, words):
    out, asked = tmp_path / "smaller", ["--ratio", "0.2", "--method", "obs", "--compensation", name, "--heads"]
    code, found = run(capsys, model, *asked, "--out", out, *options)
    assert code == 0 and (found["method"], found["compensation"]) == ("obs", name)
    *_, again = measure(models.load(str(out)), whole_file(options[1]))
    assert again.value == pytest.approx(found["perplexity"]["value"], rel=1e-5)
    assert words in (out / "README.md").read_text()


def test_the_published_recipe_where_nothing_else_is_said(capsys, model, options):
    code, found = run(capsys, model, "--published", *options, "--ratio", "0.2")
    assert code == 0 and (found["method"], found["compensation"]) == ("fn", "bias-sequential")
    code, found = run(capsys, model, "--published", *options, "--threshold", "1.1", "--compensation", "none")
    assert code == 0 and (found["ratio"], found["threshold"], found["compensation"]) == (None, 1.1, "none")
    code, err = run(capsys, model, "--published", *options[:2], *options[-3:])
    assert code == 2 and "128 components per layer are more than" in err
    code, err = run(capsys, model, "--published", "--method", "flap")
    assert code == 2 and "leave --method out" in err


def test_too_little_text_for_a_gram_matrix_says_how_much_is_enough(capsys, model, options, tmp_path):
    few = tmp_path / "few.txt"
    few.write_text("rain fell.")
    asked = [str(model), "--ratio", "0.2", *options, "--method", "obs", "--bias"]
    assert main(["prune", *asked, "--calibration", str(few)]) == 0
    assert "41 tokens are enough" in capsys.readouterr().out
    assert main(["prune", *asked]) == 0
    assert "tokens are enough" not in capsys.readouterr().out


def test_an_even_cut_is_an_ordinary_folder(capsys, caplog, model, options, tmp_path):
    out = tmp_path / "even"
    plain = ["--even", "--compensation", "none", "--protect", "0", "0"]
    code, _ = run(capsys, model, "--ratio", "0.25", "--out", out, *options, *plain)
    assert code == 0 and not (out / "modeling_fnet.py").exists()
    assert json.loads((out / "config.json").read_text())["intermediate_size"] == 30
    assert "trust_remote_code" not in (out / "README.md").read_text()
    assert "GGUF" not in caplog.text + (out / "README.md").read_text()


def test_the_lines_for_people_name_the_figures(capsys, model, options):
    assert main(["prune", str(model), "--ratio", "0.2", *options]) == 0
    out = capsys.readouterr().out
    assert "untouched" in out and "pruned" in out and "neurons    120 to 96" in out


def test_a_target_is_met_and_its_ratio_said(capsys, model, options, tmp_path):
    asked = ["--target", "12000params", "--method", "random", "--compensation", "bias"]
    code, found = run(capsys, model, *asked, "--out", tmp_path / "smaller", *options)
    assert code == 0
    after = models.load(str(tmp_path / "smaller")).model.num_parameters()
    assert after == found["target"]["value"] == found["parameters"]["after"] == pytest.approx(12_000, rel=0.01)
    assert after <= 12_000 and found["ratio"] == found["target"]["ratio"] > 0
    assert main(["prune", str(model), *asked, *options]) == 0
    assert f"12000params is reached at a ratio of {100 * found['ratio']:.4g} %" in capsys.readouterr().out


def test_a_plain_form_needs_no_code_and_keeps_the_compensation(capsys, caplog, model, options, tmp_path):
    out = tmp_path / "plain"
    code, found = run(capsys, model, "--ratio", "0.25", "--form", "plain", "--out", out, *options)
    assert code == 0 and found["form"] == {"needs_code": False, "plain_over_asked": None}
    assert not (out / "modeling_fnet.py").exists() and "trust_remote_code" not in (out / "README.md").read_text()
    assert found["compensation"] == "networks" and "GGUF" not in caplog.text
    *_, again = measure(models.load(str(out)), whole_file(options[1]))
    assert again.value == pytest.approx(found["perplexity"]["value"], rel=1e-5)


def test_a_recovery_is_in_the_figures_the_card_and_the_folder(capsys, model, options, tmp_path):
    out, text = tmp_path / "recovered", options[1]
    asked = ["--ratio", "0.3", "--method", "wanda-sp", "--compensation", "none", "--recover", "4", "--recover-by"]
    asked += ["finetune", "--recover-text", text, "--recover-window", "32", "--recover-control", "--out", out]
    code, found = run(capsys, model, *asked, *options)
    assert code == 0
    recovery = found["recovery"]
    assert recovery["before"]["value"] == pytest.approx(found["perplexity"]["value"], rel=1e-5)
    assert [step for step, _ in recovery["curve"]] == [0, 1, 2, 3, 4] == [s for s, _ in recovery["control"]["curve"]]
    *_, again = measure(models.load(str(out)), whole_file(text))
    assert again.value == pytest.approx(recovery["after"]["value"], rel=1e-4)
    assert "Trained after the cut: 4 steps by finetune" in (out / "README.md").read_text()


def test_whole_layers_go(capsys, model, options, tmp_path):
    out = tmp_path / "shallow"
    code, found = run(capsys, model, "--ratio", "0.34", "--method", "block-influence", "--out", out, *options)
    assert code == 0 and len(found["dropped_layers"]) == 1 and not (out / "modeling_fnet.py").exists()
    assert models.load(str(out)).layers == 2
    *_, again = measure(models.load(str(out)), whole_file(options[1]))
    assert again.value == pytest.approx(found["perplexity"]["value"], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ratio", "0.2", "--recover", "3", "--recover-text", "FEW"], "has 12 tokens; give at least 32"),
        (["--target", "10params"], "cannot be met"),
        (["--ratio", "1.5"], "out of range"),
        (["--ratio", "0.2", "--method", "best"], "invalid choice"),
        ([], "either a ratio or a threshold"),
        (["--ratio", "0.2", "--protect", "2", "2"], "leaves nothing to prune"),
        (["--ratio", "0.2", "--bias", "--compensation", "none"], "disagree"),
        (["--ratio", "0", "--out", "NEW"], "removes nothing"),
        (["--ratio", "0.2", "--out", "."], "exists already"),
        (["--ratio", "0.2", "--components", "400"], "more than"),
    ],
)
def test_bad_requests_exit_with_2_and_one_line(capsys, model, options, tmp_path, arguments, sentence):
    (tmp_path / "few.txt").write_text("a few words.")
    places = {"NEW": str(tmp_path / "new"), "FEW": str(tmp_path / "few.txt")}
    arguments = [places.get(a, a) for a in arguments]
    code, err = run(capsys, model, *options, *arguments)
    assert code == 2 and sentence in err.strip().splitlines()[-1]
    assert not (tmp_path / "new").exists()


def test_a_mixture_is_refused_in_a_sentence(capsys, tmp_path, options):
    model = save_tiny(tmp_path / "mixture", "qwen3_moe")
    code, err = run(capsys, model, "--ratio", "0.2", *options)
    assert code == 2 and "is a mixture of experts and pruning is made for one MLP per layer" in err.splitlines()[-1]


def test_a_ratio_that_no_model_has_is_refused_before_the_model_is_looked_for(capsys):
    code, err = run(capsys, "no-such-model", "--ratio", "1.5")
    assert code == 2 and "A ratio of 1.5 is out of range" in err and "no-such-model" not in err


@pytest.mark.parametrize(("number", "sentence"), [(28, "is full"), (13, "no permission"), (30, "read-only")])
def test_a_disk_that_refuses_leaves_no_partly_written_model(
    capsys, model, options, tmp_path, monkeypatch, number, sentence
):
    def refuses(self, folder, **others):
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError(number, "no")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", refuses)
    code, err = run(capsys, model, "--ratio", "0.2", "--out", tmp_path / "new", *options)
    assert code == 2 and sentence in err
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(("new", ".new"))) == []
