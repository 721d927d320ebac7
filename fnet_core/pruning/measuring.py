"""What pruning costs, measured: perplexity before and after, and along the curve over ratios."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fnet_core.choices import DEFAULT_COMPENSATION, PROTECTED, Compensation, Share
from fnet_core.drawing import Described
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult, Ratio, ratio, spoken
from fnet_core.evaluation.yardstick import Yardstick, baseline_estimates
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.masking import Pruning, known_pruned_perplexity, prepare, pruned_estimates
from fnet_core.pruning.plan import PrunePlan, make_plan
from fnet_core.pruning.scores import METHODS, ScoreRequest, find_scores


@dataclass(frozen=True, eq=False, repr=False)
class PruneResult(Described):
    """Perplexity before and after pruning; running estimates before the end."""

    plan: PrunePlan
    compensation: Compensation
    baseline: PerplexityResult
    pruned: PerplexityResult
    done: bool

    @property
    def effect(self) -> Ratio:
        """Pruned over baseline perplexity on the windows both have, with its paired interval."""
        return ratio(self.pruned, self.baseline)

    def plot(self) -> Any:
        """The plotly figure of which neurons stay in each layer."""
        return self.plan.plot()

    def _description(self) -> tuple[str, dict[str, object]]:
        facts = {
            "untouched": self.baseline.sentence,
            "pruned": self.pruned.sentence,
            "times untouched": f"{self.effect.value:.3g}" + spoken(self.effect.interval, ".3g"),
            "instead of what goes": self.compensation,
        }
        return self.plan.title, facts


def measure_pruning(
    loaded: LoadedModel,
    pruning: Pruning,
    yardstick: Yardstick,
    report: Report = silent,
    publish: Callable[[PruneResult], None] = lambda result: None,
) -> PruneResult:
    """Baseline and pruned perplexity, the pruned one first in each turn; `publish` gets the running estimates.

    A baseline that is still to be measured takes turns with it; both are answered from the store where known.
    """
    tracks = [pruned_estimates(loaded, yardstick, pruning), baseline_estimates(loaded, yardstick)]
    latest: list[PerplexityResult | None] = [None, None]
    moved = True
    while moved:
        moved = False
        for number, track in enumerate(tracks):
            done = [0.0 if r is None else len(r.nll_W) / r.total_windows for r in latest]
            report("measuring", sum(done) / 2)
            step = next(track, None)
            if step is not None:
                latest[number], moved = step, True
        if moved:
            publish(PruneResult(pruning.plan, pruning.compensation, latest[1], latest[0], done=False))
    report("measuring", 1.0)
    return PruneResult(pruning.plan, pruning.compensation, latest[1], latest[0], done=True)


@dataclass(frozen=True)
class CurveSettings:
    """What all points of the curves share."""

    ratios: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5)
    compensation: Compensation = DEFAULT_COMPENSATION
    share: Share = "neurons"
    protected: tuple[int, int] = PROTECTED
    even: bool = False
    heads: bool = False


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """One method at one ratio: its plan and perplexity, or why there is none."""

    method: str
    ratio: float
    plan: PrunePlan | None
    perplexity: PerplexityResult | None
    problem: str = ""


def plan_for(
    loaded: LoadedModel,
    method: str,
    ratio: float | None,
    settings: CurveSettings,
    request: ScoreRequest,
    report: Report = silent,
    threshold: float | None = None,
) -> PrunePlan:
    """The plan of one method at one ratio or threshold, its scores from the store or computed."""
    scores = find_scores(loaded, [method], request.with_heads(settings.heads), report)[method]
    return make_plan(
        anatomy(loaded),
        scores,
        ratio=ratio,
        threshold=threshold,
        share=settings.share,
        protected=settings.protected,
        even=settings.even,
        heads=settings.heads,
    )


def curves(
    loaded: LoadedModel,
    methods: Sequence[str],
    settings: CurveSettings,
    request: ScoreRequest,
    yardstick: Yardstick,
    report: Report = silent,
    publish: Callable[[tuple[CurvePoint, ...]], None] = lambda points: None,
) -> tuple[CurvePoint, ...]:
    """Perplexity of every method at every ratio, ratio by ratio; `publish` gets the points so far.

    What was measured before comes from the store. A ratio that a method cannot meet stands as a point without a
    value. Raises RequestError for an unknown method.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise RequestError(f"There is no pruning method '{unknown[0]}'; choose one of {', '.join(METHODS)}.")
    find_scores(loaded, methods, request.with_heads(settings.heads), report)
    asked = [(method, ratio_) for ratio_ in settings.ratios for method in methods]
    points: tuple[CurvePoint, ...] = ()
    for i, (method, ratio_) in enumerate(asked):

        def part(stage: str, fraction: float, i=i) -> None:
            report(stage, (i + fraction) / len(asked))

        try:
            plan = plan_for(loaded, method, ratio_, settings, request, part)
        except RequestError as error:
            points += (CurvePoint(method, ratio_, None, None, str(error)),)
            continue
        known = known_pruned_perplexity(loaded, yardstick, plan, settings.compensation, request)
        if known is None:
            pruning = prepare(loaded, plan, settings.compensation, request, part)
            *_, known = pruned_estimates(loaded, yardstick, pruning, part)
        points += (CurvePoint(method, ratio_, plan, known),)
        publish(points)
    report("measuring", 1.0)
    return points
