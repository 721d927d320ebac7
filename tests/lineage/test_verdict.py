"""The decision rule on plain numbers: cuts from the reference, and every doubt that forbids a verdict."""

import json
from dataclasses import replace

import pytest
from support.fingerprints import SURE, hand_reference

from fnet_core.errors import RequestError
from fnet_core.lineage.joint import ApartTest
from fnet_core.lineage.verdict import INTERVAL_NOTE, MARGIN, judge, load_reference

REFERENCE = hand_reference("p1")


def test_cuts_come_from_the_reference_scores():
    cuts = REFERENCE.cuts()
    assert (cuts.highest_independent, cuts.lowest_derived) == (0.3, 0.6)
    assert cuts.independent_below == pytest.approx(0.4) and cuts.derived_above == pytest.approx(0.5)
    assert hand_reference("p1", derived=(0.9, 0.93, 0.95)).cuts().derived_above == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("score", "interval", "outcome"),
    [
        (0.7, (0.66, 0.74), "derived"),
        (0.53, (0.521, 0.54), "derived"),
        (0.53, (0.519, 0.54), "inconclusive"),
        (0.52, (0.49, 0.55), "inconclusive"),
        (0.45, (0.43, 0.47), "inconclusive"),
        (0.45, (0.3, 0.6), "inconclusive"),
        (0.38, (0.35, 0.41), "inconclusive"),
        (0.37, (0.36, 0.381), "inconclusive"),
        (0.37, (0.36, 0.379), "independent"),
        (0.1, (0.08, 0.12), "independent"),
    ],
)
def test_the_whole_interval_decides(score, interval, outcome):
    verdict = judge(replace(SURE, score=score, interval=interval), REFERENCE)
    assert verdict.outcome == outcome and verdict.advice
    assert f"{score:.2f}" in verdict.reasons[0] and "0.30 at most" in verdict.reasons[0]
    assert "widened by 0.02 on either side" in verdict.reasons[1] and f"{MARGIN:.2f}" in INTERVAL_NOTE


@pytest.mark.parametrize("score", [0.7, 0.1])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"unreadable": ("Beta",)}, "Beta predicts the passages hardly better"),
        ({"unmeasured": ("Alpha",)}, "How well Alpha predicts the passages could not be measured"),
        ({"usable": (60, 51)}, "Only 51 of the 64 networks of Beta"),
        ({"usable": (7, 7), "components": 7}, "Only 7 of the 7 networks of Alpha"),
        ({"interval": None}, "too few for an interval"),
        ({"passages": 3}, "rests on 3 passage"),
        ({"null": None}, "too few for an interval"),
        ({"null": 0.41}, "do not belong together score 0.41"),
        ({"protocol": "p2"}, "other passages or parameters"),
    ],
)
def test_a_doubt_forbids_a_verdict(score, change, sentence):
    given = {"score": score, "interval": (score - 0.01, score + 0.01)} | change
    verdict = judge(replace(SURE, **given), REFERENCE)
    assert verdict.outcome == "inconclusive"
    assert any(sentence in reason for reason in verdict.reasons) and verdict.advice


def test_without_a_usable_reference():
    assert "no reference" in " ".join(judge(SURE, None).reasons)
    overlapping = hand_reference("p1", derived=(0.3, 0.8, 0.9), independent=(0.1, 0.2, 0.31))
    for reference in (None, overlapping, hand_reference("p1", derived=(0.8, 0.9))):
        assert judge(SURE, reference).outcome == "inconclusive"
        assert judge(SURE, reference).cuts is None


@pytest.mark.parametrize("gap", [0.09, 0.11])
def test_kinds_that_are_too_close_give_no_cuts(gap):
    close = hand_reference("p1", derived=(0.3 + gap, 0.6, 0.9), independent=(0.1, 0.2, 0.3))
    assert (close.cuts() is None) == (gap < 0.1)
    assert judge(replace(SURE, score=0.9, interval=(0.89, 0.91)), close).outcome == (
        "inconclusive" if gap < 0.1 else "derived"
    )


def test_enough_networks_for_a_verdict():
    assert judge(replace(SURE, usable=(60, 52)), REFERENCE).outcome == "derived"


def test_the_same_model_twice_is_said():
    verdict = judge(replace(SURE, score=1.0, interval=(1.0, 1.0), same_model=True), REFERENCE)
    assert verdict.outcome == "derived" and "one and the same model (identical digest" in verdict.reasons[0]
    assert "two different models" in verdict.advice[0]
    said = " ".join((*verdict.reasons, *verdict.advice))
    assert "training history" not in said and "which of the two" not in said


