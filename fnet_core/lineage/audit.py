"""Many models against each other: every pair compared from its files, p-values corrected, families in words."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from fnet_core.choices import RESAMPLES
from fnet_core.drawing import Described, drawn
from fnet_core.lineage.calibration import CONTRADICTED, calibration_of
from fnet_core.lineage.comparable import check_options
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.holm import holm
from fnet_core.lineage.joint import CLEAR
from fnet_core.lineage.kinship import Basis, Cut, Family, Relation, cut_between, families
from fnet_core.lineage.pairs import PairEvidence, evidence_or_why
from fnet_core.lineage.reference import Reference, load_reference
from fnet_core.lineage.subjects import Failure, Subject, Taken, check_enough
from fnet_core.lineage.verdict import Verdict
from fnet_core.progress import Report, silent

if TYPE_CHECKING:
    from fnet_core.engine.client import Engine

HELD = 8
"""Fingerprints that are held in memory at once; the others are read again from their files."""

INCOMPARABLE = "not comparable"
"""The outcome of two fingerprints that were not taken alike."""


@dataclass(frozen=True, eq=False)
class AuditPair:
    """One pair of an audit."""

    a: int
    b: int
    """Places in the audit's list of subjects."""
    evidence: PairEvidence | None
    verdict: Verdict | None
    why: str
    """Why the two could not be compared, in a sentence; empty where they were."""
    holm_p: float | None
    """The p of the independence test, as the calibration supports it, corrected for all pairs tested."""
    holm_nominal_p: float | None
    """The same of the p that the formula gives."""

    @property
    def outcome(self) -> str:
        """The verdict in a word for people, as `Comparison.outcome`, or "not comparable"."""
        if self.evidence is None or self.verdict is None:
            return INCOMPARABLE
        return "same model" if self.evidence.evidence.same_model else self.verdict.outcome

    @property
    def score(self) -> float | None:
        """Mean matched abs(partial Spearman), 0 to 1."""
        return self.evidence.score if self.evidence else None

    @property
    def p(self) -> float | None:
        """The p of the independence test, no smaller than the calibration supports; None where it was not made."""
        return self.evidence.neurons.test.p if self.evidence and self.evidence.neurons else None

    @property
    def nominal_p(self) -> float | None:
        """The p that the formula gives."""
        return self.evidence.neurons.nominal_p if self.evidence and self.evidence.neurons else None

    @property
    def basis(self) -> Basis | None:
        """What says that the two are related: the verdict, or the test alone; None where nothing does.

        A test counts where the formula's p contradicts that the two were trained apart and is below 5 % after the
        correction for all pairs.
        """
        rejected = self.holm_nominal_p is not None and self.holm_nominal_p <= CLEAR
        if self.outcome == "same model":
            return "verdict"
        if self.outcome == "derived" and (rejected or self.nominal_p is None):
            return "verdict"
        contradicted = self.nominal_p is not None and self.nominal_p <= CONTRADICTED
        return "neurons" if contradicted and rejected else None


