"""Run a model as if it were pruned: masks and what stands in for the removed inputs, as hooks that are taken off again.

Shape legend: L layers, N MLP neurons of a layer, C attention channels of a layer, T tokens.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fnet_core.activations.hooks import Touch, touching
from fnet_core.checks import check_choice
from fnet_core.choices import COMPENSATIONS, LEAST_SQUARES, Compensation
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import Yardstick, changed_estimates, known_perplexity
from fnet_core.models.depth import check_left, passing_over
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import Projection, attention_projections, mlp_projections
from fnet_core.progress import Report, silent
from fnet_core.pruning import blending, least_squares
from fnet_core.pruning import factors as layer_factors
from fnet_core.pruning.compensation import Replacement
from fnet_core.pruning.factors import LayerFactors, find_factors
from fnet_core.pruning.folding import FOLDING_VERSION, fold_offset
from fnet_core.pruning.plan import PrunePlan, check_plan
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.pruning.stand_ins import stand_ins


@dataclass(frozen=True, eq=False)
class Pruning:
    """A plan together with what stands in for what it removes."""

    plan: PrunePlan
    compensation: Compensation
    mlp_L: tuple[Replacement | None, ...]
    """None where a layer keeps every neuron."""
    attention_L: tuple[Replacement | None, ...]
    """None where a layer keeps every head."""
    changes: dict[str, Any] | list
    """All that decides what the pruned model computes, beside the model, JSON-able."""
    bias_parameters: int
    """Parameters of the biases that compensation adds to projections without one."""

    @property
    def parameters(self) -> int:
        """Parameters of the pruned model."""
        return self.plan.parameters + self.bias_parameters

    def summary(self) -> dict[str, Any]:
        """The plan's summary with added biases counted."""
        return _with_biases(self.plan, self.bias_parameters) | {"compensation": self.compensation}


COMPENSATION_VERSION = 1
"""Raised when what stands in for removed inputs is computed otherwise."""


def pruning_changes(plan: PrunePlan, compensation: Compensation, request: ScoreRequest) -> dict[str, Any] | list:
    """What decides a pruned model's outputs: the masks, the compensation, and the text and settings it rests on.

    A plan that removes nothing changes nothing, as no edit does.
    """
    check_choice(compensation, COMPENSATIONS, "compensation")
    if plan.removes_nothing:
        return []
    if plan.dropped:
        return {"masks": plan.masks(), "compensation": "none"}
    changes: dict[str, Any] = {"masks": plan.masks(), "compensation": compensation}
    if compensation != "none":
        changes |= {"texts_digest": request.texts_digest, "version": COMPENSATION_VERSION}
    if compensation in ("networks", "blend"):
        changes |= {"components": request.components, "seed": request.seed, "factors": layer_factors.METHOD_VERSION}
    if compensation in LEAST_SQUARES:
        changes |= {"least_squares": least_squares.VERSION}
    if compensation == "blend":
        changes |= {"blend": blending.VERSION}
    if plan.request.folded and compensation != "none":
        changes |= {"folded": FOLDING_VERSION, "components": request.components, "seed": request.seed}
        changes |= {"factors": layer_factors.METHOD_VERSION}
    return changes


def prepare(
    loaded: LoadedModel,
    plan: PrunePlan,
    compensation: Compensation,
    request: ScoreRequest,
    report: Report = silent,
) -> Pruning:
    """Work out what stands in for the removed inputs, on the request's calibration text.

    Raises RequestError for a plan of another model, an unknown compensation, and text that cannot be read.
    """
    check_plan(loaded, plan)
    request = request.fitted(loaded)
    changes = pruning_changes(plan, compensation, request)
    keep_mlp, keep_attention = keep_masks(plan)
    if plan.dropped:
        check_left(loaded.model, plan.dropped, loaded.name)
    if plan.removes_nothing or plan.dropped:
        compensation = "none" if plan.dropped else compensation
        return Pruning(plan, compensation, (None,) * len(keep_mlp), (None,) * len(keep_attention), changes, 0)
    mlp, attention = stand_ins(loaded, compensation, request, keep_mlp, keep_attention, report)
    mlp_L = _needed(mlp or [None] * len(keep_mlp), keep_mlp)
    attention_L = _needed(attention or [None] * len(keep_attention), keep_attention)
    if plan.request.folded and compensation != "none":
        mlp_L, attention_L = _folded(loaded, plan, request, (mlp_L, attention_L), report)
    biases = sum(
        plan.anatomy.hidden_size
        for projections, replacements_L in zip(_outputs(loaded), (mlp_L, attention_L), strict=True)
        for projection, replacement in zip(projections, replacements_L, strict=bool(projections))
        if replacement is not None and adds_bias(projection, replacement)
    )
    return Pruning(plan, compensation, mlp_L, attention_L, changes, biases)


def adds_bias(projection: Projection, replacement: Replacement) -> bool:
    """Whether what stands in for a projection's removed inputs gives it a bias that it does not have."""
    return projection.bias is None and bool(replacement.offset_N.any())


