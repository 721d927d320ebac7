"""Compare two fingerprints: networks matched one to one by what their signals share beyond the text's surface.

Shape legend: K, J networks of a and of b, P passages, M matched pairs, G grid positions, T tokens, B resamples.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fnet_core.choices import RESAMPLES
from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.lineage.cka import LayerSimilarity, compare_layers
from fnet_core.lineage.comparable import check_comparable, check_options
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.independence import Independence, independence_of
from fnet_core.lineage.matching import match, mean_where_known, passage_interval
from fnet_core.lineage.spearman import cut_units, spearman, unexplained, unit_ranks
from fnet_core.lineage.verdict import Evidence, Reference, Verdict, judge, load_reference
from fnet_core.lineage.weight_curves import CurveAgreement, compare_curves
from fnet_core.progress import Report, silent

SHIFTS = (1, 5, 11)
"""By how many passages the one side is moved, either way, for the null of mismatched passages."""

PUBLISHED_CUT = 0.5

NOT_ASKED = "it was not asked for"
"""Why there is no independence test, as half a sentence."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """What two models' networks have in common, not judged yet."""

    a: Fingerprint
    b: Fingerprint
    matrix_KJ: np.ndarray
    """float64: abs partial Spearman of grid signals given the text's surface, averaged over the passages where both
    vary; NaN where they never do."""
    matched_M2: np.ndarray
    """int64: the best one-to-one matching, network of a and network of b, strongest pair first."""
    values_M: np.ndarray
    """The matrix at the matched pairs."""
    passage_values_MP: np.ndarray
    """Abs partial Spearman of each matched pair in each passage; NaN where one of the two does not vary."""
    score: float
    """The mean of `values_M`."""
    plain_score: float
    """The same with the surface left in: matched and averaged abs Spearman."""
    interval: tuple[float, float] | None
    """95 %, from resampling passages; None with fewer than two.

    It covers the choice of passages alone, not what another seed of the ICA would change; see `verdict.MARGIN`.
    """
    null_scores: tuple[float, ...]
    """The score of mismatched passages, one for each shift."""
    published: int
    """Pairs above 0.5 as arXiv 2601.22692 counts: signed Spearman of token series, the longer one cut."""
    left_out_a: tuple[int, ...]
    """Networks of a without a neuron or without a signal that varies."""
    left_out_b: tuple[int, ...]
    curves: CurveAgreement
    layers: LayerSimilarity
    seed: int
    resamples: int
    independence: Independence | None
    """Whether the two were trained apart, layer by layer; None where it was not tested."""
    untested: str
    """Why it was not, as half a sentence."""

    @property
    def same_model(self) -> bool:
        """Whether one model was given twice."""
        return self.a.model.digest == self.b.model.digest

    def swapped(self) -> "Agreement":
        """The same with a and b exchanged."""
        return replace(
            self,
            a=self.b,
            b=self.a,
            matrix_KJ=self.matrix_KJ.T,
            matched_M2=self.matched_M2[:, ::-1],
            left_out_a=self.left_out_b,
            left_out_b=self.left_out_a,
            layers=replace(self.layers, heatmap_LJ=self.layers.heatmap_LJ.T),
            independence=self.independence and self.independence.swapped(),
        )

    def evidence(self) -> Evidence:
        """What a verdict is based on."""
        a, b = self.a, self.b
        return Evidence(
            a=a.model.name,
            b=b.model.name,
            protocol=a.reference_digest,
            secret=a.is_secret,
            score=self.score,
            interval=self.interval,
            null=max(self.null_scores, default=None),
            usable=(len(a) - len(self.left_out_a), len(b) - len(self.left_out_b)),
            components=a.protocol["components"],
            passages=len(a.passages),
            unreadable=tuple(side.model.name for side in (a, b) if not side.reads_probes),
            unmeasured=tuple(side.model.name for side in (a, b) if side.bits_per_byte is None),
            same_model=self.same_model,
            spans=(a.span, b.span),
            weight_curves=self.curves.mean,
            cka=self.layers.middle,
            test=self.independence.evidence() if self.independence else None,
            untested=self.untested,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Described, Agreement):
    """Two models' networks against each other, and what that says of their origin; a and b as the caller named them."""

    verdict: Verdict
    reference: Reference | None
    """What the verdict was held against."""

    @property
    def outcome(self) -> str:
        """The verdict in a word for people: "derived", "independent", "inconclusive", or "same model"."""
        return "same model" if self.same_model else self.verdict.outcome

    def plot(self) -> Any:
        """The plotly figure of the score among the known pairs that the verdict is held against.

        >>> import fnet_core as fn
        >>> bool(fn.compare("tiny", "tiny").plot().data)
        True
        """
        return drawn("lineage.score_on_reference", self)

    def plot_matrix(self) -> Any:
        """The plotly figure of every network of a against every network of b.

        >>> import fnet_core as fn
        >>> bool(fn.compare("tiny", "tiny").plot_matrix().data)
        True
        """
        return drawn("lineage.matrix", self)

    def plot_layers(self) -> Any:
        """The plotly figure of which layer of a matches which of b; RequestError where that was not tested.

        >>> import fnet_core as fn
        >>> fn.compare("tiny", "tiny").plot_layers().data[0].z.shape
        (2, 2)
        """
        if self.independence is None:
            raise RequestError(f"There is no map of layers, because {self.untested}.")
        return self.independence.plot()

    def _description(self) -> tuple[str, dict[str, object]]:
        interval = f" ({self.interval[0]:.2f} to {self.interval[1]:.2f})" if self.interval else ""
        facts: dict[str, object] = {"score": f"{self.score:.2f}{interval}"}
        facts.update({f"reason {number}": reason for number, reason in enumerate(self.verdict.reasons, start=1)})
        return f"{self.outcome}: {self.a.model.name} and {self.b.model.name}", facts

    def table(self) -> pd.DataFrame:
        """One row per matched pair, strongest first: value, network, label, key_neurons and stability of both."""
        columns: dict[str, Any] = {"value": self.values_M}
        for name, side, index_M in (("a", self.a, self.matched_M2[:, 0]), ("b", self.b, self.matched_M2[:, 1])):
            columns |= {
                f"network_{name}": index_M,
                f"label_{name}": [side.labels[k] for k in index_M],
                f"key_neurons_{name}": side.key_counts_KL.sum(axis=1)[index_M],
                f"stability_{name}": side.stability_K[index_M],
            }
        return pd.DataFrame(columns)

    def strongest(self, count: int = 10) -> list[tuple[int, int, float]]:
        """The strongest of all pairs, matched or not: network of a, network of b, abs partial Spearman."""
        flat = np.nan_to_num(self.matrix_KJ, nan=-1.0).ravel()
        order = np.argsort(-flat, kind="stable")[:count]
        rows, columns = np.unravel_index(order[flat[order] >= 0], self.matrix_KJ.shape)
        return [(int(k), int(j), float(self.matrix_KJ[k, j])) for k, j in zip(rows, columns, strict=True)]

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        return {
            "a": vars(self.a.model),
            "b": vars(self.b.model),
            "verdict": self.outcome,
            "statement": self.verdict.statement,
            "score": self.score,
            "interval": list(self.interval) if self.interval else None,
            "plain_score": self.plain_score,
            "reasons": list(self.verdict.reasons),
            "advice": list(self.verdict.advice),
            "cuts": vars(self.verdict.cuts) if self.verdict.cuts else None,
            "second_opinions": {
                "weight_curves": self.curves.mean,
                "cka": self.layers.middle,
                "weight_curves_each": {name: getattr(self.curves, name) for name in "qkvo"},
                "cka_best_layers": self.layers.best,
            },
            "independence": self.independence and self.independence.summary(),
            "untested": self.untested or None,
            "null": {
                "mean": float(np.mean(self.null_scores)) if self.null_scores else None,
                "highest": max(self.null_scores, default=None),
            },
            "published_pairs_above_half": self.published,
            "left_out": {"a": list(self.left_out_a), "b": list(self.left_out_b)},
            "matched": [
                {"a": int(k), "b": int(j), "value": float(v)}
                for (k, j), v in zip(self.matched_M2, self.values_M, strict=True)
            ],
            "strongest": [{"a": k, "b": j, "value": value} for k, j, value in self.strongest()],
            "signatures": {letter: side.summary()["signature"] for letter, side in (("a", self.a), ("b", self.b))},
            "secret_probes": self.a.is_secret,
            "passages": len(self.a.passages),
            "protocol": self.a.protocol_digest,
            "seed": self.seed,
            "resamples": self.resamples,
        }


