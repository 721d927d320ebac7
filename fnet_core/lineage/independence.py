"""Were two models trained apart? A test with a p-value for every pair of layers, from gate and up signals.

Neurons of two layers are matched twice, by gate and by up signal. Of models trained apart the two matchings have
nothing to do with each other; of related ones both find the same partner. Source: the robust test of Zhu et al. 2025,
arXiv 2502.12292, here on a grid of characters so that models need share neither tokenizer nor width.

Shape legend: L, J layers of the one model and the other, N, M neurons of a layer of either, S sampled neurons,
G grid points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm

from fnet_core.activations.fitting import fitted, reader_of
from fnet_core.choices import SAMPLED_NEURONS
from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.lineage.layer_map import align, in_words, strays
from fnet_core.lineage.neuron_signals import LayerSignals, check_gated, points_of, read_signals
from fnet_core.lineage.request import LEAST_NEURONS, check_test
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import site_widths
from fnet_core.profiling import Stopwatch
from fnet_core.progress import Report, part_of, silent
from fnet_core.texts import Passage

CALIBRATED_PAIRS = 120
"""Independent pairs of models on which p was as it should be: all pairs of 16 (`benchmarks/independence.py`)."""

FLOOR = 1 / (CALIBRATED_PAIRS + 1)
"""The smallest p that so many pairs can support, whatever a formula says."""

LEVEL = 0.01
"""Two layers match where their p, times the number of pairs of layers, is below this."""

BLOCK_BYTES = 512 << 20
"""The most memory for the signals of the wider model; layers that do not fit are read in a further pass."""


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
        """The p-value of the two models: `nominal_p`, but no smaller than the calibration supports (`FLOOR`)."""
        return max(self.nominal_p, FLOOR)

    @property
    def matched_J(self) -> np.ndarray:
        """For each layer of b the layer of a that it matches, in order of depth, int64; -1 for none."""
        return align(self._scores_LJ())

    def _scores_LJ(self) -> np.ndarray:
        return np.where(self.p_LJ * self.z_LJ.size < LEVEL, self.z_LJ, 0.0)

    def _names(self) -> tuple[str, str]:
        return (self.a, self.b) if self.a != self.b else ("A", "B")

    @property
    def sentence(self) -> str:
        """What p is and how it came about."""
        a, b = self._names()
        how = f"the smallest p of {self.z_LJ.size:,} pairs of layers times their number (Bonferroni)"
        if self.nominal_p < FLOOR:
            shown = f"{self.nominal_p:.1g}" if self.nominal_p else "below 1e-300"
            return (
                f"That {a} and {b} were trained apart is contradicted: p at most {FLOOR:.3f}, which is all that a "
                f"calibration on {CALIBRATED_PAIRS} independent pairs supports; the formula gives {shown}, {how}."
            )
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

    def summary(self) -> dict[str, Any]:
        """The JSON object that the command line prints."""
        return {
            "a": self.a,
            "b": self.b,
            "p": self.p,
            "p_floor": FLOOR,
            "calibrated_pairs": CALIBRATED_PAIRS,
            "nominal_p": self.nominal_p,
            "correction": "Bonferroni",
            "layer_pairs": self.z_LJ.size,
            "z": [[round(z, 4) for z in row] for row in self.z_LJ.tolist()],
            "matched": self.matched_J.tolist(),
            "sentence": self.sentence,
            "layers": self.layers_in_words,
            "neurons": self.neurons,
            "points": self.points,
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


def independence(
    a: LoadedModel,
    b: LoadedModel,
    passages: Sequence[Passage],
    *,
    neurons: int = SAMPLED_NEURONS,
    seed: int = 0,
    report: Report = silent,
) -> Independence:
    """Test two loaded models, every layer of the one against every layer of the other.

    Up to `neurons` of each layer of the narrower model, drawn by the seed, are matched one to one with the neurons of
    the other's layer. Raises RequestError for models without gate, layers of too few neurons, and text that cannot be
    read. `report` gets the stages "capturing" and "matching".
    """
    check_test(neurons, seed)
    for model in (a, b):
        check_gated(model)
    cut = fitted(passages, [reader_of(a), reader_of(b)], context_only=True)
    passages = cut.passages
    clock = Stopwatch()
    with clock.stage("testing"):
        turned = _least_width(b) < _least_width(a)
        narrow, wide = (b, a) if turned else (a, b)
        sampled = _sample(narrow, passages, neurons, seed, report)
        count = min(len(layer.gate_NG) for layer in sampled)
        z_LJ = np.empty((len(sampled), len(site_widths(wide.model, "mlp"))))
        for block in _blocks(wide, sum(map(len, points_of(passages)))):
            for layer, other in zip(block, read_signals(wide, passages, block, report=report), strict=True):
                part = part_of(report, layer, z_LJ.shape[1], "matching")
                for row, own in enumerate(sampled):
                    part("matching", row / len(sampled))
                    z_LJ[row, layer] = _z(own, other, np.random.default_rng((seed, row, layer)))
        report("matching", 1.0)
    recipe = {
        "digests": [a.digest, b.digest],
        "passages": [passage.name for passage in passages],
        "neurons": neurons,
        "seed": seed,
    } | ({"cut": cut.note} if cut.note else {})
    points = sum(map(len, points_of(passages)))
    return Independence(
        a.name, b.name, z_LJ.T if turned else z_LJ, count, points, recipe, round(clock.seconds["testing"], 3)
    )


def matching_z(first_S: np.ndarray, second_S: np.ndarray) -> float:
    """Spearman's rho of two matchings of the same neurons, none used twice in either, times sqrt(S - 1)."""
    first, second = (np.argsort(np.argsort(partners_S)) for partners_S in (first_S, second_S))
    return float(np.corrcoef(first, second)[0, 1] * np.sqrt(len(first) - 1))


