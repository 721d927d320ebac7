"""The two signals of MLP neurons on the character grid, so that neurons of any two models can be correlated.

With a gate they are gate and up. Without one the first is what a neuron reads, its input to the activation function,
and the second what it would read if its output weights were its input weights. So the one comes from the input weights
alone and the other from the output weights, as gate and up come from weights of their own.
Shape legend: N neurons of a layer, G grid points of one passage or of all side by side, D inputs of the MLP, or signs
of a passage, in bytes B.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from fnet_core.activations.hooks import touching_taps
from fnet_core.activations.reading import read_subjects, tokenize
from fnet_core.lineage.grid import points_of, tokens_at
from fnet_core.lineage.signatures import Form, LayerSignals, Signatures, bytes_each, joined, projections
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import Tap, check_dense, mlp_projections, site_widths, weight_of
from fnet_core.models.running import main_device
from fnet_core.models.structure import family_of
from fnet_core.progress import Report, silent
from fnet_core.texts import Passage

Take = Callable[[str, int, int, Tensor], None]
"""Called with "gate" or "up", the number of the layer in the list, the number of the passage, and (G, N) float32 on the
layer's device."""


def form_of(loaded: LoadedModel) -> Form:
    """Which two signals the model's neurons have; RequestError for a model without one MLP per layer."""
    check_dense(loaded.model, "the independence test")
    return "gated" if family_of(loaded.model.config).gated else "ungated"


@contextmanager
def touching_signals(
    loaded: LoadedModel, passages: Sequence[Passage], layers: Sequence[int], take: Take
) -> Iterator[None]:
    """Call `take` on both signals of some layers while these passages are read one after the other, and no further one.

    A signal is centred and of norm 1 in each passage, zeros where it is constant.
    """
    gated = form_of(loaded) == "gated"
    mlps = [mlp_projections(loaded.model)[layer] for layer in layers]
    widths = [site_widths(loaded.model, "mlp")[layer] for layer in layers]
    positions = points_of(passages)
    places = [_places(loaded, passage, found) for passage, found in zip(passages, positions, strict=True)]
    read: Counter[tuple[str, int]] = Counter()
    inputs: dict[int, Tensor] = {}

    def keep(which: str, layer: int, activation: Tensor) -> None:
        passage = read[which, layer]
        if passage == len(passages):
            return
        read[which, layer] += 1
        rows_GN = activation.reshape(-1, activation.shape[-1])[places[passage].to(activation.device)].float()
        if which == "input":
            inputs[layer] = rows_GN
        elif which == "up":
            take("up", layer, passage, _units(rows_GN[:, -widths[layer] :]))
        else:
            take("gate", layer, passage, _units(rows_GN[:, : widths[layer]]))
            if not gated:
                take("up", layer, passage, _written(inputs.pop(layer), weight_of(mlps[layer].down)))

    gates = [Tap(mlp.up[0], "output") for mlp in mlps]
    others = [Tap(mlp.up[-1], "output") if gated else Tap(mlp.up[0], "input") for mlp in mlps]
    with (
        touching_taps(gates, partial(keep, "gate")),
        touching_taps(others, partial(keep, "up" if gated else "input")),
    ):
        yield


def read_signals(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    layers: Sequence[int],
    neurons: Sequence[np.ndarray] | None = None,
    report: Report = silent,
) -> list[LayerSignals]:
    """The signals of some layers, of all their neurons or of the `neurons` listed for each, in one pass over the text.

    RequestError where `form_of` or the reading refuses.
    """
    form_of(loaded)
    widths = [site_widths(loaded.model, "mlp")[layer] for layer in layers]
    chosen = [np.arange(width) for width in widths] if neurons is None else list(neurons)
    edges = [0, *np.cumsum([len(found) for found in points_of(passages)])]
    signals = [LayerSignals(*(np.zeros((len(kept), edges[-1]), np.float32) for _ in "gu")) for kept in chosen]
    scale = np.float32(1 / np.sqrt(len(passages)))

    def take(which: str, layer: int, passage: int, units_GN: Tensor) -> None:
        into = getattr(signals[layer], f"{which}_NG")
        into[:, edges[passage] : edges[passage + 1]] = units_GN.cpu().numpy().T[chosen[layer]] * scale

    with touching_signals(loaded, passages, layers, take):
        for _ in read_subjects(loaded, passages, "mlp_out", report):
            pass
    return signals


