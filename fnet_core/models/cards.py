"""What a person should know about a model before loading it."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from fnet_core.errors import RequestError
from fnet_core.models.adapters import adapter_and_base, is_adapter, read_settings
from fnet_core.models.folder import (
    check_quantised,
    context,
    mlp_width,
    quantisation_note,
    read_card,
    read_config,
    read_licence,
    wrapper_note,
)
from fnet_core.models.licences import is_accepted
from fnet_core.models.made import EDITS, PRUNING, is_made, made_folder, origin
from fnet_core.models.memory import MemoryEstimate, estimate
from fnet_core.models.naming import Kind, locate
from fnet_core.models.nearby import meant_folder
from fnet_core.models.resolving import gguf_folder
from fnet_core.models.sources import hub
from fnet_core.models.sources.starter_table import STARTERS, Starter
from fnet_core.models.structure import structure_note
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import home


@dataclass(frozen=True)
class ModelCard:
    """A model in words and numbers; what cannot be known without fetching or converting it is None.

    `download_bytes` is what a fetch would take, 0 for a local model; `must_accept`: the licence must be
    accepted before the model is fetched, and was not yet.
    """

    name: str
    kind: Kind
    title: str
    description: str
    licence: str | None
    licence_url: str | None
    must_accept: bool
    download_bytes: int
    cached: bool
    parameters: int | None
    architecture: str | None
    layers: int | None
    width: int | None
    mlp_width: int | None
    heads: int | None
    vocabulary: int | None
    context: int | None
    memory: MemoryEstimate | None
    config: PretrainedConfig | None = field(default=None, repr=False, compare=False)
    """What tells the abilities."""


def peek(name: str, *, roots: Sequence[Path] | None = None, report: Report = silent) -> ModelCard:
    """The card of the named model, with no weight loaded, downloaded or converted.

    Only a hub repository that is not on this machine is asked for, at the hub. `RequestError` as `resolve`.
    """
    name = name.strip()
    kind, path = locate(name, roots)
    if kind == "starter":
        return _starter_card(STARTERS[name])
    if kind == "hub":
        folder = hub.cached_snapshot(name)
        return _folder_card(name, "hub", folder) if folder else _hub_card(hub.look_up(name, report))
    assert path is not None
    if kind == "gguf":
        folder = gguf_folder(path, report)
        if folder.is_dir():
            return _folder_card(name, "gguf", folder)
        return _unread_card(name, "gguf", path.stem, "A GGUF file, converted on first use.", cached=False)
    folder, note = meant_folder(path)
    if is_adapter(folder):
        base = adapter_and_base(name)[1] or read_settings(folder).get("base_model_name_or_path")
        said = f"{note} An adapter on {base}, merged with it on first use.".strip()
        return _adapter_card(name, folder.name, said, str(base), roots)
    card = _folder_card(name, "folder", folder)
    return replace(card, description=f"{note} {card.description}".strip()) if note else card


def _adapter_card(name: str, title: str, said: str, base: str, roots: Sequence[Path] | None) -> ModelCard:
    """The card of an adapter: the numbers of its base where that is on this machine, for merging changes no shape."""
    unread = _unread_card(name, "folder", title, said, cached=True)
    try:
        kind, path = locate(base, roots)
        there = hub.cached_snapshot(base) is not None if kind == "hub" else kind == "starter" or path is not None
        if not there or (path is not None and is_adapter(path)):
            return unread
        below = peek(base, roots=roots)
    except RequestError:
        return unread
    return replace(below, name=name, kind="folder", title=title, description=f"{said} {below.description}".strip())


def available() -> list[ModelCard]:
    """The starters, then every other usable model in the cache folder, by name."""
    cards = [_row(name, "starter", partial(_starter_card, starter)) for name, starter in STARTERS.items()]
    for config in sorted((home() / "models").glob("*/config.json")):
        folder = config.parent
        if folder.name in STARTERS or folder.name.startswith("."):
            continue
        cards.append(_row(folder.name, "folder", partial(_folder_card, folder.name, "folder", folder)))
    return cards


def _row(name: str, kind: Kind, make: Callable[[], ModelCard]) -> ModelCard:
    """The card of one model among others, which says why where it cannot be made."""
    try:
        return make()
    except RequestError as error:
        return _unread_card(name, kind, name, str(error), cached=True)


@contextmanager
def _describing(name: str) -> Iterator[None]:
    """Turn whatever the libraries raise at impossible files of a model into a `RequestError` naming it."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        sentence = f"The files of {name} describe no model that can be built ({reason}); copy it again."
        raise RequestError(sentence) from error


