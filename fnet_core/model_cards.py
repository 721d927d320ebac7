"""What a person should know about a model before loading it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoConfig, PretrainedConfig

from fnet_core import hub
from fnet_core.errors import RequestError
from fnet_core.licences import is_accepted
from fnet_core.memory import MemoryEstimate, estimate
from fnet_core.model_folder import mlp_width, read_card, read_config
from fnet_core.progress import Report, silent
from fnet_core.resolving import Kind, gguf_folder, locate
from fnet_core.starter_table import STARTERS, Starter
from fnet_core.starters import is_ready, starter_folder
from fnet_core.store import home


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
    if kind == "gguf":
        folder = gguf_folder(path, report)
        return _folder_card(name, "gguf", folder) if folder.is_dir() else _gguf_card(name, path)
    return _folder_card(name, "folder", path)


def available() -> list[ModelCard]:
    """The starters, then every other usable model in the cache folder, by name."""
    cards = [_starter_card(starter) for starter in STARTERS.values()]
    for config in sorted((home() / "models").glob("*/config.json")):
        folder = config.parent
        if folder.name in STARTERS or folder.name.startswith("."):
            continue
        try:
            cards.append(_folder_card(folder.name, "folder", folder))
        except RequestError as error:
            cards.append(_broken_card(folder.name, str(error)))
    return cards
