"""What pruning takes away, layer by layer, before anything is changed.

Shape legend: L layers, N MLP neurons of a layer, H query heads of a layer, G key/value groups of a layer.
A keep-mask is True where a neuron or a head stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fnet_core.drawing import Described, drawn
from fnet_core.errors import RequestError
from fnet_core.models.loading import LoadedModel
from fnet_core.progress import Report, silent
from fnet_core.pruning.anatomy import Anatomy, anatomy
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest, Scores, find_scores
from fnet_core.storage import artifacts


@dataclass(frozen=True, eq=False, repr=False)
class PrunePlan(Described):
    """Keep-masks per layer for neurons and heads, and what they cost and save; nothing is changed by a plan."""

    anatomy: Anatomy
    request: PlanRequest
    keep_mlp: tuple[np.ndarray, ...]
    """(N,) bool per layer."""
    keep_heads: tuple[np.ndarray, ...]
    """(H,) bool per layer, whole key/value groups."""
    scores: dict[str, Any]
    """Recipe of the scores."""
    dropped: tuple[int, ...] = ()
    """Layers that go whole, with all their neurons and heads."""

    @property
    def removed_neurons(self) -> int:
        """MLP neurons that go."""
        return sum(int((~keep).sum()) for keep in self.keep_mlp)

    @property
    def removed_heads(self) -> int:
        """Query heads that go."""
        return sum(int((~keep).sum()) for keep in self.keep_heads)

    @property
    def removed_L(self) -> np.ndarray:
        """Parameters removed from each layer, int64; biases that compensation adds are not counted."""
        a = self.anatomy
        neurons = np.array([(~keep).sum() for keep in self.keep_mlp]) * np.array(a.neuron_parameters_L)
        groups = np.array([(~keep).sum() // a.heads_per_group for keep in self.keep_heads])
        removed_L = neurons + groups * np.array(a.group_parameters_L)
        for layer in self.dropped:
            removed_L[layer] = a.layer_parameters_L[layer]
        return removed_L

    @property
    def parameters(self) -> int:
        """Parameters that stay."""
        return self.anatomy.parameters - int(self.removed_L.sum())

    @property
    def title(self) -> str:
        """What the plan does to which model, in a line."""
        asked = self.request
        of: str = asked.share
        if of == "neurons":
            of = "layers" if asked.of_layers else "heads" if self.anatomy.neurons_stay else of
        amount = f"threshold {asked.threshold:g}" if asked.ratio is None else f"{asked.ratio:.0%} of the {of}"
        return f"{self.anatomy.model} pruned by {asked.method}, {amount}"

    def plot(self) -> Any:
        """The plotly figure of which neurons stay in each layer.

        >>> import fnet_core as fn
        >>> plan = fn.plan_pruning("tiny", 0.2, method="wanda-sp", protected=(0, 0))
        >>> plan.plot().data[0].type
        'heatmap'
        """
        return drawn("pruning.keep_map", self)

    def _description(self) -> tuple[str, dict[str, object]]:
        first, last = self.request.protected
        share = f" ({self.removed_share:.1%})"
        facts: dict[str, object] = {
            "MLP neurons that go": f"{self.removed_neurons:,}" + share * bool(sum(self.anatomy.widths_L)),
            "heads that go": f"{self.removed_heads:,}" + share * bool(self.anatomy.neurons_stay),
            "parameters": f"{self.parameters:,} of {self.anatomy.parameters:,} stay",
            "layers kept whole": f"the first {first}, the last {last}",
        }
        return self.title, facts

    @property
    def removed_share(self) -> float:
        """Share of all MLP neurons that goes, 0 to 1; of all heads in a mixture, of all layers if they go."""
        if self.request.of_layers:
            return len(self.dropped) / len(self.keep_mlp)
        if neurons := sum(self.anatomy.widths_L):
            return self.removed_neurons / neurons
        return self.removed_heads / sum(self.anatomy.heads_L)

    @property
    def estimated_speed(self) -> float:
        """Tokens per second over the original's, as multiplications with parameters go; attention is not counted."""
        per_token = self.anatomy.parameters_per_token
        idle = sum(self.anatomy.idle_parameters_L[layer] for layer in self.dropped)
        return per_token / (per_token - int(self.removed_L.sum()) + idle)

    @property
    def uniform(self) -> bool:
        """Whether all layers end with equally many neurons and heads."""
        stays = [layer for layer in range(len(self.keep_mlp)) if layer not in self.dropped]
        return all(len({int(keeps[i].sum()) for i in stays}) == 1 for keeps in (self.keep_mlp, self.keep_heads))

    def stored_bytes(self, parameters: int) -> int:
        """Bytes on disk, to a few thousand, of a model with so many parameters in the number type of this one."""
        return self.anatomy.stored.bytes - (self.anatomy.parameters - parameters) * self.anatomy.stored.bytes_each

    @property
    def removes_nothing(self) -> bool:
        """Whether every neuron and head stays."""
        return self.removed_neurons == 0 and self.removed_heads == 0 and not self.dropped

    def masks(self) -> dict[str, Any]:
        """The keep-mask of every layer as hexadecimal bits, the first neuron first."""
        return {
            "mlp": [np.packbits(keep).tobytes().hex() for keep in self.keep_mlp],
            "heads": [np.packbits(keep).tobytes().hex() for keep in self.keep_heads],
            **({"dropped": list(self.dropped)} if self.dropped else {}),
        }

    def recipe(self) -> dict[str, Any]:
        """Everything that decides the plan, JSON-able."""
        return {
            "model": self.anatomy.model,
            "model_digest": self.anatomy.model_digest,
            **self._asked(),
            "even": self.request.even,
            **({"folded": True} if self.request.folded else {}),
            "scores": self.scores,
            "masks_digest": artifacts.digest(self.masks()),
        }

    def _asked(self) -> dict[str, Any]:
        asked = self.request
        names = ("method", "ratio", "threshold", "share")
        return {name: getattr(asked, name) for name in names} | {"protected": list(asked.protected)}

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        a = self.anatomy
        removed_L = self.removed_L
        return {
            **self._asked(),
            "parameters": {"before": a.parameters, "after": self.parameters},
            "bytes": {"before": a.stored.bytes, "after": self.stored_bytes(self.parameters), "dtype": a.stored.dtype},
            "estimated_speed": self.estimated_speed,
            "neurons": {"before": sum(a.widths_L), "after": sum(a.widths_L) - self.removed_neurons},
            "heads": {"before": sum(a.heads_L), "after": sum(a.heads_L) - self.removed_heads},
            "dropped_layers": list(self.dropped),
            "layers": [
                {
                    "neurons": {"before": a.widths_L[layer], "after": int(self.keep_mlp[layer].sum())},
                    "heads": {"before": a.heads_L[layer], "after": int(self.keep_heads[layer].sum())},
                    "removed_parameters": int(removed_L[layer]),
                }
                for layer in range(len(a.widths_L))
            ],
        }


