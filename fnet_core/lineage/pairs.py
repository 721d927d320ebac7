"""What the comparison of two fingerprints gave, without its matrices: small, kept, and judged anew whenever it is read.

Shape legend: L, J layers of the one model and the other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fnet_core.choices import RESAMPLES, SAMPLED_NEURONS
from fnet_core.errors import RequestError
from fnet_core.lineage.comparable import check_options
from fnet_core.lineage.comparison import Comparison, compare
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.independence import apart_test
from fnet_core.lineage.joint import ApartTest
from fnet_core.lineage.layer_map import NONE, in_words
from fnet_core.lineage.reference import Reference
from fnet_core.lineage.request import METHOD_VERSION
from fnet_core.lineage.signatures import Form
from fnet_core.lineage.subjects import Subject
from fnet_core.lineage.verdict import Evidence, Verdict, judge
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts, memo
from fnet_core.storage.memo import Found, Kind

KIND = "pair"
FORMAT = 1
VERSION = 1
"""Raised when a comparison gives other numbers than before for the same two fingerprints."""

_A, _B = "A", "B"


@dataclass(frozen=True)
class Neurons:
    """What an independence test found, in a few numbers."""

    form: Form
    nominal_p: float
    order_p: float | None
    matched_J: tuple[int, ...]
    """For each layer of b the layer of a that it matches, -1 for none."""
    matched_L: tuple[int, ...]
    """For each layer of a the layer of b."""

    @property
    def test(self) -> ApartTest:
        """What a verdict takes from it, by the calibration of today."""
        return apart_test(self.form, self.nominal_p, len(self.matched_J), self.matching)

    @property
    def matching(self) -> int:
        """How many layers of b match one of a."""
        return sum(layer != NONE for layer in self.matched_J)

    def swapped(self) -> "Neurons":
        """The same with a and b exchanged."""
        return replace(self, matched_J=self.matched_L, matched_L=self.matched_J)

    def in_words(self, a: str, b: str) -> list[str]:
        """Which layers of b match which of a, in sentences."""
        return in_words(np.array(self.matched_J), {}, len(self.matched_L), a, b)


@dataclass(frozen=True)
class PairEvidence:
    """What two fingerprints gave, the models' names apart: they are called A and B."""

    recipe: dict[str, Any]
    evidence: Evidence
    """Without the test, which `judged` adds as the calibration of today has it."""
    neurons: Neurons | None
    seconds: float

    @property
    def score(self) -> float:
        """Mean matched abs(partial Spearman) of the networks, 0 to 1."""
        return self.evidence.score

    def judged(self, a: str, b: str, reference: Reference | None) -> Verdict:
        """The verdict on both under these names."""
        names = {_A: a, _B: b}
        evidence = replace(
            self.evidence,
            a=a,
            b=b,
            unreadable=tuple(names[side] for side in self.evidence.unreadable),
            unmeasured=tuple(names[side] for side in self.evidence.unmeasured),
            test=self.neurons.test if self.neurons else None,
        )
        return judge(evidence, reference)

    def swapped(self) -> "PairEvidence":
        """The same with a and b exchanged."""
        other = {_A: _B, _B: _A}
        evidence = replace(
            self.evidence,
            usable=self.evidence.usable[::-1],
            spans=self.evidence.spans[::-1],
            unreadable=tuple(other[side] for side in self.evidence.unreadable),
            unmeasured=tuple(other[side] for side in self.evidence.unmeasured),
        )
        return replace(self, evidence=evidence, neurons=self.neurons and self.neurons.swapped())

    def save(self, path: Path) -> None:
        """Write it to one file, whole or not at all; RequestError if the disk refuses."""
        neurons = self.neurons and {k: v for k, v in vars(self.neurons).items() if not k.startswith("matched")}
        header = {
            "recipe": self.recipe,
            "evidence": {name: value for name, value in vars(self.evidence).items() if name != "test"},
            "neurons": neurons,
            "seconds": self.seconds,
        }
        matched = {n: np.array(getattr(self.neurons, n, ()), np.int64) for n in ("matched_J", "matched_L")}
        artifacts.save_artifact(path, KIND, matched, header, FORMAT)

    @classmethod
    def load(cls, path: Path) -> "PairEvidence":
        """Read what `save` wrote; RequestError for a file that is missing, damaged or of another kind."""
        arrays, header = artifacts.load_artifact(path, KIND, FORMAT)
        lists = {name: tuple(value) for name, value in header["evidence"].items() if isinstance(value, list)}
        matched: dict[str, Any] = {name: tuple(array.tolist()) for name, array in arrays.items()}
        return cls(
            header["recipe"],
            Evidence(**header["evidence"] | lists),
            header["neurons"] and Neurons(**header["neurons"], **matched),
            header["seconds"],
        )


PAIRS = Kind(KIND, PairEvidence.load, FORMAT, keyed_since=FORMAT, names=frozenset({"models"}))


def pair_of(
    a: Subject,
    b: Subject,
    read: Callable[[Subject], Fingerprint],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    test: bool = True,
    report: Report = silent,
) -> Found[PairEvidence]:
    """What two subjects' fingerprints give, from the store or compared now from their files, which `read` reads.

    RequestError as `compare`.
    """
    check_options(seed, resamples)
    first, second = _sorted(a, b)
    recipe = recipe_of(a, b, seed=seed, resamples=resamples, test=test)

    def compute() -> PairEvidence:
        found = compare(read(first), read(second), seed=seed, resamples=resamples, test=test, report=report)
        return evidence_of(found, recipe)

    found = memo.answered(PAIRS, recipe, compute)
    return found if a is first else replace(found, answer=found.answer.swapped())


def recipe_of(a: Subject, b: Subject, *, seed: int, resamples: int, test: bool) -> dict[str, Any]:
    """Everything that decides what two fingerprints give, in either order."""
    return {
        "contents": [side.content for side in _sorted(a, b)],
        "models": [side.model.name for side in _sorted(a, b)],
        "seed": seed,
        "resamples": resamples,
        "neurons": SAMPLED_NEURONS if test else 0,
        "versions": [METHOD_VERSION, VERSION],
    }


def _sorted(a: Subject, b: Subject) -> list[Subject]:
    return sorted((a, b), key=lambda side: side.content)


def evidence_of(found: Comparison, recipe: dict[str, Any]) -> PairEvidence:
    """What is kept of a comparison."""
    sides = ((_A, found.a), (_B, found.b))
    evidence = replace(
        found.evidence(),
        a=_A,
        b=_B,
        unreadable=tuple(letter for letter, side in sides if not side.reads_probes),
        unmeasured=tuple(letter for letter, side in sides if side.bits_per_byte is None),
        test=None,
    )
    neurons = None
    if apart := found.independence:
        matched = tuple(apart.matched_J.tolist()), tuple(apart.matched_L.tolist())
        neurons = Neurons(apart.form, apart.nominal_p, apart.order_p, *matched)
    return PairEvidence(recipe, evidence, neurons, apart.seconds if apart else 0.0)


def evidence_or_why(
    a: Subject, b: Subject, read: Callable[[Subject], Fingerprint], **choices: Any
) -> PairEvidence | str:
    """As `pair_of`, or the sentence on why the two cannot be compared."""
    try:
        return pair_of(a, b, read, **choices).answer
    except RequestError as error:
        return str(error)
