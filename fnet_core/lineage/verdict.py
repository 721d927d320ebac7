"""Derived, independent or inconclusive: a score against what known pairs of models score.

A wrong accusation is the worst outcome, so every doubt makes the verdict inconclusive.
"""

from dataclasses import dataclass

from fnet_core.lineage.joint import ApartTest, Outcome, Standing, combine
from fnet_core.lineage.reference import (
    LEAST_REFERENCES,
    MINIMUM_GAP,
    REFERENCE_FILE,
    Cuts,
    Reference,
    ReferencePair,
    load_reference,
)

__all__ = [
    "INTERVAL_NOTE",
    "MARGIN",
    "REFERENCE_FILE",
    "ApartTest",
    "Cuts",
    "Evidence",
    "Outcome",
    "Reference",
    "ReferencePair",
    "SecondOpinion",
    "Verdict",
    "judge",
    "load_reference",
]

MARGIN = 0.02
"""By how much the interval is widened on either side before it decides.

The interval resamples passages alone. Another random start of the networks moves a score too: SmolLM2 and Gemma, two
independent models, scored 0.201 (0.195 to 0.206) and 0.211 (0.205 to 0.217) under two versions of the method that
differ in little else."""

INTERVAL_NOTE = (
    "The interval says what other passages would change, not what another random start of the networks would, so it "
    f"is widened by {MARGIN:.2f} on either side before it decides."
)
"""For readers of an interval."""

LEAST_NETWORKS, LEAST_NETWORK_SHARE = 8, 0.8
"""Usable networks, and their share of those asked for, below which a score means little: leaving networks out, which
are seldom the best matched, raises it."""

LEAST_PASSAGES = 4
"""Passages below which the interval is not to be trusted."""

ALIKE, UNLIKE = 0.8, 0.5
"""Second opinions at or above the one are said to see a relation, below the other none. They decide nothing."""

UNTURNED = 0.99
"""Layer similarity at or above which the residual streams of two models with common neurons may be turned copies: a
rotation leaves it at 1.00, models trained apart reach 0.93 and one trained towards another 0.97."""


@dataclass(frozen=True)
class Evidence:
    """What a verdict is based on, as plain numbers."""

    a: str
    b: str
    protocol: str
    score: float
    interval: tuple[float, float] | None
    null: float | None
    """The highest score of mismatched passages."""
    usable: tuple[int, int]
    """Networks with a signal, of a and of b."""
    components: int
    passages: int
    unreadable: tuple[str, ...]
    """Names of the models that do not read the probes' language."""
    unmeasured: tuple[str, ...]
    """Names of the models of which it is not known whether they do."""
    same_model: bool
    weight_curves: float | None
    cka: float | None
    spans: tuple[int, int] = (0, 0)
    """Characters of the longest stretch that a and b read at once; 0 for whole passages."""
    test: ApartTest | None = None
    untested: str = ""
    """Why there is no test, as half a sentence."""
    secret: bool = False
    """Whether the probes are secret, so that the reference pairs were measured on others."""


@dataclass(frozen=True)
class SecondOpinion:
    """What another fingerprint than the networks says; it decides nothing."""

    name: str
    value: float | None
    """None where it does not vary in one of the models."""
    why_otherwise: str | None = None
    """Why it is known to differ from the networks, where it does."""

    @property
    def sentence(self) -> str:
        """The opinion as a sentence."""
        if self.value is None:
            said = "none, because it does not vary in one of the models"
        elif self.why_otherwise:
            said = f"{self.value:.2f}, which disagrees with the networks; {self.why_otherwise}"
        else:
            said = f"{self.value:.2f}"
        return f"Second opinion, {self.name}: {said}."


