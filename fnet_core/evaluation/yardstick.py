"""What perplexity is measured on, and estimates of it that are never computed twice."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from fnet_core.evaluation.perplexity import PERPLEXITIES, PerplexityResult, measure
from fnet_core.evaluation.request import Yardstick
from fnet_core.evaluation.windows import window_and_stride
from fnet_core.models.loading import LoadedModel
from fnet_core.models.running import Running, running
from fnet_core.progress import Report, silent
from fnet_core.storage import artifacts, memo

METHOD_VERSION = 1

UNCHANGED: tuple[()] = ()
"""What stands for "no change" in the key of a perplexity."""


def perplexity_recipe(loaded: LoadedModel, yardstick: Yardstick, changes: Any) -> dict[str, Any]:
    """Everything that decides one perplexity, JSON-able; `changes` says as JSON what is done to the model."""
    window, stride = window_and_stride(loaded, yardstick.definition, yardstick.window, yardstick.stride)
    return recipe_of(running(loaded), yardstick, window, stride, changes)


def recipe_of(model: Running, yardstick: Yardstick, window: int, stride: int, changes: Any) -> dict[str, Any]:
    """`perplexity_recipe` of a model that need not be loaded, with the window and stride that it would have."""
    return model.recipe("torch", "transformers") | {
        "yardstick": yardstick.to_dict() | {"window": window, "stride": stride},
        "edits": changes,
        "method_version": METHOD_VERSION,
    }


def known_perplexity(loaded: LoadedModel, yardstick: Yardstick, changes: Any) -> PerplexityResult | None:
    """The perplexity under these changes if it was measured before."""
    return memo.known(PERPLEXITIES, perplexity_recipe(loaded, yardstick, changes))


def changed_estimates(
    loaded: LoadedModel,
    yardstick: Yardstick,
    changes: Any,
    around: Callable[[], AbstractContextManager],
    report: Report = silent,
) -> Iterator[PerplexityResult]:
    """Running estimates of the perplexity inside `around`, the last one final and saved; at once if it is known.

    `changes` describes as JSON what `around` does; it stands in the key.
    """
    if known := known_perplexity(loaded, yardstick, changes):
        report("measuring", 1.0)
        yield known
        return
    recipe = perplexity_recipe(loaded, yardstick, changes)
    for result in measure(
        loaded,
        yardstick.passages,
        definition=yardstick.definition,
        window=yardstick.window,
        stride=yardstick.stride,
        around=around,
        report=report,
    ):
        if len(result.nll_W) == result.total_windows:
            result = replace(result, recipe=recipe | {"edits": artifacts.digest(changes)})
            memo.keep(PERPLEXITIES, recipe, result)
        yield result


def baseline_estimates(
    loaded: LoadedModel, yardstick: Yardstick, report: Report = silent
) -> Iterator[PerplexityResult]:
    """Running estimates of the untouched model's perplexity, as `changed_estimates` gives them."""
    return changed_estimates(loaded, yardstick, UNCHANGED, nullcontext, report)


def baseline_perplexity(loaded: LoadedModel, yardstick: Yardstick, report: Report = silent) -> PerplexityResult:
    """The untouched model's final perplexity, from the store or measured."""
    *_, result = baseline_estimates(loaded, yardstick, report)
    return result


def known_baseline(loaded: LoadedModel, yardstick: Yardstick) -> PerplexityResult | None:
    """The untouched model's perplexity if it was measured before."""
    return known_perplexity(loaded, yardstick, UNCHANGED)