def check_plan(loaded: LoadedModel, plan: PrunePlan) -> None:
    """`RequestError` unless the plan was made for this very model."""
    if plan.anatomy.model_digest != loaded.digest:
        raise RequestError(
            f"The plan was made for {plan.anatomy.model} ({plan.anatomy.model_digest[:12]}) and the model is "
            f"{loaded.name} ({loaded.digest[:12]}); make a plan for this model."
        )


def plan_for(loaded: LoadedModel, asked: PlanRequest, request: ScoreRequest, report: Report = silent) -> PrunePlan:
    """The plan that is asked for, its scores from the store or computed; RequestError where there can be none."""
    sizes = anatomy(loaded)
    asked.check(sizes)
    scores = find_scores(loaded, [asked.method], request.with_heads(asked.heads), report)[asked.method]
    return make_plan(sizes, scores, asked)


def make_plan(sizes: Anatomy, scores: Scores, request: PlanRequest) -> PrunePlan:
    """The plan that answers a request by these scores.

    Raises RequestError for a ratio that would empty a layer or cannot be met, protection that leaves nothing to
    prune, and scores of another model or method.
    """
    request.check(sizes)
    _check_scores(sizes, scores, request)
    if request.of_layers:
        return _layer_plan(sizes, scores, request)
    protected, ratio, threshold = request.protected, request.ratio, request.threshold
    free = range(protected[0], len(sizes.widths_L) - protected[1])
    spread = "even" if request.even else scores.allocation
    has_mlps = any(sizes.widths_L)
    neurons = _Pool([scores.mlp[layer] for layer in free], "neurons", spread, free) if has_mlps else None
    groups = _Pool([scores.heads[layer] for layer in free], "head groups", spread, free) if request.heads else None
    if ratio is None:
        assert threshold is not None  # a request has one of the two
        keep_mlp = neurons.above(threshold) if neurons else None
        keep_groups = groups.above(threshold) if groups else None
    elif request.share == "neurons":
        keep_mlp = neurons.without(round(ratio * sum(sizes.widths_L))) if neurons else None
        all_groups = sum(sizes.heads_L) // sizes.heads_per_group
        keep_groups = groups.without(round(ratio * all_groups)) if groups else None
    else:
        keep_mlp, keep_groups = _of_parameters(sizes, ratio, neurons, groups, free)
    whole_mlp = [np.ones(width, dtype=bool) for width in sizes.widths_L]
    whole_heads = [np.ones(count, dtype=bool) for count in sizes.heads_L]
    for i, layer in enumerate(free):
        if keep_mlp is not None:
            whole_mlp[layer] = keep_mlp[i]
        if keep_groups is not None:
            whole_heads[layer] = keep_groups[i].repeat(sizes.heads_per_group)
    return PrunePlan(
        anatomy=sizes,
        request=request,
        keep_mlp=tuple(whole_mlp),
        keep_heads=tuple(whole_heads),
        scores=scores.recipe,
    )


