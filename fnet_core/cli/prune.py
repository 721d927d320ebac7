"""`prune`: take neurons and heads away, and measure what that costs."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.choices import (
    COMPENSATIONS,
    DEFAULT_COMPENSATION,
    DEFAULT_METHOD,
    METHOD_NAMES,
    PROTECTED,
    PUBLISHED_COMPONENTS,
    PUBLISHED_RUN,
    PUBLISHED_THRESHOLD,
    SHARES,
)
from fnet_core.cli.arguments import add_model, add_texts, add_yardstick, check_model, yardstick_of
from fnet_core.cli.capabilities import add_battery, battery_of, check_items
from fnet_core.cli.perplexity import basis, line_for
from fnet_core.errors import RequestError
from fnet_core.progress import Report
from fnet_core.time_left import PREPARING

if TYPE_CHECKING:
    from fnet_core.capability.battery import Battery
    from fnet_core.models.loading import LoadedModel
    from fnet_core.pruning.masking import Pruning
    from fnet_core.pruning.measuring import PruneResult

log = logging.getLogger(__name__)

NAME = "prune"
HELP = "remove MLP neurons and attention heads, see perplexity, save the smaller model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, what goes and how, what to measure by, and where to save."""
    add_model(parser)
    parser.add_argument("--ratio", type=float, metavar="R", help="share to remove, from 0 to less than 1")
    parser.add_argument("--threshold", type=float, metavar="Z", help="remove what scores at most Z, instead of a ratio")
    parser.add_argument("--share", choices=SHARES, default="neurons", help="what the ratio is a share of")
    parser.add_argument("--method", choices=METHOD_NAMES, help=f"default {DEFAULT_METHOD}")
    parser.add_argument(
        "--published",
        action="store_true",
        help=f"fn as its paper ran it, where nothing else is said: K {PUBLISHED_COMPONENTS}, groups of about "
        f"{PUBLISHED_RUN} texts, all bundled passages, threshold {PUBLISHED_THRESHOLD}, --compensation bias-sequential",
    )
    parser.add_argument("--heads", action="store_true", help="prune attention heads too, in whole key/value groups")
    parser.add_argument("--bias", action="store_true", help="short for --compensation bias")
    parser.add_argument(
        "--compensation",
        choices=COMPENSATIONS,
        help=f"what stands in for removed neurons (default {DEFAULT_COMPENSATION})",
    )
    parser.add_argument(
        "--protect",
        nargs=2,
        type=int,
        default=PROTECTED,
        metavar=("FIRST", "LAST"),
        help="layers at the start and at the end that stay whole (default 3 2)",
    )
    parser.add_argument(
        "--even",
        action="store_true",
        help="as many neurons from every layer: with --protect 0 0 and --compensation none the result needs no code of "
        "its own to load (heads apart in gpt2, gpt_neox and opt)",
    )
    parser.add_argument("--calibration", metavar="F", help="text file to score on (default: the bundled passages)")
    parser.add_argument("--components", type=int, metavar="K", help="networks per layer (default 32)")
    parser.add_argument("--groups", type=int, metavar="G", help="groups of texts for fn (default 4)")
    parser.add_argument("--capabilities", action="store_true", help="measure what the model can do, before and after")
    add_battery(parser)
    parser.add_argument("--out", metavar="DIR", help="save the pruned model in this new folder")
    add_texts(parser, "score")
    add_yardstick(parser)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    asking = {"asking": 20.0} if options.capabilities else {}
    return PREPARING | {"measuring": 8.0} | asking | {"cutting": 0.2, "saving": 1.0}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Plan, measure, save."""
    from fnet_core import texts
    from fnet_core.pruning.published import published_groups, published_plan
    from fnet_core.pruning.request import PlanRequest, check_scoring
    from fnet_core.storage.atomic import new_folder

    if options.bias and options.compensation not in (None, "bias"):
        raise RequestError("--bias and --compensation disagree; give one of them.")
    if options.published and options.method not in (None, "fn"):
        raise RequestError("--published is a recipe of the method fn; leave --method out.")
    said = {
        "method": options.method,
        "threshold": options.threshold,
        "compensation": options.compensation or ("bias" if options.bias else None),
    }
    choices: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    choices |= {name: getattr(options, name) for name in ("share", "even", "heads")}
    choices["protected"] = tuple(options.protect)
    asked = (
        published_plan(options.ratio, **choices) if options.published else PlanRequest(ratio=options.ratio, **choices)
    )
    check_items(options)
    battery = battery_of(options) if options.capabilities else None
    components = PUBLISHED_COMPONENTS if options.published else 32
    components = components if options.components is None else options.components
    check_scoring(options.seed, components, 4 if options.groups is None else options.groups)
    if options.out is not None:
        new_folder(options.out)
    passages = texts.for_networks() if options.published else texts.bundled("find")
    if options.calibration is not None:
        passages = texts.from_file(options.calibration)
    groups = published_groups(len(passages)) if options.published else 4
    groups = groups if options.groups is None else options.groups
    yardstick = yardstick_of(options)
    check_model(options.model, options)
    from fnet_core.models import loading as models
    from fnet_core.pruning.cutting import brings_code
    from fnet_core.pruning.export import check_removes, export, read_recipe
    from fnet_core.pruning.masking import prepare
    from fnet_core.pruning.measuring import measure_pruning
    from fnet_core.pruning.plan import plan_for
    from fnet_core.pruning.scores import ScoreRequest, scarce_text

    request = ScoreRequest(passages, options.heads, options.seed, components, groups)
    loaded = models.get_loaded(options.model, accept_licence=options.accept_licence, report=report)
    request = request.fitted(loaded)
    plan = plan_for(loaded, asked, request, report)
    if options.out is not None:
        check_removes(plan)
    pruning = prepare(loaded, plan, asked.compensation, request, report)
    if options.out is not None and brings_code(loaded.model, pruning):
        log.warning(
            "The saved model will bring code of its own, since its layers differ in size or get a bias: it loads with "
            "trust_remote_code=True, and not as GGUF. For GGUF: --even --protect 0 0 --compensation none."
        )
    result = measure_pruning(loaded, pruning, yardstick, report)
    summary, artifact, exported = pruning.summary(), None, None
    asked_again = None if battery is None else _asked_again(loaded, pruning, battery, report)
    if options.out is not None:
        perplexities = {"before": result.baseline, "after": result.pruned}
        folder = export(
            loaded,
            pruning,
            Path(options.out),
            perplexities,
            report,
            yardstick,
            asked_again["rows"] if asked_again else (),
        )
        recipe, artifact = read_recipe(folder), str(folder)
        summary, exported = recipe["summary"], recipe["perplexity"].get("exported")
    summary |= {
        "model": loaded.name,
        "baseline": result.baseline.summary(),
        "perplexity": result.pruned.summary(),
        "exported": exported,
        "effect": result.effect.summary(),
        "artifact": artifact,
    }
    if asked_again:
        summary["capabilities"] = asked_again
    notes = (request.cut, scarce_text(loaded, asked, request))
    return summary, _lines(result, summary) + [f"calibration: {note}" for note in notes if note]


def _asked_again(loaded: LoadedModel, pruning: Pruning, battery: Battery, report: Report) -> dict[str, Any]:
    """What the model can do before and after, as JSON."""
    from fnet_core.capability.comparing import changed, side_by_side
    from fnet_core.capability.profiles import profile
    from fnet_core.progress import part_of
    from fnet_core.pruning.masking import masking

    before = profile(loaded, battery, report=part_of(report, 0, 2, "asking"))
    after = profile(loaded, battery, pruning.changes, lambda: masking(loaded, pruning), part_of(report, 1, 2, "asking"))
    return changed(side_by_side(before, after))


def _units(summary: dict[str, Any]) -> str:
    """Neurons and heads before and after; heads alone of a mixture of experts."""
    heads = f"{summary['heads']['before']:,} to {summary['heads']['after']:,}"
    if not summary["neurons"]["before"]:
        return f"heads      {heads}"
    return f"neurons    {summary['neurons']['before']:,} to {summary['neurons']['after']:,}; heads {heads}"


def _lines(result: PruneResult, summary: dict[str, Any]) -> list[str]:
    parameters, size = summary["parameters"], summary["bytes"]
    lines = [
        f"untouched  {line_for(result.baseline)}",
        f"pruned     {line_for(result.pruned)}",
        f"parameters {parameters['before']:,} to {parameters['after']:,} "
        f"({1 - parameters['after'] / parameters['before']:.1%} fewer), {size['before'] / 1e6:,.1f} MB to "
        f"{size['after'] / 1e6:,.1f} MB on disk in {size['dtype']}",
        _units(summary),
        f"estimated {summary['estimated_speed']:.2f} times as many tokens per second",
        basis(result.baseline),
    ]
    if asked := summary.get("capabilities"):
        lines += [
            f"{row['title']}: {row['before']:.2f} to {row['after']:.2f} of {row['items']} items"
            for row in asked["rows"]
        ]
        lines.append(f"{asked['lost']} of these are a loss at a false-discovery rate of 5 %; chance is 0.5")
    if exported := summary["exported"]:
        value = "not a number" if exported["value"] is None else f"{exported['value']:.4g}"
        lines.append(f"exported   {value} in {exported['dtype']}, on the same text")
    if summary["artifact"]:
        lines.append(f"saved in {summary['artifact']}")
    return lines
