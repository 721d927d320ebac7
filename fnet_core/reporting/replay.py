"""Bundling with measurement, and replaying: everything in a bundle computed again, figure by figure beside it.

Nothing is answered from the store: what was computed on this machine before would agree with itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from fnet_core import texts
from fnet_core.capability.battery import make_battery
from fnet_core.capability.lesions import LesionMatrix, LesionRequest, lesions
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.interventions.editing import check_atlas, check_recipe
from fnet_core.interventions.edits import parse_edits
from fnet_core.interventions.measuring import intervene
from fnet_core.lineage.fingerprint import Fingerprint
from fnet_core.lineage.request import FingerprintRequest
from fnet_core.lineage.taking import fingerprint_of
from fnet_core.models.loading import LoadedModel
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.finding import compute_atlas
from fnet_core.networks.request import METHOD_VERSION, AtlasRequest
from fnet_core.parallel import on_threads, threads
from fnet_core.progress import Report, part_of, silent
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.reporting.bundle import Bundle, SavedEdits
from fnet_core.reporting.figures import Line, compared, line
from fnet_core.storage import memo
from fnet_core.texts import Passage


@dataclass(frozen=True)
class Replay:
    """Every figure of a bundle beside what came out again."""

    model: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    """What is not as it was when the bundle was made, in sentences."""

    @property
    def agrees(self) -> bool:
        """Whether no figure that was computed again differs."""
        return not any(line.outcome == "differs" for line in self.lines)

    @property
    def sentence(self) -> str:
        """The outcome in a line."""
        counts = {name: sum(line.outcome == name for line in self.lines) for name in ("identical", "agrees", "differs")}
        left = sum(line.outcome == "not replayed" for line in self.lines)
        told = f"{counts['identical']} figures are identical, {counts['agrees']} agree, {counts['differs']} differ"
        return f"{told}; {left} were not replayed." if left else f"{told}."

    def table(self) -> pd.DataFrame:
        """One row per figure: figure, outcome, apart, said, recorded, found."""
        columns = ["figure", "outcome", "apart", "said", "recorded", "found"]
        return pd.DataFrame([each.summary() for each in self.lines], columns=columns)

    def summary(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "model": self.model,
            "agrees": self.agrees,
            "sentence": self.sentence,
            "notes": list(self.notes),
            "figures": [each.summary() for each in self.lines],
        }


def bundle_of(
    atlas: Atlas,
    *,
    edits: Sequence[str] = (),
    plans: Sequence[dict[str, Any]] = (),
    lesions: Sequence[LesionMatrix] = (),
    fingerprint: Fingerprint | None = None,
    loaded: LoadedModel | None = None,
    report: Report = silent,
) -> Bundle:
    """An atlas with what belongs to it; with its model loaded, the perplexity under saved `edits` is measured too.

    That is on the bundled passages to score on, from the store where known. RequestError for edits and plans of another
    model.
    """
    saved = []
    for number, text in enumerate(edits):
        parsed, recipe = parse_edits(text)
        _check_same(recipe, atlas, "edits")
        measured: dict[str, Any] = {}
        if loaded is not None and parsed:
            check_recipe(loaded, recipe)
            yardstick = Yardstick(texts.bundled("score"))
            found = intervene(loaded, parsed, yardstick, controls=0, report=part_of(report, number, len(edits)))
            measured = {
                "texts_digest": yardstick.to_dict()["texts_digest"],
                "untouched": _windows(found.baseline),
                "edited": _windows(found.edited),
                "threads": threads(),
            }
        saved.append(SavedEdits(text, parsed, measured))
    for plan in plans:
        _check_same(plan["recipe"], atlas, "plan")
    return Bundle(atlas, tuple(saved), tuple(plans), tuple(lesions), fingerprint)


def replay(bundle: Bundle, loaded: LoadedModel, *, everything: bool = False, report: Report = silent) -> Replay:
    """Compute what a bundle holds again with its model, and hold it against what is in it.

    The atlas, the perplexities under edits, and which neurons plans take; with `everything` the lesion matrices and the
    fingerprint too, which take far longer. All of it on as many threads as it was computed on. RequestError for another
    model than the bundle's.
    """
    atlas = bundle.atlas
    check_atlas(loaded, atlas)
    lines: list[Line] = []
    taken = _threads_of(atlas.recipe)
    notes = _notes(atlas, taken)
    with memo.afresh(), on_threads(taken):
        lines += compared(atlas, _atlas_again(atlas, loaded, report))
        for number, saved in enumerate(bundle.edits, start=1):
            lines += _edits_again(f"edits {number}", saved, loaded, report)
        for number, plan in enumerate(bundle.plans, start=1):
            lines.append(_plan_again(f"plan {number}: neurons and heads that stay", plan, atlas, loaded, report))
        for matrix in bundle.lesions:
            name = f"lesions at gain {matrix.gain:g}"
            again = partial(_lesions_again, name, matrix, atlas, loaded, report)
            lines += again() if everything else [_left_out(name)]
        if bundle.fingerprint is not None:
            again = partial(_fingerprint_again, bundle.fingerprint, loaded, report)
            lines += again() if everything else [_left_out("fingerprint")]
    return Replay(loaded.name, tuple(lines), tuple(notes))


def _check_same(recipe: dict[str, Any], atlas: Atlas, what: str) -> None:
    digest = atlas.recipe.get("model_digest")
    if recipe.get("model_digest", digest) != digest:
        raise RequestError(f"The {what} are of another model than this atlas; bundle what belongs together.")


def _left_out(name: str) -> Line:
    return Line(name, "not replayed", "it takes long; --all computes it again too")


def _threads_of(recorded: Mapping[str, Any]) -> dict[str, int]:
    """On how many threads this was computed; empty where nothing says so."""
    found = dict(recorded.get("threads") or {})
    try:
        with on_threads(found):
            return found
    except ValueError as error:
        raise RequestError(f"The bundle cannot be replayed: {error}.") from None


def _notes(atlas: Atlas, taken: Mapping[str, int]) -> list[str]:
    found = []
    if not taken:
        found.append(
            "The bundle does not say on how many threads it was computed. Another number than on this machine moves "
            "figures, and may give other networks."
        )
    elif taken != threads():
        found.append(f"Computed on {_told(taken)}, as when it was made; this machine takes {_told(threads())}.")
    recorded = atlas.recipe.get("versions") or {}
    here = memo.versions(*(name for name in recorded if name in ("torch", "transformers", "scikit-learn")))
    if other := [f"{name} {recorded[name]} then, {here[name]} now" for name in here if here[name] != recorded[name]]:
        found.append(f"Other versions: {'; '.join(other)}.")
    if atlas.recipe.get("method_version", METHOD_VERSION) != METHOD_VERSION:
        found.append("The method has changed since: its atlases are no longer the same.")
    return found


def _told(taken: Mapping[str, int]) -> str:
    return " and ".join(f"{count} {name} thread{'s' if count != 1 else ''}" for name, count in taken.items())


def _atlas_again(atlas: Atlas, loaded: LoadedModel, report: Report) -> Atlas:
    recipe = atlas.recipe
    try:
        request = AtlasRequest(
            model=loaded.name,
            passages=atlas.passages,
            site=recipe["site"],
            scope=recipe["scope"],
            components=recipe["components"],
            seed=recipe["seed"],
            restarts=recipe["restarts"],
            contrast=recipe["contrast"],
        )
    except KeyError as error:
        raise RequestError(f"The atlas's recipe does not say its {error.args[0]}, so it cannot be replayed.") from None
    return compute_atlas(loaded, request, recipe, report, halves=atlas.halves is not None)


def _windows(found: PerplexityResult) -> dict[str, Any]:
    """A perplexity in words, and what it is made of: nats per window, float64 in hexadecimal, finite or not."""
    return {"value": f"{found.value:.6g}", "nll": found.nll_W.astype("<f8").tobytes().hex()}


def _nats(recorded: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(recorded["nll"]), dtype="<f8")


def _edits_again(name: str, saved: SavedEdits, loaded: LoadedModel, report: Report) -> list[Line]:
    titles = {"untouched": f"{name}: perplexity untouched", "edited": f"{name}: perplexity under them"}
    yardstick = Yardstick(texts.bundled("score"))
    if not saved.measured:
        return [Line(titles["edited"], "not replayed", "nothing was measured when the bundle was made")]
    if saved.measured["texts_digest"] != yardstick.to_dict()["texts_digest"]:
        return [Line(titles["edited"], "not replayed", "this version has other passages to score on")]
    with on_threads(_threads_of(saved.measured)):
        found = intervene(loaded, saved.edits, yardstick, controls=0, report=report)
    lines = []
    for part, again in (("untouched", found.baseline), ("edited", found.edited)):
        recorded, now = saved.measured[part], _windows(again)
        same = line(titles[part], [_nats(recorded)], [_nats(now)])
        said = f"{recorded['value']} then, {now['value']} now" + (f"; {same.said}" if same.said else "")
        lines.append(Line(same.figure, same.outcome, said, same.recorded, same.found, same.apart))
    return lines


def _plan_again(name: str, plan: dict[str, Any], atlas: Atlas, loaded: LoadedModel, report: Report) -> Line:
    recipe, scored = plan["recipe"], plan["recipe"]["scores"]
    passages = _calibration(scored, atlas, loaded)
    if passages is None:
        return Line(name, "not replayed", "the text that it was scored on is not in the bundle")
    asked = PlanRequest(
        method=recipe["method"],
        ratio=recipe["ratio"],
        threshold=recipe["threshold"],
        share=recipe["share"],
        protected=tuple(recipe["protected"]),
        even=recipe["even"],
        heads=scored["heads"],
    )
    chosen = {name: scored[name] for name in ("heads", "seed", "components", "groups") if name in scored}
    request = ScoreRequest(passages, **chosen)
    again = plan_for(loaded, asked, request, report)
    recorded, found = (_bits(masks) for masks in (plan["keep"], again.masks()))
    if len(recorded) != len(found):
        return Line(name, "differs", "the model has other layers")
    alike = float((recorded == found).mean()) if len(found) else 1.0
    said = "" if alike == 1 else f"{alike:.4%} are decided alike"
    then, now = recipe["masks_digest"], again.recipe()["masks_digest"]
    return Line(name, "identical" if then == now and alike == 1 else "differs", said, then, now, 1 - alike)


def _bits(masks: dict[str, Any]) -> np.ndarray:
    packed = b"".join(bytes.fromhex(layer) for part in ("mlp", "heads") for layer in masks[part])
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8))


def _calibration(scored: dict[str, Any], atlas: Atlas, loaded: LoadedModel) -> tuple[Passage, ...] | None:
    """The passages that a plan was scored on, if they are bundled or the atlas's own."""
    wanted = scored.get("texts_digest")
    if wanted is None:
        return atlas.passages
    for passages in (texts.bundled("find"), texts.for_networks(), atlas.passages, texts.bundled("score")):
        for count in sorted({len(passages), min(scored.get("passages", 0), len(passages))} - {0}):
            if ScoreRequest(passages[:count]).fitted(loaded).texts_digest == wanted:
                return passages[:count]
    return None


