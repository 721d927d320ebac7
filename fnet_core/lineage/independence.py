"""Were two models trained apart? A test with a p-value for every pair of layers, from two signals of each neuron.

Neurons of two layers are matched twice, by gate and by up signal. Of models trained apart the two matchings have
nothing to do with each other; of related ones both find the same partner. Source: the robust test of Zhu et al. 2025,
arXiv 2502.12292, here on a grid of characters so that models need share neither tokenizer nor width. Models without a
gate are matched by what a neuron reads and what it writes (`neuron_signals`).

Shape legend: L, J layers of the one model and the other, N, M neurons of a layer of either, S sampled neurons,
G grid points, R random orders.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from fnet_core.choices import ORDERS, SAMPLED_NEURONS
from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.lineage.calibration import CONTRADICTED, LEAST_NEURONS, Calibration, calibration_of, check_test
from fnet_core.lineage.joint import CLEAR, ApartTest
from fnet_core.lineage.layer_map import align, in_words, strays
from fnet_core.lineage.signatures import Form, LayerSignals, Recorded, differ
from fnet_core.progress import Report, part_of, silent

FLOOR = calibration_of("gated").floor
"""The smallest p that is reported of models with a gate, whatever a formula says."""

LEVEL = 0.01
"""Two layers match where their p, times the number of pairs of layers, is below this."""


class Neurons(Protocol):
    """One model's neurons, in the model itself or in its fingerprint."""

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def form(self) -> Form:
        """Which two signals its neurons have."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons of each layer."""

    def blocks(self) -> list[list[int]]:
        """The layers in stretches that are to be read together."""

    def read(
        self, layers: Sequence[int], neurons: Sequence[np.ndarray] | None = None, report: Report = silent
    ) -> list[LayerSignals]:
        """The signals of some layers, of all neurons or of those listed for each."""


