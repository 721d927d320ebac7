"""The ratio at which a pruned model reaches a target: sizes are counted, speed and perplexity measured along the way.

Every perplexity that is measured on the way is a point of the curve, and the store keeps it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fnet_core.errors import RequestError
from fnet_core.evaluation.speed import compare_speed
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import main_device
from fnet_core.progress import Report, silent
from fnet_core.pruning.curves import plan_perplexity
from fnet_core.pruning.export import pruned_copy
from fnet_core.pruning.masking import added_biases, prepare
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import PrunePlan, plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.pruning.target import TOLERANCE, Target

GRID = 10_000
"""Ratios are looked for in steps of a part in so many."""
MOST_TRIED = 12
"""The most ratios between two that lie on either side of a target at which something is measured."""
STRIDE = 0.1
"""How far apart the ratios are at which a perplexity is bracketed, those of the curves."""
ROUNDS = 3
"""Rounds of every measurement of speed."""

Value = Callable[[float], float]
"""The target's quantity at a ratio."""


@dataclass(frozen=True, eq=False)
class Reached:
    """The plan that reaches a target, and what was counted or measured for it."""

    target: Target
    plan: PrunePlan
    value: float
    """Of the target's quantity, at this plan's ratio."""
    tried: tuple[tuple[float, float], ...]
    """(ratio, value) of everything measured on the way, in that order; empty where sizes were counted."""

    @property
    def ratio(self) -> float:
        """The share that goes."""
        assert self.plan.request.ratio is not None
        return self.plan.request.ratio

    @property
    def sentence(self) -> str:
        """ "450MB is reached at a ratio of 14.37 %: 449.8 MB." """
        return f"{self.target.written} is reached at a ratio of {100 * self.ratio:.4g} %: {self._value}."

    @property
    def _value(self) -> str:
        return self.target.words(self.value)

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        return {
            "asked": self.target.written,
            "quantity": self.target.quantity,
            "at": self.target.value,
            "value": self.value,
            "ratio": self.ratio,
            "tried": [[ratio, value if math.isfinite(value) else None] for ratio, value in self.tried],
        }


def reach(
    loaded: LoadedModel,
    target: Target,
    template: PlanRequest,
    request: ScoreRequest,
    yardstick: Yardstick,
    report: Report = silent,
) -> Reached:
    """The plan like `template`, whatever ratio that names, that removes as little as the target allows.

    Of a perplexity it is the plan that removes most. RequestError for a target that the untouched model meets already,
    and for one that no ratio meets, which says how near one comes.
    """

    def plan_at(ratio: float) -> PrunePlan:
        return plan_for(loaded, replace(template, ratio=ratio, threshold=None), request, report)

    plan_at(0.0)  # what is wrong whatever the ratio is said as it is
    highest = _highest(plan_at)
    if target.counted:
        value_at = partial(_size, loaded, target, template)
        ratio = _smallest(lambda ratio: value_at(plan_at(ratio)), target, highest, loaded, template)
        plan = plan_at(ratio)
        return Reached(target, plan, value_at(plan), ())
    tried: dict[float, float] = {}
    measured = _speed if target.is_speed else _perplexity
    context = (loaded, target, request, yardstick, report)

    def measure(ratio: float) -> float:
        if ratio not in tried:
            tried[ratio] = measured(*context, plan_at(ratio))
        return tried[ratio]

    find = _fast_enough if target.is_speed else _good_enough
    ratio = find(measure, target, highest, loaded, template)
    return Reached(target, plan_at(ratio), tried[ratio], tuple(tried.items()))


def _highest(plan_at: Callable[[float], PrunePlan]) -> float:
    """The highest ratio at which there is a plan."""
    low, high = 0, GRID
    while high - low > 1:
        middle = (low + high) // 2
        try:
            plan_at(middle / GRID)
            low = middle
        except RequestError:
            high = middle
    return low / GRID


def _size(loaded: LoadedModel, target: Target, template: PlanRequest, plan: PrunePlan) -> float:
    parameters = plan.parameters + added_biases(loaded, plan, template.compensation)
    return float(parameters if target.quantity == "parameters" else plan.stored_bytes(parameters))


def _perplexity(
    loaded: LoadedModel, target: Target, request: ScoreRequest, yardstick: Yardstick, report: Report, plan: PrunePlan
) -> float:
    if plan.removes_nothing:
        return baseline_perplexity(loaded, yardstick, report).value
    return plan_perplexity(loaded, plan, plan.request.compensation, request, yardstick, report).value


