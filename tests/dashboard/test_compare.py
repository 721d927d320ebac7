"""The Compare page: what it shows is what the core finds; what cannot be compared is a sentence."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from support.compare_page import FAR, NEAR, A, opened, shown
from support.fingerprints import hand_reference, with_neurons
from support.pages import page, said

from fnet_core.lineage import comparison
from fnet_core.lineage.comparison import compare


def test_the_first_visit_offers_the_starters_and_says_what_to_do():
    at = page("compare")
    assert [at.selectbox(key=f"compare_model_{side}").value for side in "ab"] == ["smollm2-135m", "gemma3-270m"]
    assert "Press 'Compare': each model reads the same 48 passages" in at.info[0].value
    assert at.button(key="compare_run").disabled
    assert "Accept the licence of model B first." in said(at)
    at.checkbox(key="compare_accept_b").check().run()
    assert not at.button(key="compare_run").disabled


def test_the_model_in_use_is_one_side_and_a_starter_the_other():
    at = page("compare", model="gemma3-270m")
    assert [at.selectbox(key=f"compare_model_{side}").value for side in "ab"] == ["gemma3-270m", "smollm2-135m"]


def test_the_page_shows_the_numbers_of_the_core(with_reference):
    at = shown(A, FAR)
    found = compare(A, FAR, reference=hand_reference(A.protocol_digest))
    metrics = {metric.label: metric.value for metric in at.metric}
    assert metrics["Score"] == f"{found.score:.2f}"
    assert metrics["95 % interval"] == "{:.2f} to {:.2f}".format(*found.interval)
    assert metrics["Mismatched text"] == f"≤ {max(found.null_scores):.2f}"
    table = at.dataframe(key="compare_table").value
    assert list(table["value"]) == pytest.approx(list(found.values_M))
    assert table[["network_a", "network_b"]].to_numpy().tolist() == found.matched_M2.tolist()
    assert table["key_neurons_b"].tolist() == FAR.key_counts_KL.sum(axis=1)[found.matched_M2[:, 1]].tolist()
    assert "base (base) compared with other (other)" in said(at)
    assert "6 reference pairs, once, on paper" in said(at)


@pytest.mark.parametrize(("other", "outcome"), [(NEAR, "derived"), (FAR, "independent")])
def test_a_verdict_is_named_reasoned_and_limited(with_reference, other, outcome):
    at = shown(A, other)
    found = compare(A, other, reference=hand_reference(A.protocol_digest))
    assert found.verdict.outcome == outcome
    text = said(at)
    assert outcome in text and "Evidence that" in text + "".join(h.value for h in at.header)
    assert "The matched networks of base and" in text and "What would change it" in text
    assert "evidence from what the models do on these passages, not proof" in text
    assert "Second opinion" not in text
    assert "Second opinion, attention-weight curves" in said(opened(at, "Second opinions"))


def test_layers_that_match_are_named(with_reference):
    """An older fingerprint has none; with neurons the page shows p, the words and the map."""
    at = opened(shown(A, NEAR), "Layers")
    assert "It was not tested whether the two were trained apart: the fingerprint of" in said(at)
    a, near = with_neurons(A), with_neurons(NEAR)
    found = compare(a, near, reference=hand_reference(A.protocol_digest))
    at = opened(shown(a, near), "Layers")
    assert {metric.label: metric.value for metric in at.metric}["p, trained apart"] == f"≤ {found.independence.p:.2g}"
    assert found.independence.layers_in_words[0] in said(at) and found.independence.calibration.sentence in said(at)
    figure = json.loads(at.get("plotly_chart")[1].proto.spec)
    assert figure["layout"]["yaxis"]["title"]["text"].startswith("layer of A: base")


def test_without_a_reference_the_page_says_so(monkeypatch):
    monkeypatch.setattr(comparison, "load_reference", lambda: None)
    at = shown(A, NEAR)
    assert "inconclusive" in said(at) and "There is no reference distribution" in said(at)
    assert "No reference pairs are stored yet" in said(at)


def test_a_picked_pair_is_drawn_and_stands_in_the_address(with_reference):
    at = shown(A, NEAR, pair="3")
    found = compare(A, NEAR, reference=hand_reference(A.protocol_digest))
    at.selectbox(key="compare_passage").select(2).run()
    at.button(key="next_pair").click().run()
    assert at.query_params["pair"] == "4"
    figure = json.loads(at.get("plotly_chart")[1].proto.spec)
    k, j = found.matched_M2[4]
    assert figure["data"][0]["name"].startswith(f"base, network {k}:")
    assert f"network {j}:" in figure["data"][1]["name"]
    assert f"abs(ρ) = {found.passage_values_MP[4, 2]:.2f}" in figure["layout"]["title"]["text"]
    value = A.grid_signals(2)[k][1]
    assert f'title="character 4: {value:+.1f} SD"' in said(at)


def test_a_pair_that_does_not_exist_falls_back_to_the_strongest():
    at = shown(A, NEAR, pair="99")
    assert at.selectbox(key="pair_picker").value == 0 and "pair" not in at.query_params
    assert "a pair is a whole number" in shown(A, NEAR, pair="x").error[0].value


@pytest.mark.parametrize("view", ["Matrix", "Second opinions", "Save"])
def test_every_tab_draws(view):
    at = opened(shown(A, FAR), view)
    seen = {
        "Matrix": lambda: "All pairs of networks" in at.get("plotly_chart")[1].proto.spec,
        "Second opinions": lambda: "withdrawn by arXiv" in said(at) and "CKA" in at.get("plotly_chart")[2].proto.spec,
        "Save": lambda: "python -m fnet_core compare a.safetensors b.safetensors --seed 0" in at.code[0].value,
    }
    assert seen[view]()


def test_the_commands_say_what_they_cannot(with_reference):
    own = replace(A, recipe=A.recipe | {"texts": [["dataset org/name"], ["bundled/score"]]})
    at = opened(shown(own, NEAR), "Save")
    assert "--find=FILE" in at.code[0].value
    text = re.sub(r"\\(.)", r"\1", said(at))
    assert "The passages for --find of base came from dataset org/name" in text and "write its place" in text


def test_the_downloads_are_the_files_the_json_and_the_report(with_reference):
    at = opened(shown(A, NEAR), "Save")
    labels = [button.proto.label for button in at.get("download_button")]
    assert [label.split(":")[0] for label in labels] == [
        "Report (HTML)",
        "Result (JSON)",
        "Matched networks (CSV)",
        "Fingerprint A",
        "Fingerprint B",
    ]


def test_one_model_given_twice_is_said(with_reference):
    at = shown(A, A)
    assert "Both sides are one and the same model" in at.info[0].value
    assert "The same model, given twice" in [heading.value for heading in at.header]
    badges = [element.value for element in at.markdown if "-badge[" in element.value]
    assert any("same model" in badge for badge in badges) and not any("derived" in badge for badge in badges)
    assert at.metric[0].value == "1.00"


def test_a_model_that_does_not_read_the_passages_is_said(with_reference):
    at = shown(A, replace(FAR, bits_per_byte=4.0))
    assert len(at.info) == 1
    assert "other hardly reads the language of the passages: it needs 4.00 bits per byte" in at.info[0].value
    assert "inconclusive" in said(at)


def test_a_model_without_a_signal_is_one_sentence():
    silent = replace(FAR, signals=tuple(np.zeros_like(signal) for signal in FAR.signals))
    at = shown(A, silent)
    assert len(at.error) == 1 and "No network of other gives a signal" in at.error[0].value


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"compared": "nowhere"}, "does not name two fingerprints"),
        ({"compared": "saved:none,saved:none"}, "There is no fingerprint 'none' here"),
        ({"compared": "saved:../x,file:y"}, "cannot name an artifact"),
        ({"a": "saved:gone"}, "There is no fingerprint 'gone' here"),
        ({"a": "/etc"}, "outside the folders that this server may read"),
        ({"b": "gpt5"}, "There is no starter 'gpt5'"),
    ],
)
def test_a_wrong_address_is_a_sentence(query, sentence):
    at = page("compare", **query)
    assert len(at.error) == 1 and sentence in re.sub(r"\\(.)", r"\1", at.error[0].value)
