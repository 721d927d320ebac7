"""The commands that make again what a page shows: an atlas, edits and their effect, a pruning.

What the command line cannot be told, such as where a text file lies, stands beside them as sentences.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fnet_core import texts
from fnet_core.choices import (
    DEFAULT_COMPENSATION,
    DEFAULT_METHOD,
    DEFAULT_THRESHOLD,
    PROTECTED,
    PUBLISHED_COMPONENTS,
    PUBLISHED_THRESHOLD,
    Form,
)
from fnet_core.derivation.recovering import How, RecoveryRequest
from fnet_core.evaluation.request import Yardstick
from fnet_core.networks.atlas import Atlas
from fnet_core.networks.request import AtlasRequest
from fnet_core.pruning.published import CHOICES as PUBLISHED
from fnet_core.pruning.published import published_groups
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.pruning.target import Target
from fnet_core.texts import Passage

PROGRAM = "python -m fnet_core"
ATLAS_FILE, OTHER_FILE, EDITS_FILE = "atlas.safetensors", "other.safetensors", "edits.json"
PLACES = "Models and texts stand here by their own names: where one is a folder or a file, write its place."
_PIECE = re.compile(r"\.\d+$")
"""What the name of a piece of a passage ends with, where passages were cut for a model."""


@dataclass(frozen=True)
class Commands:
    """Lines for a shell, and what they cannot say, as sentences."""

    lines: tuple[str, ...]
    beyond: tuple[str, ...]


@dataclass(frozen=True)
class Recovering:
    """How a pruned model is trained: steps, what of it, on which text, and whether beside a random cut."""

    steps: int
    how: How
    own_text: bool
    control: bool


def atlas_commands(atlas: Atlas, threshold: float = DEFAULT_THRESHOLD, out: str | None = None) -> Commands:
    """The command that finds the networks of an atlas again, saved as `out` if that is given."""
    recipe = atlas.recipe
    words, beyond = _networks_texts(atlas.passages)
    for option, name in (
        ("--site", "site"),
        ("--scope", "scope"),
        ("--components", "components"),
        ("--restarts", "restarts"),
        ("--contrast", "contrast"),
        ("--seed", "seed"),
    ):
        default = getattr(AtlasRequest, name)
        if (value := recipe.get(name, default)) != default:
            words += [option, str(value)]
    if threshold != DEFAULT_THRESHOLD:
        words += ["--threshold", f"{threshold:g}"]
    if out is not None:
        words += ["--out", out]
    return Commands((_line("atlas", atlas.model_name, words),), (*beyond, PLACES))


def recurrence_commands(atlas: Atlas, other: Atlas | None = None) -> Commands:
    """The commands that find an atlas again and hold it against its own halves, or against another one."""
    made = atlas_commands(atlas, out=ATLAS_FILE)
    if other is None:
        return Commands((*made.lines, _line("recur", ATLAS_FILE, [])), made.beyond)
    beside = atlas_commands(other, out=OTHER_FILE)
    lines = (*made.lines, *beside.lines, _line("recur", ATLAS_FILE, [OTHER_FILE]))
    return Commands(lines, tuple(dict.fromkeys((*made.beyond, *beside.beyond))))


def edit_commands(
    atlas: Atlas,
    gains: Mapping[int | str, float],
    threshold: float,
    yardstick: Yardstick,
    controls: int,
    seed: int,
) -> Commands:
    """The commands that find an atlas again and measure edits of its networks; no gains stand for edits from a file.

    The key "all" of `gains` stands for every network at once.
    """
    made = atlas_commands(atlas, out=ATLAS_FILE)
    words, beyond = _score_texts(yardstick)
    edits = [f"--all={gain:g}" if isinstance(k, str) else f"--gain={k}={gain:g}" for k, gain in gains.items()]
    if gains:
        source = ["--atlas", ATLAS_FILE, *edits, "--threshold", f"{threshold:g}"]
    else:
        source = ["--load", EDITS_FILE]
        beyond = (*beyond, f"The edits came from a file, {EDITS_FILE} here.")
    line = _line("edit", atlas.model_name, [*source, "--controls", str(controls), *_seed(seed), *words])
    lines = (*made.lines, line) if gains else (line,)
    return Commands(lines, tuple(dict.fromkeys((*(made.beyond if gains else ()), *beyond, PLACES))))


def prune_commands(
    model: str,
    plan: PlanRequest,
    scores: ScoreRequest,
    yardstick: Yardstick,
    target: Target | None = None,
    form: Form = "auto",
    out: str | None = None,
    recovering: Recovering | None = None,
) -> Commands:
    """The command that plans a pruning again, measures it, and saves the model as `out` in a form if that is given.

    A `target` stands in place of the plan's ratio. With `recovering` the model is trained before it is saved.
    """
    published = plan.method == PUBLISHED["method"] and scores.passages == texts.for_networks()
    words = ["--published"] if published else ["--method", plan.method] if plan.method != DEFAULT_METHOD else []
    beyond: tuple[str, ...] = ()
    if target is not None:
        words += ["--target", target.written]
        if target.is_speed:
            beyond = ("The speed is measured anew, so that another ratio may be found.",)
    elif plan.ratio is not None:
        words += ["--ratio", f"{plan.ratio:g}"]
    elif not published or plan.threshold != PUBLISHED_THRESHOLD:
        words += ["--threshold", f"{plan.threshold:g}"]
    if plan.ratio is not None and plan.share != PlanRequest.share:
        words += ["--share", plan.share]
    if plan.compensation != (PUBLISHED["compensation"] if published else DEFAULT_COMPENSATION):
        words += ["--compensation", plan.compensation]
    if plan.protected != PROTECTED:
        words += ["--protect", *map(str, plan.protected)]
    words += ["--even"] if plan.even else []
    words += ["--heads"] if plan.heads else []
    if scores.components != (PUBLISHED_COMPONENTS if published else ScoreRequest.components):
        words += ["--components", str(scores.components)]
    if scores.groups != (published_groups(len(scores.passages)) if published else ScoreRequest.groups):
        words += ["--groups", str(scores.groups)]
    if not published and scores.passages != texts.bundled("find"):
        words += ["--calibration=FILE"]
        beyond += ("The neurons were scored on a text of your own: save it as a file in place of FILE.",)
    measured, more = _score_texts(yardstick)
    if recovering is not None:
        words += ["--recover", str(recovering.steps)]
        words += ["--recover-by", recovering.how] if recovering.how != RecoveryRequest.how else []
        words += ["--recover-control"] if recovering.control else []
        if recovering.own_text:
            words += ["--recover-text=OTHER"]
            beyond += ("The text to train on was your own: save it as a file in place of OTHER.",)
    saved = ["--form", form] if form != "auto" else []
    saved += [f"--out={out}"] if out is not None else []
    line = _line("prune", model, [*words, *_seed(scores.seed), *measured, *saved])
    return Commands((line,), tuple(dict.fromkeys((*beyond, *more, PLACES))))


def _line(command: str, model: str, words: Sequence[str]) -> str:
    """One command; a name that begins with a dash would be read as an option."""
    name = f"./{model}" if model.startswith("-") else model
    return f"{PROGRAM} {command} " + shlex.join([name, *words])


def _seed(seed: int) -> list[str]:
    return ["--seed", str(seed)] if seed else []


def _networks_texts(passages: Sequence[Passage]) -> tuple[list[str], tuple[str, ...]]:
    """The options that name the text an atlas was found on."""
    bundled = texts.for_networks()
    whole = list(dict.fromkeys(_PIECE.sub("", passage.name) for passage in passages))
    count = len(whole)
    if all(p.source.startswith("bundled/") for p in passages) and whole == [p.name for p in bundled[:count]]:
        return (["--passages", str(count)] if count < len(bundled) else []), ()
    (only, *more) = sorted({passage.source for passage in passages}) or [""]
    if only.startswith("file ") and not more:
        return [f"--texts={only.removeprefix('file ')}"], ()
    came = ", ".join([only, *more])
    return ["--texts=FILE"], (f"The text came from {came}: save it as a file in place of FILE.",)


def _score_texts(yardstick: Yardstick) -> tuple[list[str], tuple[str, ...]]:
    """The options that say what perplexity is measured on."""
    bundled, passages = texts.bundled("score"), yardstick.passages
    beyond: tuple[str, ...] = ()
    if passages == bundled[: len(passages)]:
        words = ["--passages", str(len(passages))] if len(passages) < len(bundled) else []
    else:
        words = ["--texts=FILE"]
        beyond = (
            "The text to measure on was your own: save it as a file in place of FILE. The command line measures a file "
            "as one document, the page measures it in passages.",
        )
    if yardstick.definition != Yardstick.definition:
        words += ["--definition", yardstick.definition]
    if yardstick.window is not None:
        words += ["--window", str(yardstick.window)]
    if yardstick.stride is not None:
        words += ["--stride", str(yardstick.stride)]
    return words, beyond