@dataclass(frozen=True, eq=False, repr=False)
class Audit(Described):
    """Every pair of some models, with p-values corrected for their number, and the families that they form."""

    subjects: tuple[Subject, ...]
    failures: tuple[Failure, ...]
    """Models that could not be read; the others were compared all the same."""
    pairs: tuple[AuditPair, ...]
    """Every pair of subjects, (0, 1) first, then (0, 2)."""
    families: tuple[Family, ...]
    seed: int
    resamples: int
    test: bool
    """Whether independence was to be tested."""
    seconds: float

    @property
    def labels(self) -> list[str]:
        """What the subjects are called, no two alike."""
        return [subject.label for subject in self.subjects]

    @cached_property
    def _places(self) -> dict[tuple[int, int], AuditPair]:
        return {(pair.a, pair.b): pair for pair in self.pairs}

    def pair(self, a: int, b: int) -> AuditPair:
        """The pair of two subjects by their places, in either order; KeyError for one model with itself."""
        return self._places[min(a, b), max(a, b)]

    @cached_property
    def ranked(self) -> list[AuditPair]:
        """The pairs, related ones first, most alike first."""
        return sorted(self.pairs, key=lambda pair: (pair.basis is None, -(pair.score or 0.0)))

    @property
    def tested(self) -> int:
        """Pairs that have a p-value to correct: tested, and not one model given twice."""
        return sum(pair.holm_p is not None for pair in self.pairs)

    @cached_property
    def order(self) -> list[int]:
        """The subjects with families together, largest first, then those without one: for matrices."""
        members = [model for family in self.families for model in self.members(family)]
        return members + [model for model in range(len(self.subjects)) if model not in members]

    @staticmethod
    def members(family: Family) -> list[int]:
        """The members of a family, its centre first."""
        return [family.centre, *(model for model in family.members if model != family.centre)]

    def family_of(self, model: int) -> int | None:
        """The number of a subject's family, from 0; None where it has none."""
        return next((at for at, family in enumerate(self.families) if model in family.members), None)

    def cut(self, a: int, b: int) -> Cut | None:
        """Which of two related subjects is cut or doubled from the other, where shapes tell."""
        pair = self.pair(a, b)
        neurons = pair.evidence.neurons if pair.evidence else None
        if neurons is None or pair.basis is None:
            return None
        widths = self.subjects[pair.a].widths, self.subjects[pair.b].widths
        return cut_between(pair.a, pair.b, neurons.matched_J, neurons.matched_L, widths)

    def table(self) -> pd.DataFrame:
        """One row per pair: a, b, outcome, score and its interval, four p-values, layers that match, family.

        `low` and `high` are the 95 % interval, `matched` of b's `layers` match one of a, `family` counts from 1.
        """
        found = pd.DataFrame([self._row(pair) for pair in self.pairs], columns=list(_COLUMNS))
        return found.astype(dict.fromkeys(("layers", "matched", "family"), "Int64"))

    def _row(self, pair: AuditPair) -> dict[str, Any]:
        known = pair.evidence
        interval = known.evidence.interval if known else None
        family = self.family_of(pair.a)
        return {
            "a": self.subjects[pair.a].label,
            "b": self.subjects[pair.b].label,
            "outcome": pair.outcome,
            "score": pair.score,
            "low": interval[0] if interval else None,
            "high": interval[1] if interval else None,
            "p": pair.p,
            "holm_p": pair.holm_p,
            "nominal_p": pair.nominal_p,
            "holm_nominal_p": pair.holm_nominal_p,
            "layers": len(known.neurons.matched_J) if known and known.neurons else None,
            "matched": known.neurons.matching if known and known.neurons else None,
            "family": family + 1 if family is not None and pair.b in self.families[family].members else None,
        }

    def models(self) -> pd.DataFrame:
        """One row per model given, those that failed last: label, state, family, and what its fingerprint says."""
        rows: list[dict[str, Any]] = []
        for at, subject in enumerate(self.subjects):
            family, model = self.family_of(at), subject.model
            rows.append(
                {
                    "label": subject.label,
                    "state": "compared" if subject.reads_probes else "compared; it hardly reads the passages",
                    "family": None if family is None else family + 1,
                    "architecture": model.family,
                    "layers": model.layers,
                    "width": model.width,
                    "parameters": model.parameters,
                    "weights": model.digest[:16],
                }
            )
        rows += [{"label": failure.label, "state": f"failed: {failure.why}"} for failure in self.failures]
        return pd.DataFrame(rows).astype(
            {name: "Int64" for name in ("family", "layers", "width", "parameters") if rows[0].keys() >= {name}}
        )

    def sentences(self) -> list[str]:
        """The families, who is near whom, and what no family holds, in words."""
        from fnet_core.lineage.audit_words import told

        return told(self)

    def headlines(self) -> list[str]:
        """`sentences` in short: one for each family, and what no family holds."""
        from fnet_core.lineage.audit_words import told

        return told(self, detail=False)

    @property
    def correction(self) -> str:
        """What was corrected for, and what so many pairs can show, in words."""
        if not self.tested:
            return "No pair was tested for independence, so there is no p-value to correct."
        floors = {pair.evidence.neurons.test.floor for pair in self.pairs if pair.evidence and pair.evidence.neurons}
        smallest = min(1.0, self.tested * min(floors))
        calibrated = max(calibration_of(form).pairs for form in ("gated", "ungated"))
        told = (
            f"p-values are corrected for {self.tested:,} pairs tested (Holm: the chance of one wrong rejection among "
            f"them all). Measured on {calibrated:,} pairs trained apart, no p after it can be below {smallest:.2g}"
        )
        if smallest > CLEAR:
            told += ", which is not small: with so many pairs, what is called related rests on the formula's p"
        return told + "."

    def plot(self) -> Any:
        """The plotly figure of every pair: score by colour, verdict by sign.

        >>> import fnet_core as fn
        >>> bool(fn.audit("tiny", fn.load("tiny"), components=4, threshold=2.0).plot().data)
        True
        """
        return drawn("audit.matrix", self)

    def plot_tree(self) -> Any:
        """The plotly figure of the families, each a tree of nearest relatives.

        >>> import fnet_core as fn
        >>> bool(fn.audit("tiny", fn.load("tiny"), components=4, threshold=2.0).plot_tree().data)
        True
        """
        return drawn("audit.tree", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        facts: dict[str, object] = {f"{number}": line for number, line in enumerate(self.sentences(), start=1)}
        return f"Audit of {len(self.subjects)} models, {len(self.pairs)} pairs", facts

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        table = self.table().astype(object)
        return {
            "models": [
                {"label": s.label, "model": vars(s.model), "family": _from_one(self.family_of(at))}
                for at, s in enumerate(self.subjects)
            ],
            "failed": [vars(failure) for failure in self.failures],
            "pairs": [
                row | {"basis": pair.basis, "statement": pair.verdict.statement if pair.verdict else pair.why}
                for row, pair in zip(table.where(table.notna(), None).to_dict("records"), self.pairs, strict=True)
            ],
            "families": [self._family(family) for family in self.families],
            "words": self.sentences(),
            "correction": self.correction,
            "tested": self.tested,
            "seed": self.seed,
            "resamples": self.resamples,
            "seconds": self.seconds,
        }

    def _family(self, family: Family) -> dict[str, Any]:
        labels = self.labels
        branches = []
        for a, b in family.branches:
            cut, pair = self.cut(a, b), self.pair(a, b)
            branches.append(
                {
                    "a": labels[a],
                    "b": labels[b],
                    "score": pair.score,
                    "basis": pair.basis,
                    "cut_from": labels[cut.source] if cut else None,
                    "cut": f"{labels[cut.result]} {cut.why.format(source=labels[cut.source])}" if cut else None,
                }
            )
        return {
            "members": [labels[model] for model in family.members],
            "centre": labels[family.centre],
            "branches": branches,
            "bridges": [[labels[model] for model in bridge] for bridge in family.bridges],
        }


_COLUMNS = (
    *("a", "b", "outcome", "score", "low", "high", "p", "holm_p"),
    *("nominal_p", "holm_nominal_p", "layers", "matched", "family"),
)


def _from_one(number: int | None) -> int | None:
    return None if number is None else number + 1


class Shelf:
    """Fingerprints read from their files, the last few of them held."""

    def __init__(self, held: int = HELD) -> None:
        self._held = held
        self._found: OrderedDict[str, Fingerprint] = OrderedDict()

    def __call__(self, subject: Subject) -> Fingerprint:
        """The fingerprint of a subject; RequestError if its file is gone or damaged by now."""
        found = self._found.pop(subject.content, None) or subject.read()
        self._found[subject.content] = found
        if len(self._found) > self._held:
            self._found.popitem(last=False)
        return found


def audit(
    taken: Taken,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    test: bool = True,
    reference: Reference | None = None,
    engine: "Engine | None" = None,
    report: Report = silent,
) -> Audit:
    """Compare every pair of what was taken, from the store where it has the pair, and find the families.

    Verdicts are those of two models alone (`comparison.compare`); p-values are corrected for all pairs that were tested
    (Holm), and a relation must survive that. With an `engine` its workers compare what the store lacks.
    `report` gets the stage "comparing" and may raise to stop: what was compared by then is kept. Raises RequestError
    for fewer than two fingerprints.
    """
    check_options(seed, resamples)
    check_enough(taken)
    reference = load_reference() if reference is None else reference
    start = perf_counter()
    subjects = taken.subjects
    shelf = Shelf()
    places = list(combinations(range(len(subjects)), 2))
    if engine:
        from fnet_core.lineage.elsewhere import compare_by

        compare_by(engine, subjects, places, report, seed=seed, resamples=resamples, test=test)
    found: list[PairEvidence | str] = []
    for number, (a, b) in enumerate(places):
        report("comparing", 1.0 if engine else number / len(places))
        pair_report = _within(report, number, len(places))
        choices = {"seed": seed, "resamples": resamples, "test": test, "report": pair_report}
        found.append(evidence_or_why(subjects[a], subjects[b], shelf, **choices))
    report("comparing", 1.0)
    pairs = judged(subjects, places, found, reference)
    relations = {(pair.a, pair.b): Relation(pair.basis, pair.score or 0.0) for pair in pairs if pair.basis is not None}
    outcomes = {(pair.a, pair.b): pair.outcome for pair in pairs}
    return Audit(
        subjects=subjects,
        failures=taken.failures,
        pairs=pairs,
        families=families(len(subjects), relations, lambda a, b: outcomes[a, b] == "independent"),
        seed=seed,
        resamples=resamples,
        test=test,
        seconds=round(perf_counter() - start, 3),
    )


def _within(report: Report, number: int, count: int) -> Report:
    return lambda stage, fraction: report("comparing", (number + fraction) / count)


def judged(
    subjects: Sequence[Subject],
    places: Sequence[tuple[int, int]],
    found: Sequence[PairEvidence | str],
    reference: Reference | None,
) -> tuple[AuditPair, ...]:
    """The pairs with their verdicts, and with p-values corrected for those that were tested."""
    neurons = [
        each.neurons if isinstance(each, PairEvidence) and not each.evidence.same_model else None for each in found
    ]
    known = [at for at, each in enumerate(neurons) if each is not None]
    tests = [each for each in neurons if each is not None]
    supported = dict(zip(known, holm([each.test.p for each in tests]), strict=True))
    nominal = dict(zip(known, holm([each.nominal_p for each in tests]), strict=True))
    result = []
    for at, ((a, b), each) in enumerate(zip(places, found, strict=True)):
        if isinstance(each, str):
            result.append(AuditPair(a, b, None, None, each, None, None))
        else:
            verdict = each.judged(subjects[a].label, subjects[b].label, reference)
            result.append(AuditPair(a, b, each, verdict, "", supported.get(at), nominal.get(at)))
    return tuple(result)