def _check_scores(sizes: Anatomy, scores: Scores, request: PlanRequest) -> None:
    if scores.method != request.method:
        raise RequestError(
            f"The scores are by '{scores.method}' and the plan is to be by '{request.method}'; score by that method."
        )
    if scores.recipe["model_digest"] != sizes.model_digest:
        raise RequestError(
            f"The scores were computed for {scores.recipe['model']} and the model is {sizes.model}; score this model."
        )
    if request.heads and not scores.heads and not request.of_layers:
        raise RequestError("These scores are of MLP neurons alone; score the heads too.")
    if not all(np.isfinite(layer).all() for layer in (*scores.mlp, *scores.heads)):
        raise RequestError("Some scores are not numbers; the model's weights or activations are damaged.")


def _layer_plan(sizes: Anatomy, scores: Scores, request: PlanRequest) -> PrunePlan:
    """The plan by which the layers scored lowest go whole: as many as come nearest to the ratio."""
    layers, protected = len(sizes.widths_L), request.protected
    free = range(protected[0], layers - protected[1])
    value_L = np.array([float(scores.mlp[layer][0]) for layer in range(layers)])
    order = [free[i] for i in np.argsort(value_L[free.start : free.stop], kind="stable")]
    if request.ratio is None:
        assert request.threshold is not None  # a request has one of the two
        count = int((value_L[order] <= request.threshold).sum())
    elif request.share == "neurons":
        count = round(request.ratio * layers)
    else:
        gone = np.cumsum([0, *(sizes.layer_parameters_L[layer] for layer in order)])
        wanted = request.ratio * sizes.parameters
        if wanted > gone[-1] and len(order):
            raise RequestError(
                f"{request.ratio:.0%} of all parameters is more than the layers that may go hold "
                f"({gone[-1] / sizes.parameters:.0%}); choose a smaller ratio or protect fewer layers."
            )
        count = int(np.abs(gone - wanted).argmin())
    most = min(len(order), layers - 1)
    if count > most:
        raise RequestError(
            f"{count} layers are to go and at most {most} of {layers} may; choose a smaller ratio or protect fewer "
            "layers."
        )
    dropped = tuple(sorted(order[:count]))

    def keeps(counts_L: Sequence[int]) -> tuple[np.ndarray, ...]:
        return tuple(np.full(count, layer not in dropped) for layer, count in enumerate(counts_L))

    return PrunePlan(sizes, request, keeps(sizes.widths_L), keeps(sizes.heads_L), scores.recipe, dropped)


