"""Split-half recurrence against passages, networks, contrast and sketch, from one reading of the text.

`python -m benchmarks.recurrence --halves ...` prints it. The z-scored activations lie on disk, where every
setting finds them; each row is kept below the cache folder as soon as it is there: a run that was ended goes on there.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
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
from fnet_core.decomposition.spill import Spill
from fnet_core.models import loading as models
from fnet_core.models.modules import site_widths
from fnet_core.models.running import running
from fnet_core.networks.comparing import maps_in_halves
from fnet_core.networks.matching import map_correlation, partners, taken
from fnet_core.networks.recurrence import CHANCE_DRAWS, STABLE
from fnet_core.networks.request import AtlasRequest
from fnet_core.progress import silent
from fnet_core.storage import artifacts
from fnet_core.texts import Passage

COLUMNS = (
    *("model", "text", "K", "contrast", "sketch", "passages", "tokens"),
    *("mean abs(r)", "chance", "median", "at 0.8", "at 0.9", "trusted", "their mean"),
    *("IoU", "IoU above 0.2", "chance"),
)
IN_SCORE = ("all in score", "trusted in score")


@dataclass(frozen=True)
class Setting:
    """A model, and how its networks are separated."""

    model: str
    components: int
    contrast: Contrast
    sketch: int

    def file(self, passages: Sequence[Passage], score: bool) -> Path:
        """Where the row of so many passages is kept."""
        request = AtlasRequest(self.model, tuple(passages), components=self.components, contrast=self.contrast)
        recipe = request.recipe(running(models.get_loaded(self.model))) | {"score": score}
        folder = artifacts.home() / "recurrence-curves"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{artifacts.digest({name: recipe[name] for name in recipe if name != 'fnet'})}.json"


def one_at_a_time(*choices: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The first of each, then every other one with the first of the rest."""
    first = [values[0] for values in choices]
    others = [(*first[:i], value, *first[i + 1 :]) for i, values in enumerate(choices) for value in values[1:]]
    return [tuple(first), *others]


class Reading:
    """What passages give in a model, on disk once it is asked for."""

    def __init__(self, model: str, passages: Sequence[Passage], until: ExitStack) -> None:
        self._model, self._passages, self._until = model, passages, until
        self._spill: Spill | None = None
        self.widths_L = site_widths(models.get_loaded(model).model, "mlp")
        self.tokens: list[int] = []

    def networks(self, setting: Setting, counts: Sequence[int]) -> Iterator[tuple[int, Separated]]:
        """The networks of each of these numbers of passages and of both halves of them, as `canica` finds them."""
        if self._spill is None:
            self._spill = self._until.enter_context(Spill())
            loaded = models.get_loaded(self._model)
            for subject in read_subjects(loaded, self._passages, "mlp", write=standardize, reuse=True):
                self._spill.append(subject.activations_TN)
                self.tokens.append(len(subject.activations_TN))
        neurons = sum(self.widths_L)
        whole, *halves = (GroupBasis(setting.components, neurons, torch.device("cpu")) for _ in range(3))
        for number, z_TN in enumerate(islice(self._spill, max(counts))):
            whole.add(z_TN, halves[number % 2])
            if number + 1 in counts:
                (own,), (even,), (odd,) = (
                    separate([basis.result()], 0, AtlasRequest.restarts, setting.contrast, silent)
                    for basis in (whole, *halves)
                )
                yield number + 1, Separated(*own, halves=(even[0], odd[0]))


def print_curves(
    settings: Sequence[Setting], text: str, passages: Sequence[Passage], counts: Sequence[int], score: bool
) -> None:
    """A row for each setting and number of passages; with `score` how networks come back in those passages."""
    columns = COLUMNS + (IN_SCORE if score else ())
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
    for model in dict.fromkeys(setting.model for setting in settings):
        with ExitStack() as until:
            find = Reading(model, passages[: max(counts)], until)
            other = Reading(model, texts.bundled("score"), until) if score else None
            for setting in (setting for setting in settings if setting.model == model):
                canica.SKETCH_FACTOR = setting.sketch
                for count, row in rows(setting, find, passages, sorted(counts), other).items():
                    print(line(setting, text, count, row), flush=True)


def rows(
    setting: Setting, find: Reading, passages: Sequence[Passage], counts: Sequence[int], other: Reading | None
) -> dict[int, dict[str, Any]]:
    """What each number of passages gives, kept or computed."""
    files = {count: setting.file(passages[:count], other is not None) for count in counts}
    if missing := [count for count, file in files.items() if not file.exists()]:
        in_score = other.networks(setting, [len(texts.bundled("score"))]) if other else ()
        elsewhere = [found.maps_KN.numpy() for _, found in in_score]
        for count, found in find.networks(setting, missing):
            row = figures(found, find.widths_L, elsewhere)
            files[count].write_text(json.dumps(row | {"tokens": sum(find.tokens[:count])}))
    return {count: json.loads(file.read_text()) for count, file in files.items()}


def figures(found: Separated, widths_L: tuple[int, ...], elsewhere: Sequence[np.ndarray]) -> dict[str, Any]:
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
    for other_KN in elsewhere:
        similarity = map_correlation(maps_KN, other_KN)
        row["score"] = taken(similarity, partners(similarity)).tolist()
    return row


def line(setting: Setting, text: str, count: int, row: dict[str, Any]) -> str:
    """A row of the printed table."""
    r, trusted = np.array(row["r"]), np.array(row["trusted"])
    cells = [
        *(setting.model, text, setting.components, setting.contrast, f"{setting.sketch} K", count),
        *(f"{row['tokens']:,}", f"{r.mean():.3f}", f"{row['chance']:.3f}", f"{np.median(r):.3f}"),
        *((r >= 0.8).sum(), (r >= 0.9).sum(), f"{trusted.sum()} of {len(r)}", _mean(r[trusted])),
        *(f"{row['overlap']:.3f}", row["recurring"], f"{row['by_chance']:.1f}"),
    ]
    if "score" in row:
        score = np.array(row["score"])
        cells += [_mean(score), _mean(score[trusted])]
    return "| " + " | ".join(map(str, cells)) + " |"


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3f}" if len(values) else "none"