@pytest.mark.parametrize("score", [0.1, 0.45])
def test_one_model_is_never_independent_of_itself(score):
    given = replace(SURE, score=score, interval=(score - 0.01, score + 0.01), same_model=True)
    verdict = judge(given, REFERENCE)
    assert verdict.outcome == "inconclusive" and "not both taken of it" in verdict.reasons[2]


@pytest.mark.parametrize(("null", "follows"), [(0.1, True), (0.25, False)])
def test_agreement_follows_the_text_only_above_the_null(null, follows):
    verdict = judge(replace(SURE, score=0.22, interval=(0.2, 0.24), null=null), REFERENCE)
    assert verdict.outcome == "independent"
    assert any("so agreement follows the text" in reason for reason in verdict.reasons) == follows
    assert any("not clearly above" in reason for reason in verdict.reasons) != follows


def test_disagreement_of_second_opinions_is_explained():
    apart = judge(replace(SURE, score=0.2, interval=(0.19, 0.21), weight_curves=0.83, cka=0.78), REFERENCE)
    assert "0.83, which disagrees with the networks; independent models of one design" in apart.reasons[-2]
    assert apart.reasons[-1].endswith("0.78.")
    common = ApartTest(0.001, True, 0.001, 999, 30, 30, 40, 2)
    for cka, test, why in ((1.0, common, "a rotation"), (1.0, None, "a few"), (0.97, common, "a few")):
        found = judge(replace(SURE, score=0.2, interval=(0.19, 0.21), cka=cka, test=test), REFERENCE)
        assert f"which disagrees with the networks; {why}" in found.reasons[-1]
        assert found.outcome == ("inconclusive" if test else "independent")
    near = judge(replace(SURE, weight_curves=None, cka=0.3), REFERENCE)
    assert "does not vary" in near.reasons[-2] and "0.30, which disagrees" in near.reasons[-1]
    assert not any("disagrees" in reason for reason in judge(SURE, REFERENCE).reasons)


def test_second_opinions_never_decide():
    for curves, cka in ((-1.0, 0.0), (1.0, 1.0), (None, None)):
        for score, outcome in ((0.7, "derived"), (0.45, "inconclusive"), (0.2, "independent")):
            given = replace(SURE, score=score, interval=(score - 0.01, score + 0.01), weight_curves=curves, cka=cka)
            assert judge(given, REFERENCE).outcome == outcome


def test_a_pair_is_judged_by_the_others():
    shorter = REFERENCE.without(0)
    assert len(shorter.pairs) == 5 and shorter.scores("derived") == (0.75, 0.9)
    assert len(REFERENCE.pairs) == 6


def test_the_file(tmp_path):
    path = tmp_path / "reference.json"
    assert load_reference(path) is None
    pairs = [vars(pair) | {"interval": pair.interval and list(pair.interval)} for pair in REFERENCE.pairs]
    content = {"command": REFERENCE.command, "protocol": "p1", "measured": REFERENCE.measured, "pairs": pairs}
    path.write_text(json.dumps(content))
    assert load_reference(path) == REFERENCE
    for wrong in (
        "no json",
        "[]",
        json.dumps({**content, "pairs": [{"a": "x"}]}),
        json.dumps({**content, "pairs": None}),
        json.dumps({**content, "command": 3}),
        *(
            json.dumps({**content, "pairs": [{**pairs[0], **change}]})
            for change in (
                {"kind": "cousin"},
                {"kind": ["derived"]},
                {"score": 7},
                {"score": "0.5"},
                {"score": True},
                {"score": float("nan")},
                {"a": 5},
                {"how": None},
                {"interval": [0.1]},
                {"interval": ["x", "y"]},
                {"interval": 0.5},
                {"interval": [0.1, float("nan")]},
                {"cka": "high"},
                {"weight_curves": float("inf")},
                {"more": 1},
            )
        ),
    ):
        path.write_text(wrong)
        with pytest.raises(RequestError, match="measure it again"):
            load_reference(path)


def test_saved_and_read_again(tmp_path):
    path = tmp_path / "reference.json"
    REFERENCE.save(path)
    assert load_reference(path) == REFERENCE
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(REFERENCE, pairs=(replace(REFERENCE.pairs[0], interval=(float("nan"),) * 2),)).save(path)
    assert load_reference(path) == REFERENCE