def added_biases(loaded: LoadedModel, plan: PrunePlan, compensation: Compensation) -> int:
    """Parameters of the biases that compensation will add to what a plan cuts, known before it is worked out."""
    if compensation == "none" or plan.request.folded or plan.dropped:
        return 0
    return plan.anatomy.hidden_size * sum(
        projection.bias is None and not keep.all()
        for projections, keeps in zip(_outputs(loaded), (plan.keep_mlp, plan.keep_heads), strict=True)
        for projection, keep in zip(projections, keeps, strict=bool(projections))
    )


def expected_summary(loaded: LoadedModel, plan: PrunePlan) -> dict[str, Any]:
    """The plan's summary with the biases that its compensation will add."""
    return _with_biases(plan, added_biases(loaded, plan, plan.request.compensation))


def _with_biases(plan: PrunePlan, biases: int) -> dict[str, Any]:
    summary = plan.summary()
    parameters = plan.parameters + biases
    summary["parameters"]["after"], summary["bytes"]["after"] = parameters, plan.stored_bytes(parameters)
    return summary


def _outputs(loaded: LoadedModel) -> tuple[list[Projection], list[Projection]]:
    """The output projections of every layer's MLP and attention; none where a mixture or a hybrid has no such."""
    model = loaded.model
    return [m.down for m in mlp_projections(model)], [a.out for a in attention_projections(model)]


def _folded(
    loaded: LoadedModel,
    plan: PrunePlan,
    request: ScoreRequest,
    replacements: tuple[tuple[Replacement | None, ...], ...],
    report: Report,
) -> tuple[tuple[Replacement | None, ...], ...]:
    """The same replacements without a bias where the projection has none."""
    heads = plan.removed_heads > 0
    found: LayerFactors = find_factors(loaded, request.passages, request.components, request.seed, heads, report)
    keeps = keep_masks(plan)
    return tuple(
        tuple(
            replacement
            if replacement is None or not adds_bias(projections[layer], replacement)
            else fold_offset(replacement, factors_L[layer], keep_L[layer])
            for layer, replacement in enumerate(replacements_L)
        )
        for projections, factors_L, keep_L, replacements_L in zip(
            _outputs(loaded), (found.mlp_L, found.attention_L), keeps, replacements, strict=True
        )
    )


def keep_masks(plan: PrunePlan) -> tuple[list[Tensor], list[Tensor]]:
    """(N,) and (C,) bool per layer: the MLP neurons and the attention channels that stay."""
    mlp = [torch.from_numpy(keep) for keep in plan.keep_mlp]
    return mlp, [torch.from_numpy(np.repeat(keep, plan.anatomy.head_size)) for keep in plan.keep_heads]


def _needed(replacements: Sequence[Replacement | None], keeps: list[Tensor]) -> tuple[Replacement | None, ...]:
    return tuple(None if keep.all() else r for r, keep in zip(replacements, keeps, strict=True))


@contextmanager
def masking(loaded: LoadedModel, pruning: Pruning) -> Iterator[None]:
    """Run the model as the pruned one would run while the context is open; leaving restores it.

    Raises RequestError for a plan of another model.
    """
    check_plan(loaded, pruning.plan)
    keep_mlp, keep_attention = keep_masks(pruning.plan)
    with ExitStack() as stack:
        if pruning.plan.dropped:
            stack.enter_context(passing_over(loaded.model, pruning.plan.dropped))
        if any(pruning.attention_L):
            stack.enter_context(touching(loaded.model, "heads", replacing(pruning.attention_L, keep_attention)))
        if any(pruning.mlp_L):
            stack.enter_context(touching(loaded.model, "mlp", replacing(pruning.mlp_L, keep_mlp)))
        yield


def replacing(replacements_L: tuple[Replacement | None, ...], keep_L: list[Tensor]) -> Touch:
    """A touch that masks each layer's input and puts its replacement in."""
    ready: dict[int, tuple[Replacement, Tensor]] = {}

    def touch(layer: int, x: Tensor) -> Tensor | None:
        replacement = replacements_L[layer]
        if replacement is None:
            return None
        if layer not in ready:
            ready[layer] = replacement.to(x.device), keep_L[layer].to(x.device)
        placed, keep = ready[layer]
        return placed.apply(x, keep)

    return touch


def pruned_estimates(
    loaded: LoadedModel, yardstick: Yardstick, pruning: Pruning, report: Report = silent
) -> Iterator[PerplexityResult]:
    """Running estimates of the pruned model's perplexity, the last one final and saved; at once if it is known."""
    return changed_estimates(loaded, yardstick, pruning.changes, lambda: masking(loaded, pruning), report)


def known_pruned_perplexity(
    loaded: LoadedModel, yardstick: Yardstick, plan: PrunePlan, compensation: Compensation, request: ScoreRequest
) -> PerplexityResult | None:
    """The pruned model's perplexity if it was measured before."""
    return known_perplexity(loaded, yardstick, pruning_changes(plan, compensation, request.fitted(loaded)))
