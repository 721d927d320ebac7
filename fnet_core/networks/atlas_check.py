"""Whether the arrays and the header of an atlas file are those of an atlas: types, shapes, finite numbers.

A file can come from anybody, so nothing in it is believed before it is checked here.
Shape legend: S passages, T tokens of one passage, L layers, N neurons of a block, K networks, D draws.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from fnet_core.choices import SITES
from fnet_core.networks.blocks import layer_blocks
from fnet_core.storage import artifacts

_TEXTS = ("model", "model_digest", "device", "dtype", "contrast", "cut", "texts_digest")
"""Entries of a recipe that are texts where they are there."""
_COUNTS = ("components", "seed", "restarts", "passages")
_LOOK = 5
"""Numbers of one look at how much text is enough."""
_MOST = 2**53
_MOST_LAYERS = 100_000
DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)
"""What is raised instead of saying no."""


def is_whole(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> bool:
    """Whether this is a whole atlas; may raise what `DAMAGE` lists instead of saying no."""
    # raises where a text cannot be written as UTF-8, as a lone surrogate cannot
    json.dumps(header, ensure_ascii=False).encode()
    networks, passages = len(header["labels"]), len(header["passages"])
    return (
        _header_holds(header)
        and _maps_hold(artifacts.series(dict(arrays), "maps"), header, networks)
        and _courses_hold(arrays, header, networks)
        and all(_is_of(arrays[name], (networks,)) for name in ("variance", "stability"))
        and _is_of(arrays["recurrence"], (passages, networks))
        and ("halves" not in header or _halves_hold(arrays, header["halves"], networks))
    )


def _header_holds(header: Mapping[str, Any]) -> bool:
    recipe = header["recipe"]
    return (
        isinstance(recipe, dict)
        and isinstance(recipe["model"], str)
        and recipe["site"] in SITES
        and isinstance(recipe["scope"], str)
        and all(isinstance(recipe[name], str) for name in _TEXTS if name in recipe)
        and all(_is_count(recipe[name]) for name in _COUNTS if name in recipe)
        and _enough_holds(recipe.get("enough", {}))
        and (recipe.get("provisional") is None or _is_count(recipe["provisional"]))
        and all(isinstance(label, str) for label in header["labels"])
        and all(len(each) == 3 and all(isinstance(part, str) for part in each) for each in header["passages"])
        and 0 < len(header["widths"]) <= _MOST_LAYERS
        and all(_is_count(width) for width in header["widths"])
        and _is_number(header["converged"])
        and all(isinstance(name, str) and _is_number(value) for name, value in header["seconds"].items())
        and _is_count(header["peak_memory_bytes"])
    )


def _enough_holds(enough: Any) -> bool:
    looks = enough.get("looks", [])
    return not enough or (
        isinstance(looks, list)
        and enough["reason"] in ("agree", "level", "all")
        and (enough["reason"] != "level" or len(looks) > 1)
        and all(len(look) == _LOOK for look in looks)
        and all(value is None or _is_number(value) for look in looks for value in look)
        and all(look[3] is not None for look in looks[-1:] if enough["reason"] == "agree")
        and all(_is_count(look[place]) for look in looks for place in (0, 1, 2))
        and all(look[4] is not None for look in looks)
    )


def _maps_hold(maps: tuple[np.ndarray, ...], header: Mapping[str, Any], networks: int) -> bool:
    blocks, widths = layer_blocks(header["recipe"]["scope"], len(header["widths"])), header["widths"]
    return (
        len(maps) == len(blocks)
        and sum(len(block) for block in maps) == networks > 0
        and all(
            _is_of(block, (len(block), sum(widths[layer] for layer in layers)))
            for block, layers in zip(maps, blocks, strict=True)
        )
    )


def _courses_hold(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any], networks: int) -> bool:
    courses, offsets = (artifacts.series(dict(arrays), name) for name in ("course", "offsets"))
    return len(courses) == len(offsets) == len(header["passages"]) and all(
        _is_of(course, (len(course), networks))
        and places.dtype.kind in "iu"
        and places.shape == (len(course), 2)
        and bool(((places >= 0) & (places <= len(text))).all())
        for course, places, (_, text, _) in zip(courses, offsets, header["passages"], strict=True)
    )


def _halves_hold(arrays: Mapping[str, np.ndarray], recipe: Any, networks: int) -> bool:
    partner = arrays["halves.partner_K"]
    draws = [arrays[f"halves.{name}"] for name in ("chance_correlation_DK", "chance_overlap_DK")]
    return (
        isinstance(recipe["title"], str)
        and _is_number(recipe["threshold"])
        and _is_count(recipe["draws"])
        and partner.dtype.kind in "iu"
        and partner.shape == (networks,)
        and all(_is_of(arrays[f"halves.{name}"], (networks,)) for name in ("correlation_K", "overlap_K"))
        and all(len(draw) > 0 and _is_of(draw, (len(draw), networks)) for draw in draws)
    )


def _is_of(array: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether an array has this shape and holds finite numbers."""
    return array.dtype.kind == "f" and array.shape == shape and bool(np.isfinite(array).all())


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= _MOST
