"""What pruning costs, measured: perplexity before and after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fnet_core.choices import Compensation
from fnet_core.drawing import Described
from fnet_core.evaluation.perplexity import PerplexityResult, Ratio, ratio, spoken
from fnet_core.evaluation.yardstick import Yardstick, baseline_estimates
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent
from fnet_core.pruning.masking import Pruning, pruned_estimates
from fnet_core.pruning.plan import PrunePlan


@dataclass(frozen=True, eq=False, repr=False)
class PruneResult(Described):
    """Perplexity before and after pruning; running estimates before the end."""

    plan: PrunePlan
    compensation: Compensation
    baseline: PerplexityResult
    pruned: PerplexityResult
    done: bool
    yardstick: Yardstick | None = None
    """What both were measured by."""

    @property
    def effect(self) -> Ratio:
        """Pruned over baseline perplexity on the windows both have, with its paired interval."""
        return ratio(self.pruned, self.baseline)

    def plot(self) -> Any:
        """The plotly figure of which neurons stay in each layer.

        >>> import fnet_core as fn
        >>> plan = fn.plan_pruning("tiny", 0.2, method="wanda-sp", protected=(0, 0))
        >>> found = fn.prune("tiny", plan, "It rained all day, and nobody minded.", compensation="none")
        >>> found.plot() == plan.plot()
        True
        """
        return self.plan.plot()

    def _description(self) -> tuple[str, dict[str, object]]:
        facts: dict[str, object] = {
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
            publish(_result(pruning, latest, False, yardstick))
    report("measuring", 1.0)
    return _result(pruning, latest, True, yardstick)


def _result(
    pruning: Pruning, latest: Sequence[PerplexityResult | None], done: bool, yardstick: Yardstick
) -> PruneResult:
    pruned, baseline = latest
    assert pruned is not None and baseline is not None
    return PruneResult(pruning.plan, pruning.compensation, baseline, pruned, done, yardstick)
