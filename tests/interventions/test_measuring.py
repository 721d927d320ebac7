"""Baseline, edited and controls: known when nothing is edited, resumable, cancelled without harm."""

from dataclasses import replace

import numpy as np
import pytest
from support.atlases import hand_atlas
from support.loading import loaded_tiny

from fnet_core.errors import Cancelled, RequestError
from fnet_core.evaluation.perplexity import KIND, PERPLEXITIES
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity, perplexity_recipe
from fnet_core.interventions.edits import Edit
from fnet_core.interventions.measuring import edit_changes, intervene, perplexity
from fnet_core.interventions.sweeps import dose_response, rank_networks
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

YARDSTICK = Yardstick(
    tuple(
        Passage(f"p{i}", text * 2, "test")
        for i, text in enumerate(("the sea was calm that day, ", "ships left at 9; two came back. ", "nobody asked. "))
    ),
    window=32,
    stride=32,
)
EDIT = Edit("mlp", tuple((layer, i) for layer in range(3) for i in range(12)), gain=0.0, name="a dozen a layer")


def test_baseline_edited_and_controls_are_each_what_they_would_be_alone():
    loaded = loaded_tiny()
    seen = []
    result = intervene(loaded, [EDIT], YARDSTICK, controls=3, seed=5, publish=seen.append)
    assert result.done and len(result.controls) == 3
    assert result.baseline.value == baseline_perplexity(loaded, YARDSTICK).value
    assert result.edited.value == perplexity(loaded, YARDSTICK, [EDIT]).value
    assert result.effect.value == pytest.approx(result.edited.value / result.baseline.value)
    assert result.edited.value != result.baseline.value
    assert len({c.value for c in result.controls}) == 3
    assert seen[0].controls == () and len(seen[0].baseline.nll_W) >= 1
    assert [len(s.controls) for s in seen] == sorted(len(s.controls) for s in seen)


def test_an_edit_that_changes_nothing_has_ratio_one_exactly():
    loaded = loaded_tiny()
    result = intervene(loaded, [replace(EDIT, gain=1.0)], YARDSTICK, controls=1)
    assert result.effect.value == 1.0 and result.effect.interval == (1.0, 1.0)
    assert result.control_effects[0].value == 1.0


def test_worsening_is_the_difference_token_by_token():
    result = intervene(loaded_tiny(), [EDIT], YARDSTICK, controls=0)
    for document, passage in enumerate(YARDSTICK.passages):
        worse = result.worsening(document)
        assert len(worse) == len(passage.text) and np.isnan(worse[0])
        windows = result.baseline.document_W == document
        assert np.nansum(worse) == pytest.approx((result.edited.nll_W - result.baseline.nll_W)[windows].sum(), abs=1e-3)


