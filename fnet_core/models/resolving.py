"""From the name a person gives to a folder with safetensors on this machine."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fnet_core.errors import RequestError
from fnet_core.models.adapters import SETTINGS, WEIGHTS, adapter_and_base, deciding, is_adapter, merge, read_settings
from fnet_core.models.folder import (
    check_folder,
    check_quantised,
    fits_card,
    model_digest,
    quantisation_note,
    read_card,
    read_licence,
    wrapper_note,
    write_card,
)
from fnet_core.models.keeping import kept_model
from fnet_core.models.made import CARD, made_folder
from fnet_core.models.naming import Kind, check_allowed, locate
from fnet_core.models.nearby import meant_folder
from fnet_core.models.sources import hub
from fnet_core.models.sources.gguf_parts import gguf_parts
from fnet_core.models.sources.starter_table import STARTERS
from fnet_core.models.sources.starters import fetch_starter
from fnet_core.models.tokenizer_files import tokenizer_files
from fnet_core.progress import Report, silent
from fnet_core.storage.artifacts import cached_file_digest, digest

log = logging.getLogger(__name__)

COMPARED = "compared"
"""On the card of a GGUF conversion: the configuration is held against all that the file says."""


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
            check_allowed(folder, roots)
            if note:
                log.warning(note)
            if is_adapter(folder):
                folder = _with_base(folder, adapter_and_base(name)[1], accept_licence, roots, report)
            elif (folder / SETTINGS).is_file():
                log.warning(
                    f"{folder} holds a whole model and an adapter beside it; the model is used as it is. To put the "
                    f"adapter onto it, move {SETTINGS} and {WEIGHTS} into a folder of their own and give --base."
                )
    check_folder(folder)
    licence = read_licence(folder).name
    if note := quantisation_note(folder):
        folder = _dequantised(folder, name, report)
        log.warning(note)
    if kind == "folder" and _is_old_conversion(folder):
        log.warning(
            f"{name} was converted from a .gguf file before all of its metadata was compared, so that its numbers may "
            "be wrong; name the .gguf file to convert it again."
        )
    elif kind == "folder" and (folder / CARD).is_file() and not fits_card(folder, report):
        log.warning(f"{name} was changed since FNet saved it; results are of what it holds now.")
    if inside := wrapper_note(folder):
        log.warning(inside)
    return ModelFolder(name, folder, kind, licence)


def gguf_folder(path: Path, report: Report = silent) -> Path:
    """Where the conversion of this .gguf file is, or will be: named after the file and its content."""
    stem = re.sub(r"[^\w.-]+", "-", path.stem)[:80].strip(".-") or "model"
    digests = [cached_file_digest(part, report) for part in gguf_parts(path)]
    return made_folder(f"{stem}-{(digests[0] if len(digests) == 1 else digest(digests))[:12]}")


def _converted(path: Path, report: Report) -> Path:
    path = gguf_parts(path)[0]
    folder = gguf_folder(path, report)

    def make(temporary: Path) -> None:
        from fnet_core.models.sources.gguf import convert_gguf  # here, so that a model that is there needs no reader

        convert_gguf(path, temporary, report)
        source = {"file": path.name, "sha256": cached_file_digest(path)}
        write_card(temporary, {"name": folder.name, "title": path.stem, "source": source, "metadata": COMPARED})

    return kept_model(folder, make, report, lambda note: note.get("metadata") == COMPARED)


def _with_base(
    adapter: Path, named: str | None, accept_licence: bool, roots: Sequence[Path] | None, report: Report
) -> Path:
    """The folder of an adapter merged with its base, by the name given or else by the one inside it, made once."""
    settings = read_settings(adapter)
    name = named or settings.get("base_model_name_or_path") or "no base"
    if is_adapter(Path(name).expanduser()):
        raise RequestError(f"{name} is an adapter and no base for {adapter.name}; name the whole model with --base.")
    try:
        base = resolve(name, accept_licence=accept_licence, roots=roots, report=report).path
    except RequestError as error:
        raise RequestError(
            f"{adapter} is an adapter on {name}, which cannot be used: {error} Where the base is another place, name "
            f"it with --base BASE or as {adapter}@BASE."
        ) from error
    texts = tokenizer_files(adapter) if (adapter / "tokenizer.json").is_file() else []
    files = {path.name: cached_file_digest(path, report) for path in (adapter / WEIGHTS, *texts)}
    key = digest({"base": model_digest(base, report), "settings": deciding(settings), "files": files})
    folder = made_folder(f"{_stem(adapter)}-{key[:12]}")

    def make(temporary: Path) -> None:
        report("merging the adapter", 0.0)
        merge(base, adapter, temporary)
        licence, source = read_licence(base), {"adapter": adapter.name, "files": files, "base": base.name}
        facts = {"name": folder.name, "title": adapter.name, "source": source, "licence": licence.name}
        write_card(temporary, facts | {"licence_url": licence.url})

    return kept_model(folder, make, report)


def dequantised_folder(source: Path, report: Report = silent) -> Path:
    """Where the plain model of a quantised folder is, or will be: named after the folder and its content."""
    return made_folder(f"{_stem(source)}-{model_digest(source, report)[:12]}")


def _dequantised(source: Path, name: str, report: Report) -> Path:
    """The folder of a quantised model's weights as plain ones, made once; `RequestError` if it cannot."""
    check_quantised(source, name)
    folder = dequantised_folder(source, report)

    def make(temporary: Path) -> None:
        from fnet_core.models.dequantising import dequantise

        dequantise(source, temporary, report)
        licence, origin = read_licence(source), {"quantised": source.name, "digest": model_digest(source)}
        facts = {"name": folder.name, "title": source.name, "source": origin, "licence": licence.name}
        write_card(temporary, facts | {"licence_url": licence.url})

    return kept_model(folder, make, report)


def _stem(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", path.name)[:80].strip(".-") or "model"


def _is_old_conversion(folder: Path) -> bool:
    """Whether the folder holds a conversion of which not all metadata was compared; by its file it is made again."""
    note = read_card(folder)
    source = note.get("source")  # of a starter a list
    file = str(source.get("file", "")) if isinstance(source, dict) else ""
    return file.lower().endswith(".gguf") and note.get("metadata") != COMPARED
