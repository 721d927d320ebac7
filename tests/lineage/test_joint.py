"""Fingerprint and test together: every combination, and the sentence that has to hold in front of a lawyer."""

from dataclasses import replace

import pytest
from support.fingerprints import SURE, hand_reference

from fnet_core.lineage.joint import ApartTest, combine
from fnet_core.lineage.verdict import judge

FOUND = ApartTest(p=0.001, contradicted=True, floor=0.001, calibrated=999, layers=30, matched=26, derived=40, missed=2)
CLEARED = replace(FOUND, p=0.4, contradicted=False)
FINDINGS = {"contradicted": FOUND, "unclear": replace(CLEARED, p=0.02), "consistent": CLEARED}

TABLE = {
    ("derived", "contradicted"): "derived",
    ("derived", "unclear"): "inconclusive",
    ("derived", "consistent"): "inconclusive",
    ("independent", "contradicted"): "inconclusive",
    ("independent", "unclear"): "independent",
    ("independent", "consistent"): "independent",
    ("between", "contradicted"): "inconclusive",
    ("between", "unclear"): "inconclusive",
    ("between", "consistent"): "independent",
    ("unread", "contradicted"): "inconclusive",
    ("unread", "unclear"): "inconclusive",
    ("unread", "consistent"): "independent",
    ("unknown", "contradicted"): "inconclusive",
    ("unknown", "unclear"): "inconclusive",
    ("unknown", "consistent"): "inconclusive",
}


@pytest.mark.parametrize(("standing", "finding"), TABLE)
def test_every_combination(standing, finding):
    test = FINDINGS[finding]
    assert test.finding == finding
    found = combine(standing, "the networks agree", test, "")
    assert found.outcome == TABLE[standing, finding] and len(found.reasons) == 1
    assert found.statement.lower().startswith(found.outcome) and found.statement.count(".") >= 1
    for part in ("evidence: the networks agree", "error rate: ", "not tested: ", "independence test"):
        assert part in found.statement
    if (standing, finding) in (("derived", "consistent"), ("independent", "contradicted")):
        assert "disagree" in found.reasons[0] and ", but " in found.statement
    turned = finding == "contradicted" and standing != "derived"  # common neurons and other networks
    assert turned == any("--site mlp" in line for line in found.advice)


@pytest.mark.parametrize("standing", ["derived", "independent", "between", "unread", "unknown"])
def test_a_missing_test_is_said(standing):
    found = combine(standing, "the networks agree", None, "the file is too old")
    assert found.outcome == (standing if standing in ("derived", "independent") else "inconclusive")
    assert found.reasons == ("The independence test is missing: the file is too old.",)
    assert "not tested: whether their neurons come from one training (independence test), " in found.statement


def test_the_error_rate_is_that_of_the_calibration():
    derived = combine("derived", "they agree", FOUND, "").statement
    assert "none of 999 pairs of models trained apart" in derived and "at most 0.30% of such pairs" in derived
    assert "26 of 30 layers match" in derived and "p at most 0.001" in derived
    independent = combine("independent", "they agree", CLEARED, "").statement
    assert "of 40 derived pairs on which the test was measured it missed 2" in independent
    assert "nothing is claimed" in combine("unknown", "they agree", FOUND, "").statement


REFERENCE = hand_reference("p1")


@pytest.mark.parametrize(
    ("change", "finding", "outcome"),
    [
        ({"score": 0.7, "interval": (0.66, 0.74)}, "contradicted", "derived"),
        ({"score": 0.7, "interval": (0.66, 0.74)}, "consistent", "inconclusive"),
        ({"score": 0.45, "interval": (0.43, 0.47)}, "consistent", "independent"),
        ({"score": 0.45, "interval": (0.43, 0.47)}, "contradicted", "inconclusive"),
        ({"score": 0.59, "interval": (0.57, 0.6), "unreadable": ("Alpha", "Beta")}, "consistent", "independent"),
        ({"score": 0.9, "interval": (0.89, 0.91), "unreadable": ("Alpha",)}, "contradicted", "inconclusive"),
        (
            {"score": 0.9, "interval": (0.89, 0.91), "unreadable": ("Alpha",), "passages": 2},
            "consistent",
            "inconclusive",
        ),
    ],
)
def test_the_verdict_is_both(change, finding, outcome):
    """Twins that have hardly learned to read, at a score where nothing could be said, are settled by p."""
    verdict = judge(replace(SURE, **change, test=FINDINGS[finding]), REFERENCE)
    assert verdict.outcome == outcome and verdict.advice
    assert verdict.statement.lower().startswith(outcome)
    assert any("trained apart" in reason for reason in verdict.decisive)


@pytest.mark.parametrize("test", [None, FOUND, CLEARED])
def test_second_opinions_never_decide_whatever_the_test_says(test):
    for score, interval in ((0.7, (0.66, 0.74)), (0.45, (0.43, 0.47)), (0.2, (0.19, 0.21))):
        outcomes = {
            judge(
                replace(SURE, score=score, interval=interval, weight_curves=curves, cka=cka, test=test), REFERENCE
            ).outcome
            for curves, cka in ((-1.0, 0.0), (1.0, 1.0), (None, None))
        }
        assert len(outcomes) == 1


def test_one_model_given_twice_needs_no_test():
    same = replace(SURE, score=1.0, interval=(1.0, 1.0), same_model=True, test=CLEARED)
    verdict = judge(same, REFERENCE)
    assert verdict.outcome == "derived" and verdict.statement.startswith("Both are one and the same model")
