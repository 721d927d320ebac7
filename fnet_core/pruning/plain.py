"""The form in which a pruned model leaves: a folder that needs no code of its own, wherever that costs nothing.

A configuration knows one width and no new biases. So the plain form of a cut takes as many neurons from every layer,
the first and the last among them, and folds into the kept weights what compensation would add as a bias.
"""

from dataclasses import dataclass, replace
from typing import Any

from fnet_core.choices import PROTECTED, Form
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import Ratio, ratio, spoken
from fnet_core.evaluation.yardstick import Yardstick
from fnet_core.models.loading import LoadedModel
from fnet_core.models.structure import family_of
from fnet_core.progress import Report, silent
from fnet_core.pruning.cutting import brings_code
from fnet_core.pruning.masking import Pruning, prepare
from fnet_core.pruning.measuring import PruneResult, measure_pruning
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.pruning.target import Target


@dataclass(frozen=True, eq=False)
class Leaving:
    """The pruning that is saved with its perplexities, and where both forms were measured what the plain one costs."""

    pruning: Pruning
    result: PruneResult
    code: bool
    """Whether the folder brings code of its own."""
    cost: Ratio | None = None
    """Perplexity of the plain form over that of the form asked for, paired; None where one of them was measured."""

    @property
    def sentence(self) -> str:
        """What the plain form costs, and which form was taken; empty where there was no choice."""
        if self.cost is None:
            return ""
        times = f"{self.cost.value:.4g} times the perplexity{spoken(self.cost.interval, '.4g')}"
        if self.code:
            return f"A form that needs no code has {times} of this one."
        return f"This form needs no code and has {times} of layers cut unlike, which is no worse beyond the error."

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        return {"needs_code": self.code, "plain_over_asked": self.cost and self.cost.summary()}


def plain_request(asked: PlanRequest) -> PlanRequest:
    """The request in its plain form."""
    return asked if asked.of_layers else replace(asked, even=True, protected=(0, 0), folded=True)


def check_plain(loaded: LoadedModel, asked: PlanRequest) -> None:
    """RequestError where no folder without code can hold what this request makes of the model."""
    family, kind = family_of(loaded.model.config), loaded.model.config.model_type
    remedy = "let it bring code, or choose another model"
    if getattr(loaded.model.config, "fnet_resized", None):
        raise RequestError(f"{loaded.name} brings code of its own already, and so will what is cut of it; {remedy}.")
    if asked.of_layers:
        return
    if not family.width_field and not family.router:
        raise RequestError(f"The configuration of a {kind} model has no field for the width of its MLPs; {remedy}.")
    if asked.heads and not family.heads_in_config:
        raise RequestError(
            f"The configuration of a {kind} model cannot say that heads are missing; let the heads stay, or {remedy}."
        )
    if asked.ratio is None:
        raise RequestError("A threshold leaves layers of unlike widths; give a ratio, or let it bring code.")


def has_plain(loaded: LoadedModel, asked: PlanRequest) -> bool:
    """Whether there is a plain form to choose: layers that are to stay whole beyond the usual ones forbid it."""
    if asked.protected not in (PROTECTED, (0, 0)):
        return False
    try:
        check_plain(loaded, asked)
    except RequestError:
        return False
    return True


def leaving(
    loaded: LoadedModel,
    asked: Pruning,
    request: ScoreRequest,
    yardstick: Yardstick,
    form: Form,
    report: Report = silent,
    target: Target | None = None,
) -> Leaving:
    """The form in which a pruned model is saved, measured.

    By "auto" it is the plain one unless its perplexity is above the other's by more than the paired 95 % interval
    leaves open, or misses a `target` of size or perplexity; otherwise the form asked for, which is plain where
    `plain_request` asked for it.
    """
    plan = asked.plan.request
    own = measure_pruning(loaded, asked, yardstick, report)
    code = brings_code(loaded.model, asked)
    if form != "auto" or not code or not has_plain(loaded, plan):
        return Leaving(asked, own, code)
    try:
        plain = _plain(loaded, asked, request, report)
    except RequestError:  # where every layer loses alike, more layers may be emptied, or fewer parameters be left to go
        return Leaving(asked, own, code)
    found = measure_pruning(loaded, plain, yardstick, report)
    cost = ratio(found.pruned, own.pruned)
    if brings_code(loaded.model, plain) or _misses(target, plain, found) or not _no_worse(cost):
        return Leaving(asked, own, True, cost)
    return Leaving(plain, found, False, cost)


def _plain(loaded: LoadedModel, asked: Pruning, request: ScoreRequest, report: Report) -> Pruning:
    plan = plan_for(loaded, plain_request(asked.plan.request), request, report)
    return prepare(loaded, plan, asked.compensation, request, report)


def _misses(target: Target | None, pruning: Pruning, found: PruneResult) -> bool:
    """Whether a form misses what was to be reached; its speed is that of the other form, whose size it has."""
    if target is None or target.is_speed:
        return False
    parameters = pruning.parameters
    sizes = {"bytes": pruning.plan.stored_bytes(parameters), "parameters": parameters}
    return not target.met(sizes.get(target.quantity, found.pruned.value))


def _no_worse(cost: Ratio) -> bool:
    """Whether a ratio of perplexities leaves open that the first is no higher; without an interval it must not be."""
    return cost.interval[0] <= 1 if cost.interval else cost.value <= 1
