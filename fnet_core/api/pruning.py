"""Plan what is pruned, measure what it costs, save the smaller model."""

from pathlib import Path
from typing import Any

from fnet_core.choices import (
    PUBLISHED_COMPONENTS,
    Compensation,
)
from fnet_core.errors import RequestError
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.given import Model, Texts, loaded_of, passages
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent
from fnet_core.pruning import export as exporting
from fnet_core.pruning.masking import Pruning, prepare
from fnet_core.pruning.measuring import PruneResult, measure_pruning
from fnet_core.pruning.plan import PrunePlan, plan_for
from fnet_core.pruning.published import published_groups, published_plan
from fnet_core.pruning.reaching import reach
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.pruning.target import read_target
from fnet_core.texts import Passage


def plan_pruning(
    model: Model,
    ratio: float | None = None,
    source: Texts = "find",
    *,
    components: int = 32,
    seed: int = 0,
    target: str | None = None,
    measured_on: Texts = "score",
    report: Report = silent,
    **choices: Any,
) -> PrunePlan:
    """Which neurons (and heads, or whole layers) go at a ratio, or with threshold= what scores at most so much.

    With `target` ("450MB", "100Mparams", "600tok/s", "ppl<=40" on `measured_on`) it is the plan that reaches that, and
    its `request.ratio` says at which ratio. `choices` are those of `PlanRequest`: method, threshold, share, protected,
    even, heads, compensation, folded. Raises RequestError for choices that do not exist, a ratio or a target that
    cannot be met, and text too short to score on.

    >>> import fnet_core as fn
    >>> plan = fn.plan_pruning("tiny", 0.25, method="wanda-sp", protected=(0, 0))
    >>> plan.removed_neurons, plan.removed_share
    (80, 0.25)
    >>> smaller = fn.plan_pruning("tiny", target="50Kparams", method="wanda-sp", protected=(0, 0), compensation="none")
    >>> 49_500 < smaller.parameters <= 50_000
    True
    """
    if target is not None and (ratio, choices.get("threshold")) != (None, None):
        raise RequestError("A target stands instead of a ratio and a threshold; give one of them.")
    asked = PlanRequest(ratio=0.0 if target else ratio, **choices)
    request = ScoreRequest(passages(source), asked.heads, seed, components)
    loaded = loaded_of(model, report)
    if target is None:
        return plan_for(loaded, asked, request, report)
    return reach(loaded, read_target(target), asked, request, Yardstick(passages(measured_on)), report).plan


def plan_published(
    model: Model,
    ratio: float | None = None,
    source: Texts = "networks",
    *,
    components: int = PUBLISHED_COMPONENTS,
    seed: int = 0,
    report: Report = silent,
    **choices: Any,
) -> PrunePlan:
    """Which neurons go by the published criterion as its paper ran it (arXiv 2508.05239), see `pruning.published`.

    By its threshold unless a ratio is given; other `choices` of `PlanRequest` win. Raises RequestError as
    `plan_pruning`.

    >>> import fnet_core as fn
    >>> plan = fn.plan_published("tiny", 0.25, "score", components=4, protected=(0, 0))
    >>> plan.request.method, plan.request.compensation, plan.removed_share
    ('fn', 'bias-sequential', 0.25)
    """
    asked, read = published_plan(ratio, **choices), passages(source)
    request = ScoreRequest(read, asked.heads, seed, components, published_groups(len(read)))
    return plan_for(loaded_of(model, report), asked, request, report)


def prune(
    model: Model,
    plan: PrunePlan,
    source: Texts = "score",
    *,
    report: Report = silent,
    compensation: Compensation | None = None,
    calibration: Texts = "find",
    components: int | None = None,
    seed: int | None = None,
) -> PruneResult:
    """What a plan costs: perplexity before and after, with what stands in for the removed neurons.

    What stands in is the plan's compensation unless another is named, worked out on `calibration`, which must be the
    texts of the plan; `components` and `seed` are the plan's where its method has them, 32 and 0 otherwise. The model
    is not changed. Raises RequestError for other texts, components or seed than the plan was scored with, a plan of
    another model, and an unknown compensation.

    >>> import fnet_core as fn
    >>> plan = fn.plan_pruning("tiny", 0.25, method="wanda-sp", protected=(0, 0))
    >>> found = fn.prune("tiny", plan, "It rained all day, and nobody minded the rain.", compensation="bias")
    >>> round(found.effect.value, 6) == round(found.pruned.value / found.baseline.value, 6)
    True
    """
    loaded = loaded_of(model, report)
    pruning = _prepared(loaded, plan, compensation, (passages(calibration), components, seed), report)
    return measure_pruning(loaded, pruning, Yardstick(passages(source)), report)


def export(
    model: Model,
    plan: PrunePlan,
    folder: str | Path,
    *,
    result: PruneResult | None = None,
    report: Report = silent,
    compensation: Compensation | None = None,
    calibration: Texts = "find",
    components: int | None = None,
    seed: int | None = None,
) -> Path:
    """Save the pruned model as a new folder that transformers loads; with `result` its card states the perplexities.

    Raises RequestError as `prune`, for a folder that exists, and for a plan that removes nothing.

    >>> import fnet_core as fn
    >>> plan = fn.plan_pruning("tiny", 0.25, method="wanda-sp", protected=(0, 0))
    >>> folder = fn.export("tiny", plan, "smaller", compensation="none")
    >>> fn.load(str(folder.resolve())).model.num_parameters() == plan.parameters
    True
    """
    loaded = loaded_of(model, report)
    pruning = _prepared(loaded, plan, compensation, (passages(calibration), components, seed), report)
    perplexities = {"before": result.baseline, "after": result.pruned} if result else {}
    return exporting.export(loaded, pruning, Path(folder), perplexities, report, result.yardstick if result else None)


def _prepared(
    loaded: LoadedModel,
    plan: PrunePlan,
    compensation: Compensation | None,
    read: tuple[tuple[Passage, ...], int | None, int | None],
    report: Report,
) -> Pruning:
    """What stands in for removed neurons, from the passages, components and seed that the plan was scored with."""
    given, components, seed = read
    compensation = compensation or plan.request.compensation
    scored = plan.scores
    request = ScoreRequest(
        given,
        scored["heads"],
        scored.get("seed", 0) if seed is None else seed,
        scored.get("components", 32) if components is None else components,
    ).fitted(loaded)
    for name, value, option in (
        ("texts_digest", request.texts_digest, "calibration"),
        ("components", request.components, "components"),
        ("seed", request.seed, "seed"),
    ):
        if compensation != "none" and scored.get(name, value) != value:
            raise RequestError(
                f"The plan was scored with another {option}; give the one that plan_pruning had as {option}=."
            )
    return prepare(loaded, plan, compensation, request, report)
