"""Whether the arrays and the header of a fingerprint file are those of a fingerprint: types, shapes, and the protocol.

A file can come from anybody, so nothing in it is believed before it is checked here.
Shape legend: K networks, T tokens of one passage, G grid positions of one passage, L layers, U entries of an upper
triangle.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fnet_core.lineage.grid import grid_positions, points_of
from fnet_core.lineage.probes import dots, is_secret
from fnet_core.lineage.signatures import Signatures
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

_CARD = {"name": str, "digest": str, "family": str, "layers": int, "width": int, "parameters": int, "dtype": str}
_MOST = 2**53
"""Whole numbers above it are nobody's count, and some cannot even be shown."""


def _is_count(value: Any, least: int = 0) -> bool:
    """Whether a value is a whole number of things, `least` or more."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= _MOST


def is_whole(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> bool:
    """Whether this is a whole fingerprint that keeps to its own protocol.

    Types and shapes agree, numbers are finite, grids point at tokens, and number and digest of the passages are those
    of the protocol. May raise KeyError, TypeError, ValueError, AttributeError, IndexError or OverflowError instead of
    saying no.
    """
    # raises where a text cannot be written as UTF-8, as a lone surrogate cannot
    json.dumps(header, ensure_ascii=False).encode()
    return _header_holds(header) and _arrays_hold(arrays, header) and _neurons_hold(arrays, header)


def _header_holds(header: Mapping[str, Any]) -> bool:
    recipe, model = header["recipe"], header["model"]
    protocol = recipe["protocol"]
    passages = header["passages"]
    texts = recipe["texts"]
    bits = header["bits_per_byte"]
    return (
        model.keys() == _CARD.keys()
        and all(isinstance(model[name], str) if kind is str else _is_count(model[name]) for name, kind in _CARD.items())
        and _are_texts(recipe[name] for name in ("model", "model_digest", "device", "dtype") if name in recipe)
        and recipe["model_digest"] == model["digest"]
        and _is_count(recipe["seed"])
        and ("span" not in recipe or _is_count(recipe["span"], 1))
        and _are_texts(recipe["versions"])
        and _are_texts(recipe["versions"].values())
        and len(texts) == 2
        and all(isinstance(sources, list) and _are_texts(sources) for sources in texts)
        and _protocol_holds(protocol)
        and isinstance(passages, list)
        and all(isinstance(passage, list) and len(passage) == 3 and _are_texts(passage) for passage in passages)
        and protocol["passages"][1] == len(passages) > 0
        and _texts_hold(protocol, [text for _, text, _ in passages])
        and isinstance(header["labels"], list)
        and _are_texts(header["labels"])
        and 0 < len(header["labels"]) <= protocol["components"]
        and (bits is None or (_is_number(bits) and bits >= 0))
        and _is_number(header["compressor_bits_per_byte"])
        and header["compressor_bits_per_byte"] > 0
        and _are_texts(header["seconds"])
        and all(_is_number(value) for value in header["seconds"].values())
        and _is_count(header["peak_memory_bytes"])
    )


def _texts_hold(protocol: Mapping[str, Any], read: list[str]) -> bool:
    """Whether the passages are those that the protocol names, or dots in place of secret ones."""
    if "secret" in protocol:
        return is_secret(protocol["secret"]) and all(text == dots(len(text)) for text in read)
    return protocol["score"] == artifacts.digest(read)


def _protocol_holds(protocol: Mapping[str, Any]) -> bool:
    return (
        _are_texts(protocol)
        and _are_texts(protocol[name] for name in ("site", "find", "score"))
        and isinstance(protocol.get("signal", ""), str)
        and _is_count(protocol["step"], 1)
        and _is_count(protocol["components"], 1)
        and _is_number(protocol["threshold"])
        and len(protocol["passages"]) == 2
        and all(_is_count(count, 1) for count in protocol["passages"])
    )


def _arrays_hold(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> bool:
    networks, layers = len(header["labels"]), header["model"]["layers"]
    counts_KL, curves_4L, grams_LU = arrays["key_counts"], arrays["curves"], arrays["grams"]
    holds = [
        counts_KL.dtype.kind in "iu" and counts_KL.shape == (networks, layers) and (counts_KL >= 0).all(),
        *(_finite(arrays[name]) and arrays[name].shape == (networks,) for name in ("variance", "stability")),
        _finite(curves_4L) and curves_4L.shape == (4, layers),
        _finite(grams_LU) and grams_LU.ndim == 2 and len(grams_LU) == layers > 0,
    ]
    for i, (_, text, _) in enumerate(header["passages"]):
        signal_KT, grid_G = arrays[f"signal.{i}"], arrays[f"grid.{i}"]
        positions_G = grid_positions(len(text), header["recipe"]["protocol"]["step"])
        holds += [
            _finite(signal_KT) and signal_KT.ndim == 2 and len(signal_KT) == networks,
            grid_G.dtype.kind in "iu" and grid_G.shape == positions_G.shape,
            grid_G.min() >= 0 and grid_G.max() < signal_KT.shape[1],
        ]
        if "secret" in header["recipe"]["protocol"]:
            surface_GD = arrays[f"surface.{i}"]
            holds += [_finite(surface_GD), surface_GD.ndim == 2, len(surface_GD) == len(positions_G)]
    return all(holds)


def _neurons_hold(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> bool:
    """Whether signatures of neurons, if there are any, fit the model's layers and the passages."""
    if "neurons" not in header:
        return True
    neurons = header["neurons"]
    if "untested" in neurons:
        return isinstance(neurons["untested"], str) and neurons["untested"] != ""
    widths, points = neurons["widths"], neurons["points"]
    if not points or not all(_is_count(count, 1) for count in (*widths, *points)):
        return False
    Signatures.from_parts(dict(arrays), neurons)
    read = [Passage(*fields) for fields in header["passages"][: len(points)]]
    return len(widths) == header["model"]["layers"] and points == [len(found) for found in points_of(read)]


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" and bool(np.isfinite(array).all())
