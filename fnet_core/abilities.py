"""What can be done with a model, told from its configuration before a weight is read.

The model is built without memory and handed to the functions that would do the work; what they refuse, and why, is the
answer. `docs/models.md` holds what happens when each is really run, and a test holds this against it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PretrainedConfig

from fnet_core.choices import SITES, Site, site_title
from fnet_core.errors import RequestError
from fnet_core.interventions.baking import FOLDABLE
from fnet_core.models.loading import LoadedModel
from fnet_core.models.modules import attention_weights, check_row, site_widths
from fnet_core.models.stored import StoredWeights
from fnet_core.models.structure import family_of
from fnet_core.models.weights import model_class
from fnet_core.models.wrappers import text_config
from fnet_core.pruning.anatomy import anatomy
from fnet_core.pruning.request import PlanRequest

Operation = Literal["atlas", "edit", "bake", "fingerprint", "neurons", "heads", "plain neurons", "plain heads"]

AT_SITES: dict[Operation, str] = {
    "atlas": "find networks",
    "edit": "edit networks",
    "bake": "save edits in the weights",
    "fingerprint": "take a fingerprint",
}
"""What is done at a site."""

TO_WHOLE: dict[Operation, str] = {
    "neurons": "prune MLP neurons and export",
    "heads": "prune attention heads and export",
    "plain neurons": "export the cut neurons without code",
    "plain heads": "export the cut heads without code",
}
"""What is done to the whole model."""


@dataclass(frozen=True)
class Ability:
    """One operation, at one site or on the whole model, and why not where it does not work."""

    operation: Operation
    site: Site | None
    works: bool
    reason: str = ""


@dataclass(frozen=True)
class Said:
    """What is told of one operation: its title, whether it works anywhere, and where or why not."""

    title: str
    works: bool
    text: str


def abilities(config: PretrainedConfig, name: str) -> tuple[Ability, ...]:
    """What works with the model `name` of this configuration; `RequestError` if its architecture is unknown."""
    config = text_config(config)
    family = family_of(config)
    loaded = _without_weights(config, name)
    found = [_ability("atlas", site, partial(site_widths, loaded.model, site)) for site in SITES]
    weights = _refusal(lambda: next(attention_weights(loaded.model), None))
    row = _refusal(lambda: check_row(loaded.model, "saving edits in the weights"))
    for seen in tuple(found):
        site, works = seen.site, seen.works
        found.append(Ability("edit", site, works, seen.reason))
        bake = "its activations go through no single projection" if works and site not in FOLDABLE else seen.reason
        found.append(Ability("bake", site, works and site in FOLDABLE and not row, row if works and row else bake))
        found.append(Ability("fingerprint", site, works and not weights, seen.reason or weights))
    neurons, heads = (
        _ability(unit, None, partial(_check_cut, loaded, unit == "heads")) for unit in ("neurons", "heads")
    )
    unsaid = "its configuration cannot say it, so the folder brings a short file of code"
    found += [neurons, heads]
    found.append(_said("plain neurons", neurons, bool(family.width_field), unsaid))
    found.append(_said("plain heads", heads, family.heads_in_config, unsaid))
    return tuple(found)


def told(found: Sequence[Ability]) -> tuple[Said, ...]:
    """Abilities in words, one line per operation, and one per site that the model does not have."""
    works = {(ability.operation, ability.site): ability for ability in found}
    lines = []
    for operation, title in AT_SITES.items():
        sites = [site_title(site) for site in SITES if works[operation, site].works]
        lines.append(Said(title, bool(sites), ", ".join(sites) or "at no site"))
    cuts: tuple[tuple[Operation, Operation], ...] = (("neurons", "plain neurons"), ("heads", "plain heads"))
    for operation, without_code in cuts:
        cut, plain = works[operation, None], works[without_code, None]
        form = "an ordinary folder where layers are cut alike and nothing is added" if plain.works else plain.reason
        lines.append(Said(TO_WHOLE[operation], cut.works, form if cut.works else cut.reason))
    missing = [works["atlas", site] for site in SITES if not works["atlas", site].works]
    return (*lines, *(Said(f"site {one.site}", False, one.reason) for one in missing))


def _check_cut(loaded: LoadedModel, heads: bool) -> None:
    PlanRequest(ratio=0.5, protected=(0, 0), heads=heads).check(anatomy(loaded))


def _said(operation: Operation, cut: Ability, sayable: bool, unsaid: str) -> Ability:
    works = cut.works and sayable
    return Ability(operation, None, works, "" if works else cut.reason or unsaid)


def _ability(operation: Operation, site: Site | None, attempt: Callable[[], Any]) -> Ability:
    reason = _refusal(attempt)
    return Ability(operation, site, not reason, reason)


def _refusal(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except RequestError as error:
        return str(error)
    return ""


def _without_weights(config: PretrainedConfig, name: str) -> LoadedModel:
    """The model on torch's meta device, where it has shapes and no memory."""
    with torch.device("meta"):
        model = model_class(config, name)(config)
    return LoadedModel(
        model=model,
        tokenizer=None,  # type: ignore[arg-type]  # nothing is read with it, and only a folder has one
        name=name,
        digest="",
        family=config.model_type,
        path=Path(),
        layers=config.num_hidden_layers,
        dtype="float32",
        device="meta",
        max_tokens=0,
        stored=StoredWeights("float32", 0),
    )