def _speed(
    loaded: LoadedModel, target: Target, request: ScoreRequest, yardstick: Yardstick, report: Report, plan: PrunePlan
) -> float:
    """Tokens per second of a model of the plan's sizes, on the device of the loaded one."""
    model = loaded.model
    if not plan.removes_nothing:
        model = pruned_copy(loaded, prepare(loaded, plan, "none", request, report), report, model.dtype)
        model.to(main_device(loaded.model))  # type: ignore[arg-type]  # transformers wraps `to` so that it looks unbound
    found = compare_speed(loaded.model, model, rounds=ROUNDS, report=report)
    return found.reading_after if target.quantity == "reading" else found.writing_after


def _smallest(value_at: Value, target: Target, highest: float, loaded: LoadedModel, template: PlanRequest) -> float:
    """The smallest ratio of the grid that meets a target which more removed brings nearer."""
    _check_needed(target, value_at(0.0), loaded)
    if not target.met(nearest := value_at(highest)):
        raise _unmet(target, nearest, highest, loaded, template)
    low, high = 0, round(highest * GRID)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if target.met(value_at(middle / GRID)) else (middle, high)
    return high / GRID


def _fast_enough(measure: Value, target: Target, highest: float, loaded: LoadedModel, template: PlanRequest) -> float:
    """A ratio measured to be fast enough, the smallest that was."""
    _check_needed(target, measure(0.0), loaded)
    if not target.met(nearest := measure(highest)):
        raise _unmet(target, nearest, highest, loaded, template)
    return approach(measure, target, good=highest, bad=0.0, bend=lambda speed: 1 / speed)


def _good_enough(measure: Value, target: Target, highest: float, loaded: LoadedModel, template: PlanRequest) -> float:
    """A ratio measured to have a perplexity low enough, the highest that was."""
    if not target.met(untouched := measure(0.0)):
        raise RequestError(
            f"'{target.written}' cannot be met: {loaded.name} has {target.words(untouched)} on this text untouched, "
            "which is the least; ask for more."
        )
    good = 0.0
    for step in range(1, GRID):
        bad = min(round(step * STRIDE, 4), highest)
        if not target.met(measure(bad)):
            return approach(measure, target, good=good, bad=bad, bend=math.log)
        good = bad
        if bad == highest:
            break
    return good


def approach(measure: Value, target: Target, good: float, bad: float, bend: Callable[[float], float]) -> float:
    """A ratio that meets the target, from one that does (`good`) towards one that does not, until it is near enough.

    The bent value is taken for a straight line between the two ends, and the middle where one end has moved twice or
    has no finite value. Near enough is `Target.near`; otherwise the best of `MOST_TRIED` ratios.
    """
    aim = target.value * (1 + TOLERANCE / 2 if target.is_speed else 1 - TOLERANCE / 2)
    moved = ""
    straight = True
    for _ in range(MOST_TRIED):
        if target.near(measure(good)):
            break
        low, high = sorted((good, bad))
        if high - low < 1.5 / GRID:
            break
        ends = [bend(value) if math.isfinite(value) else math.inf for value in (measure(good), measure(bad))]
        share = (bend(aim) - ends[0]) / (ends[1] - ends[0]) if straight and math.isfinite(sum(ends)) else 0.5
        guess = round(good + min(max(share, 0.0), 1.0) * (bad - good), 4)
        guess = min(max(guess, low + 1 / GRID), high - 1 / GRID)
        if target.met(measure(guess)):
            good, side = guess, "good"
        else:
            bad, side = guess, "bad"
        straight, moved = side != moved, side
    return good


def _check_needed(target: Target, untouched: float, loaded: LoadedModel) -> None:
    if target.met(untouched):
        raise RequestError(
            f"{loaded.name} meets '{target.written}' untouched, with {target.words(untouched)}; ask for "
            f"{'more' if target.is_speed else 'less'}, or leave it as it is."
        )


def _unmet(target: Target, nearest: float, highest: float, loaded: LoadedModel, template: PlanRequest) -> RequestError:
    what = "most" if target.is_speed else "least"
    first, last = template.protected
    whole = f" with the first {first} and last {last} layers whole" if first + last else ""
    remedy = "protect fewer layers" if first + last else "let attention heads go too" if not template.heads else ""
    return RequestError(
        f"'{target.written}' cannot be met: {target.words(nearest)} is the {what} that {loaded.name} comes to by "
        f"{METHODS[template.method].title}{whole}, at a ratio of {100 * highest:.4g} %"
        + (f"; {remedy}, or choose another model." if remedy else "; choose another model.")
    )
