"""The Model page: starters, names that are typed, what works with a model."""

import pytest
from support.pages import page, said
from support.pressing import press_for_job
from support.tiny_models import save_tiny
from support.unlisted import save_unlisted


def test_the_model_page_offers_the_starters():
    at = page("model")
    assert [heading.value for heading in at.subheader][:2] == ["SmolLM2 135M Instruct", "Gemma 3 270M"]
    assert not at.button(key="load_smollm2-135m").disabled
    assert at.button(key="load_gemma3-270m").disabled
    at.checkbox(key="accept_gemma3-270m").check().run()
    assert not at.button(key="load_gemma3-270m").disabled


def test_the_model_page_says_that_a_model_is_read_by_its_structure(tmp_path, monkeypatch):
    monkeypatch.setenv("FNET_MODEL_ROOTS", str(tmp_path))
    at = page("model")
    at.text_input(key="model_name").set_value(str(save_unlisted(tmp_path / "mine", "apertus"))).run()
    at.button(key="check_model").click().run()
    assert not at.exception and not at.error
    assert "read by its structure, for its architecture is not in the table" in said(at)
    (lines,) = [box.markdown[0].value.splitlines() for box in at.expander]
    assert any("**Find networks**: MLP neurons, MLP output, Residual stream, Attention heads" in line for line in lines)
    assert any("**Save edits in the weights**: no. at no site" in line for line in lines)


def test_the_model_page_says_what_works_before_anything_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("FNET_MODEL_ROOTS", str(tmp_path))
    at = page("model")
    at.text_input(key="model_name").set_value(str(save_tiny(tmp_path / "mine", "gpt2"))).run()
    at.button(key="check_model").click().run()
    told = [text.value for text in at.markdown if "**Find networks**" in text.value]
    assert len(told) == 3 + 2 and [box.label for box in at.expander] == ["What works with it"]
    lines = at.expander[0].markdown[0].value.splitlines()
    assert any("**Find networks**: MLP neurons, MLP output" in line for line in lines)
    assert any("**Site experts**: no. A gpt2 model has no experts" in line for line in lines)
    assert any("**Prune attention heads and export**: its configuration cannot say it" in line for line in lines)


def test_loading_the_tiny_starter_makes_it_the_model_in_use():
    at = page("model")
    press_for_job(at, "load_tiny")
    at.run()
    assert at.query_params["model"] == "tiny" and "job" not in at.query_params
    assert {metric.label: metric.value for metric in at.metric}["Layers"] == "2"
    assert "It fits" in said(at)
    assert at.button(key="load_tiny").disabled


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("gpt5", "There is no starter 'gpt5'"), ("/etc", "outside the folders that this server may read")],
)
def test_a_wrong_model_name_is_a_sentence(name, sentence):
    at = page("model")
    at.text_input(key="model_name").set_value(name).run()
    at.button(key="check_model").click().run()
    assert sentence in at.error[0].value