@dataclass(frozen=True)
class Verdict:
    """The outcome with what decided it, what the other two fingerprints say, and what would change it."""

    outcome: Outcome
    decisive: tuple[str, ...]
    second_opinions: tuple[SecondOpinion, ...]
    advice: tuple[str, ...]
    cuts: Cuts | None
    statement: str = ""
    """Outcome, evidence, error rate and what was not tested, in one sentence."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """All sentences: what decided, then the second opinions."""
        return (*self.decisive, *(opinion.sentence for opinion in self.second_opinions))


_OTHER_PROBES = (
    ": whoever made either model could not train against them. The reference pairs were measured on as many public "
    "ones."
)


def judge(evidence: Evidence, reference: Reference | None) -> Verdict:
    """What fingerprint and independence test say together, see `joint.combine`; the second opinions decide nothing.

    The fingerprint says derived if its whole interval is above the upper cut, independent if below the lower one and
    nothing is in doubt. The interval is widened by `MARGIN` on either side first. Mismatched passages must score below
    the lower cut, so a derived pair is above them by more than the distance of the cuts. One model given twice is never
    called independent.
    """
    known = reference if reference is not None and reference.protocol == evidence.protocol else None
    cuts = known.cuts() if known else None
    decisive = [_score_sentence(evidence, known)]
    if evidence.secret:
        decisive.append("The probes are secret" + (_OTHER_PROBES if known else "."))
    doubts = _doubts(evidence, reference, cuts)
    if doubts:
        outcome: Outcome = "inconclusive"
        because, advice = [reason for reason, _ in doubts], [remedy for _, remedy in doubts]
    else:
        assert cuts is not None
        outcome, because, advice = _decide(evidence, cuts)
    if evidence.same_model:
        return _same_model(evidence, outcome, decisive, because, advice, cuts, doubted=bool(doubts))
    standing = _standing(evidence, outcome, len(doubts))
    joint = combine(standing, _clause(evidence, standing, cuts), evidence.test, evidence.untested)
    changed = joint.outcome != outcome
    told = (*joint.advice, *(() if changed else advice))
    return Verdict(
        joint.outcome,
        (*decisive, *because, *joint.reasons),
        _second_opinions(evidence, cuts),
        tuple(dict.fromkeys(told)),
        cuts,
        joint.statement,
    )


def _same_model(
    evidence: Evidence,
    outcome: Outcome,
    decisive: list[str],
    because: list[str],
    advice: list[str],
    cuts: Cuts | None,
    doubted: bool,
) -> Verdict:
    """The verdict on one model given twice, which no test can add to."""
    same = "Both are one and the same model (identical digest of weights and tokenizer), given twice."
    if not doubted:
        advice = ["Compare two different models: this says nothing about a second one."]
        if outcome != "derived":
            outcome = "inconclusive"
            because = ["A model agrees with itself, so these fingerprints were not both taken of it as they say."]
            advice = ["Make both fingerprints again; one of the files may name a model that it was not taken of."]
    opinions = _second_opinions(evidence, cuts)
    return Verdict(outcome, (same, *decisive, *because), opinions, tuple(dict.fromkeys(advice)), cuts, same)


def _standing(evidence: Evidence, outcome: Outcome, doubts: int) -> Standing:
    """What the fingerprint says alone, with its doubts told apart."""
    if outcome != "inconclusive":
        return outcome
    if not doubts:
        return "between"
    return "unread" if doubts == len(evidence.unreadable) else "unknown"


def _clause(evidence: Evidence, standing: Standing, cuts: Cuts | None) -> str:
    """What the fingerprint says, as half a sentence."""
    agree = f"the networks of {evidence.a} and {evidence.b} agree at {evidence.score:.2f}"
    match standing:
        case "derived" if cuts:
            return f"{agree}, where known derived pairs lie ({cuts.lowest_derived:.2f} and above)"
        case "independent" if cuts:
            return f"{agree}, where known independent pairs lie ({cuts.highest_independent:.2f} and below)"
        case "between":
            return f"{agree}, between the known derived and the known independent pairs"
        case "unread":
            return f"{agree}, which says little because {' and '.join(evidence.unreadable)} hardly reads the passages"
        case _:
            return f"{agree}, which cannot be held against known pairs"


def _decide(evidence: Evidence, cuts: Cuts) -> tuple[Outcome, list[str], list[str]]:
    """The outcome where nothing is in doubt, why, and what to do."""
    assert evidence.interval is not None and evidence.null is not None
    low, high = evidence.interval
    widened = f"The whole interval, widened by {MARGIN:.2f} on either side, lies"
    if low - MARGIN > cuts.derived_above:
        outcome: Outcome = "derived"
        reason = f"{widened} above {cuts.derived_above:.2f}, nearer to the derived pairs than to any independent one."
        if not evidence.same_model:
            reason += " It does not say which of the two came from which."
        advice = "Ask for the training history of both before drawing a consequence from this."
    elif high + MARGIN < cuts.independent_below:
        outcome = "independent"
        reason = (
            f"{widened} below {cuts.independent_below:.2f}, nearer to the independent pairs than to any derived one."
        )
        advice = "A change heavier than those among the reference pairs could still hide a common origin."
    else:
        outcome = "inconclusive"
        reason = (
            f"The interval, widened by {MARGIN:.2f} on either side, is not wholly above {cuts.derived_above:.2f} nor "
            f"wholly below {cuts.independent_below:.2f}, so it fits neither kind of pair."
        )
        advice = "More passages to find networks and to score on narrow the interval."
    null = f"With mismatched passages the score is at most {evidence.null:.2f}"
    null += ", so agreement follows the text." if low > evidence.null else ", which this pair is not clearly above."
    return outcome, [reason, null], [advice]


def _score_sentence(evidence: Evidence, reference: Reference | None) -> str:
    sentence = f"The matched networks of {evidence.a} and {evidence.b} agree at {evidence.score:.2f}"
    if evidence.interval:
        sentence += " (95 % interval {:.2f} to {:.2f})".format(*evidence.interval)
    if reference and (independent := reference.scores("independent")) and (derived := reference.scores("derived")):
        sentence += (
            f"; {len(independent)} independent reference pairs reach {independent[-1]:.2f} at most, "
            f"{len(derived)} derived ones {derived[0]:.2f} at least"
        )
    return sentence + "."


def _doubts(evidence: Evidence, reference: Reference | None, cuts: Cuts | None) -> list[tuple[str, str]]:
    """Whatever forbids a verdict, each with what would help."""
    found = []
    for name in evidence.unreadable:
        found.append(
            (
                f"{name} predicts the passages hardly better than a file compressor does, so it hardly reads their "
                "language and its networks say little.",
                "Compare the models on passages in a language that both read, with fingerprint --find and --score.",
            )
        )
    for name in evidence.unmeasured:
        found.append(
            (
                f"How well {name} predicts the passages could not be measured, so it is not known whether it reads "
                "their language.",
                "Make its fingerprint again on passages of a few hundred characters or more, and check its weights.",
            )
        )
    if any(evidence.spans):
        found.append(
            (
                _spans_sentence(evidence),
                "A model that reads more tokens at once would read them whole; here the score must speak for itself.",
            )
        )
    least = max(LEAST_NETWORKS, LEAST_NETWORK_SHARE * evidence.components)
    for name, usable in zip((evidence.a, evidence.b), evidence.usable, strict=True):
        if usable < least:
            found.append(
                (
                    f"Only {usable} of the {evidence.components} networks of {name} give a signal, which is too few.",
                    "Lower the threshold of both fingerprints, or give more passages.",
                )
            )
    if evidence.interval is None or evidence.null is None or evidence.passages < LEAST_PASSAGES:
        found.append(
            (
                f"The score rests on {evidence.passages} passage(s), too few for an interval.",
                f"Score on {LEAST_PASSAGES} passages or more.",
            )
        )
    if reference is None:
        found.append(
            (
                "There is no reference distribution to hold the score against.",
                "Measure the reference pairs and store them in assets/reference_pairs.json.",
            )
        )
    elif reference.protocol != evidence.protocol:
        found.append(
            (
                "The reference pairs were measured with other passages or parameters, so their scores do not apply.",
                "Make both fingerprints anew with this version, the bundled passages and the default parameters.",
            )
        )
    elif cuts is None:
        found.append(
            (
                "The reference pairs are too few or do not separate derived from independent models.",
                f"Measure at least {LEAST_REFERENCES} pairs of either kind, at least {MINIMUM_GAP:g} apart.",
            )
        )
    elif evidence.null is not None and evidence.null >= cuts.independent_below:
        found.append(
            (
                f"Passages that do not belong together score {evidence.null:.2f}, as much as a pair of models may: the "
                "signals agree whatever the text says.",
                "Give passages that differ more from each other, and check that neither model is damaged.",
            )
        )
    return found


def _spans_sentence(evidence: Evidence) -> str:
    a, b = (f"in pieces of at most {span} characters" if span else "whole" for span in evidence.spans)
    read = f"{evidence.a} read the passages {a} and {evidence.b} {b}"
    if a == b:
        read = f"Both models read the passages {a}"
    return f"{read}, and the models of the reference pairs read them whole, so their scores do not apply."


def _second_opinions(evidence: Evidence, cuts: Cuts | None) -> tuple[SecondOpinion, ...]:
    """What the other two fingerprints say, and where they disagree with the networks, why that is known to happen."""
    middle = None if cuts is None else (cuts.derived_above + cuts.independent_below) / 2
    related = None if middle is None else evidence.score > middle

    def opinion(name: str, value: float | None, why_alike: str, why_unlike: str) -> SecondOpinion:
        if value is not None and related is False and value >= ALIKE:
            return SecondOpinion(name, value, why_alike)
        if value is not None and related is True and value < UNLIKE:
            return SecondOpinion(name, value, why_unlike)
        return SecondOpinion(name, value)

    turned = evidence.test is not None and evidence.test.contradicted and (evidence.cka or 0.0) >= UNTURNED
    return (
        opinion(
            "attention-weight curves",
            evidence.weight_curves,
            "independent models of one design and training recipe are known to share these curves "
            "(DeepSeek-LLM-7B and Llama-2-7B reach 0.91)",
            "rescaled, heavily compressed or retrained attention weights change these curves and little else",
        ),
        opinion(
            "layer similarity (CKA, middle layers)",
            evidence.cka,
            "a rotation of the residual stream leaves it as it is, and the neurons, and takes the networks away"
            if turned
            else "a few directions with large activations, which independent models share, are known to dominate it",
            "dropped layers shift the middle, and a few large directions that changed are known to dominate it",
        ),
    )
