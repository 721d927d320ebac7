"""Make a derived model: a model folder that comes from another by a named change, with a card that says so."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from fnet_core import texts
from fnet_core.choices import EXPERTS_PER_TOKEN
from fnet_core.derivation import symmetries, weights
from fnet_core.derivation.distilling import distil, fresh
from fnet_core.derivation.finetune import fine_tune
from fnet_core.derivation.training import Training
from fnet_core.derivation.upcycling import upcycled
from fnet_core.derivation.ways import check_asked
from fnet_core.drawing import Described
from fnet_core.errors import RequestError
from fnet_core.models import loading as models
from fnet_core.models.folder import model_digest, published_name, read_config, read_licence, write_card
from fnet_core.models.loading import LoadedModel, ModelFolder
from fnet_core.models.memory import available_memory, estimate, gigabytes
from fnet_core.models.saving import saving_model
from fnet_core.progress import Report, silent
from fnet_core.pruning.cutting import cut
from fnet_core.pruning.masking import prepare
from fnet_core.pruning.plan import plan_for
from fnet_core.pruning.request import PlanRequest
from fnet_core.pruning.scores import ScoreRequest
from fnet_core.storage.atomic import new_folder

CARD = "fnet-derived.json"
"""The note in the folder of a derived model: parent, way, seed, versions. It names models and texts by their own names,
not by where they lie; digests tell which they were."""


@dataclass(frozen=True, repr=False)
class Derived(Described):
    """A derived model on disk; `how` is the way with names in place of paths, `facts` what else the way has to say."""

    folder: Path
    digest: str
    parent: str
    parent_digest: str
    how: str
    seed: int
    parameters_before: int
    parameters_after: int
    dtype: str
    facts: dict[str, Any]

    def _description(self) -> tuple[str, dict[str, object]]:
        return f"{self.folder.name}, derived from {self.parent}", {
            "how": self.how,
            "seed": self.seed,
            "parameters": f"{self.parameters_before:,} before, {self.parameters_after:,} now",
            "weights": self.dtype,
            **{name: value for name, value in self.facts.items() if not isinstance(value, dict | list)},
        }

    def summary(self) -> dict[str, Any]:
        """The JSON object of the command line."""
        return {
            "how": self.how,
            "parent": self.parent,
            "parent_digest": self.parent_digest,
            "seed": self.seed,
            "artifact": str(self.folder),
            "digest": self.digest,
            "parameters": {"before": self.parameters_before, "after": self.parameters_after},
            "dtype": self.dtype,
            **self.facts,
        }


@dataclass(frozen=True)
class Task:
    """What a way works on: the copy to change in place, the checked value, and where the randomness comes from."""

    loaded: LoadedModel
    value: Any
    seed: int
    training: Training
    roots: Sequence[Path] | None
    accept_licence: bool
    report: Report
    parent: PreTrainedModel
    """The weights before `Way.build` made another model of them."""

    @property
    def model(self) -> PreTrainedModel:
        """The copy's weights."""
        return self.loaded.model

    def generator(self) -> torch.Generator:
        """A fresh generator of the seed."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Way:
    """One way to derive a model: `change` applies the value that `ways.CHECKS` makes of what follows the colon."""

    explanation: str
    change: Callable[[Task], dict[str, Any] | None]
    copies: int | Callable[[Any], int] = 1
    """How many times the weights must fit in memory, or what says it of the value."""
    trains: bool = False
    build: Callable[[Task], PreTrainedModel] = lambda task: task.model
    """What gives the model that is changed: the copy itself, or one of another class made of it."""


def _merge(task: Task) -> dict[str, Any]:
    other = models.load(
        task.value,
        device_map="cpu",
        dtype=torch.float32,
        accept_licence=task.accept_licence,
        roots=task.roots,
        report=task.report,
    )
    weights.merge(task.model, other.model, task.report)
    return {"merged_with": published_name(other.name, other.path), "merged_with_digest": other.digest}


def _check_other(parent: ModelFolder, other: ModelFolder) -> None:
    """RequestError, before either is loaded, for a model that the parent cannot be merged with."""
    one, another = (read_config(folder.path, folder.name).model_type for folder in (parent, other))
    if one != another:
        raise RequestError(
            f"{other.name} is a {another} model and the first a {one} one; merge models of one configuration."
        )
    if model_digest(other.path) == model_digest(parent.path):
        raise RequestError(f"{other.name} is the model itself; merge with another one.")


def _prune(task: Task) -> dict[str, Any]:
    request = ScoreRequest(texts.bundled("find"))
    asked = PlanRequest("wanda-sp", task.value, protected=(0, 0), even=True, compensation="none")
    plan = plan_for(task.loaded, asked, request, task.report)
    cut(task.model, prepare(task.loaded, plan, "none", request))
    return {"removed_neurons": plan.removed_neurons}


WAYS: dict[str, Way] = {
    "noise": Way(
        "gaussian noise of so many standard deviations of each weight matrix",
        lambda task: weights.add_noise(task.model, task.value, task.generator(), task.report),
    ),
    "permute": Way(
        "MLP neurons in another order; the function is unchanged",
        lambda task: symmetries.permute_neurons(task.model, task.generator(), task.report),
    ),
    "permute-residual": Way(
        "dimensions of the residual stream in another order; the function is unchanged",
        lambda task: symmetries.permute_residual(task.model, task.generator(), task.report),
    ),
    "rescale": Way(
        "each MLP neuron scaled by up to this factor and scaled back; the function is unchanged",
        lambda task: symmetries.rescale_neurons(task.model, task.value, task.generator(), task.report),
    ),
    "rotate": Way(
        "the residual stream turned by a random rotation, scales of norms folded in; the function is unchanged",
        lambda task: symmetries.rotate_residual(task.model, task.generator(), task.report),
    ),
    "quantise": Way(
        "weights of the decoder layers rounded to so many bits",
        lambda task: weights.quantise(task.model, task.value, task.report),
    ),
    "prune": Way(
        "this share of the MLP neurons removed from every layer, lowest Wanda-sp scores first",
        _prune,
    ),
    "drop-layers": Way(
        "so many layers left out, evenly spread, never the first or the last",
        lambda task: {"dropped_layers": weights.drop_layers(task.model, task.value)},
    ),
    "merge": Way(
        "the average with another model of the same shape",
        _merge,
        copies=2,
    ),
    "upcycle": Way(
        "a mixture of so many copies of each MLP with a random router; the function is unchanged, unless noise of so "
        "many standard deviations follows a second colon (4:0.05)",
        lambda task: {"experts": task.value[0], "experts_per_token": EXPERTS_PER_TOKEN},
        copies=lambda value: 1 + value[0],
        build=lambda task: upcycled(task.model, task.value[0], task.value[1], task.generator(), task.report),
    ),
    "finetune": Way(
        "all weights trained on a text file",
        lambda task: fine_tune(task.loaded, task.value, "finetune", task.training, task.seed, task.report),
        copies=4,
        trains=True,
    ),
    "lora": Way(
        "low-rank adapters trained on a text file and merged into the weights",
        lambda task: fine_tune(task.loaded, task.value, "lora", task.training, task.seed, task.report),
        copies=2,
        trains=True,
    ),
    "distil": Way(
        "fresh weights of the same configuration, trained on a text file to predict what the model predicts",
        lambda task: distil(task.loaded, task.parent, task.value, task.training, task.seed, task.report),
        copies=5,
        trains=True,
        build=lambda task: fresh(task.model, task.seed),
    ),
}
"""Every way, under the name that the command line and the page use."""


def derive(
    name: str,
    how: str,
    folder: Path,
    *,
    seed: int = 0,
    training: Training | None = None,
    accept_licence: bool = False,
    roots: Sequence[Path] | None = None,
    report: Report = silent,
) -> Derived:
    """Save a model that comes from the named one by the way `how` in a new folder; the parent is not touched.

    The folder holds weights of the parent's number type, its tokenizer and licence, and `CARD`. Same seed, same
    machine: same weights. `RequestError` for an unknown way, a value out of range, a folder that exists, a model for
    which the way does not hold, and too little memory or disk; then, and when `report` raises, nothing is left behind.
    """
    training = training or Training()
    chosen, value = check_asked(how, seed, training)
    way = WAYS[chosen]
    folder = new_folder(folder)
    parent = models.resolve(name, accept_licence=accept_licence, roots=roots, report=report)
    if chosen == "merge":
        _check_other(parent, models.resolve(value, accept_licence=accept_licence, roots=roots, report=report))
    _check_memory(parent.path, way, value)
    loaded = models.load(str(parent.path), device_map="cpu", dtype=torch.float32, report=report)
    before = loaded.model.num_parameters()
    report("changing", 0.0)
    task = Task(loaded, value, seed, training, roots, accept_licence, report, loaded.model)
    model = way.build(task)
    facts = way.change(replace(task, loaded=replace(loaded, model=model))) or {}
    report("saving", 0.0)
    name, how = published_name(parent.name, parent.path), _published_how(how, facts)
    origin = {"parent": name, "parent_digest": loaded.digest, "how": how, "seed": seed}
    licence = read_licence(parent.path)
    with saving_model(model, loaded.tokenizer, folder, loaded.stored.torch_dtype) as temporary:
        versions = {package: version(package) for package in ("transformers", "torch")}
        (temporary / CARD).write_text(json.dumps(origin | facts | {"written_with": versions}, indent=2), "utf-8")
        write_card(
            temporary,
            {"name": folder.name, "title": f"{name}, {how}", "source": origin}
            | ({"licence": licence.name, "licence_url": licence.url} if licence.name else {}),
        )
        report("saving", 0.9)
    return Derived(
        folder=folder,
        digest=model_digest(folder),
        parent=name,
        parent_digest=loaded.digest,
        how=how,
        seed=seed,
        parameters_before=before,
        parameters_after=model.num_parameters(),
        dtype=loaded.stored.dtype,
        facts=facts,
    )


def _published_how(how: str, facts: dict[str, Any]) -> str:
    """The way with the name of the text or of the other model in place of its path."""
    way, _, _ = how.partition(":")
    named = facts.get("text", facts.get("merged_with"))
    return how if named is None else f"{way}:{named}"


def _check_memory(parent: Path, way: Way, value: Any) -> None:
    need = estimate(parent, torch.float32)
    copies = way.copies if isinstance(way.copies, int) else way.copies(value)
    needed = copies * need.weight_bytes + (need.activation_bytes if way.trains else 0)
    if needed > (free := available_memory()):
        raise RequestError(
            f"This way of deriving needs {gigabytes(needed)} of memory and {gigabytes(free)} are free; close other "
            "models or choose a smaller one."
        )
