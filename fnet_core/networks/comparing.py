"""Two atlases held against each other and against chance, and an atlas against its own halves.

Shape legend: K, J networks of the one and the other atlas, N neurons of a block of layers side by side, L layers.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from fnet_core.choices import DEFAULT_THRESHOLD
from fnet_core.errors import RequestError
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.blocks import layer_blocks
from fnet_core.networks.copies import on_common_neurons
from fnet_core.networks.matching import abs_products, map_correlation, mask_overlap, partners, standardized, taken
from fnet_core.networks.recurrence import CHANCE_DRAWS, Recurrence
from fnet_core.storage import memo

Maps = Sequence[np.ndarray]
"""One (K, N) block of maps for each block of layers."""


def compare_atlases(
    a: Atlas, b: Atlas, threshold: float = DEFAULT_THRESHOLD, *, draws: int = CHANCE_DRAWS, seed: int = 0
) -> Recurrence:
    """How well the networks of `a` come back in `b`, matched one to one by their maps.

    Both must have the same neurons in the same layers; RequestError says which shape differs. Other texts, seeds,
    scopes and sites of the same width may be compared, an edited copy, and a pruned one, over the neurons that it kept.
    Atlases of one scope are compared block by block.
    """
    neurons = sum(a.widths_L), sum(b.widths_L)
    a, b = on_common_neurons(a, b)
    _same_shape(a, b)
    scope = a.scope
    if scope == b.scope:
        a_maps, b_maps = a.maps, b.maps
    else:
        scope, a_maps, b_maps = "model", (_spread(a),), (_spread(b),)
    found = _held_against(a_maps, b_maps, scope, a.widths_L, threshold, draws, seed)
    recipe = {
        "title": f"Networks of {_name(a)} in {_name(b)}{_common(a, max(neurons))}",
        "a": a.recipe,
        "b": b.recipe,
        "threshold": threshold,
        "draws": draws,
        "seed": seed,
    }
    return Recurrence(recipe, a.labels, *found)


def halves_recipe(whole: Atlas, threshold: float = DEFAULT_THRESHOLD, seed: int = 0) -> dict[str, Any]:
    """Everything that decides the split-half recurrence of an atlas."""
    return memo.stamped(
        {
            "title": f"Networks of {whole.model_name} at site {whole.site} in two halves of their texts",
            "model": whole.model_name,
            "atlas": whole.key,
            "threshold": threshold,
            "draws": CHANCE_DRAWS,
            "seed": seed,
            "method_version": 1,
        }
    )


def in_halves(whole: Atlas, halves: tuple[Maps, Maps], recipe: dict[str, Any]) -> Recurrence:
    """How well maps found in two disjoint halves of the texts agree on each network of an atlas of all these texts.

    `recipe` is that of `halves_recipe`. Each network has one partner in each half; its figures are those of the two
    partners, which share no text.
    """
    return maps_in_halves(whole.maps, halves, whole.scope, whole.widths_L, recipe, whole.labels)


def maps_in_halves(
    whole: Maps,
    halves: tuple[Maps, Maps],
    scope: str,
    widths_L: tuple[int, ...],
    recipe: dict[str, Any],
    labels: tuple[str, ...] | None = None,
) -> Recurrence:
    """`in_halves` of maps that are no atlas yet; `recipe` gives threshold, draws and seed."""
    firsts, tos = [], []
    for whole_KN, first_JN, second_JN in zip(whole, *halves, strict=True):
        at_K = partners(map_correlation(whole_KN, first_JN))
        if (at_K < 0).any():
            raise RequestError("One half of the texts gave fewer networks than all of them; ask for fewer components.")
        firsts.append(first_JN[at_K])
        tos.append(partners(map_correlation(whole_KN, second_JN)))
    threshold, draws, seed = (recipe[name] for name in ("threshold", "draws", "seed"))
    found = _held_against(firsts, halves[1], scope, widths_L, threshold, draws, seed, tos)
    return Recurrence(recipe, labels or ("",) * sum(map(len, whole)), *found)


def _held_against(
    a_maps: Maps,
    b_maps: Maps,
    scope: str,
    widths_L: tuple[int, ...],
    threshold: float,
    draws: int,
    seed: int,
    partner: Sequence[np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Partners, correlations, overlaps, and both again for shuffled neurons of b."""
    blocks = layer_blocks(scope, len(widths_L))
    similarity = [map_correlation(a_KN, b_JN) for a_KN, b_JN in zip(a_maps, b_maps, strict=True)]
    partner = [partners(r_KJ) for r_KJ in similarity] if partner is None else partner
    masks = [(np.abs(a_KN) > threshold, np.abs(b_JN) > threshold) for a_KN, b_JN in zip(a_maps, b_maps, strict=True)]
    overlap = [taken(mask_overlap(*both), own) for both, own in zip(masks, partner, strict=True)]
    unit = [tuple(standardized(maps).astype(np.float32) for maps in both) for both in zip(a_maps, b_maps, strict=True)]
    rng = np.random.default_rng(seed)
    chance_r, chance_overlap = [], []
    for _ in range(draws):
        order_L = [rng.permutation(width) for width in widths_L]
        drawn_r, drawn_overlap = [], []
        for layers, (a_KN, b_JN), (mask_KN, mask_JN) in zip(blocks, unit, masks, strict=True):
            order_N = _side_by_side([order_L[layer] for layer in layers])
            shuffled_KJ = abs_products(a_KN, b_JN[:, order_N])
            matched_K = partners(shuffled_KJ)
            drawn_r.append(taken(shuffled_KJ, matched_K))
            drawn_overlap.append(taken(mask_overlap(mask_KN, mask_JN[:, order_N]), matched_K))
        chance_r.append(np.concatenate(drawn_r))
        chance_overlap.append(np.concatenate(drawn_overlap))
    firsts = list(accumulate((len(b_JN) for b_JN in b_maps), initial=0))[:-1]
    return (
        np.concatenate([np.where(own < 0, own, own + first) for own, first in zip(partner, firsts, strict=True)]),
        np.concatenate([taken(r_KJ, own) for r_KJ, own in zip(similarity, partner, strict=True)]),
        np.concatenate(overlap),
        np.array(chance_r),
        np.array(chance_overlap),
    )


