"""Gate and up signals of MLP neurons on the character grid, so that neurons of any two models can be correlated.

Shape legend: N neurons of a layer, G grid points of all passages side by side, T tokens of one passage.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from fnet_core.activations.hooks import touching_taps
from fnet_core.activations.reading import read_subjects, tokenize
from fnet_core.errors import RequestError
from fnet_core.lineage.grid import STEP, grid_positions, tokens_at
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import Tap, check_dense, mlp_projections, site_widths
from fnet_core.models.structure import family_of
from fnet_core.progress import Report, silent
from fnet_core.texts import Passage

POINTS = 2048
"""The most grid points that are read; longer texts are read at wider steps."""


@dataclass(frozen=True, eq=False)
class LayerSignals:
    """A layer's two signals per neuron, in each passage centred and all together of norm 1; zeros where constant."""

    gate_NG: np.ndarray
    """float32: what enters the activation function."""
    up_NG: np.ndarray
    """float32: what its value is multiplied with."""


def check_gated(loaded: LoadedModel) -> None:
    """RequestError for a model whose neurons do not have the two signals."""
    check_dense(loaded.model, "the independence test")
    if not family_of(loaded.model.config).gated:
        raise RequestError(
            f"{loaded.name} is a {loaded.family} model, whose MLPs have no gate, and the independence test matches "
            "neurons by gate and by up signal; compare fingerprints instead (fnet compare)."
        )


def points_of(passages: Sequence[Passage]) -> list[np.ndarray]:
    """The characters of each passage that are read, `STEP` apart or as many times that as keeps within `POINTS`."""
    count = sum(len(grid_positions(len(passage.text))) for passage in passages)
    step = STEP * -(-count // POINTS)
    return [grid_positions(len(passage.text), step) for passage in passages]


def read_signals(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    layers: Sequence[int],
    neurons: Sequence[np.ndarray] | None = None,
    report: Report = silent,
) -> list[LayerSignals]:
    """The signals of some layers, of all their neurons or of the `neurons` listed for each, in one pass over the text.

    RequestError where `check_gated` or the reading refuses.
    """
    check_gated(loaded)
    mlps = [mlp_projections(loaded.model)[layer] for layer in layers]
    widths = [site_widths(loaded.model, "mlp")[layer] for layer in layers]
    chosen = [np.arange(width) for width in widths] if neurons is None else list(neurons)
    positions = points_of(passages)
    edges = [0, *np.cumsum([len(found) for found in positions])]
    signals = [LayerSignals(*(np.zeros((len(kept), edges[-1]), np.float32) for _ in "gu")) for kept in chosen]
    places = [_places(loaded, passage, found) for passage, found in zip(passages, positions, strict=True)]
    passage = 0

    def keep(into: str, layer: int, activation: Tensor) -> None:
        flat_TN = activation.reshape(-1, activation.shape[-1])[places[passage].to(activation.device)]
        part_TN = flat_TN[:, -widths[layer] :] if into == "up_NG" else flat_TN[:, : widths[layer]]
        part_NG = part_TN.float().cpu().numpy().T[chosen[layer]]
        getattr(signals[layer], into)[:, edges[passage] : edges[passage + 1]] = _units(part_NG)

    gates, ups = ([Tap(mlp.up[at], "output") for mlp in mlps] for at in (0, -1))
    with touching_taps(gates, partial(keep, "gate_NG")), touching_taps(ups, partial(keep, "up_NG")):
        for _ in read_subjects(loaded, passages, "mlp_out", report):
            passage += 1
    scale = np.float32(1 / np.sqrt(len(passages)))
    for layer in signals:
        layer.gate_NG[:] *= scale
        layer.up_NG[:] *= scale
    return signals


def _places(loaded: LoadedModel, passage: Passage, positions_G: np.ndarray) -> Tensor:
    """The tokens, special ones counted, that hold at some characters of a passage, (G,) int64."""
    tokens = tokenize(loaded, passage)
    at_G = tokens_at(positions_G, tokens.offsets_T2[tokens.text_T].numpy())
    return tokens.text_T.nonzero().flatten()[torch.from_numpy(at_G)]


def _units(signals_NG: np.ndarray) -> np.ndarray:
    """Rows centred and with norm 1; zeros where next to nothing varies."""
    centred_NG = signals_NG - signals_NG.mean(axis=1, keepdims=True)
    norm_N1 = np.linalg.norm(centred_NG, axis=1, keepdims=True)
    varies_N1 = norm_N1 > 1e-5 * np.linalg.norm(signals_NG, axis=1, keepdims=True)
    return np.divide(centred_NG, norm_N1, out=np.zeros_like(centred_NG), where=varies_N1)
