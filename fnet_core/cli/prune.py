"""`prune`: take neurons and heads away, and measure what that costs."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core.choices import (
    COMPENSATIONS,
    DEFAULT_COMPENSATION,
    DEFAULT_METHOD,
    FORMS,
    METHOD_NAMES,
    PROTECTED,
    PUBLISHED_COMPONENTS,
    PUBLISHED_RUN,
    PUBLISHED_THRESHOLD,
    SHARES,
    Form,
)
from fnet_core.cli.arguments import add_model, add_texts, add_yardstick, check_model, yardstick_of
from fnet_core.cli.capabilities import add_battery, battery_of, check_items
from fnet_core.cli.harness import add_harness, run_tasks, task_lines, tasks_of
from fnet_core.cli.perplexity import basis, line_for
from fnet_core.cli.recovery import add_recovery, recovery_of
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
    parser.add_argument(
        "--target",
        metavar="T",
        help="remove as much as it takes, instead of a ratio: a size (450MB), parameters (100Mparams), tokens per "
        "second on this machine read or written (600tok/s, 25written/s), or as much as a perplexity allows ('ppl<=40')",
    )
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
    parser.add_argument("--even", action="store_true", help="as many neurons from every layer that is not protected")
    parser.add_argument(
        "--form",
        choices=FORMS,
        default="auto",
        help="how --out saves it (default auto). " + "; ".join(f"{name}: {line}" for name, line in FORMS.items()),
    )
    parser.add_argument("--calibration", metavar="F", help="text file to score on (default: the bundled passages)")
    parser.add_argument("--components", type=int, metavar="K", help="networks per layer (default 32)")
    parser.add_argument("--groups", type=int, metavar="G", help="groups of texts for fn (default 4)")
    parser.add_argument("--capabilities", action="store_true", help="measure what the model can do, before and after")
    add_battery(parser)
    add_harness(parser)
    add_recovery(parser)
    parser.add_argument("--out", metavar="DIR", help="save the pruned model in this new folder")
    add_texts(parser, "score")
    add_yardstick(parser)


def stages(options: argparse.Namespace) -> dict[str, float]:
    """Relative lengths of its stages, for the time left."""
    asking = {"asking": 20.0} if options.capabilities else {}
    training = {"training": 60.0} if options.recover else {}
    asking |= {"tasks": 60.0} if options.lm_eval else {}
    return PREPARING | {"measuring": 8.0} | asking | {"cutting": 0.2} | training | {"saving": 1.0}


def run(options: argparse.Namespace, report: Report) -> tuple[dict[str, Any], list[str]]:
    """Plan, measure, save."""
    from fnet_core import texts
    from fnet_core.pruning.published import published_groups, published_plan
    from fnet_core.pruning.request import PlanRequest, check_scoring
    from fnet_core.pruning.target import read_target
    from fnet_core.storage.atomic import new_folder

    if options.bias and options.compensation not in (None, "bias"):
        raise RequestError("--bias and --compensation disagree; give one of them.")
    target = None if options.target is None else read_target(options.target)
    if target and (options.ratio, options.threshold) != (None, None):
        raise RequestError("--target stands instead of --ratio and --threshold; give one of them.")
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
    ratio = 0.0 if target else options.ratio
    asked = published_plan(ratio, **choices) if options.published else PlanRequest(ratio=ratio, **choices)
    recovery, tasks = recovery_of(options), tasks_of(options)
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
    from fnet_core.derivation.recovery import check_text, random_twin, recover, told
    from fnet_core.models import loading as models
    from fnet_core.pruning.export import check_removes, export, read_recipe
    from fnet_core.pruning.masking import prepare
    from fnet_core.pruning.plain import check_plain, leaving, plain_request
    from fnet_core.pruning.plan import plan_for
    from fnet_core.pruning.reaching import reach
    from fnet_core.pruning.scores import ScoreRequest, scarce_text

    request = ScoreRequest(passages, options.heads, options.seed, components, groups)
    loaded = models.get_loaded(options.model, accept_licence=options.accept_licence, report=report)
    request = request.fitted(loaded)
    if recovery:
        check_text(loaded, recovery)
    if options.form == "plain":
        check_plain(loaded, asked)
        asked = plain_request(asked)
    reached = reach(loaded, target, asked, request, yardstick, report) if target else None
    plan = reached.plan if reached else plan_for(loaded, asked, request, report)
    if options.out is not None:
        check_removes(plan)
    pruning = prepare(loaded, plan, asked.compensation, request, report)
    form: Form = "asked" if options.out is None else options.form
    left = leaving(loaded, pruning, request, yardstick, form, report, target)
    pruning, result = left.pruning, left.result
    if options.out is not None and left.code:
        log.warning(
            "The saved model will bring code of its own, since its layers differ in size or get a bias: it loads with "
            "trust_remote_code=True, and not as GGUF. For GGUF: --even --protect 0 0 --compensation none, or --form "
            "plain."
        )
    summary, artifact, exported = pruning.summary(), None, None
    asked_again = None if battery is None else _asked_again(loaded, pruning, battery, report)
    scored = run_tasks(loaded, pruning, tasks, options.lm_eval_items, report) if tasks else []
    recovered = control = None
    if recovery:
        recovered = recover(loaded, pruning, recovery, yardstick, report)
        if options.recover_control:
            twin = random_twin(loaded, pruning, request, report)
            control = replace(recover(loaded, twin, recovery, yardstick, report), model=None)
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
            (recovered.model, recovered.summary()) if recovered and recovered.model else None,
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
        "form": left.summary(),
    }
    if recovered:
        summary["recovery"] = recovered.summary() | {"control": control and control.summary()}
    if scored:
        summary["lm_eval"] = scored
    if reached:
        summary["target"] = reached.summary()
    if asked_again:
        summary["capabilities"] = asked_again
    notes = [f"calibration: {note}" for note in (request.cut, scarce_text(loaded, asked, request)) if note]
    met = [reached.sentence] if reached else []
    trained = (told(recovered, control) if recovered else []) + task_lines(scored)
    formed = [left.sentence] if left.sentence else []
    return summary, met + _lines(result, summary) + trained + formed + notes


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
    """Neurons and heads before and after, heads alone of a mixture of experts; layers where they went whole."""
    if dropped := summary["dropped_layers"]:
        return f"layers     {len(summary['layers'])} to {len(summary['layers']) - len(dropped)}; without {dropped}"
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