def _starter_card(starter: Starter) -> ModelCard:
    ready = is_made(starter.name)
    folder = made_folder(starter.name)
    sizes = starter.sizes
    with _describing(starter.name):
        memory = estimate(folder if ready else starter.config())
    return ModelCard(
        name=starter.name,
        kind="starter",
        title=starter.title,
        description=starter.description,
        licence=starter.licence.name,
        licence_url=starter.licence.url,
        must_accept=not ready and not is_accepted(starter.licence),
        download_bytes=starter.download_bytes,
        cached=ready,
        parameters=starter.parameters,
        architecture=starter.model_type,
        layers=sizes["num_hidden_layers"],
        width=sizes["hidden_size"],
        mlp_width=sizes["intermediate_size"],
        heads=sizes["num_attention_heads"],
        vocabulary=sizes["vocab_size"],
        context=sizes["max_position_embeddings"],
        memory=memory,
        config=read_config(folder) if ready else starter.config(),
    )


def _folder_card(name: str, kind: Kind, folder: Path) -> ModelCard:
    with _describing(name):
        return _described_card(name, kind, folder)


def _described_card(name: str, kind: Kind, folder: Path) -> ModelCard:
    note, licence, config = read_card(folder), read_licence(folder), read_config(folder)
    made = (
        origin(note) or origin(_note(folder / PRUNING)) or origin(_note(folder / EDITS)) or "A model on this machine."
    )
    quantised = quantisation_note(folder)
    check_quantised(folder, name)
    return _configured_card(
        name,
        kind,
        title=str(note.get("title") or folder.name),
        description=" ".join(said for said in (made, quantised, wrapper_note(folder)) if said),
        licence=licence.name,
        licence_url=licence.url,
        download_bytes=0,
        config=config,
        memory=estimate(config if quantised else folder),
    )


def _note(path: Path) -> dict[str, Any]:
    """A file beside a model's weights that says what it was made of; empty where there is none that is legible."""
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecursionError, TypeError):
        return {}


def _hub_card(repository: hub.Repository) -> ModelCard:
    return _configured_card(
        repository.name,
        "hub",
        title=repository.name,
        description="A model of the Hugging Face hub, not on this machine yet.",
        licence=repository.licence,
        licence_url=None,
        download_bytes=repository.bytes,
        config=repository.config,
        memory=estimate(repository.config),
    )


def _configured_card(
    name: str,
    kind: Kind,
    *,
    title: str,
    description: str,
    licence: str | None,
    licence_url: str | None,
    download_bytes: int,
    config: PretrainedConfig,
    memory: MemoryEstimate,
) -> ModelCard:
    return ModelCard(
        name=name,
        kind=kind,
        title=title,
        description=f"{description} {structure_note(config)}".strip(),
        licence=licence,
        licence_url=licence_url,
        must_accept=False,
        download_bytes=download_bytes,
        cached=download_bytes == 0,
        parameters=memory.parameters,
        architecture=config.model_type,
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        mlp_width=mlp_width(config) or None,
        heads=getattr(config, "num_attention_heads", None),
        vocabulary=config.vocab_size,
        context=context(config),
        memory=memory,
        config=config,
    )


def _unread_card(name: str, kind: Kind, title: str, description: str, cached: bool) -> ModelCard:
    """The card of a model whose configuration cannot be read yet, or at all."""
    return ModelCard(
        name=name,
        kind=kind,
        title=title,
        description=description,
        licence=None,
        licence_url=None,
        must_accept=False,
        download_bytes=0,
        cached=cached,
        parameters=None,
        architecture=None,
        layers=None,
        width=None,
        mlp_width=None,
        heads=None,
        vocabulary=None,
        context=None,
        memory=None,
    )
