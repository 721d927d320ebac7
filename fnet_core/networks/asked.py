"""An atlas that was asked for before, found again without any library that runs models.

Its key holds what only those libraries tell: the model's digest as they read it, the device, the number type. A note
beside the atlases says to which key a question led, for as long as nothing that decides it has changed: the question,
every file of the model, the installed versions, and the accelerators that the machine shows.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnet_core._version import __version__
from fnet_core.models.adapters import adapter_and_base
from fnet_core.models.made import CARD, made_folder
from fnet_core.models.naming import locate
from fnet_core.networks.atlas import ATLASES, Atlas
from fnet_core.networks.request import METHOD_VERSION, AtlasRequest
from fnet_core.progress import Report, silent
from fnet_core.storage import memo
from fnet_core.storage.memo import Found
from fnet_core.storage.notes import LED, Led

if TYPE_CHECKING:
    from fnet_core.engine.client import Engine

_DEVICES = Path("/dev")
_ACCELERATORS = ("nvidia[0-9]*", "kfd", "dxg")
_CHOSEN = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


def find(
    request: AtlasRequest, report: Report = silent, *, engine: "Engine | None" = None, **loading: Any
) -> Found[Atlas]:
    """As `finding.find_atlas`, and in a moment where the same was asked before."""
    if found := recalled(request):
        return found
    from fnet_core.networks.finding import find_atlas

    found = find_atlas(request, report, engine=engine, **loading)
    if facts := _facts(request):
        memo.keep(LED, facts, Led(found.answer.recipe))
    return found


def recalled(request: AtlasRequest) -> Found[Atlas] | None:
    """The kept atlas of a question asked before; None where only the libraries can tell."""
    facts = _facts(request)
    led = memo.known(LED, facts) if facts else None
    return memo.found(ATLASES, led.recipe) if led else None


def _facts(request: AtlasRequest) -> dict[str, Any] | None:
    """Everything that decides the answer, as far as it shows from outside; None for models of which more is to be said.

    That is what is converted, merged or downloaded first, and what its reader warns about.
    """
    kind, path = locate(request.model)
    folder = made_folder(request.model) if kind == "starter" else path
    if folder is None or os.name == "nt" or adapter_and_base(request.model)[1]:
        return None
    if kind != "starter" and (kind != "folder" or (folder / CARD).is_file() or not _is_plain(folder)):
        return None
    shown = sorted(device.name for pattern in _ACCELERATORS for device in _DEVICES.glob(pattern))
    return {
        "request": asdict(request),
        "files": {str(file): _touched(file) for file in sorted(folder.rglob("*")) if file.is_file()},
        "versions": memo.versions("torch", "transformers", "scikit-learn"),
        "accelerators": [shown, [os.environ.get(name) for name in _CHOSEN]],
        "method_version": METHOD_VERSION,
        "made_by": __version__,
    }


def _is_plain(folder: Path) -> bool:
    """Whether the folder's weights are a text model's as they stand."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and not config.keys() & {"quantization_config", "text_config"}


def _touched(file: Path) -> list[int]:
    state = file.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
