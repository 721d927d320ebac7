"""From what was seen of a model to one score for every MLP neuron and every key/value group, method by method.

Shape legend: L layers, N MLP neurons of a layer, C attention channels of a layer, G key/value groups of a layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import Tensor

from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import (
    attention_projections,
    attention_weights,
    decoder_layers,
    head_size,
    heads_per_group,
    mlp_projections,
    mlp_widths,
    site_widths,
    weight_of,
)
from fnet_core.pruning import criteria
from fnet_core.pruning.calibration import Calibration, Moments
from fnet_core.pruning.compensation import Factors
from fnet_core.pruning.factors import LayerFactors
from fnet_core.pruning.stream import StreamSeen
from fnet_core.pruning.surgeon import RemovalErrors, network_errors

_Inputs = TypeVar("_Inputs", Moments, Factors)

Units = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]
"""Scores of neurons, (N,) float64 per layer, or none in a mixture of experts; of key/value groups, (G,) per layer, or
none where heads stay. Of whole layers, (1,) per layer in place of neurons."""


@dataclass(frozen=True, eq=False)
class LargestZ:
    """Largest abs(z) over groups and networks, per layer: of neurons, and of attention channels or nothing."""

    mlp_L: list[Tensor]
    attention_L: list[Tensor]


@dataclass(frozen=True, eq=False)
class Seen:
    """A model and what was seen of it; None for what the methods at hand do not need."""

    loaded: LoadedModel
    heads: bool
    seed: int
    calibration: Calibration | None = None
    largest: LargestZ | None = None
    factors: LayerFactors | None = None
    errors: RemovalErrors | None = None
    stream: StreamSeen | None = None

    @property
    def group_size(self) -> int:
        """Attention channels of one key/value group."""
        return head_size(self.loaded.model) * heads_per_group(self.loaded.model)


def by_networks(seen: Seen) -> Units:
    """What the layer's networks leave of each input, see `criteria.beyond_networks`."""
    assert seen.factors is not None
    mlp_L, channels_L = _by_input(seen, criteria.beyond_networks, seen.factors.mlp_L, seen.factors.attention_L)
    return _arrays(mlp_L), _arrays([criteria.per_unit(scores, seen.group_size) for scores in channels_L])


def by_largest_z(seen: Seen) -> Units:
    """The largest abs(z) of each neuron, and of each group's channels."""
    assert seen.largest is not None
    heads_L = [z_C.unflatten(0, (-1, seen.group_size)).amax(dim=1) for z_C in seen.largest.attention_L]
    return _arrays(seen.largest.mlp_L), _arrays(heads_L)


def by_wanda_sp(seen: Seen) -> Units:
    """Size of the input times its output weights, see `criteria.wanda_sp`."""
    moments = seen.calibration
    assert moments is not None
    mlp_L, channels_L = _by_input(seen, criteria.wanda_sp, moments.mlp_L, moments.attention_L)
    return _arrays(mlp_L), _arrays([criteria.per_unit(scores, seen.group_size) for scores in channels_L])


def by_flap(seen: Seen) -> Units:
    """Variance of the input times its squared output weights, standardised in each layer, see `criteria.flap`."""
    moments, size = seen.calibration, seen.group_size
    assert moments is not None
    mlp_L, channels_L = _by_input(seen, criteria.flap, moments.mlp_L, moments.attention_L)
    heads_L = [criteria.per_unit(criteria.standardized(scores.square()), size) / size for scores in channels_L]
    return _arrays([criteria.standardized(scores) for scores in mlp_L]), _arrays(heads_L)


def by_surgeon(seen: Seen) -> Units:
    """What the layer's output has lost once a unit is gone, and all that cost less before it, see `surgeon`."""
    assert seen.errors is not None
    return _arrays(seen.errors.mlp_L), _arrays(seen.errors.attention_L)


def by_network_surgeon(seen: Seen) -> Units:
    """The same where inputs have in common what their layer's networks say, see `surgeon.network_errors`."""
    assert seen.factors is not None
    model = seen.loaded.model
    outs = attention_projections(model) if seen.heads else []
    mlp_L = [
        network_errors(weight_of(mlp.down), factors)
        for mlp, factors in zip(mlp_projections(model), seen.factors.mlp_L, strict=True)
    ]
    heads_L = [
        network_errors(weight_of(attention.out), factors, seen.group_size)
        for attention, factors in zip(outs, seen.factors.attention_L, strict=True)
    ]
    return _arrays(mlp_L), _arrays(heads_L)


def by_magnitude(seen: Seen) -> Units:
    """The norm of each unit's weights, see `criteria.magnitude`."""
    model = seen.loaded.model
    mlp_L = [criteria.magnitude([weight_of(up) for up in m.up], weight_of(m.down), 1) for m in mlp_projections(model)]
    weights = attention_weights(model) if seen.heads else ()
    heads_L = [criteria.magnitude([w["q"], w["k"], w["v"]], w["o"], seen.group_size) for w in weights]
    return _arrays(mlp_L), _arrays(heads_L)


def by_chance(seen: Seen) -> Units:
    """A draw from the seed."""
    model, rng = seen.loaded.model, np.random.default_rng(seen.seed)
    groups_L = [count // heads_per_group(model) for count in site_widths(model, "heads")] if seen.heads else []
    mlp_L = tuple(rng.random(width) for width in mlp_widths(model))
    return mlp_L, tuple(rng.random(count) for count in groups_L)


def by_influence(seen: Seen) -> Units:
    """What each layer does to the residual stream, one number a layer, see `stream`."""
    assert seen.stream is not None
    return tuple(seen.stream.influence_L[:, None].numpy()), ()


def by_coverage(seen: Seen) -> Units:
    """What each layer does to the stream's networks, one number a layer, see `stream`."""
    assert seen.stream is not None and seen.stream.coverage_L is not None
    return tuple(seen.stream.coverage_L[:, None].numpy()), ()


def by_layer_chance(seen: Seen) -> Units:
    """A draw from the seed, one number a layer."""
    layers = len(decoder_layers(seen.loaded.model))
    return tuple(np.random.default_rng(seen.seed).random((layers, 1))), ()


def _by_input(
    seen: Seen,
    score: Callable[[Tensor, _Inputs], Tensor],
    mlp_L: Sequence[_Inputs],
    attention_L: Sequence[_Inputs],
) -> tuple[list[Tensor], list[Tensor]]:
    """A criterion of one projection's weights and inputs, for every layer's MLP and, with heads, attention."""
    model = seen.loaded.model
    downs = [weight_of(mlp.down) for mlp in mlp_projections(model)]
    outs = [weight_of(attention.out) for attention in attention_projections(model)] if seen.heads else []
    return (
        [score(weight_ON, inputs) for weight_ON, inputs in zip(downs, mlp_L, strict=True)],
        [score(weight_ON, inputs) for weight_ON, inputs in zip(outs, attention_L, strict=True)],
    )


def _arrays(layers: Sequence[Tensor]) -> tuple[np.ndarray, ...]:
    return tuple(layer.numpy() for layer in layers)