def compare(
    a: Fingerprint,
    b: Fingerprint,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    reference: Reference | None = None,
    test: bool = True,
    report: Report = silent,
) -> Comparison:
    """Match the networks of two fingerprints and judge, against the stored reference unless another is given.

    No model is needed, and the order of a and b does not change any number. What anybody can read off the text without
    a model (`text_surface`) is taken out of every signal first: models that have learned little else agree in it
    whatever their origin. The interval resamples passages with the matching held fixed: to first order the best
    matching's value changes as if it were fixed, while matching anew would add to every resample, which holds fewer
    different passages, the gain of picking the best pairs by chance. It does not cover the ICA's seed, for which the
    verdict leaves a margin. Where both hold signatures of their neurons, it is tested whether they were trained apart,
    unless `test` is False; `report` gets the stage "matching". Raises RequestError when the fingerprints are of
    different probes or one has no signal at all.
    """
    check_options(seed, resamples)
    check_comparable(a, b)
    reference = load_reference() if reference is None else reference
    if _place(a) <= _place(b):
        found = _agreement(a, b, seed, resamples, test, report)
    else:
        found = _agreement(b, a, seed, resamples, test, report).swapped()
    return Comparison(**vars(found), verdict=judge(found.evidence(), reference), reference=reference)


def signed_agreement(found: Comparison, pair: int, passage: int) -> float:
    """The partial Spearman of one matched pair in one passage with its sign; NaN where one of the two does not vary."""
    surface_GD = found.a.surface()[passage]
    x_1G, y_1G = (
        unexplained(unit_ranks(_grid(side, passage)[[network]]), surface_GD)
        for side, network in zip((found.a, found.b), found.matched_M2[pair], strict=True)
    )
    return float((x_1G @ y_1G.T)[0, 0])


