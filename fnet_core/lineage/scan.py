"""Which of many known fingerprints could be a model's parent: a set with stated coverage, "none" included.

A candidate is left out only where everything that was measured is against it, so the set is large where little is known
and empty but for "none" where nothing fits. The idea of an answer as a set, with a promise of how often it holds the
true one, is that of model provenance sets (arXiv 2602.00772); the rule and its calibration are this project's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from fnet_core.checks import check_range
from fnet_core.choices import RESAMPLES
from fnet_core.drawing import Described
from fnet_core.errors import RequestError
from fnet_core.lineage.audit import AuditPair, Shelf, judged
from fnet_core.lineage.calibration import calibration_of
from fnet_core.lineage.comparable import check_options
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.kinship import Cut, cut_between
from fnet_core.lineage.nearest import Vectors, vector_of
from fnet_core.lineage.pairs import PairEvidence, evidence_or_why
from fnet_core.lineage.reference import Reference, load_reference
from fnet_core.lineage.signatures import FORMS
from fnet_core.lineage.subjects import Failure, Subject, Taken
from fnet_core.progress import Report, silent

if TYPE_CHECKING:
    from fnet_core.engine.client import Engine

CONFIDENCE = 0.95
"""Of the lower bound on the coverage."""


@dataclass(frozen=True)
class Coverage:
    """How often a set holds the true parent, if that is among the candidates, by what it was measured on."""

    kept: int
    """Derived pairs that the rule keeps."""
    of: int
    """Derived pairs that it was measured on."""
    source: str
    """Which they are."""

    @property
    def share(self) -> float:
        """The share that was kept."""
        return self.kept / self.of

    @property
    def at_least(self) -> float:
        """The lower bound with 95 % confidence, one-sided (Clopper and Pearson)."""
        return float(beta.ppf(1 - CONFIDENCE, self.kept, self.of - self.kept + 1)) if self.kept else 0.0

    @property
    def sentence(self) -> str:
        """The coverage in words."""
        return (
            f"{self.kept} of {self.of} parents were kept, {self.share:.0%}, at least {self.at_least:.0%} with 95 % "
            f"confidence ({self.source})"
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """One known model, and whether it could be the parent."""

    subject: Subject
    pair: AuditPair
    possible: bool
    reason: str
    """Why it stays or goes, in half a sentence."""
    cut: Cut | None
    """Which of the two is cut or doubled from the other, where shapes tell; the scanned model is 0, this one 1."""


@dataclass(frozen=True, eq=False, repr=False)
class Scan(Described):
    """Which of the known models could be the parent of one."""

    model: Subject
    candidates: tuple[Candidate, ...]
    """Most alike first."""
    failures: tuple[Failure, ...]
    none_possible: bool
    """Whether it may well descend from none of them."""
    coverages: tuple[Coverage, ...]
    """By what each of the candidates was judged; the smallest holds for the whole set."""
    tested: int
    floor: float
    """The smallest p that the calibration supports for one pair."""
    screened: int
    """Known models that were not compared, because others are nearer by the vector of `nearest`."""
    seconds: float

    @property
    def possible(self) -> tuple[str, ...]:
        """The names in the set, without "none"."""
        return tuple(each.subject.label for each in self.candidates if each.possible)

    @property
    def sentence(self) -> str:
        """The set."""
        named = ", ".join([*self.possible, *(["none of them"] if self.none_possible else [])])
        return f"The parent of {self.model.label} could be: {named}."

    def sentences(self) -> list[str]:
        """The set, its coverage, what speaks for "none", and what a member of it need not be."""
        compared = [each for each in self.candidates if each.pair.evidence]
        lines = [self.sentence]
        if self.coverages:
            worst = min(self.coverages, key=lambda coverage: coverage.at_least)
            lines.append(
                f"Coverage: if the parent is among the {len(compared)} models compared, it stands in this set in at "
                f"least {worst.at_least:.0%} of cases (95 % confidence), as far as it is like the pairs measured: "
                + "; ".join(coverage.sentence for coverage in self.coverages)
                + "."
            )
        if self.screened:
            lines.append(
                f"Only the {len(self.candidates)} nearest by a short vector of {len(self.candidates) + self.screened} "
                "were compared, and the coverage is of these; of known relatives the ten nearest held 182 of 182 "
                "(docs/scaling.md)."
            )
        lines.append(self._none_sentence())
        if self.possible:
            lines.append(
                "A member need not be the parent: a sibling or a child of the model looks the same by numbers."
            )
        for each in self.candidates:
            if each.cut:
                source, result = (self.model.label, each.subject.label)[:: 1 if each.cut.source == 0 else -1]
                role = "rather a child of it" if each.cut.source == 0 else "a parent that fits"
                lines.append(f"{result} {each.cut.why.format(source=source)}: {each.subject.label} is {role}.")
        refused = [each for each in self.candidates if each.pair.evidence is None]
        if refused:
            lines.append(
                f"{len(refused)} could not be compared, and the coverage says nothing of them. The first: "
                f"{refused[0].pair.why}"
            )
        lines += [f"{failure.label} could not be read: {failure.why}" for failure in self.failures]
        return lines

    def _none_sentence(self) -> str:
        bound = min(1.0, self.tested * self.floor)
        measured = (
            f"by measurement the chance that one of {self.tested} unrelated models is taken for a relative is at most "
            f"{bound:.2g}"
        )
        if self.none_possible:
            return "That it descends from none of them is possible: of no candidate is it contradicted."
        return f"That it descends from none of them, nor shares an origin with one, is contradicted; {measured}."

    def table(self) -> pd.DataFrame:
        """One row per candidate: label, possible, outcome, score, p, holm_p, nominal_p, holm_nominal_p, reason."""
        names = ("outcome", "score", "p", "holm_p", "nominal_p", "holm_nominal_p")
        return pd.DataFrame(
            [
                {"label": each.subject.label, "possible": each.possible}
                | {name: getattr(each.pair, name) for name in names}
                | {"reason": each.reason}
                for each in self.candidates
            ],
            columns=["label", "possible", *names, "reason"],
        )

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        table = self.table().astype(object)
        return {
            "model": {"label": self.model.label, "model": vars(self.model.model)},
            "possible": list(self.possible),
            "none_possible": self.none_possible,
            "coverage": [vars(each) | {"share": each.share, "at_least": each.at_least} for each in self.coverages],
            "candidates": table.where(table.notna(), None).to_dict("records"),
            "failed": [vars(failure) for failure in self.failures],
            "words": self.sentences(),
            "tested": self.tested,
            "screened": self.screened,
            "seconds": self.seconds,
        }

    def _description(self) -> tuple[str, dict[str, object]]:
        facts: dict[str, object] = {f"{number}": line for number, line in enumerate(self.sentences(), start=1)}
        return f"Scan of {self.model.label} against {len(self.candidates)} models", facts


def scan(
    model: Subject,
    known: Taken,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    test: bool = True,
    nearest: int | None = None,
    reference: Reference | None = None,
    engine: "Engine | None" = None,
    report: Report = silent,
) -> Scan:
    """Compare one model with each known one, from the store where it has the pair, and tell which could be its parent.

    A candidate stays unless its independence test gives a p that models trained apart had and its score is below that
    of every known derived pair; where there is neither, it stays. "None" stays unless a candidate is related as in an
    audit (`AuditPair.basis`), p-values corrected for all candidates. With `nearest` only so many are compared, those
    that a short vector puts first, and the set speaks of these alone. With an `engine` its workers compare what the
    store lacks. `report` gets the stage "comparing". Raises RequestError where nothing is known to compare with.
    """
    check_options(seed, resamples)
    check_nearest(nearest)
    if not known.subjects:
        raise RequestError("There is no known fingerprint to scan against; name a folder that holds some.")
    reference = load_reference() if reference is None else reference
    start = perf_counter()
    shelf = Shelf()
    near = _nearest(model, known.subjects, nearest, shelf)
    subjects = (model, *near)
    found: list[PairEvidence | str] = []
    if engine:
        from fnet_core.lineage.elsewhere import compare_by

        places = [(0, at) for at in range(1, len(subjects))]
        compare_by(engine, subjects, places, report, seed=seed, resamples=resamples, test=test)
    for number, other in enumerate(near):
        report("comparing", 1.0 if engine else number / len(near))
        found.append(evidence_or_why(model, other, shelf, seed=seed, resamples=resamples, test=test))
    report("comparing", 1.0)
    pairs = judged(subjects, [(0, at) for at in range(1, len(subjects))], found, reference)
    candidates = [_candidate(subjects, pair, reference) for pair in pairs]
    tests = [pair.evidence.neurons for pair in pairs if pair.evidence and pair.evidence.neurons]
    return Scan(
        model=model,
        candidates=tuple(sorted(candidates, key=lambda each: (not each.possible, -(each.pair.score or 0.0)))),
        failures=known.failures,
        none_possible=not any(pair.basis for pair in pairs),
        coverages=_coverages([pair.evidence for pair in pairs if pair.evidence], reference),
        tested=sum(pair.holm_p is not None for pair in pairs),
        floor=max((neurons.test.floor for neurons in tests), default=0.0),
        screened=len(known.subjects) - len(near),
        seconds=round(perf_counter() - start, 3),
    )


def check_nearest(nearest: int | None) -> None:
    """RequestError for a number of nearest models to compare that is none."""
    if nearest is not None:
        check_range(nearest, 1, math.inf, f"{nearest} nearest models are", "choose 1 or more, such as 20")


def _nearest(
    model: Subject, known: tuple[Subject, ...], count: int | None, read: Callable[[Subject], Fingerprint]
) -> tuple[Subject, ...]:
    """Those of the known models that are to be compared, only such as were taken as the model was where there are."""
    if count is None or count >= len(known):
        return known
    own = read(model)
    alike = [each for each in known if each.protocol == own.protocol_digest]
    if not alike:
        return known[:count]
    vectors_FD = np.stack([vector_of(read(each)) if each.vector_D is None else each.vector_D for each in alike])
    places, _ = Vectors.of([each.label for each in alike], vectors_FD).nearest(vector_of(own)[None], count)
    return tuple(alike[at] for at in places[0])


def _candidate(subjects: Sequence[Subject], pair: AuditPair, reference: Reference | None) -> Candidate:
    other = subjects[pair.b]
    if pair.evidence is None:
        return Candidate(other, pair, True, "not compared", None)
    for_it = _for_it(pair.evidence, reference)
    neurons = pair.evidence.neurons
    cut = None
    if neurons and pair.basis:
        cut = cut_between(0, 1, neurons.matched_J, neurons.matched_L, (subjects[0].widths, other.widths))
    if for_it:
        return Candidate(other, pair, True, ", ".join(for_it), cut)
    if neurons is None and lowest_derived(pair.evidence, reference) is None:
        return Candidate(other, pair, True, "nothing that was measured can rule it out", None)
    return Candidate(other, pair, False, "score and neurons are those of models trained apart", None)


def _for_it(found: PairEvidence, reference: Reference | None) -> list[str]:
    """What forbids leaving a candidate out."""
    reasons = []
    if found.evidence.same_model:
        reasons.append("the same model")
    if found.neurons and found.neurons.nominal_p < calibration_of(found.neurons.form).smallest:
        reasons.append("no models trained apart had so small a p")
    lowest = lowest_derived(found, reference)
    if lowest is not None and found.score >= lowest:
        reasons.append(f"its score is that of known derived pairs ({lowest:.2f} and above)")
    return reasons


def lowest_derived(found: PairEvidence, reference: Reference | None) -> float | None:
    """The lowest score of the known derived pairs, where they were measured as this one."""
    evidence = found.evidence
    if reference is None or reference.protocol != evidence.protocol or any(evidence.spans):
        return None
    return min(reference.scores("derived"), default=None)


def _coverages(found: Sequence[PairEvidence], reference: Reference | None) -> tuple[Coverage, ...]:
    """What the rule was measured on, for each way in which candidates were judged."""
    result = []
    for form in FORMS:
        if any(each.neurons and each.neurons.form == form for each in found):
            known = calibration_of(form)
            source = f"independence test, small models trained here, {form}, `python -m benchmarks.independence`"
            result.append(Coverage(known.derived - known.missed, known.derived, source))
    if reference and any(each.neurons is None and lowest_derived(each, reference) is not None for each in found):
        derived = len(reference.scores("derived"))
        # each held against the lowest of the others: the lowest of all is the one that is left out
        result.append(Coverage(derived - 1, derived, f"score alone, reference pairs, `{reference.command}`"))
    return tuple(result)