class SignatureReader:
    """Collects a model's signatures while its passages are read by whoever reads them."""

    def __init__(self, loaded: LoadedModel, passages: Sequence[Passage]) -> None:
        self._form = form_of(loaded)
        self._loaded, self._passages = loaded, passages
        self._widths = site_widths(loaded.model, "mlp")
        self._found: dict[tuple[str, int, int], Tensor] = {}

    def reading(self) -> AbstractContextManager[None]:
        """The context in which the passages are to be read, first to last; further ones may follow."""

        count = len(self._passages)
        drawn = [
            torch.from_numpy(projections(len(at), passage, bytes_each(count))).to(main_device(self._loaded.model))
            for passage, at in enumerate(points_of(self._passages))
        ]

        def take(which: str, layer: int, passage: int, units_GN: Tensor) -> None:
            self._found[which, layer, passage] = _signs(units_GN, drawn[passage].to(units_GN.device))

        return touching_signals(self._loaded, self._passages, range(len(self._widths)), take)

    def signatures(self) -> Signatures:
        """What was read."""
        passages = range(len(self._passages))
        gate, up = (
            joined(
                [[self._found[which, layer, at].cpu().numpy() for at in passages] for layer in range(len(self._widths))]
            )
            for which in ("gate", "up")
        )
        points = tuple(len(found) for found in points_of(self._passages))
        return Signatures(self._form, tuple(self._widths), points, gate, up)


def read_signatures(loaded: LoadedModel, passages: Sequence[Passage], report: Report = silent) -> Signatures:
    """The signatures of all neurons, in one pass over the text; RequestError as `read_signals`."""
    reader = SignatureReader(loaded, passages)
    with reader.reading():
        for _ in read_subjects(loaded, passages, "mlp_out", report):
            pass
    return reader.signatures()


def _places(loaded: LoadedModel, passage: Passage, positions_G: np.ndarray) -> Tensor:
    """The tokens, special ones counted, that hold at some characters of a passage, (G,) int64."""
    tokens = tokenize(loaded, passage)
    at_G = tokens_at(positions_G, tokens.offsets_T2[tokens.text_T].numpy())
    return tokens.text_T.nonzero().flatten()[torch.from_numpy(at_G)].to(main_device(loaded.model))


def _written(inputs_GD: Tensor, down_DN: Tensor) -> Tensor:
    """The inputs along each neuron's output weights, (G, N) as `_units`.

    Each input is put on one scale first, for a few very large ones would drown the others.
    """
    centred_GD = inputs_GD - inputs_GD.mean(dim=0)
    spread_D = centred_GD.std(dim=0)
    scaled_GD = torch.where(spread_D > 1e-5 * inputs_GD.abs().amax(dim=0), centred_GD / spread_D, 0.0)
    return _units(scaled_GD @ down_DN.to(inputs_GD.device).float())


def _units(signals_GN: Tensor) -> Tensor:
    """Signals over the grid, (G, N) float32, centred and with norm 1; zeros where next to nothing varies."""
    centred_GN = signals_GN - signals_GN.mean(dim=0)
    norm_N = centred_GN.square().sum(dim=0).sqrt()
    varies_N = norm_N > 1e-5 * signals_GN.square().sum(dim=0).sqrt()
    return centred_GN.mul_(torch.where(varies_N, norm_N.reciprocal(), 0.0))


def _signs(units_GN: Tensor, projections_GD: Tensor) -> Tensor:
    """The signature of signals in one passage, (N, D / 8) uint8, as `signatures.signs` packs it, where they are."""
    bits_NB8 = (units_GN.T @ projections_GD > 0).unflatten(1, (-1, 8))
    weights_8 = 2 ** torch.arange(7, -1, -1, dtype=torch.uint8, device=units_GN.device)
    bits_NB = (bits_NB8 * weights_8).sum(dim=2, dtype=torch.uint8)
    return torch.where((units_GN != 0).any(dim=0)[:, None], bits_NB, 0)
