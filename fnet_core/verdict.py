"""Derived, independent or inconclusive: a score against what known pairs of models score.

A wrong accusation is the worst outcome, so every doubt makes the verdict inconclusive.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fnet_core.errors import RequestError

Outcome = Literal["derived", "independent", "inconclusive"]

REFERENCE_FILE = Path(__file__).resolve().parent.parent / "assets" / "reference_pairs.json"

DERIVED_SHARE, INDEPENDENT_SHARE = 2 / 3, 1 / 3
"""Where the two cuts lie between the highest independent and the lowest derived reference score."""

LEAST_REFERENCES = 3
"""Reference pairs of either kind below which there are no cuts."""

LEAST_NETWORKS, LEAST_NETWORK_SHARE = 8, 0.5
"""Usable networks, and their share of all, below which a score means little."""

LEAST_PASSAGES = 4
"""Passages below which the interval is not to be trusted."""

ALIKE, UNLIKE = 0.8, 0.5
"""Second opinions at or above the one are said to see a relation, below the other none. They decide nothing."""

_SECOND_OPINION = "Second opinion, "


@dataclass(frozen=True)
class ReferencePair:
    """A pair of models of which it is known how they are related, with its measured figures."""

    a: str
    b: str
    kind: Literal["derived", "independent"]
    how: str
    score: float
    interval: tuple[float, float] | None
    weight_curves: float | None
    cka: float | None


@dataclass(frozen=True)
class Cuts:
    """Where the verdict changes, and the reference scores it follows from."""

    highest_independent: float
    independent_below: float
    derived_above: float
    lowest_derived: float


@dataclass(frozen=True)
class Reference:
    """The reference distribution: known pairs measured under one protocol."""

    command: str
    protocol: str
    """The protocol digest of the fingerprints that were compared."""
    measured: str
    """When and on what the pairs were measured."""
    pairs: tuple[ReferencePair, ...]

    def scores(self, kind: Literal["derived", "independent"]) -> tuple[float, ...]:
        """The scores of one kind, lowest first."""
        return tuple(sorted(pair.score for pair in self.pairs if pair.kind == kind))

    def without(self, index: int) -> "Reference":
        """The reference less one pair, to judge that pair by the others."""
        return replace(self, pairs=self.pairs[:index] + self.pairs[index + 1 :])

    def save(self, path: Path) -> None:
        """Write the reference as JSON that `load_reference` reads."""
        content = {"command": self.command, "protocol": self.protocol, "measured": self.measured}
        content["pairs"] = [
            {k: round(v, 6) if isinstance(v, float) else v for k, v in vars(pair).items()} for pair in self.pairs
        ]
        Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def cuts(self) -> Cuts | None:
        """The two cuts; None when there are too few pairs of a kind or the kinds overlap."""
        derived, independent = self.scores("derived"), self.scores("independent")
        if min(len(derived), len(independent)) < LEAST_REFERENCES or derived[0] <= independent[-1]:
            return None
        low, gap = independent[-1], derived[0] - independent[-1]
        return Cuts(low, low + INDEPENDENT_SHARE * gap, low + DERIVED_SHARE * gap, derived[0])


def load_reference(path: Path = REFERENCE_FILE) -> Reference | None:
    """The reference distribution in a JSON file; None if there is no file, RequestError if it cannot be used."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        fields = [name for name in ReferencePair.__annotations__ if name != "interval"]
        pairs = tuple(
            ReferencePair(**{f: row[f] for f in fields}, interval=row["interval"] and tuple(row["interval"]))
            for row in content["pairs"]
        )
        found = Reference(content["command"], content["protocol"], content["measured"], pairs)
        usable = all(p.kind in ("derived", "independent") and 0 <= p.score <= 1 for p in pairs)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{path} is no list of reference pairs ({error}); measure it again.") from None
    if not usable:
        raise RequestError(f"{path} names a kind or a score that does not exist; measure it again.")
    return found


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
    same_model: bool
    weight_curves: float | None
    cka: float | None


