"""Save a pruned model as an ordinary folder that loads without FNet, with a card that says how it was made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCardData
from transformers import PreTrainedModel

from fnet_core.choices import COMPENSATIONS
from fnet_core.errors import RequestError
from fnet_core.evaluation.perplexity import PerplexityResult
from fnet_core.evaluation.yardstick import Yardstick, baseline_perplexity
from fnet_core.models.folder import published_name, read_licence, wrapper_note
from fnet_core.models.loading import LoadedModel, load, private_copy
from fnet_core.models.made import PRUNING
from fnet_core.models.saving import CODE, needs_code, saving_model
from fnet_core.models.stored import StoredWeights, stored_weights
from fnet_core.progress import Report, silent
from fnet_core.pruning.cutting import cut
from fnet_core.pruning.masking import Pruning
from fnet_core.pruning.methods import METHODS
from fnet_core.pruning.plan import PrunePlan, check_plan
from fnet_core.storage.atomic import new_folder

CARD = PRUNING


def pruned_copy(
    loaded: LoadedModel, pruning: Pruning, report: Report = silent, dtype: torch.dtype | None = None
) -> PreTrainedModel:
    """A second, smaller model with the plan applied, in main memory; the loaded one is left as it is.

    Its number type is the one that the weights are stored in, unless `dtype` says otherwise.
    Raises RequestError for a plan of another model, and when memory has no room for a second copy.
    """
    check_plan(loaded, pruning.plan)
    model = private_copy(loaded, dtype, report)
    cut(model, pruning)
    return model


def export(
    loaded: LoadedModel,
    pruning: Pruning,
    folder: Path,
    perplexities: dict[str, PerplexityResult] | None = None,
    report: Report = silent,
    yardstick: Yardstick | None = None,
    capabilities: Sequence[Mapping[str, Any]] = (),
    trained: tuple[PreTrainedModel, Mapping[str, Any]] | None = None,
) -> Path:
    """Save the pruned model with its tokenizer, recipe and model card, all of it or nothing.

    The weights keep the number type they were stored in. `perplexities` are those by name ("before", "after") that the
    card states. Where they were measured in another number type, the saved model is measured by `yardstick` in its own,
    as "exported". `capabilities` are rows with title, items, and the accuracies before and after, for the card too.
    `trained` is the pruned model as training left it, which is saved in its place, and what the card says of that.
    Raises RequestError for a plan that removes nothing, a folder that exists or cannot be written, and a full disk.
    """
    folder = new_folder(folder)
    check_removes(pruning.plan)
    check_plan(loaded, pruning.plan)
    report("cutting", 0.0)
    model = trained[0] if trained else pruned_copy(loaded, pruning, report)
    report("saving", 0.0)
    with saving_model(model, loaded.tokenizer, folder, loaded.stored.torch_dtype) as temporary:
        measured = dict(perplexities or {})
        if yardstick and loaded.stored.dtype != loaded.dtype:
            measured["exported"] = _measured_as_saved(temporary, loaded, yardstick, report)
        recipe = _recipe(loaded, pruning, measured, stored_weights(temporary))
        if capabilities:
            recipe["capabilities"] = list(capabilities)
        if trained:
            recipe["recovery"] = dict(trained[1])
        (temporary / CARD).write_text(json.dumps(recipe, indent=1, ensure_ascii=False), "utf-8")
        (temporary / "README.md").write_text(_model_card(loaded, recipe, pruning, measured, needs_code(model)), "utf-8")
        report("saving", 1.0)
    return folder


def _measured_as_saved(folder: Path, loaded: LoadedModel, yardstick: Yardstick, report: Report) -> PerplexityResult:
    saved = load(str(folder.resolve()), dtype=loaded.stored.torch_dtype, report=report)
    return baseline_perplexity(saved, yardstick, report)


def check_removes(plan: PrunePlan) -> None:
    """RequestError for a plan that removes nothing."""
    if plan.removes_nothing:
        raise RequestError("This plan removes nothing; choose a ratio above 0.")


def read_recipe(folder: Path) -> dict[str, Any]:
    """What `export` noted in a folder: the plan, the bytes on disk, the perplexities."""
    return json.loads((folder / CARD).read_text("utf-8"))


def _recipe(
    loaded: LoadedModel, pruning: Pruning, perplexities: dict[str, PerplexityResult], saved: StoredWeights
) -> dict[str, Any]:
    summary = pruning.summary()
    summary["bytes"]["after"] = saved.bytes
    return {
        "pruned_from": published_name(loaded.name, loaded.path),
        "pruned_from_digest": loaded.digest,
        "plan": _published(pruning.plan.recipe(), loaded),
        "compensation": pruning.compensation,
        "kept": pruning.plan.masks(),
        "summary": summary,
        "perplexity": {name: result.summary() for name, result in perplexities.items()},
    }


def _published(recipe: dict[str, Any], loaded: LoadedModel) -> dict[str, Any]:
    """The plan's recipe with the model's published name, not the place where it lies."""
    name = {"model": published_name(loaded.name, loaded.path)}
    return recipe | name | {"scores": recipe["scores"] | name}


def _model_card(
    loaded: LoadedModel,
    recipe: dict[str, Any],
    pruning: Pruning,
    perplexities: dict[str, PerplexityResult],
    code: bool,
) -> str:
    plan, summary = pruning.plan, recipe["summary"]
    asked = plan.request
    size = summary["bytes"]
    licence = read_licence(loaded.path)
    method = METHODS[asked.method]
    name = recipe["pruned_from"]
    facts = ModelCardData(
        base_model=name, library_name="transformers", tags=["pruned", "fnet"], license=licence.name or None
    )
    amount = f"ratio {asked.ratio:g} {asked.share}" if asked.ratio is not None else f"threshold {asked.threshold:g}"
    folded = "; biases that it would add are folded into the kept weights" if asked.folded else ""
    removed = 1 - pruning.parameters / plan.anatomy.parameters
    lines = [
        "---",
        facts.to_yaml(),
        "---",
        "",
        f"# {name}, pruned",
        "",
        f"Made by FNet from {name} (digest {loaded.digest[:12]}): {method.title}, {amount}.",
        "",
        "| | before | after |",
        "|---|---|---|",
        f"| parameters | {plan.anatomy.parameters:,} | {pruning.parameters:,} ({removed:.1%} fewer) |",
        f"| weights in {size['dtype']} | {size['before'] / 1e6:,.1f} MB | {size['after'] / 1e6:,.1f} MB |",
        f"| MLP neurons | {summary['neurons']['before']:,} | {summary['neurons']['after']:,} |",
        *([f"| layers | {len(plan.keep_mlp)} | {len(plan.keep_mlp) - len(plan.dropped)} |"] if plan.dropped else []),
        f"| attention heads | {summary['heads']['before']:,} | {summary['heads']['after']:,} |",
    ]
    if {"before", "after"} <= perplexities.keys():
        before, after = perplexities["before"], perplexities["after"]
        lines += [
            f"| perplexity per {before.definition} | {before.value:.4g} | {after.value:.4g} |",
            "",
            f"Perplexity over {before.tokens:,} tokens of {len(before.texts)} texts, window {before.window}, stride "
            f"{before.stride}, {before.dtype}; the one after was measured with the removed inputs masked, which the "
            "cut model equals up to rounding.",
        ]
    if recovery := recipe.get("recovery"):
        lines += [
            "",
            f"Trained after the cut: {recovery['steps']} steps by {recovery['how']} on a text of "
            f"{recovery['text_tokens']:,} tokens ({', '.join(recovery['texts'])}), which took the perplexity of the "
            f"cut model from {recovery['before']['value']:.4g} to {recovery['after']['value']:.4g}.",
        ]
    if exported := perplexities.get("exported"):
        lines += ["", f"This folder's own weights, run in {exported.dtype}: {exported.value:.4g} on the same text."]
    if rows := recipe.get("capabilities"):
        lines += [
            "",
            "Share of items answered right, of two continuations one (chance 0.5):",
            "",
            "| capability | items | before | after |",
            "|---|---|---|---|",
            *(f"| {row['title']} | {row['items']} | {row['before']:.2f} | {row['after']:.2f} |" for row in rows),
        ]
    lines += [
        "",
        *([f"- {note}"] if (note := wrapper_note(loaded.path)) else []),
        f"- Method: {method.explanation} Source: {method.source}.",
        *([] if plan.dropped else [f"- Compensation: {COMPENSATIONS[pruning.compensation]}{folded}."]),
        f"- First {asked.protected[0]} and last {asked.protected[1]} layers kept whole.",
        f"- The full recipe is in `{CARD}`.",
        "",
        "## Loading",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'model = AutoModelForCausalLM.from_pretrained(".", trust_remote_code=True)'
        if code
        else 'model = AutoModelForCausalLM.from_pretrained(".")',
        'tokenizer = AutoTokenizer.from_pretrained(".")',
        "```",
        "",
    ]
    if code:
        lines += [
            f"Its layers have sizes that `config.json` has no fields for, so `{CODE}` builds it: a short "
            "file that needs torch and transformers alone. FNet loads the model without running that file.",
            "",
            "GGUF has no place for such layers: its converter writes a file without a complaint, and that file does "
            "not open. As many neurons from every layer, and nothing that stands in for them, can be converted.",
            "",
        ]
    return "\n".join(lines)
