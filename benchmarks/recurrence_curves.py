"""Split-half recurrence against passages, networks, contrast and sketch, from one reading of each text.

`python -m benchmarks.recurrence --halves ...` prints and draws it. A passage is merged into every setting's sketch as
it is read, so that memory does not grow with text; each row is kept below the cache folder as soon as it is there, and
a run that was ended computes what is missing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fnet_core import texts
from fnet_core.activations.reading import read_subjects
from fnet_core.choices import DEFAULT_THRESHOLD, Contrast
from fnet_core.decomposition import canica
from fnet_core.decomposition.canica import GroupBasis, separate, standardize
from fnet_core.decomposition.projection import Separated
from fnet_core.models import loading as models
from fnet_core.models.modules import site_widths
from fnet_core.models.running import running
from fnet_core.networks.comparing import maps_in_halves
from fnet_core.networks.matching import map_correlation, partners, taken
from fnet_core.networks.recurrence import CHANCE_DRAWS, STABLE, mean_interval
from fnet_core.networks.request import AtlasRequest
from fnet_core.plotting.recurrence import CURVES_NOTE, Setting, curves
from fnet_core.progress import silent
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

COLUMNS = (
    *("model", "text", "K", "contrast", "sketch", "passages", "tokens"),
    *("mean abs(r)", "95 % interval", "chance", "median", "at 0.8", "at 0.9", "trusted", "their mean", "interval"),
    *("IoU", "IoU above 0.2", "chance"),
)
IN_SCORE = ("all in score", "trusted in score")


@dataclass(frozen=True)
class Way:
    """How networks are separated."""

    components: int
    contrast: Contrast
    sketch: int


@dataclass(frozen=True)
class Text:
    """Passages, what they are called, and at which numbers of them to look with which settings."""

    name: str
    passages: Sequence[Passage]
    wanted: Mapping[Way, Sequence[int]]

    @classmethod
    def varied(cls, name: str, passages: Sequence[Passage], counts: Sequence[int], *ways: Sequence[Any]) -> "Text":
        """Numbers of passages and ways varied one at a time, each with the first of all others."""
        if len(passages) < max(counts):
            raise SystemExit(f"{name} has {len(passages)} passages, too few for {max(counts)}.")
        wanted: dict[Way, list[int]] = {}
        for count, *way in one_at_a_time(counts, *ways):
            wanted.setdefault(Way(*way), []).append(count)
        return cls(name, passages, {way: sorted(own) for way, own in wanted.items()})


def one_at_a_time(*choices: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The first of each, then every other one with the first of the rest."""
    first = [values[0] for values in choices]
    others = [(*first[:i], value, *first[i + 1 :]) for i, values in enumerate(choices) for value in values[1:]]
    return [tuple(first), *others]


def networks(
    model: str, passages: Sequence[Passage], wanted: Mapping[Way, Sequence[int]]
) -> Iterator[tuple[Way, int, int, Separated]]:
    """Way, passages, tokens and networks, halves included, at each wanted number of passages, in that order."""
    loaded = models.get_loaded(model)
    neurons = sum(site_widths(loaded.model, "mlp"))
    last: dict[tuple[int, int], int] = {}
    for way, counts in wanted.items():
        shape = way.components, way.sketch
        last[shape] = max(last.get(shape, 0), *counts)
    bases = {shape: _bases(*shape, neurons) for shape in last}
    tokens = 0
    read = read_subjects(loaded, passages[: max(last.values())], "mlp", write=standardize, reuse=True)
    for number, subject in enumerate(read):
        tokens += len(subject.activations_TN)
        for shape, (whole, *halves) in bases.items():
            if number < last[shape]:
                whole.add(subject.activations_TN, halves[number % 2])
        for way, counts in wanted.items():
            if number + 1 in counts:
                (own,), (even,), (odd,) = (
                    separate([basis.result()], 0, AtlasRequest.restarts, way.contrast, silent)
                    for basis in bases[way.components, way.sketch]
                )
                yield way, number + 1, tokens, Separated(*own, halves=(even[0], odd[0]))


def _bases(components: int, sketch: int, neurons: int) -> list[GroupBasis]:
    """Of the whole and of both halves."""
    before = canica.SKETCH_FACTOR
    canica.SKETCH_FACTOR = sketch
    try:
        return [GroupBasis(components, neurons, torch.device("cpu")) for _ in range(3)]
    finally:
        canica.SKETCH_FACTOR = before