@dataclass(frozen=True)
class Verdict:
    """The outcome with its reasons and what would change it, as sentences."""

    outcome: Outcome
    reasons: tuple[str, ...]
    advice: tuple[str, ...]
    cuts: Cuts | None

    @property
    def second_opinions(self) -> tuple[str, ...]:
        """Those of the reasons that tell what the other two fingerprints say; they decide nothing."""
        return tuple(sentence for sentence in self.reasons if sentence.startswith(_SECOND_OPINION))


def judge(evidence: Evidence, reference: Reference | None) -> Verdict:
    """Derived if the whole interval is above the upper cut, independent if below the lower one and nothing is in doubt.

    Mismatched passages must score below the lower cut, so a derived pair is above them by more than the distance of
    the cuts.
    """
    known = reference if reference is not None and reference.protocol == evidence.protocol else None
    cuts = known.cuts() if known else None
    reasons = [_score_sentence(evidence, known)]
    if evidence.same_model:
        reasons.insert(0, "Both are one and the same model (the same weights and tokenizer), given twice.")
    doubts = _doubts(evidence, reference, cuts)
    outcome: Outcome = "inconclusive"
    advice: list[str] = []
    if doubts:
        reasons += [reason for reason, _ in doubts]
        advice += [remedy for _, remedy in doubts]
    else:
        low, high = evidence.interval
        if low > cuts.derived_above:
            outcome = "derived"
            reasons.append(
                f"The whole interval lies above {cuts.derived_above:.2f}, nearer to the derived pairs than to any "
                "independent one. It does not say which of the two came from which."
            )
            advice.append("Ask for the training history of both before drawing a consequence from this.")
        elif high < cuts.independent_below:
            outcome = "independent"
            reasons.append(
                f"The whole interval lies below {cuts.independent_below:.2f}, nearer to the independent pairs than to "
                "any derived one."
            )
            advice.append("A change heavier than those among the reference pairs could still hide a common origin.")
        else:
            reasons.append(
                f"The interval is not wholly above {cuts.derived_above:.2f} nor wholly below "
                f"{cuts.independent_below:.2f}, so it fits neither kind of pair."
            )
            advice.append("More passages to find networks and to score on narrow the interval.")
        reasons.append(
            f"With mismatched passages the score is at most {evidence.null:.2f}, so agreement follows the text."
        )
    reasons += _second_opinions(evidence, cuts)
    return Verdict(outcome, tuple(reasons), tuple(dict.fromkeys(advice)), cuts)


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
                f"{name} predicts the passages no better than a file compressor does, so it hardly reads their "
                "language and its networks say little.",
                "Compare the models on passages in a language that both read, with fingerprint --find and --score.",
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
                "Make both fingerprints with the bundled passages and the default parameters.",
            )
        )
    elif cuts is None:
        found.append(
            (
                "The reference pairs are too few or do not separate derived from independent models.",
                f"Measure at least {LEAST_REFERENCES} pairs of either kind.",
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


def _second_opinions(evidence: Evidence, cuts: Cuts | None) -> list[str]:
    """What the other two fingerprints say, and where they disagree with the networks, why that is known to happen."""
    middle = cuts and (cuts.derived_above + cuts.independent_below) / 2
    related = None if middle is None else evidence.score > middle
    found = []
    for name, value, why_alike, why_unlike in (
        (
            "attention-weight curves",
            evidence.weight_curves,
            "independent models of one design and training recipe are known to share these curves "
            "(DeepSeek-LLM-7B and Llama-2-7B reach 0.91)",
            "rescaled, heavily compressed or retrained attention weights change these curves and little else",
        ),
        (
            "layer similarity (CKA, middle layers)",
            evidence.cka,
            "a few directions with large activations, which independent models share, are known to dominate it",
            "dropped layers shift the middle, and a few large directions that changed are known to dominate it",
        ),
    ):
        if value is None:
            found.append(f"{_SECOND_OPINION}{name}: none, because it does not vary in one of the models.")
        elif related is False and value >= ALIKE:
            found.append(f"{_SECOND_OPINION}{name}: {value:.2f}, which disagrees with the networks; {why_alike}.")
        elif related is True and value < UNLIKE:
            found.append(f"{_SECOND_OPINION}{name}: {value:.2f}, which disagrees with the networks; {why_unlike}.")
        else:
            found.append(f"{_SECOND_OPINION}{name}: {value:.2f}.")
    return found
