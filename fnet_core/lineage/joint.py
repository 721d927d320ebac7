"""Fingerprint and independence test together: one outcome, and one sentence with all that it rests on.

The fingerprint asks whether two models respond alike, the test whether their neurons come from one training. "Derived"
needs both, or says which one is missing; where they disagree there is no verdict.
"""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["derived", "independent", "inconclusive"]

Standing = Literal["derived", "independent", "between", "unread", "unknown"]
"""What the fingerprint says alone. "between" fits neither kind of pair, of an "unread" one a model hardly reads the
passages, an "unknown" one is in doubt for another reason."""

CLEAR = 0.05
"""From this p on the test has nothing against two models having been trained apart."""


@dataclass(frozen=True)
class ApartTest:
    """What an independence test found, as plain numbers."""

    p: float
    """As the calibration supports it."""
    contradicted: bool
    """Whether the test contradicts that the two were trained apart."""
    floor: float
    """The smallest p that the calibration supports."""
    calibrated: int
    """Pairs trained apart on which the test was measured."""
    layers: int
    """Of the second model."""
    matched: int
    """Of these, how many match a layer of the first."""
    derived: int
    """Derived pairs on which the test was measured."""
    missed: int
    """Of these, how many it did not tell from models trained apart."""

    @property
    def finding(self) -> Literal["contradicted", "consistent", "unclear"]:
        """Whether it is contradicted that the two were trained apart, or consistent with p, or neither."""
        if self.contradicted:
            return "contradicted"
        return "consistent" if self.p >= CLEAR else "unclear"

    @property
    def clause(self) -> str:
        """The finding as half a sentence."""
        match self.finding:
            case "contradicted":
                return (
                    f"that they were trained apart is contradicted (independence test, p at most {self.floor:.2g}, "
                    f"{self.matched} of {self.layers} layers match)"
                )
            case "consistent":
                return f"nothing contradicts that they were trained apart (independence test, p {self.p:.2g})"
            case _:
                return f"whether they were trained apart is not clear (independence test, p {self.p:.2g})"


@dataclass(frozen=True)
class Joint:
    """What both say together."""

    outcome: Outcome
    statement: str
    """Outcome, evidence, error rate and what was not tested, in one sentence."""
    reasons: tuple[str, ...]
    """What the test adds to the reasons of the fingerprint."""
    advice: tuple[str, ...]
    """What to do, where the test changed the outcome; empty where the fingerprint's own advice stands."""


TURNED = (
    "Take both fingerprints of the MLP neurons too (fnet compare A B --site mlp): turning the residual stream takes "
    "away the networks that are found in it, and leaves those."
)
"""What to do where neurons are common and networks are not."""


def combine(standing: Standing, clause: str, test: ApartTest | None, untested: str) -> Joint:
    """The outcome of both.

    `clause` is what the fingerprint says, as half a sentence; `untested` why there is no test. Derived and independent
    need a fingerprint that says so and a test that does not object; a fingerprint between the kinds, or of a model that
    hardly reads the passages, leaves it to the test to clear a pair, never to accuse one.
    """
    alone: Outcome = standing if standing in ("derived", "independent") else "inconclusive"
    if test is None:
        missing = f"The independence test is missing: {untested or 'it was not made'}."
        return Joint(alone, _statement(alone, clause, None, standing), (missing,), ())
    said = test.clause
    said = f"{said[0].upper()}{said[1:]}"
    finding = test.finding
    if (standing, finding) in (("derived", "contradicted"), ("independent", "consistent"), ("independent", "unclear")):
        return Joint(alone, _statement(alone, clause, test, standing), (f"{said}.",), ())
    if standing in ("between", "unread") and finding == "consistent":
        settled = f"{said}, which settles what the fingerprint leaves open."
        advice = "A copy changed more heavily than those on which the test was measured could still pass it."
        return Joint("independent", _statement("independent", clause, test, standing), (settled,), (advice,))
    if standing in ("derived", "independent"):
        reason, advice = _disagreement(standing, said)
    elif finding == "contradicted":
        reason = f"{said}, but the fingerprint does not confirm it, and derived needs both."
        advice = f"{TURNED} Look at which layers match, and ask for the training history of both."
    else:
        reason, advice = f"{said}.", ""
    return Joint(
        "inconclusive", _statement("inconclusive", clause, test, standing), (reason,), (advice,) if advice else ()
    )


def _disagreement(standing: Standing, said: str) -> tuple[str, str]:
    if standing == "derived":
        return (
            f"{said}, so test and fingerprint disagree, and derived needs both: a model trained anew on another's "
            "outputs, or changed very heavily, responds alike and shares no neurons.",
            "Ask for the training history of both; test more neurons (fnet independence A B --neurons 1024).",
        )
    return (
        f"{said}, so test and fingerprint disagree: models that share some layers, or began from the same weights and "
        "were trained apart, share neurons and respond in other ways.",
        f"{TURNED} Look at which layers match, and ask for the training history of both.",
    )


_WHAT = {
    "derived": "Derived: one of the two comes from the other, or both from a third",
    "independent": "Independent: no sign that either comes from the other",
    "inconclusive": "Inconclusive: no statement is made about either model",
}
_UNTESTED = {
    "derived": "which of the two came from which, and what either was trained on",
    "independent": "whether one was trained on the other's outputs, and changes heavier than those measured",
    "inconclusive": "which of the two came from which, and what either was trained on",
}


def _statement(outcome: Outcome, clause: str, test: ApartTest | None, standing: Standing) -> str:
    between = "but" if outcome == "inconclusive" and standing in ("derived", "independent") else "and"
    evidence = f"{clause}, {between} {test.clause}" if test else clause
    not_tested = ("" if test else "whether their neurons come from one training (independence test), ") + _UNTESTED[
        outcome
    ]
    return (
        f"{_WHAT[outcome]}; evidence: {evidence}; error rate: {_error_rate(outcome, test)}; not tested: {not_tested}."
    )


def _error_rate(outcome: Outcome, test: ApartTest | None) -> str:
    if outcome == "inconclusive":
        return "none, for nothing is claimed"
    if test is None:
        return "not known beyond the reference pairs, for the independence test is missing"
    if outcome == "derived":
        share = 3 / test.calibrated
        return (
            f"none of {test.calibrated:,} pairs of models trained apart gave so small a p, so that at most "
            f"{share:.2%} of such pairs would (95 % confidence, were the pairs independent of each other)"
        )
    return f"of {test.derived} derived pairs on which the test was measured it missed {test.missed}"
