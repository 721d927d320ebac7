"""An atlas beside that of a pruned copy of its model: both over the neurons that the copy kept.

Shape legend: N neurons of a layer, L layers.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from fnet_core.models.made import PRUNING, made_folder
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.blocks import layer_blocks


def on_common_neurons(a: Atlas, b: Atlas) -> tuple[Atlas, Atlas]:
    """Both over the neurons that both have, where the folder of the one's model says that it was cut from the other's.

    Otherwise both as they are. What stays keeps its z-values.
    """
    if a.widths_L == b.widths_L:
        return a, b
    for whole, copy in ((a, b), (b, a)):
        if keep_L := _kept(whole, copy):
            rest = _over(whole, keep_L)
            return (rest, copy) if whole is a else (copy, rest)
    return a, b


def _kept(whole: Atlas, copy: Atlas) -> list[np.ndarray]:
    """bool (N,) for each layer: the neurons of the whole model that its copy has; empty where nothing says so."""
    folder = next((place for place in _places(copy.model_name) if (place / PRUNING).is_file()), None)
    if folder is None:
        return []
    from fnet_core.models.folder import model_digest

    if whole.site != copy.site or model_digest(folder) != copy.recipe["model_digest"]:
        return []
    try:
        note: dict[str, Any] = json.loads((folder / PRUNING).read_text("utf-8"))
        packed: list[bytes] = [bytes.fromhex(bits) for bits in note["kept"][whole.site]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if note.get("pruned_from_digest") != whole.recipe["model_digest"]:
        return []
    if [len(bits) for bits in packed] != [-(-width // 8) for width in whole.widths_L]:
        return []
    return [
        np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=width).astype(bool)
        for bits, width in zip(packed, whole.widths_L, strict=True)
    ]


def _places(name: str) -> tuple[Path, ...]:
    """Where the folder of a model of this name may lie."""
    return Path(name).expanduser(), made_folder(name)


def _over(atlas: Atlas, keep_L: Sequence[np.ndarray]) -> Atlas:
    """The atlas's maps over some of its neurons."""
    starts = list(accumulate(atlas.widths_L, initial=0))
    keep_N = np.concatenate(keep_L)
    maps = tuple(
        maps_KN[:, keep_N[starts[layers.start] : starts[layers.stop]]]
        for maps_KN, layers in zip(atlas.maps, layer_blocks(atlas.scope, atlas.layer_count), strict=True)
    )
    return replace(atlas, maps=maps, widths_L=tuple(int(keep.sum()) for keep in keep_L))
