"""From the name a person gives to a folder with safetensors on this machine."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fnet_core.errors import RequestError
from fnet_core.models.folder import CARD, check_folder, read_licence, write_card
from fnet_core.models.nearby import meant_folder
from fnet_core.models.sources import hub
from fnet_core.models.sources.gguf import check_magic, convert_gguf
from fnet_core.models.sources.starter_table import STARTERS
from fnet_core.models.sources.starters import fetch_starter
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import atomic_folder, cached_file_digest, home
from fnet_core.storage.locks import exclusive

Kind = Literal["starter", "hub", "folder", "gguf"]

log = logging.getLogger(__name__)

FORMS = "a repository of the Hugging Face hub (owner/model), a model folder, or a .gguf file"


@dataclass(frozen=True)
class ModelFolder:
    """A named model made local: `path` holds config.json, safetensors files and the tokenizer."""

    name: str
    path: Path
    kind: Kind
    licence: str | None


def resolve(
    name: str,
    *,
    accept_licence: bool = False,
    roots: Sequence[Path] | None = None,
    report: Report = silent,
) -> ModelFolder:
    """Make the named model a local safetensors folder, fetched, downloaded or converted once.

    `roots` limits local paths to these folders (and the cache folder), symbolic links followed first.
    `RequestError` says which rule the name, the model or the disk breaks; what `report` raises stops the
    work.
    """
    name = name.strip()
    kind, path = locate(name, roots)
    match kind:
        case "starter":
            folder = fetch_starter(STARTERS[name], accept_licence, report)
        case "hub":
            folder = hub.cached_snapshot(name) or hub.download(hub.look_up(name, report), report)
        case "gguf":
            assert path is not None
            folder = _converted(path, report)
        case "folder":
            assert path is not None
            folder, note = meant_folder(path)
            _allowed(folder, roots)
            if note:
                log.warning(note)
    check_folder(folder)
    return ModelFolder(name, folder, kind, read_licence(folder).name)


def locate(name: str, roots: Sequence[Path] | None = None) -> tuple[Kind, Path | None]:
    """What a name means, and the local path if it is one; `RequestError` if it means nothing or is barred.

    A starter comes first, then a model that FNet saved in its cache folder, a path, a hub repository.
    """
    try:
        return _locate(name, roots)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"'{name[:60]}' names no model; give a starter's name, {FORMS}.") from error


def _locate(name: str, roots: Sequence[Path] | None) -> tuple[Kind, Path | None]:
    if name in STARTERS:
        return "starter", None
    if re.fullmatch(r"\w[\w.-]*", name) and (home() / "models" / name / "config.json").is_file():
        return "folder", home() / "models" / name
    path = Path(name).expanduser()
    if name.lower().endswith(".gguf"):
        check_magic(_allowed(path, roots))
        return "gguf", path.resolve()
    if path.is_absolute() or name.startswith((".", "~")) or (name and (path.is_dir() or path.suffix == ".safetensors")):
        real = _allowed(path, roots)
        if not real.exists():
            raise RequestError(f"There is no folder {name}; give {FORMS}.")
        return "folder", real
    if hub.is_repository_name(name):
        return "hub", None
    raise RequestError(f"There is no starter '{name}'; choose {', '.join(STARTERS)}, or give {FORMS}.")


def gguf_folder(path: Path, report: Report = silent) -> Path:
    """Where the conversion of this .gguf file is, or will be: named after the file and its content."""
    stem = re.sub(r"[^\w.-]+", "-", path.stem)[:80].strip(".-") or "model"
    return home() / "models" / f"{stem}-{cached_file_digest(path, report)[:12]}"


def _converted(path: Path, report: Report) -> Path:
    folder = gguf_folder(path, report)
    if not (folder / CARD).is_file():
        with exclusive(folder.name, report):
            if not (folder / CARD).is_file():
                with atomic_folder(folder) as temporary:
                    convert_gguf(path, temporary, report)
                    source = {"file": path.name, "sha256": cached_file_digest(path)}
                    write_card(temporary, {"name": folder.name, "title": path.stem, "source": source})
    return folder


def _allowed(path: Path, roots: Sequence[Path] | None) -> Path:
    """The path with symbolic links followed; `RequestError` if that leaves the allowed folders."""
    real = path.resolve()
    if roots is not None and not any(real.is_relative_to(Path(root).resolve()) for root in (*roots, home())):
        listed = ", ".join(str(root) for root in roots) or "none"
        raise RequestError(
            f"{path} is outside the folders that this server may read ({listed}); move the model there, or "
            "name a starter or a hub repository."
        )
    return real
