"""Perplexity along the ratio, method by method: measured, read off, ranked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fnet_core.choices import Compensation
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult, Ratio, ratio
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent
from fnet_core.pruning.masking import known_pruned_perplexity, prepare, pruned_estimates
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import PrunePlan, plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, find_scores


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """One method at one ratio: its plan and perplexity, or why there is none."""

    method: str
    ratio: float
    plan: PrunePlan | None
    perplexity: PerplexityResult | None
    problem: str = ""

    @property
    def measured(self) -> PerplexityResult:
        """The perplexity of a point that has one."""
        assert self.perplexity is not None
        return self.perplexity


def curves(
    loaded: LoadedModel,
    methods: Sequence[str],
    ratios: Sequence[float],
    template: PlanRequest,
    request: ScoreRequest,
    yardstick: Yardstick,
    report: Report = silent,
    publish: Callable[[tuple[CurvePoint, ...]], None] = lambda points: None,
) -> tuple[CurvePoint, ...]:
    """Perplexity of every method at every ratio, ratio by ratio; `publish` gets the points so far.

    All points share what `template` asks for beside method and amount. What was measured before comes from the store.
    A ratio that a method cannot meet stands as a point without a value. Raises RequestError for an unknown method.
    """
    find_scores(loaded, methods, request.with_heads(template.heads), report)
    cells = [(method, ratio_) for ratio_ in ratios for method in methods]
    points: tuple[CurvePoint, ...] = ()
    for i, (method, ratio_) in enumerate(cells):

        def part(stage: str, fraction: float, i=i) -> None:
            report(stage, (i + fraction) / len(cells))

        try:
            plan = plan_for(loaded, replace(template, method=method, ratio=ratio_, threshold=None), request, part)
        except RequestError as error:
            points += (CurvePoint(method, ratio_, None, None, str(error)),)
            continue
        perplexity = plan_perplexity(loaded, plan, template.compensation, request, yardstick, part)
        points += (CurvePoint(method, ratio_, plan, perplexity),)
        publish(points)
    report("measuring", 1.0)
    return points


def plan_perplexity(
    loaded: LoadedModel,
    plan: PrunePlan,
    compensation: Compensation,
    request: ScoreRequest,
    yardstick: Yardstick,
    report: Report = silent,
) -> PerplexityResult:
    """The perplexity of a pruned model, from the store or measured; what stands in is worked out only to measure."""
    known = known_pruned_perplexity(loaded, yardstick, plan, compensation, request)
    if known is None:
        pruning = prepare(loaded, plan, compensation, request, report)
        *_, known = pruned_estimates(loaded, yardstick, pruning, report)
    return known


def point_table(points: Sequence[CurvePoint]) -> pd.DataFrame:
    """One row per point, by ratio and then as the methods are listed.

    Columns method, title, ratio and removed (shares from 0 to 1, the second of all parameters), perplexity, low, high
    (its 95 % interval), problem; NaN where there is no perplexity or no interval.
    """
    order = list(METHODS)
    rows = []
    for point in sorted(points, key=lambda p: (p.ratio, order.index(p.method))):
        found = point.perplexity
        low, high = (found and found.interval) or (np.nan, np.nan)
        removed = 1 - point.plan.parameters / point.plan.anatomy.parameters if point.plan else np.nan
        value = found.value if found else np.nan
        row = (point.method, METHODS[point.method].title, point.ratio, removed, value, low, high, point.problem)
        rows.append(row)
    numbers = ["ratio", "removed", "perplexity", "low", "high"]
    table = pd.DataFrame(rows, columns=["method", "title", *numbers, "problem"])
    return table.astype(dict.fromkeys(numbers, float))


def read_off(points: Sequence[CurvePoint], untouched: float | None, method: str, position: float) -> float | None:
    """The perplexity at a ratio: measured, or between its measured neighbours on a straight line of its logarithm.

    The untouched model is the point at ratio 0. None beyond the points, and where a neighbour is not finite.
    """
    known = {0.0: untouched} if untouched is not None else {}
    known |= {p.ratio: p.perplexity.value for p in points if p.method == method and p.perplexity is not None}
    below = max((r for r in known if r <= position), default=None)
    above = min((r for r in known if r >= position), default=None)
    if below is None or above is None or not np.isfinite([known[below], known[above]]).all():
        return None
    if below == above:
        return known[below]
    share = (position - below) / (above - below)
    return float(np.exp((1 - share) * np.log(known[below]) + share * np.log(known[above])))


def width_stops(points: Sequence[CurvePoint], untouched: float, width: str, depth: str) -> float | None:
    """From which share of all parameters on taking whole layers costs less perplexity than taking neurons.

    The points of method `depth` are held against the line of the logarithm between those of method `width`, at the same
    share of parameters removed, the untouched model at 0. None where neurons cost less at the last of them that can be
    compared, or where none can.
    """
    found = [(1 - p.plan.parameters / p.plan.anatomy.parameters, p) for p in points if p.plan and p.perplexity]
    found = sorted(((share, p) for share, p in found if share > 0), key=lambda pair: pair[0])
    line = [(0.0, untouched), *((share, p.measured.value) for share, p in found if p.method == width)]
    shares, values = (np.array(column) for column in zip(*line, strict=True))
    start = None
    for share, point in found:
        if point.method == depth and share <= shares[-1]:
            less = point.measured.value < np.exp(np.interp(share, shares, np.log(values)))
            start = (share if start is None else start) if less else None
    return start


def ranking(points: Sequence[CurvePoint], position: float) -> list[CurvePoint]:
    """The points at the ratio nearest to a position at which two methods or more were measured, best first.

    Empty where the position is 0, at which nothing is removed and all methods are the untouched model.
    """
    if position == 0:
        return []
    measured = [p for p in points if p.perplexity is not None and p.ratio > 0]
    counts = {p.ratio: sum(q.ratio == p.ratio for q in measured) for p in measured}
    shared = [r for r, count in counts.items() if count > 1]
    if not shared:
        return []
    nearest = min(shared, key=lambda r: (abs(r - position), r))
    return sorted((p for p in measured if p.ratio == nearest), key=lambda p: p.measured.value)


def clearly_better(ranked: Sequence[CurvePoint], chosen: CurvePoint) -> CurvePoint | None:
    """The best of the points, best first, whose paired interval lies below the chosen one's perplexity; or None."""
    better = ranked[: next(i for i, point in enumerate(ranked) if point is chosen)]
    return next((point for point in better if told_apart(point, chosen)), None)


def told_apart(better: CurvePoint, other: CurvePoint) -> bool:
    """Whether the paired 95 % interval of the other point's perplexity over the better one's lies above 1."""
    interval = against(better, other).interval
    return interval is not None and interval[0] > 1


def against(better: CurvePoint, other: CurvePoint) -> Ratio:
    """The other point's perplexity over the better one's, paired over windows."""
    return ratio(other.measured, better.measured)
