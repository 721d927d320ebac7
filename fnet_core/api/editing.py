"""Switch networks off or turn them up, and measure perplexity."""

from collections.abc import Sequence
from typing import Any

from fnet_core.choices import (
    DEFAULT_THRESHOLD,
    Definition,
)
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.given import Model, Texts, loaded_of, passages
from fnet_core.interventions.editing import check_atlas
from fnet_core.interventions.edits import Edit, edit_networks
from fnet_core.interventions.measuring import Intervention, intervene
from fnet_core.networks.atlas import Atlas
from fnet_core.progress import Report, silent


def inhibit(atlas: Atlas, *networks: int, threshold: float = DEFAULT_THRESHOLD) -> Edit:
    """The edit that switches networks off: their key neurons, abs(z) above the threshold, times 0.

    Raises RequestError if they have no key neuron.

    >>> import fnet_core as fn
    >>> fn.inhibit(fn.find_atlas("tiny", components=4), 0, threshold=2.0).gain
    0.0
    """
    return edit_networks(atlas, _some(networks, "inhibit(atlas, 0, 3)"), threshold, gain=0.0)


def amplify(atlas: Atlas, *networks: int, gain: float = 1.5, threshold: float = DEFAULT_THRESHOLD) -> Edit:
    """The edit that turns networks up: their key neurons, abs(z) above the threshold, times `gain`.

    Raises RequestError if they have no key neuron, or for a gain below 0 or above 100.

    >>> import fnet_core as fn
    >>> fn.amplify(fn.find_atlas("tiny", components=4), 0, 1, threshold=2.0).name
    'networks 0, 1'
    """
    return edit_networks(atlas, _some(networks, "amplify(atlas, 0, 3, gain=1.5)"), threshold, gain=gain)


def _some(networks: tuple[int, ...], example: str) -> tuple[int, ...]:
    if not networks:
        raise RequestError(f"No network was named; name at least one, for instance {example}.")
    return networks


def measure(
    model: Model,
    edits: Edit | Sequence[Edit],
    source: Texts = "score",
    *,
    atlas: Atlas | None = None,
    controls: int = 5,
    seed: int = 0,
    report: Report = silent,
    **yardstick: Any,
) -> Intervention:
    """Perplexity untouched, under edits, and under as many random neurons, `controls` times.

    With `atlas` it is checked that the edits' networks are this model's; `yardstick` takes definition, window and
    stride. Raises RequestError for neurons that the model does not have.

    >>> import fnet_core as fn
    >>> edit = fn.inhibit(fn.find_atlas("tiny", components=4), 0, threshold=2.0)
    >>> found = fn.measure("tiny", edit, "It rained all day, and nobody minded the rain.", controls=2)
    >>> found.edited.value != found.baseline.value, len(found.controls)
    (True, 2)
    """
    loaded = loaded_of(model, report)
    if atlas is not None:
        check_atlas(loaded, atlas)
    chosen = (edits,) if isinstance(edits, Edit) else tuple(edits)
    measured_by = Yardstick(passages(source), **yardstick)
    return intervene(loaded, chosen, measured_by, controls=controls, seed=seed, report=report)


def perplexity(
    model: Model,
    source: Texts = "score",
    *,
    definition: Definition = "token",
    window: int | None = None,
    stride: int | None = None,
    report: Report = silent,
) -> PerplexityResult:
    """How well a model predicts texts, per token, word or byte, with an interval.

    >>> import fnet_core as fn
    >>> fn.perplexity("tiny", "It rained all day, and nobody minded the rain.").tokens
    45
    """
    yardstick = Yardstick(passages(source), definition, window, stride)
    return baseline_perplexity(loaded_of(model, report), yardstick, report)
