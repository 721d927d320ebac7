"""One edit at several gains, and every network in turn, each beside random controls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from fnet_core.errors import RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.controls import NoControlError
from fnet_core.interventions.edits import Edit, edit_networks
from fnet_core.interventions.measuring import Intervention, intervene
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.progress import Report, part_of, silent


def _beside_possible_controls(
    loaded: LoadedModel, edit: Edit, yardstick: Yardstick, controls: int, seed: int, report: Report
) -> Intervention:
    """Measure the edit beside its controls, or alone where it is too large to draw one."""
    measuring = partial(intervene, loaded, (edit,), yardstick, seed=seed, report=report)
    try:
        return measuring(controls=controls)
    except NoControlError:
        return measuring(controls=0)


@dataclass(frozen=True, eq=False)
class Dose:
    """One gain of a dose-response curve."""

    gain: float
    measured: Intervention


GAINS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.05, 1.1, 1.25, 1.5, 2.0)


def dose_response(
    loaded: LoadedModel,
    edit: Edit,
    yardstick: Yardstick,
    *,
    gains: Sequence[float] = GAINS,
    controls: int = 3,
    seed: int = 0,
    report: Report = silent,
    publish: Callable[[tuple[Dose, ...]], None] = lambda doses: None,
) -> tuple[Dose, ...]:
    """The edit at each gain beside controls of the same draw; `publish` gets the doses so far.

    An edit too large for a random control stands without.
    """
    doses: tuple[Dose, ...] = ()
    for i, gain in enumerate(gains):
        measured = _beside_possible_controls(
            loaded,
            replace(edit, gain=gain),
            yardstick,
            controls,
            seed,
            part_of(report, i, len(gains)),
        )
        doses += (Dose(gain, measured),)
        publish(doses)
    return doses


@dataclass(frozen=True, eq=False)
class Damage:
    """What inhibiting one network does."""

    network: int
    label: str
    key_neurons: int
    measured: Intervention


def rank_networks(
    loaded: LoadedModel,
    atlas: Atlas,
    yardstick: Yardstick,
    *,
    threshold: float,
    gain: float = 0.0,
    controls: int = 1,
    seed: int = 0,
    report: Report = silent,
    publish: Callable[[tuple[Damage, ...]], None] = lambda ranking: None,
) -> tuple[Damage, ...]:
    """Edit each network in turn and sort by damage, the most damaging first.

    Networks without key neurons are left out; one too large for a random control stands without. What was measured
    before, in a cancelled ranking too, is read from the store. `publish` gets the ranking so far.
    """
    counts_K = atlas.key_counts(threshold).sum(axis=1)
    networks = [int(k) for k in np.flatnonzero(counts_K)]
    if not networks:
        raise RequestError(f"No network has a neuron with |z| above {threshold:g}; lower the threshold.")
    ranking: tuple[Damage, ...] = ()
    for i, network in enumerate(networks):
        edit = edit_networks(atlas, [network], threshold, gain=gain)
        measured = _beside_possible_controls(
            loaded,
            edit,
            yardstick,
            controls,
            seed,
            part_of(report, i, len(networks), "ranking"),
        )
        row = Damage(network, atlas.labels[network], int(counts_K[network]), measured)
        ranking = tuple(sorted((*ranking, row), key=lambda d: -d.measured.edited.log_value))
        publish(ranking)
    return ranking
