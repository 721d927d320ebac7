"""Models of the Hugging Face hub: looked at first, then downloaded by a child process that can be killed.

The files go where every Hugging Face library keeps them, so other programs share them. A model that is there
already is used as it is, without asking the hub.
"""

import os
import queue
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects
from transformers import PretrainedConfig

from fnet_core.errors import RequestError
from fnet_core.models.folder import PICKLES, check_folder, check_quantised, read_config
from fnet_core.models.memory import gigabytes
from fnet_core.models.sources.child import run_module
from fnet_core.models.sources.hub_download import WANTED
from fnet_core.progress import POLL_SECONDS, Report, silent

ANSWER_SECONDS = 8.0
"""How long the hub may take to answer before it counts as unreachable."""


@dataclass(frozen=True)
class Repository:
    """What the hub says about a model: its configuration, the bytes to fetch, the licence."""

    name: str
    config: PretrainedConfig
    bytes: int
    licence: str | None


def cached_snapshot(name: str) -> Path | None:
    """The model's folder if all of it is on this machine, else None."""
    try:
        folder = Path(snapshot_download(name, local_files_only=True, allow_patterns=list(WANTED)))
        check_folder(folder)
    except (LocalEntryNotFoundError, HFValidationError, RequestError):
        return None
    return folder


def look_up(name: str, report: Report = silent) -> Repository:
    """Ask the hub about a model, with no weight downloaded.

    `RequestError`, each with its own sentence, if the hub cannot be reached, has no such model, or keeps it
    behind an agreement, and if the model is of an unsupported architecture or has no safetensors file.
    """
    answer: queue.Queue[Repository | Exception] = queue.Queue()
    threading.Thread(target=_ask, args=(name, answer), daemon=True).start()
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        report("asking the hub", 0.0)
        try:
            found = answer.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if isinstance(found, Repository):
            return found
        raise RequestError(_reason(name, found)) from found
    raise RequestError(_unreachable(name))


def download(repository: Repository, report: Report = silent) -> Path:
    """The folder with the repository's files; what `report` raises kills the download.

    `RequestError` if the disk is too small or the download fails; what was fetched is not fetched again.
    """
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"models--{repository.name.replace('/', '--')}"
    missing = repository.bytes - _bytes_below(folder)
    free = shutil.disk_usage(cache).free
    if missing > free:
        raise RequestError(
            f"{repository.name} needs {gigabytes(missing)} of disk and {cache} has {gigabytes(free)} free; "
            "free some space or set HF_HOME to another disk."
        )

    def watch(_: str) -> None:
        report("downloading", min(_bytes_below(folder) / max(repository.bytes, 1), 1.0))

    finished = run_module("fnet_core.models.sources.hub_download", [repository.name, cache], watch)
    snapshot = cached_snapshot(repository.name)
    if finished.status != 0 or snapshot is None:
        last = (finished.output.strip().splitlines() or ["no reason given"])[-1]
        raise RequestError(f"Downloading {repository.name} failed ({last[:200]}); try again, what was fetched is kept.")
    return snapshot


def _ask(name: str, answer: "queue.Queue[Repository | Exception]") -> None:
    """Put the repository, or whatever was raised, into the queue: the caller may have stopped waiting."""
    try:
        answer.put(_look_up(name))
    except Exception as error:
        answer.put(error)


def _look_up(name: str) -> Repository:
    api = HfApi()
    info = api.model_info(name, files_metadata=True, timeout=ANSWER_SECONDS)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    wanted = list(filter_repo_objects(sizes, allow_patterns=list(WANTED)))
    if "config.json" not in sizes:
        raise RequestError(f"{name} on the hub has no config.json, so it is not a model; choose another.")
    described = Path(api.hf_hub_download(name, "config.json", revision=info.sha)).parent
    config = read_config(described, name)
    check_quantised(described, name)
    if not any(file.endswith(".safetensors") for file in wanted):
        raise RequestError(_no_weights(name, sizes))
    licence = getattr(info.card_data, "license", None)
    return Repository(name, config, sum(sizes[file] for file in wanted), licence)


def _no_weights(name: str, sizes: dict[str, int]) -> str:
    if any(file.endswith(".gguf") for file in sizes):
        return f"{name} on the hub holds .gguf files only; download one and give its path."
    if any(file.endswith(PICKLES) for file in sizes):
        return (
            f"{name} on the hub has only pickled weights, which can run any code when opened; choose a model "
            "with *.safetensors files."
        )
    return f"{name} on the hub has no model*.safetensors file; choose a model with weights."


def _reason(name: str, error: Exception) -> str:
    """The sentence for what went wrong; 'gated' comes first because the library counts it as not found."""
    match error:
        case RequestError():
            return str(error)
        case GatedRepoError():
            return (
                f"{name} is behind an agreement on the hub; accept it on the model's page there, then run "
                "'hf auth login' or set HF_TOKEN."
            )
        case RepositoryNotFoundError() | HFValidationError():
            return (
                f"There is no model {name} on the hub, or it is private; check the spelling, or run "
                "'hf auth login' if it is yours."
            )
        case HfHubHTTPError():
            return f"The hub does not answer for {name} ({_line(error)}); try again later."
        case HTTPError() | OSError():
            return _unreachable(name)
    raise error


def _unreachable(name: str) -> str:
    return (
        f"The Hugging Face hub cannot be reached and {name} is not on this machine; connect it, or choose a "
        "starter, a folder or a .gguf file."
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _bytes_below(folder: Path) -> int:
    """Bytes of the repository's blobs, complete or not, while the child adds and renames them."""
    total = 0
    for parent, _, files in os.walk(folder / "blobs"):
        for name in files:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue
    return total
