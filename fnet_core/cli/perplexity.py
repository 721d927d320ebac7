"""`perplexity`: how well a model predicts a text."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fnet_core.cli.arguments import add_model, add_texts, add_yardstick, check_model, yardstick_of
from fnet_core.progress import Report
from fnet_core.time_left import MEASURING

if TYPE_CHECKING:
    from fnet_core.evaluation.perplexity import PerplexityResult

NAME = "perplexity"
HELP = "measure a model's perplexity on a text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the texts and the definition."""
    add_model(parser)
    add_texts(parser, "score")
    add_yardstick(parser)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    return MEASURING


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Measure, or read what was measured before."""
    yardstick = yardstick_of(options)
    check_model(options.model, options)
    from fnet_core.evaluation.yardstick import baseline_perplexity
    from fnet_core.models import loading as models

    loaded = models.get_loaded(options.model, accept_licence=options.accept_licence, report=report)
    result = baseline_perplexity(loaded, yardstick, report=report)
    return result.summary() | {"model": loaded.name}, [line_for(result), basis(result)]


def line_for(result: PerplexityResult) -> str:
    """The perplexity with its interval, as people read it."""
    from fnet_core.evaluation.perplexity import spoken

    if not result.finite or result.too_large:
        return result.sentence
    return f"{result.value:.4g}" + spoken(result.interval, ".4g").replace(" (", "  (")


def basis(result: PerplexityResult) -> str:
    """What the perplexity was measured on."""
    start = f"start token {result.start}" if result.start else "no start token"
    return (
        f"per {result.definition}; {len(result.texts)} texts, {result.tokens:,} tokens, {len(result.nll_W)} windows of "
        f"{result.window} (stride {result.stride}), {start}, {result.dtype}"
    )