def test_what_was_measured_is_not_measured_again(monkeypatch):
    loaded = loaded_tiny()
    first = intervene(loaded, [EDIT], YARDSTICK, controls=2)

    def forbidden(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr("fnet_core.evaluation.yardstick.measure", forbidden)
    second = intervene(loaded, [replace(EDIT, name="renamed")], YARDSTICK, controls=2)
    assert second.summary()["edited"] == first.summary()["edited"]
    with pytest.raises(AssertionError, match="measured again"):
        intervene(loaded, [replace(EDIT, gain=0.5)], YARDSTICK, controls=0)


def test_everything_that_affects_a_perplexity_is_in_its_key():
    loaded = loaded_tiny()
    keys = {
        PERPLEXITIES.key(perplexity_recipe(model, yardstick, edit_changes(edits)))
        for model, yardstick, edits in [
            (loaded, YARDSTICK, ()),
            (replace(loaded, digest="1" * 64), YARDSTICK, ()),
            (replace(loaded, dtype="float16"), YARDSTICK, ()),
            (loaded, replace(YARDSTICK, definition="word"), ()),
            (loaded, replace(YARDSTICK, window=16), ()),
            (loaded, replace(YARDSTICK, stride=16), ()),
            (loaded, replace(YARDSTICK, passages=YARDSTICK.passages[:2]), ()),
            (loaded, YARDSTICK, (EDIT,)),
            (loaded, YARDSTICK, (replace(EDIT, gain=0.1),)),
            (loaded, YARDSTICK, (replace(EDIT, offset=0.1),)),
            (loaded, YARDSTICK, (replace(EDIT, neurons=EDIT.neurons[1:]),)),
        ]
    }
    assert len(keys) == 11


def tiny_atlas():
    """The hand-made maps on a model as narrow as they are."""
    loaded = loaded_tiny(intermediate_size=6)
    return loaded, replace(hand_atlas(), widths_L=(6, 6, 3), maps=hand_atlas().maps)


def test_the_ranking_sorts_by_damage_and_goes_on_where_it_was_stopped():
    loaded, atlas = tiny_atlas()
    whole = rank_networks(loaded, atlas, YARDSTICK, threshold=1.5, controls=1)
    values = [row.measured.edited.value for row in whole]
    assert values == sorted(values, reverse=True) and {row.network for row in whole} == {0, 1, 2}
    for path in artifacts.list_artifacts(KIND):
        path.unlink()

    def stop_in_the_third(stage, fraction):
        if fraction >= 2 / 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        rank_networks(loaded, atlas, YARDSTICK, threshold=1.5, controls=1, report=stop_in_the_third)
    kept = {p.name: p.stat().st_mtime_ns for p in artifacts.list_artifacts(KIND)}
    assert len(kept) == 5  # the baseline, two networks, two controls
    again = rank_networks(loaded, atlas, YARDSTICK, threshold=1.5, controls=1)
    assert [row.network for row in again] == [row.network for row in whole]
    assert all(p.stat().st_mtime_ns == kept[p.name] for p in artifacts.list_artifacts(KIND) if p.name in kept)


def test_a_network_too_large_for_a_control_is_ranked_without_one():
    loaded, atlas = tiny_atlas()
    maps = atlas.maps[0].copy()
    maps[2, 6:10] = 5.0
    ranking = rank_networks(loaded, replace(atlas, maps=(maps,)), YARDSTICK, threshold=1.5, controls=1)
    assert {row.network: len(row.measured.controls) for row in ranking} == {0: 1, 1: 1, 2: 0}


def test_dose_response_passes_through_one_where_nothing_is_changed():
    doses = dose_response(loaded_tiny(), EDIT, YARDSTICK, gains=(0.0, 1.0, 2.0), controls=1)
    assert [d.gain for d in doses] == [0.0, 1.0, 2.0]
    assert doses[1].measured.effect.value == 1.0
    assert doses[0].measured.effect.value != 1.0 != doses[2].measured.effect.value


def test_an_edit_too_large_for_a_control_has_a_curve_without_one():
    large = Edit("mlp", tuple((1, i) for i in range(30)), 0.0)
    doses = dose_response(loaded_tiny(), large, YARDSTICK, gains=(0.0, 1.5), controls=2)
    assert [d.measured.controls for d in doses] == [(), ()]


def test_requests_that_cannot_be_met():
    loaded = loaded_tiny()
    for edits, controls, sentence in (
        ([], 5, "no edit"),
        ([EDIT], 51, "51 controls"),
        ([Edit("mlp", ((7, 0),), 0.0)], 1, "no layer 7"),
        ([Edit("heads", ((0, 0), (0, 1), (0, 2)), 0.0)], 1, "too few"),
    ):
        with pytest.raises(RequestError, match=sentence):
            intervene(loaded, edits, YARDSTICK, controls=controls)
    assert artifacts.list_artifacts(KIND) == []


def test_infinite_logits_are_shown_not_raised():
    loaded = loaded_tiny()
    result = intervene(loaded, [Edit("mlp", EDIT.neurons, 1.0, offset=1e38)], YARDSTICK, controls=1)
    summary = result.summary()
    assert summary["baseline"]["finite"]
    if not summary["edited"]["finite"]:
        assert summary["edited"]["value"] is None and summary["ratio"]["value"] is None