def _lesions_again(name: str, matrix: LesionMatrix, atlas: Atlas, loaded: LoadedModel, report: Report) -> list[Line]:
    recipe = matrix.recipe
    battery = make_battery(recipe["asked"]["items"], recipe["asked"]["seed"], matrix.capabilities)
    if battery.digest != recipe["battery"]:
        return [Line(name, "not replayed", "this version asks other items")]
    request = LesionRequest(recipe["threshold"], recipe["gain"], recipe["draws"], recipe["seed"])
    again = lesions(loaded, atlas, battery, request, report)
    arrays = {
        "answers untouched": (matrix.untouched_I, again.untouched_I),
        "answers with each network changed": (matrix.changed_KI, again.changed_KI),
        "answers with random neurons changed": (matrix.random_KMI, again.random_KMI),
    }
    return [line(f"{name}: {what}", [then], [now]) for what, (then, now) in arrays.items()]


def _fingerprint_again(recorded: Fingerprint, loaded: LoadedModel, report: Report) -> list[Line]:
    if recorded.is_secret:
        return [Line("fingerprint", "not replayed", "its probes are secret")]
    protocol = recorded.protocol
    choices = {name: protocol[name] for name in ("site", "components", "threshold", "signal")}
    request = FingerprintRequest(loaded.name, seed=recorded.recipe["seed"], span=recorded.span, **choices)
    if request.protocol() != protocol:
        return [Line("fingerprint", "not replayed", "it was taken on other passages, or by an earlier method")]
    again = fingerprint_of(loaded, request, report).answer
    arrays = {
        "signals": (recorded.signals, again.signals),
        "similarity of layers": ((recorded.grams_LU,), (again.grams_LU,)),
        "weights of attention": ((recorded.curves_4L,), (again.curves_4L,)),
    }
    return [line(f"fingerprint: {what}", list(then), list(now)) for what, (then, now) in arrays.items()]
