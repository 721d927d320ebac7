"""Load a model and its tokenizer, and keep the last ones loaded."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from fnet_core.drawing import Described
from fnet_core.errors import RequestError
from fnet_core.models.folder import context, model_digest, read_config
from fnet_core.models.kept import KeptModels
from fnet_core.models.memory import MemoryEstimate, available_memory, default_dtype, estimate, gigabytes
from fnet_core.models.modules import decoder_layers
from fnet_core.models.plausible import built_from, check_all_used, check_numbers
from fnet_core.models.resolving import ModelFolder, resolve
from fnet_core.models.stored import StoredWeights, stored_weights
from fnet_core.models.structure import structure_note
from fnet_core.models.structure_check import check_structure
from fnet_core.models.tokenizers import load_tokenizer
from fnet_core.models.weights import with_weights
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import home
from fnet_core.storage.locks import turn

__all__ = ["LoadedModel", "ModelFolder", "get_loaded", "load", "model_digest", "release_loaded", "resolve"]

_log = getLogger(__name__)

KEPT_MODELS = 2
NO_LIMIT = 1 << 20
"""Tokens that a model may read at once where its configuration sets no limit."""

_loading = threading.Lock()
"""One load at a time: two would each count the other's memory as free."""
_kept = KeptModels()


@dataclass(frozen=True, repr=False)
class LoadedModel(Described):
    """A model ready to run (evaluation mode, no gradients), never changed in place, and what it is.

    `digest` tells it from every other model; `family` is the configuration's model_type; `device` says where
    the weights are; `max_tokens` is the context the model was made for; `stored` is how its folder keeps the weights.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    digest: str
    family: str
    path: Path
    layers: int
    dtype: str
    device: str
    max_tokens: int
    stored: StoredWeights

    def _description(self) -> tuple[str, dict[str, object]]:
        return f"{self.name}, ready to run", {
            "family": self.family,
            "layers": self.layers,
            "parameters": f"{self.model.num_parameters():,}",
            "weights": f"{self.dtype} on {self.device}",
            "context": f"{self.max_tokens:,} tokens",
        }


def load(
    name: str,
    *,
    device_map: str | Mapping[str, Any] = "auto",
    dtype: torch.dtype | None = None,
    max_memory: Mapping[int | str, int | str] | None = None,
    offload_folder: Path | None = None,
    accept_licence: bool = False,
    roots: Sequence[Path] | None = None,
    report: Report = silent,
) -> LoadedModel:
    """Load the named model through accelerate, after asking whether it fits.

    bfloat16 or float16 on a GPU, float32 on a CPU unless `dtype` says otherwise; what does not fit on the
    device goes to main memory and then stays on disk. `RequestError` as `resolve`, and if it does not fit at
    all, lacks weights or has no fast tokenizer; what `report` raises stops the loading.
    """
    folder = resolve(name, accept_licence=accept_licence, roots=roots, report=report)
    with turn(_loading, report):
        return _load(folder, device_map, dtype, max_memory, offload_folder, report)


def get_loaded(
    name: str,
    *,
    device_map: str | Mapping[str, Any] = "auto",
    dtype: torch.dtype | None = None,
    accept_licence: bool = False,
    roots: Sequence[Path] | None = None,
    report: Report = silent,
) -> LoadedModel:
    """The named model, loaded unless it is one of the two used last; the others' memory is freed.

    So is that of these two once nobody has asked for them for a quarter of an hour and nothing uses them.

    Callers share the model: edits are hooks that are taken off again. Raises like `load`.
    """
    folder = resolve(name, accept_licence=accept_licence, roots=roots, report=report)
    key = (model_digest(folder.path, report), str(dtype or default_dtype()), str(device_map))
    found = _kept.get(key)
    if found is None:
        with turn(_loading, report):
            found = _kept.get(key)
            if found is None:
                release_loaded(KEPT_MODELS - 1)
                if estimate(folder.path, dtype).fits != "device":
                    release_loaded()
                found = _load(folder, device_map, dtype, None, None, report)
                _kept.put(key, found)
    if (found.name, found.path) == (folder.name, folder.path):
        return found
    return replace(found, name=folder.name, path=folder.path)


def release_loaded(keep: int = 0) -> None:
    """Forget all but the `keep` models used last; their memory is freed once no computation uses them."""
    _kept.release(keep)


def _load(
    folder: ModelFolder,
    device_map: str | Mapping[str, Any],
    dtype: torch.dtype | None,
    max_memory: Mapping[int | str, int | str] | None,
    offload_folder: Path | None,
    report: Report,
) -> LoadedModel:
    dtype = dtype or default_dtype()
    config = read_config(folder.path)
    need = estimate(folder.path, dtype)
    if need.fits == "no":
        raise RequestError(f"{folder.name}: {need.sentence}")
    tokenizer = load_tokenizer(folder.path, config)
    offload_folder = offload_folder or home() / "offload"
    digest = model_digest(folder.path, report)
    with _reported_bars(report), built_from(folder.name):
        model, info = with_weights(
            config,
            folder.path,
            folder.name,
            dtype=dtype,
            device_map=device_map,
            max_memory=dict(max_memory) if max_memory else _room_for_activations(need),
            offload_folder=offload_folder,
            ignore_mismatched_sizes=True,
        )
    if wrong := sorted(name for name, *_ in info["mismatched_keys"]):
        raise RequestError(
            f"{folder.name} does not agree with its config.json on the size of {len(wrong)} tensors "
            f"({wrong[0]}, ...); save the model again with save_pretrained."
        )
    if missing := sorted(info["missing_keys"]):
        raise RequestError(
            f"{folder.name} lacks the weights of {len(missing)} tensors ({missing[0]}, ...); save the model "
            "again with save_pretrained."
        )
    check_all_used(info["unexpected_keys"], folder.name)
    check_numbers(model, folder.name, digest)
    model.eval().requires_grad_(False)
    check_structure(model)
    if note := structure_note(config):
        _log.warning(f"{folder.name}: {note}")
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        name=folder.name,
        digest=digest,
        family=config.model_type,
        path=folder.path,
        layers=len(decoder_layers(model)),
        dtype=need.dtype,
        device=_places(model),
        max_tokens=context(config) or NO_LIMIT,
        stored=stored_weights(folder.path),
    )


def private_copy(loaded: LoadedModel, dtype: torch.dtype | None = None, report: Report = silent) -> PreTrainedModel:
    """A second copy of a model's weights in main memory to change; `dtype` defaults to the type they are stored in.

    Raises RequestError when memory has no room for it.
    """
    dtype = dtype or loaded.stored.torch_dtype
    needed, free = estimate(loaded.path, dtype).weight_bytes, available_memory()
    if needed > free:
        raise RequestError(
            f"Saving needs a second copy of the weights in memory, {gigabytes(needed)}, and {gigabytes(free)} are "
            "free; close other models first."
        )
    with turn(_loading, report), _reported_bars(report):
        model, _ = with_weights(read_config(loaded.path), loaded.path, loaded.name, dtype=dtype)
    return model.eval().requires_grad_(False)


def _room_for_activations(need: MemoryEstimate) -> dict[int | str, int] | None:
    """What weights may take of each device when not all fit, so that a forward pass still has its part."""
    if need.fits == "device":
        return None
    room: dict[int | str, int] = {"cpu": max(available_memory() - need.activation_bytes, 0)}
    for index in range(torch.cuda.device_count()):
        room[index] = max(torch.cuda.mem_get_info(index)[0] - need.activation_bytes, 0)
    return room


@contextmanager
def _reported_bars(report: Report) -> Iterator[None]:
    """Turn the progress bar of the load in this thread into reports, which may cancel it.

    The library's hook is global, so bars of other threads are passed on.
    """
    thread = threading.get_ident()

    def steps(items: Collection[Any]) -> Iterator[Any]:
        for done, item in enumerate(items):
            report("loading", done / len(items))
            yield item

    def reported(factory: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if threading.get_ident() == thread and arguments:
            return steps(arguments[0])
        return factory(*arguments, **options)

    previous = logging.set_tqdm_hook(reported)
    try:
        yield
    finally:
        logging.set_tqdm_hook(previous)


def _places(model: PreTrainedModel) -> str:
    """Where the modules are: "cpu", "cuda:0", "12 modules on cuda:0, 5 modules on cpu"."""
    places = getattr(model, "hf_device_map", None) or {"": model.device}
    named = Counter(f"cuda:{place}" if isinstance(place, int) else str(place) for place in places.values())
    if len(named) == 1:
        return next(iter(named))
    return ", ".join(f"{count} modules on {place}" for place, count in named.items())