def file_of(model: str, way: Way, passages: Sequence[Passage], score: bool) -> Path:
    """Where the row of these passages is kept."""
    request = AtlasRequest(model, tuple(passages), components=way.components, contrast=way.contrast)
    recipe = request.recipe(running(models.get_loaded(model))) | {"score": score, "sketch_factor": way.sketch}
    folder = artifacts.home() / "recurrence-curves"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{artifacts.digest({name: recipe[name] for name in recipe if name != 'fnet'})}.json"


def rows(model: str, text: Text, score: bool) -> Iterator[tuple[Way, int, dict[str, Any]]]:
    """Way, passages and what they give, kept or computed: what is kept first, the rest as it comes."""
    missing: dict[Way, list[int]] = {}
    for way, counts in text.wanted.items():
        for count in counts:
            file = file_of(model, way, text.passages[:count], score)
            if file.exists():
                yield way, count, json.loads(file.read_text())
            else:
                missing.setdefault(way, []).append(count)
    if not missing:
        return
    others = texts.bundled("score")
    in_score = networks(model, others, {way: (len(others),) for way in missing}) if score else ()
    elsewhere = {way: found.maps_KN.numpy() for way, _, _, found in in_score}
    widths_L = site_widths(models.get_loaded(model).model, "mlp")
    for way, count, tokens, found in networks(model, text.passages, missing):
        row = figures(found, widths_L, elsewhere.get(way)) | {"tokens": tokens}
        file_of(model, way, text.passages[:count], score).write_text(json.dumps(row))
        yield way, count, row


def print_curves(names: Sequence[str], given: Sequence[Text], score: bool, file: Path | None) -> None:
    """A row for each setting; with `score` how networks come back in those passages; with `file` the curves as HTML."""
    columns = COLUMNS + (IN_SCORE if score else ())
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
    found = []
    for model in names:
        for text in given:
            for way, count, row in rows(model, text, score):
                print(line(model, text.name, way, count, row), flush=True)
                arrays = np.array(row["r"]), np.array(row["trusted"])
                ways = way.components, way.contrast, way.sketch
                found.append(Setting(model, text.name, count, *ways, *arrays, row["chance"]))
    if file:
        note = f"<p style='font-family:sans-serif;max-width:60em'>{CURVES_NOTE}</p>"
        file.write_text(curves(found).to_html().replace("</body>", f"{note}</body>"))


def figures(found: Separated, widths_L: tuple[int, ...], elsewhere_KN: np.ndarray | None) -> dict[str, Any]:
    """All that a row says of these networks, JSON-able."""
    assert found.halves is not None
    even, odd = (half.numpy() for half in found.halves)
    recipe = {"threshold": DEFAULT_THRESHOLD, "draws": CHANCE_DRAWS, "seed": 0}
    maps_KN = found.maps_KN.numpy()
    there = maps_in_halves([maps_KN], ([even], [odd]), "model", widths_L, recipe)
    trusted_K = there.trusted_K & (found.stability_K >= STABLE).numpy()
    row = {
        "r": there.correlation_K.tolist(),
        "chance": float(there.chance_correlation_DK.mean()),
        "trusted": trusted_K.tolist(),
        "stability": found.stability_K.tolist(),
        "overlap": float(there.overlap_K.mean()),
        "recurring": there.recurring(),
        "by_chance": there.recurring_by_chance(),
    }
    if elsewhere_KN is not None:
        similarity = map_correlation(maps_KN, elsewhere_KN)
        row["score"] = taken(similarity, partners(similarity)).tolist()
    return row


def line(model: str, text: str, way: Way, count: int, row: dict[str, Any]) -> str:
    """A row of the printed table."""
    r, trusted = np.array(row["r"]), np.array(row["trusted"])
    cells = [
        *(model, text, way.components, way.contrast, f"{way.sketch} K", count, f"{row['tokens']:,}"),
        *(_mean(r), _interval(r), f"{row['chance']:.3f}", f"{np.median(r):.3f}", (r >= 0.8).sum(), (r >= 0.9).sum()),
        *(f"{trusted.sum()} of {len(r)}", _mean(r[trusted]), _interval(r[trusted])),
        *(f"{row['overlap']:.3f}", row["recurring"], f"{row['by_chance']:.1f}"),
    ]
    if "score" in row:
        score = np.array(row["score"])
        cells += [_mean(score), _mean(score[trusted])]
    return "| " + " | ".join(map(str, cells)) + " |"


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3f}" if len(values) else "none"


def _interval(values: np.ndarray) -> str:
    return "{:.3f} to {:.3f}".format(*mean_interval(values)) if len(values) else "none"
