"""What is known of a pruning at once: what the store has of it, and of the curves around it. No model is run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fnet_core.choices import Compensation
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import Yardstick, known_baseline
from fnet_core.models.loading import LoadedModel
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.curves import CurvePoint, read_off
from fnet_core.pruning.masking import known_pruned_perplexity
from fnet_core.pruning.plan import PrunePlan, plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, Scores, known_scores, scarce_text

Planned = Callable[[LoadedModel, PlanRequest, ScoreRequest], PrunePlan | str]
Measured = Callable[[LoadedModel, Yardstick, PrunePlan, Compensation, ScoreRequest], PerplexityResult | None]


@dataclass(frozen=True, eq=False)
class KnownPruning:
    """A request with all that the store answers of it; None for what is still to be scored or measured."""

    asked: PlanRequest
    scores: Scores | None
    plan: PrunePlan | None
    problem: str
    """Why there is no plan although the neurons are scored, or why none could be; empty otherwise."""
    baseline: PerplexityResult | None
    pruned: PerplexityResult | None
    cut: str
    """How the calibration passages were cut, or that they are too few, in sentences; empty where there is nothing."""
    points: tuple[CurvePoint, ...]
    """The measured points of the curves; a ratio that a method cannot meet counts as one."""

    @property
    def position(self) -> float:
        """The ratio asked for, or the share of neurons that the threshold's plan takes; 0 where there is no plan."""
        if self.asked.ratio is not None:
            return self.asked.ratio
        return self.plan.removed_share if self.plan else 0.0

    @property
    def about(self) -> float | None:
        """The pruned model's perplexity as the curve of the method has it at this position."""
        untouched = self.baseline.value if self.baseline else None
        return read_off(self.points, untouched, self.asked.method, self.position)


def plan_or_problem(loaded: LoadedModel, asked: PlanRequest, request: ScoreRequest) -> PrunePlan | str:
    """The plan, or the sentence on why there can be none."""
    try:
        return plan_for(loaded, asked, request)
    except RequestError as error:
        return str(error)


def _impossible(loaded: LoadedModel, asked: PlanRequest) -> str:
    try:
        asked.check(anatomy(loaded))
    except RequestError as error:
        return str(error)
    return ""


def known_pruning(
    loaded: LoadedModel,
    asked: PlanRequest,
    methods: Sequence[str],
    ratios: Sequence[float],
    request: ScoreRequest,
    yardstick: Yardstick,
    planned: Planned = plan_or_problem,
    measured: Measured = known_pruned_perplexity,
) -> KnownPruning:
    """What the store has of the plan asked for, and of the curves of these methods at these ratios.

    `planned` and `measured` answer as `plan_or_problem` and `known_pruned_perplexity` do; who asks again and again
    gives ones that remember. They are asked about scored methods alone.
    """
    request = request.fitted(loaded)
    scored = {m: known_scores(loaded, m, request.with_heads(asked.heads)) for m in {*methods, asked.method}}
    plan, problem, pruned = None, _impossible(loaded, asked), None
    if scored[asked.method] is not None:
        found = planned(loaded, asked, request)
        if isinstance(found, str):
            problem = found
        else:
            plan, pruned = found, measured(loaded, yardstick, found, asked.compensation, request)
    points = []
    for method in methods:
        for ratio in ratios if scored[method] is not None else ():
            cell = replace(asked, method=method, ratio=ratio, threshold=None)
            found = planned(loaded, cell, request)
            if isinstance(found, str):
                points.append(CurvePoint(method, ratio, None, None, found))
            elif perplexity := measured(loaded, yardstick, found, asked.compensation, request):
                points.append(CurvePoint(method, ratio, found, perplexity))
    baseline = known_baseline(loaded, yardstick)
    notes = " ".join(note for note in (request.cut, scarce_text(loaded, asked, request)) if note)
    return KnownPruning(asked, scored[asked.method], plan, problem, baseline, pruned, notes, tuple(points))