def _place(side: Fingerprint) -> tuple[str, str]:
    """Which side comes first: by its weights, for a fingerprint's whole content holds how long it took, too."""
    return side.model.digest, side.content_digest()


def tested(a: Fingerprint, b: Fingerprint, seed: int, report: Report = silent) -> tuple[Independence | None, str]:
    """The independence test from two fingerprints, or why there is none as half a sentence."""
    try:
        return independence_of(a.recorded(), b.recorded(), seed=seed, report=report), ""
    except RequestError as error:
        told = str(error).rstrip(".")
        return None, told[0].lower() + told[1:]


def _agreement(a: Fingerprint, b: Fingerprint, seed: int, resamples: int, test: bool, report: Report) -> Agreement:
    passages = range(len(a.passages))
    plain_a, plain_b = ([unit_ranks(_grid(side, p)) for p in passages] for side in (a, b))
    surface = a.surface()
    units_a, units_b = (list(map(unexplained, plain, surface)) for plain in (plain_a, plain_b))
    rho_PKJ = _correlations(units_a, units_b)
    usable_a, usable_b = (_usable(side, units) for side, units in ((a, units_a), (b, units_b)))
    for side, usable in ((a, usable_a), (b, usable_b)):
        if not len(usable):
            raise RequestError(
                f"No network of {side.model.name} gives a signal that varies over the text; check that its weights are "
                "not damaged, or lower the threshold."
            )
    matrix_KJ = np.full(rho_PKJ.shape[1:], np.nan)
    inside = np.ix_(usable_a, usable_b)
    matrix_KJ[inside] = mean_where_known(rho_PKJ)[inside]
    matched_M2, values_M = match(matrix_KJ, usable_a, usable_b)
    passage_values_MP = rho_PKJ[:, matched_M2[:, 0], matched_M2[:, 1]].T
    apart, untested = tested(a, b, seed, report) if test else (None, NOT_ASKED)
    return Agreement(
        a=a,
        b=b,
        matrix_KJ=matrix_KJ,
        matched_M2=matched_M2,
        values_M=values_M,
        passage_values_MP=passage_values_MP,
        score=float(values_M.mean()),
        interval=passage_interval(passage_values_MP, resamples, seed),
        plain_score=float(match(mean_where_known(_correlations(plain_a, plain_b)), usable_a, usable_b)[1].mean()),
        null_scores=_null(units_a, units_b, usable_a, usable_b),
        published=_published(a, b, usable_a, usable_b),
        left_out_a=tuple(sorted({*range(len(a))} - {*usable_a.tolist()})),
        left_out_b=tuple(sorted({*range(len(b))} - {*usable_b.tolist()})),
        curves=compare_curves(a.curves_4L, b.curves_4L),
        layers=compare_layers(a.grams_LU, b.grams_LU),
        seed=seed,
        resamples=resamples,
        independence=apart,
        untested=untested,
    )