@dataclass(frozen=True, eq=False)
class Matched:
    """What two models' neurons gave, the names apart."""

    z_LJ: np.ndarray
    neurons: int
    order_p: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Independence(Described):
    """What the two matchings of every pair of layers say about whether two models were trained apart."""

    a: str
    b: str
    z_LJ: np.ndarray
    """float64: Spearman's rho of the matchings times sqrt(neurons - 1); standard normal for models trained apart."""
    neurons: int
    """Matched in each pair of layers."""
    points: int
    """Characters of the text at which signals were read."""
    recipe: dict[str, Any]
    seconds: float
    form: Form = "gated"
    from_files: bool = False
    """Whether the signals came from fingerprints, as signs of random projections, and not from the models."""
    order_p: float | None = None
    """Exact, from `ORDERS` random orders: do neurons of the same number agree more than any others? None where the two
    do not share their shape. Small where both began from the same weights and kept their order; large says nothing."""

    @property
    def floor(self) -> float:
        """The smallest p that the calibration supports."""
        return self.calibration.floor

    @property
    def calibration(self) -> Calibration:
        """What was measured of the test on models of this form."""
        return calibration_of(self.form)

    @property
    def p_LJ(self) -> np.ndarray:
        """The p-value of each pair of layers alone, one-sided, from the normal distribution."""
        return norm.sf(self.z_LJ)

    @property
    def nominal_p(self) -> float:
        """The smallest p of all pairs of layers times their number (Bonferroni), at most 1."""
        return float(min(1.0, self.p_LJ.min() * self.z_LJ.size))

    @property
    def p(self) -> float:
        """The p-value of the two models: `nominal_p`, but no smaller than the calibration supports."""
        return self.calibration.p_of(self.nominal_p)

    @property
    def contradicted(self) -> bool:
        """Whether it is contradicted that the two were trained apart, see `CONTRADICTED`."""
        return self.nominal_p <= CONTRADICTED

    @property
    def matched_J(self) -> np.ndarray:
        """For each layer of b the layer of a that it matches, in order of depth, int64; -1 for none."""
        return align(self._scores_LJ())

    @property
    def matched_L(self) -> np.ndarray:
        """For each layer of a the layer of b that it matches, as `matched_J`."""
        return align(self._scores_LJ().T)

    def swapped(self) -> "Independence":
        """The same with a and b exchanged."""
        return replace(self, a=self.b, b=self.a, z_LJ=self.z_LJ.T)

    def _scores_LJ(self) -> np.ndarray:
        return np.where(self.p_LJ * self.z_LJ.size < LEVEL, self.z_LJ, 0.0)

    def _names(self) -> tuple[str, str]:
        return (self.a, self.b) if self.a != self.b else ("A", "B")

    @property
    def sentence(self) -> str:
        """What p is and how it came about."""
        a, b = self._names()
        how = f"the smallest p of {self.z_LJ.size:,} pairs of layers times their number (Bonferroni)"
        if self.contradicted:
            shown = f"{self.nominal_p:.1g}" if self.nominal_p else "below 1e-300"
            supported = f"calibration on {self.calibration.pairs:,} independent pairs supports"
            return (
                f"That {a} and {b} were trained apart is contradicted: p at most {self.floor:.3f}, which is all that a "
                f"{supported}; the formula gives {shown}, {how}."
            )
        if self.p < CLEAR:
            return f"Whether {a} and {b} were trained apart is not clear: p {self.p:.2g}, {how}."
        return f"Nothing here contradicts that {a} and {b} were trained apart: p {self.p:.2g}, {how}."

    @property
    def layers_in_words(self) -> list[str]:
        """Which layers match which, are missing, new or doubled."""
        scores_LJ = self._scores_LJ()
        partner_J = align(scores_LJ)
        return in_words(partner_J, strays(scores_LJ, partner_J), len(self.z_LJ), *self._names())

    def table(self) -> pd.DataFrame:
        """One row per pair of layers: layer_a, layer_b, z, p, matched."""
        layers, others = self.z_LJ.shape
        return pd.DataFrame(
            {
                "layer_a": np.repeat(np.arange(layers), others),
                "layer_b": np.tile(np.arange(others), layers),
                "z": self.z_LJ.ravel(),
                "p": self.p_LJ.ravel(),
                "matched": (np.arange(layers)[:, None] == self.matched_J).ravel(),
            }
        )

    def evidence(self) -> ApartTest:
        """What a verdict takes from it."""
        return apart_test(self.form, self.nominal_p, self.z_LJ.shape[1], int((self.matched_J >= 0).sum()))

    def summary(self) -> dict[str, Any]:
        """The JSON object that the command line prints."""
        return {
            "a": self.a,
            "b": self.b,
            "p": self.p,
            "p_floor": self.floor,
            "calibrated_pairs": self.calibration.pairs,
            "calibration": self.calibration.sentence,
            "nominal_p": self.nominal_p,
            "contradicted": self.contradicted,
            "correction": "Bonferroni",
            "layer_pairs": self.z_LJ.size,
            "z": [[round(z, 4) for z in row] for row in self.z_LJ.tolist()],
            "matched": self.matched_J.tolist(),
            "sentence": self.sentence,
            "layers": self.layers_in_words,
            "neurons": self.neurons,
            "points": self.points,
            "form": self.form,
            "from_files": self.from_files,
            "order_p": self.order_p,
            "recipe": self.recipe,
            "seconds": self.seconds,
        }

    def plot(self) -> Any:
        """The plotly figure of every layer of a against every layer of b.

        >>> import fnet_core as fn
        >>> fn.independence("tiny", "tiny").plot().data[0].z.shape
        (2, 2)
        """
        return drawn("independence.layer_map", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        return f"Independence of {self.a} and {self.b}", {
            "p": self.sentence,
            "layers": " ".join(self.layers_in_words),
            "read": f"{self.points:,} places of text, {self.neurons} neurons per layer",
        }


def apart_test(form: Form, nominal_p: float, layers: int, matched: int) -> ApartTest:
    """What a verdict takes from a test that gave `nominal_p`, with what the calibration of today says of it."""
    known = calibration_of(form)
    return ApartTest(
        p=known.p_of(nominal_p),
        contradicted=nominal_p <= CONTRADICTED,
        floor=known.floor,
        calibrated=known.pairs,
        layers=layers,
        matched=matched,
        derived=known.derived,
        missed=known.missed,
    )


def independence_of(
    a: Recorded, b: Recorded, *, neurons: int = SAMPLED_NEURONS, seed: int = 0, report: Report = silent
) -> Independence:
    """Test two models by what their fingerprints hold, every layer of the one against every layer of the other.

    RequestError as `match_neurons`, and for signatures read in other ways. `report` gets the stage "matching".
    """
    if why := differ(a.signatures, b.signatures):
        raise RequestError(f"{a.name} and {b.name} cannot be tested for independence, because {why}.")
    start = perf_counter()
    found = match_neurons(a, b, neurons, seed, report)
    return Independence(
        a.name,
        b.name,
        found.z_LJ,
        found.neurons,
        sum(a.signatures.points),
        {"neurons": neurons, "seed": seed},
        round(perf_counter() - start, 3),
        a.form,
        from_files=True,
        order_p=found.order_p,
    )


def match_neurons(a: Neurons, b: Neurons, neurons: int, seed: int, report: Report = silent) -> Matched:
    """z of every layer of a with every layer of b.

    Up to `neurons` of each layer of the narrower model, drawn by the seed, are matched one to one with the neurons of
    the other's layer. Raises RequestError for layers of too few neurons, and for a model with a gate and one without.
    """
    check_test(neurons, seed)
    if a.form != b.form:
        gated, ungated = (a.name, b.name) if a.form == "gated" else (b.name, a.name)
        raise RequestError(
            f"The MLPs of {gated} have a gate and those of {ungated} have none, so their neurons cannot be matched; "
            "compare fingerprints instead (fnet compare)."
        )
    turned = min(b.widths) < min(a.widths)
    narrow, wide = (b, a) if turned else (a, b)
    drawn_neurons, sampled = _sample(narrow, neurons, seed, report)
    z_LJ = np.empty((len(sampled), len(wide.widths)))
    alike: list[np.ndarray] = []
    for block in wide.blocks():
        for layer, other in zip(block, wide.read(block, report=report), strict=True):
            part = part_of(report, layer, z_LJ.shape[1], "matching")
            draws = [np.random.default_rng((seed, row, layer)) for row in range(len(sampled))]
            for row, z in enumerate(_side_by_side(layer_z, sampled, repeat(other), draws, repeat(a.form))):
                part("matching", row / len(sampled))
                z_LJ[row, layer] = z
            if a.widths == b.widths:
                alike.append(sampled[layer].gate_NG @ other.gate_NG[drawn_neurons[layer]].T)
    report("matching", 1.0)
    order_p = order_test(alike, np.random.default_rng((seed, ORDERS))) if a.widths == b.widths else None
    return Matched(z_LJ.T if turned else z_LJ, len(sampled[0].gate_NG), order_p)


def order_test(alike: Sequence[np.ndarray], rng: np.random.Generator) -> float:
    """The exact p of neurons of one number agreeing, from (S, S) likenesses of each layer, all layers together.

    The true order is one of `ORDERS` + 1, the others random. Were two models trained apart, by an algorithm that knows
    no neuron from another, all would be as likely: p is exact, whatever the signals (Zhu et al. 2025, arXiv 2502.12292,
    section 3.1, there on weights).
    """
    true, drawn_R = 0.0, np.zeros(ORDERS)
    for alike_SS in alike:
        rows_S = np.arange(len(alike_SS))
        true += float(alike_SS[rows_S, rows_S].sum())
        orders_RS = rng.permuted(np.tile(rows_S, (ORDERS, 1)), axis=1)
        drawn_R += alike_SS[rows_S, orders_RS].sum(axis=1)
    return float((1 + (drawn_R >= true - 1e-6 * abs(true)).sum()) / (ORDERS + 1))


def matching_z(first_S: np.ndarray, second_S: np.ndarray) -> float:
    """Spearman's rho of two matchings of the same neurons, none used twice in either, times sqrt(S - 1)."""
    first, second = (np.argsort(np.argsort(partners_S)) for partners_S in (first_S, second_S))
    return float(np.corrcoef(first, second)[0, 1] * np.sqrt(len(first) - 1))


def layer_z(own: LayerSignals, other: LayerSignals, rng: np.random.Generator, form: Form = "gated") -> float:
    """z of one pair of layers.

    The other layer's neurons are numbered anew at random, so that a common order of both models' neurons counts for
    nothing, and each matching sees them in an order of its own, so that ties fall independently. The sign of an up
    signal beside a gate is arbitrary.
    """
    number_M = rng.permutation(len(other.gate_NG))
    found = []
    for own_NG, other_NG, ignores_sign in (
        (own.gate_NG, other.gate_NG, False),
        (own.up_NG, other.up_NG, form == "gated"),
    ):
        order_M = rng.permutation(len(number_M))
        r_SM = own_NG @ other_NG[order_M].T
        _, at_S = linear_sum_assignment(np.abs(r_SM) if ignores_sign else r_SM, maximize=True)
        found.append(number_M[order_M[at_S]])
    return matching_z(*found)


def _side_by_side(function: Callable[..., float], *arguments: Iterable[Any]) -> Iterator[float]:
    """What `map` gives, on all processors: scipy's assignment lets other threads run while it works."""
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, *arguments)


def _sample(narrow: Neurons, neurons: int, seed: int, report: Report) -> tuple[list[np.ndarray], list[LayerSignals]]:
    """Equally many neurons of every layer and their signals, those left out whose signals do not vary."""
    count = min(neurons, *narrow.widths)
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(width, count, replace=False) for width in narrow.widths]
    signals = narrow.read(range(len(narrow.widths)), chosen, report)
    varying = [layer.gate_NG.any(axis=1) & layer.up_NG.any(axis=1) for layer in signals]
    count = min(int(kept.sum()) for kept in varying)
    if count < LEAST_NEURONS:
        raise RequestError(
            f"A layer of {narrow.name} has {count} neurons whose signals vary and the independence test needs "
            f"{LEAST_NEURONS}; choose a wider model, or compare fingerprints instead (fnet compare)."
        )
    kept_signals = [
        LayerSignals(layer.gate_NG[kept][:count], layer.up_NG[kept][:count])
        for layer, kept in zip(signals, varying, strict=True)
    ]
    return [each[kept][:count] for each, kept in zip(chosen, varying, strict=True)], kept_signals