def _side_by_side(order_L: Sequence[np.ndarray]) -> np.ndarray:
    """Orders of each layer's neurons as one order of all of them."""
    starts = accumulate((len(order) for order in order_L), initial=0)
    return np.concatenate([start + order for start, order in zip(starts, order_L, strict=False)])


def _same_shape(a: Atlas, b: Atlas) -> None:
    if a.layer_count != b.layer_count:
        raise RequestError(
            f"{_name(a)} has {a.layer_count} layers and {_name(b)} has {b.layer_count}; their networks have no common "
            "neurons. Compare their fingerprints instead."
        )
    for layer, (one, other) in enumerate(zip(a.widths_L, b.widths_L, strict=True)):
        if one != other:
            raise RequestError(
                f"Layer {layer} has {one:,} neurons in {_name(a)} and {other:,} in {_name(b)}; their networks have no "
                "common neurons. Compare their fingerprints instead."
            )


def _common(atlas: Atlas, neurons: int) -> str:
    """How many of so many neurons are compared, unless it is all of them."""
    common = sum(atlas.widths_L)
    return "" if common == neurons else f", over the {common:,} of {neurons:,} neurons that both have"


def _name(atlas: Atlas) -> str:
    return f"{atlas.model_name} at site {atlas.site}"


def _spread(atlas: Atlas) -> np.ndarray:
    """All maps over all neurons, (K, N) float32; 0 where a network of some layers has no neuron."""
    if len(atlas.maps) == 1:
        return atlas.maps[0]
    starts = list(accumulate(atlas.widths_L, initial=0))
    rows = np.zeros((len(atlas), starts[-1]), dtype=np.float32)
    row = 0
    for maps_KN, layers in zip(atlas.maps, layer_blocks(atlas.scope, atlas.layer_count), strict=True):
        rows[row : row + len(maps_KN), starts[layers.start] : starts[layers.stop]] = maps_KN
        row += len(maps_KN)
    return rows
