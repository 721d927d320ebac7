"""Were two loaded models trained apart? The independence test on the models themselves, or on one and a fingerprint."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fnet_core.activations.fitting import fitted, reader_of
from fnet_core.choices import SAMPLED_NEURONS
from fnet_core.lineage.calibration import check_test
from fnet_core.lineage.comparable import check_readable
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.grid import points_of
from fnet_core.lineage.independence import Independence, independence_of, match_neurons
from fnet_core.lineage.neuron_signals import form_of, read_signals, read_signatures
from fnet_core.lineage.signatures import Form, LayerSignals, Recorded
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import site_widths
from fnet_core.profiling import Stopwatch
from fnet_core.progress import Report, silent
from fnet_core.texts import Passage

BLOCK_BYTES = 512 << 20
"""The most memory for the signals of the wider model; layers that do not fit are read in a further pass."""


@dataclass(frozen=True)
class Live:
    """The neurons of a loaded model, read on some passages whenever they are asked for."""

    loaded: LoadedModel
    passages: Sequence[Passage]

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.loaded.name

    @property
    def form(self) -> Form:
        """Which two signals its neurons have; RequestError for a model that has neither."""
        return form_of(self.loaded)

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons of each layer."""
        return site_widths(self.loaded.model, "mlp")

    def blocks(self) -> list[list[int]]:
        """The layers in stretches whose signals fit into `BLOCK_BYTES` together, one layer at least."""
        return _blocks(self.loaded, sum(map(len, points_of(self.passages))))

    def read(
        self, layers: Sequence[int], neurons: Sequence[np.ndarray] | None = None, report: Report = silent
    ) -> list[LayerSignals]:
        """The signals of some layers, in one pass over the passages."""
        return read_signals(self.loaded, self.passages, layers, neurons, report)


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

    Raises RequestError as `match_neurons`, for mixtures of experts, and for text that cannot be read. `report` gets the
    stages "capturing" and "matching".
    """
    check_test(neurons, seed)
    form = form_of(a)
    form_of(b)
    cut = fitted(passages, [reader_of(a), reader_of(b)], context_only=True)
    passages = cut.passages
    clock = Stopwatch()
    with clock.stage("testing"):
        found = match_neurons(Live(a, passages), Live(b, passages), neurons, seed, report)
    recipe = {
        "digests": [a.digest, b.digest],
        "passages": [passage.name for passage in passages],
        "neurons": neurons,
        "seed": seed,
    } | ({"cut": cut.note} if cut.note else {})
    return Independence(
        a.name,
        b.name,
        found.z_LJ,
        found.neurons,
        sum(map(len, points_of(passages))),
        recipe,
        round(clock.seconds["testing"], 3),
        form,
        order_p=found.order_p,
    )


def independence_of_any(
    a: LoadedModel | Fingerprint,
    b: LoadedModel | Fingerprint,
    passages: Sequence[Passage],
    *,
    neurons: int = SAMPLED_NEURONS,
    seed: int = 0,
    report: Report = silent,
) -> Independence:
    """The test of two models, of a model and a fingerprint, or of two fingerprints, by the fullest signals there are.

    A fingerprint brings its own passages. Raises RequestError as `independence` and `independence_of`.
    """
    check_test(neurons, seed)
    if isinstance(a, LoadedModel) and isinstance(b, LoadedModel):
        return independence(a, b, passages, neurons=neurons, seed=seed, report=report)
    files = [side for side in (a, b) if isinstance(side, Fingerprint)]
    check_readable(files, alone=len(files) < 2)
    read = files[0].passages[: len(files[0].recorded().signatures.points)]
    first, second = (
        side.recorded() if isinstance(side, Fingerprint) else Recorded(side.name, read_signatures(side, read, report))
        for side in (a, b)
    )
    return independence_of(first, second, neurons=neurons, seed=seed, report=report)


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
