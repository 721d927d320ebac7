"""Measure what edits do: baseline, edited and random controls side by side, each answered from the store if known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult, Ratio, on_same_windows, ratio, spoken
from fnet_core.evaluation.yardstick import Yardstick, baseline_estimates, changed_estimates
from fnet_core.interventions.controls import check_controls, random_controls
from fnet_core.interventions.editing import check_edits, editing
from fnet_core.interventions.edits import Edit
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import site_widths
from fnet_core.progress import Report, silent


@dataclass(frozen=True, eq=False, repr=False)
class Intervention(Described):
    """Perplexity untouched, edited, and with each random control; running estimates before the end."""

    edits: tuple[Edit, ...]
    baseline: PerplexityResult
    edited: PerplexityResult
    controls: tuple[PerplexityResult, ...]
    done: bool

    def on_same_windows(self) -> "Intervention":
        """This with every perplexity over the windows that all of them have, while the measurement is running."""
        baseline, edited, *controls = on_same_windows((self.baseline, self.edited, *self.controls))
        return replace(self, baseline=baseline, edited=edited, controls=tuple(controls))

    @property
    def effect(self) -> Ratio:
        """Edited over baseline perplexity, with its paired interval."""
        return ratio(self.edited, self.baseline)

    @property
    def control_effects(self) -> tuple[Ratio, ...]:
        """Each control over baseline."""
        return tuple(ratio(control, self.baseline) for control in self.controls)

    @property
    def control_values(self) -> np.ndarray:
        """The controls' perplexities, float64."""
        return np.array([control.value for control in self.controls])

    def worsening(self, document: int) -> np.ndarray:
        """By how many nats each token of a document became harder to predict, (T,) float32, NaN if unscored."""
        return self.edited.token_nll[document] - self.baseline.token_nll[document]

    def plot(self) -> Any:
        """The plotly figure of every passage's perplexity untouched, edited and with the controls.

        >>> import fnet_core as fn
        >>> edit = fn.inhibit(fn.find_atlas("tiny", components=4), 0, threshold=2.0)
        >>> text = "It rained all day, and nobody minded the rain."
        >>> fn.measure("tiny", edit, text, controls=2).plot().data[-1].name
        'edited'
        """
        return drawn("interventions.passages", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        names = ", ".join(edit.name or f"{len(edit.neurons):,} neurons" for edit in self.edits)
        controls = self.control_values
        facts: dict[str, object] = {
            "untouched": self.baseline.sentence,
            "edited": self.edited.sentence,
            "times untouched": f"{self.effect.value:.3g}" + spoken(self.effect.interval, ".3g"),
            "random controls": f"{np.median(controls):.4g} ({controls.min():.4g} to {controls.max():.4g}), "
            f"{len(controls)} of them"
            if len(controls)
            else "none",
        }
        return f"Perplexity under edits of {names}", facts

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        controls = self.control_values
        return {
            "edits": [
                {"name": e.name, "site": e.site, "neurons": len(e.neurons), "gain": e.gain, "offset": e.offset}
                for e in self.edits
            ],
            "baseline": self.baseline.summary(),
            "edited": self.edited.summary(),
            "controls": [control.summary() for control in self.controls],
            "ratio": self.effect.summary(),
            "control_ratios": [effect.summary() for effect in self.control_effects],
            "control_median": float(np.median(controls)) if len(controls) and np.isfinite(controls).all() else None,
        }


def edit_changes(edits: Sequence[Edit]) -> list[dict[str, Any]]:
    """Edits as they stand in a perplexity's key; their names decide nothing."""
    return [{k: v for k, v in edit.to_dict().items() if k != "name"} for edit in edits]


def estimates(
    loaded: LoadedModel, yardstick: Yardstick, edits: Sequence[Edit], report: Report = silent
) -> Iterator[PerplexityResult]:
    """Running estimates of the perplexity under edits, the last one final and saved; at once if it is known."""
    edits = tuple(edits)
    return changed_estimates(loaded, yardstick, edit_changes(edits), partial(editing, loaded, edits), report)


def perplexity(
    loaded: LoadedModel, yardstick: Yardstick, edits: Sequence[Edit], report: Report = silent
) -> PerplexityResult:
    """The final perplexity under edits, from the store or measured."""
    *_, result = estimates(loaded, yardstick, edits, report)
    return result


def intervene(
    loaded: LoadedModel,
    edits: Sequence[Edit],
    yardstick: Yardstick,
    *,
    controls: int = 5,
    seed: int = 0,
    report: Report = silent,
    publish: Callable[[Intervention], None] = lambda intervention: None,
) -> Intervention:
    """Measure baseline, edits and `controls` matched random controls, batch by batch in turn.

    `publish` gets the running estimates, the first after one batch of baseline and edited. Raises RequestError
    when an edit does not fit the model or no control of its size can be drawn.
    """
    edits = tuple(edits)
    if not edits:
        raise RequestError("There is no edit to measure; choose a network and a gain other than 1.")
    check_controls(controls)
    check_edits(loaded, edits)
    draws = random_controls(edits, site_widths(loaded.model, edits[0].site), controls, seed) if controls else []
    tracks = [
        baseline_estimates(loaded, yardstick),
        *(estimates(loaded, yardstick, chosen) for chosen in (edits, *draws)),
    ]
    latest: list[PerplexityResult | None] = [None] * len(tracks)
    while True:
        moved = False
        for number, track in enumerate(tracks):
            report("measuring", _share_done(latest))
            step = next(track, None)
            if step is not None:
                latest[number], moved = step, True
            if number and moved and latest[1] is not None:
                publish(_bundle(edits, latest, done=False))
        if not moved:
            break
    report("measuring", 1.0)
    return _bundle(edits, latest, done=True)


def _share_done(latest: Sequence[PerplexityResult | None]) -> float:
    shares = [0.0 if result is None else len(result.nll_W) / result.total_windows for result in latest]
    return sum(shares) / len(shares)


def _bundle(edits: tuple[Edit, ...], latest: Sequence[PerplexityResult | None], done: bool) -> Intervention:
    baseline, edited, *controls = latest
    assert baseline is not None and edited is not None
    return Intervention(edits, baseline, edited, tuple(c for c in controls if c is not None), done)