def _z(own: LayerSignals, other: LayerSignals, rng: np.random.Generator) -> float:
    """z of one pair of layers.

    The other layer's neurons are numbered anew at random, so that a common order of both models' neurons counts for
    nothing, and each matching sees them in an order of its own, so that ties fall independently.
    """
    number_M = rng.permutation(len(other.gate_NG))
    found = []
    for own_NG, other_NG, ignores_sign in (
        (own.gate_NG, other.gate_NG, False),
        (own.up_NG, other.up_NG, True),
    ):
        order_M = rng.permutation(len(number_M))
        r_SM = own_NG @ other_NG[order_M].T
        _, at_S = linear_sum_assignment(np.abs(r_SM) if ignores_sign else r_SM, maximize=True)
        found.append(number_M[order_M[at_S]])
    return matching_z(*found)


def _least_width(loaded: LoadedModel) -> int:
    return min(site_widths(loaded.model, "mlp"))


def _sample(
    loaded: LoadedModel, passages: Sequence[Passage], neurons: int, seed: int, report: Report
) -> list[LayerSignals]:
    """The signals of equally many neurons of every layer, those left out whose signals do not vary."""
    widths = site_widths(loaded.model, "mlp")
    count = min(neurons, *widths)
    rng = np.random.default_rng(seed)
    drawn_neurons = [rng.choice(width, count, replace=False) for width in widths]
    signals = read_signals(loaded, passages, range(len(widths)), drawn_neurons, report)
    varying = [layer.gate_NG.any(axis=1) & layer.up_NG.any(axis=1) for layer in signals]
    count = min(int(kept.sum()) for kept in varying)
    if count < LEAST_NEURONS:
        raise RequestError(
            f"A layer of {loaded.name} has {count} neurons whose signals vary and the independence test needs "
            f"{LEAST_NEURONS}; choose a wider model, or compare fingerprints instead (fnet compare)."
        )
    return [
        LayerSignals(layer.gate_NG[kept][:count], layer.up_NG[kept][:count])
        for layer, kept in zip(signals, varying, strict=True)
    ]


def _blocks(loaded: LoadedModel, points: int) -> list[list[int]]:
    """The layers in stretches whose signals fit into `BLOCK_BYTES` together, one layer at least."""
    blocks: list[list[int]] = [[]]
    room = BLOCK_BYTES
    for layer, width in enumerate(site_widths(loaded.model, "mlp")):
        needed = 2 * 4 * width * points
        if needed > room and blocks[-1]:
            blocks.append([])
            room = BLOCK_BYTES
        blocks[-1].append(layer)
        room -= needed
    return blocks