def _of_parameters(
    sizes: Anatomy, ratio: float, neurons: "_Pool | None", groups: "_Pool | None", free: range
) -> tuple[list[np.ndarray] | None, list[np.ndarray] | None]:
    """Neurons and head groups in equal shares so that `ratio` of all parameters goes; found by bisection."""
    target = ratio * sizes.parameters
    neuron_cost = np.array([sizes.neuron_parameters_L[layer] for layer in free])
    group_cost = np.array([sizes.group_parameters_L[layer] for layer in free])
    costs = [(pool, cost) for pool, cost in ((neurons, neuron_cost), (groups, group_cost)) if pool]
    most = float(sum((cost * pool.sizes).sum() for pool, cost in costs))
    if target >= most:
        raise RequestError(
            f"{ratio:.0%} of all parameters is more than the layers that may be pruned hold "
            f"({most / sizes.parameters:.0%}); choose a smaller ratio or protect fewer layers."
        )

    def cut(part: float) -> tuple[list[np.ndarray] | None, list[np.ndarray] | None]:
        return (
            neurons.without(round(part * neurons.sizes.sum())) if neurons else None,
            groups.without(round(part * groups.sizes.sum())) if groups else None,
        )

    def removed(part: float) -> float:
        return float(sum(cost @ pool.counts(round(part * pool.sizes.sum())) for pool, cost in costs))

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if removed(middle) < target:
            low = middle
        else:
            high = middle
    return cut(high)


class _Pool:
    """Units of several layers, of which the lowest scored go."""

    def __init__(self, scores: Sequence[np.ndarray], what: str, spread: str, layers: Sequence[int]) -> None:
        self.scores = scores
        self.what = what
        self.spread = spread
        self.layers = layers
        self.sizes = np.array([len(s) for s in scores])

    def counts(self, count: int) -> np.ndarray:
        """How many of each layer's units go when `count` go in all, int64."""
        return np.array([int((~keep).sum()) for keep in self._keeps(count)])

    def without(self, count: int) -> list[np.ndarray]:
        """Keep-masks after `count` units went, from each layer in proportion to its size or wherever scores are low.

        Spread "even" takes equally many from layers of one size, and so up to half a unit per layer more or less.
        """
        if count >= self.sizes.sum():
            raise RequestError(
                f"{count:,} {self.what} are to go and only {self.sizes.sum():,} are in layers that may be pruned; "
                "choose a smaller ratio or protect fewer layers."
            )
        return self._checked(self._keeps(count))

    def _keeps(self, count: int) -> list[np.ndarray]:
        if self.spread != "model":
            exact = count * self.sizes / self.sizes.sum()
            if self.spread == "even":
                counts = np.rint(exact).astype(int)
            else:  # rounded on the way up, so that what is over is spread over the depth
                counts = np.diff(np.rint(np.cumsum(exact)).astype(int), prepend=0)
            return [_drop_lowest(s, n) for s, n in zip(self.scores, counts, strict=True)]
        return list(np.split(_drop_lowest(np.concatenate(self.scores), count), np.cumsum(self.sizes)[:-1]))

    def above(self, threshold: float) -> list[np.ndarray]:
        """Keep-masks of the units scored above the threshold."""
        return self._checked([np.asarray(s) > threshold for s in self.scores])

    def _checked(self, keeps: list[np.ndarray]) -> list[np.ndarray]:
        for layer, keep in zip(self.layers, keeps, strict=True):
            if not keep.any():
                spread = ", or take as many from every layer" if self.spread == "model" else ""
                raise RequestError(
                    f"This takes all {len(keep):,} {self.what} of layer {layer} away; choose a smaller ratio or a "
                    f"lower threshold{spread}."
                )
        return keeps


def _drop_lowest(scores: np.ndarray, count: int) -> np.ndarray:
    keep = np.ones(len(scores), dtype=bool)
    keep[np.argsort(scores, kind="stable")[:count]] = False
    return keep