def _grid(side: Fingerprint, passage: int) -> np.ndarray:
    return side.grid_signals(passage).astype(np.float32)


def _correlations(units_a: list[np.ndarray], units_b: list[np.ndarray]) -> np.ndarray:
    """(P, K, J): abs correlation of all pairs of rows in each passage."""
    return np.abs(np.stack([x_KG @ y_JG.T for x_KG, y_JG in zip(units_a, units_b, strict=True)]))


def _usable(side: Fingerprint, units: list[np.ndarray]) -> np.ndarray:
    """Networks with neurons whose signal varies in some passage, int64."""
    varies_PK = np.stack([~np.isnan(unit_KG[:, 0]) for unit_KG in units])
    return np.flatnonzero(varies_PK.any(axis=0) & ~side.empty_K)


def _null(
    units_a: list[np.ndarray], units_b: list[np.ndarray], usable_a: np.ndarray, usable_b: np.ndarray
) -> tuple[float, ...]:
    """The matched score of a's passage i against b's passage i + shift, cut to the shorter, for each shift."""
    count = len(units_a)
    shifts = sorted({shift * sign % count for shift in SHIFTS for sign in (1, -1)} - {0})
    scores = []
    for shift in shifts:
        cut = []
        for i in range(count):
            x_KG, y_JG = units_a[i], units_b[(i + shift) % count]
            points = min(x_KG.shape[1], y_JG.shape[1])
            cut.append((cut_units(x_KG, points), cut_units(y_JG, points)))
        rho_PKJ = _correlations(*map(list, zip(*cut, strict=True)))
        scores.append(float(match(mean_where_known(rho_PKJ), usable_a, usable_b)[1].mean()))
    return tuple(scores)


def _published(a: Fingerprint, b: Fingerprint, usable_a: np.ndarray, usable_b: np.ndarray) -> int:
    """Pairs of networks whose token series, the longer one cut, correlate above 0.5 on average over passages."""
    rho = []
    for x_KT, y_JT in zip(a.signals, b.signals, strict=True):
        shared = min(x_KT.shape[1], y_JT.shape[1])
        rho.append(spearman(x_KT[usable_a, :shared].astype(np.float32), y_JT[usable_b, :shared].astype(np.float32)))
    return int((mean_where_known(np.stack(rho)) > PUBLISHED_CUT).sum())
