"""What the name of a model means, judged by what lies on this machine and without any library that runs models."""

import json
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from fnet_core.choices import Site
from fnet_core.errors import RequestError
from fnet_core.models.adapters import adapter_and_base
from fnet_core.models.families import FAMILIES, check_site, family_for
from fnet_core.models.licences import check_accepted
from fnet_core.models.made import is_made, made_folder
from fnet_core.models.sources.gguf_file import check_magic
from fnet_core.models.sources.starter_table import STARTERS
from fnet_core.models.wrappers import text_type
from fnet_core.serving import ROOTS
from fnet_core.storage.artifacts import home

Kind = Literal["starter", "hub", "folder", "gguf"]

FORMS = "a repository of the Hugging Face hub (owner/model), a model folder, or a .gguf file"

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


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


def place_of(name: str) -> str:
    """What a name resolves to, for another machine: a whole path on file systems that both see, or the name itself.

    A name that means nothing here is left as it is.
    """
    model, base = adapter_and_base(name.strip())
    if base is not None:
        return f"{place_of(model)}@{place_of(base)}"
    try:
        _, path = locate(model)
    except RequestError:
        return model
    return model if path is None else str(path)


def check_usable(name: str, accept_licence: bool = False, site: Site | None = None) -> None:
    """RequestError for what can be known of a named model before a library is loaded or a file is fetched.

    That is a name that means nothing, a starter's licence that was never accepted, an architecture that is not
    supported, and a site that it does not have.
    """
    kind, path = locate(name)
    _, base = adapter_and_base(name)
    if base is not None:
        check_usable(base, accept_licence, site)
    elif kind == "starter":
        starter = STARTERS[name]
        if not (accept_licence or is_made(name)):
            check_accepted(starter.licence, starter.title, accept=False)
        _check_family(starter.model_type, site)
    elif kind == "folder" and path is not None and (model_type := _type_in(path)):
        _check_family(model_type, site)


def _check_family(model_type: str, site: Site | None) -> None:
    if model_type not in FAMILIES and _has_code(model_type):
        return  # read by its structure, or refused, once the library that has it is there
    family = family_for(model_type)
    if site is not None:
        check_site(family, model_type, site)


def _has_code(model_type: str) -> bool:
    """Whether transformers has a folder for this architecture, which is looked for without importing it."""
    library = find_spec("transformers")
    name = re.sub(r"_text$", "", model_type.replace("-", "_"))
    if library is None or not re.fullmatch(r"\w+", name):
        return False
    return any((Path(place) / "models" / name).is_dir() for place in library.submodule_search_locations or ())


def _type_in(folder: Path) -> str | None:
    """The architecture that a folder's config.json names; None where it names none, which its reader says better."""
    try:
        return text_type(json.loads((folder / "config.json").read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _locate(name: str, roots: Sequence[Path] | None) -> tuple[Kind, Path | None]:
    adapter, base = adapter_and_base(name)
    if base is not None:
        _locate(base, roots)
        return "folder", check_allowed(Path(adapter), roots)
    if name in STARTERS:
        return "starter", None
    if re.fullmatch(r"\w[\w.-]*", name) and (made_folder(name) / "config.json").is_file():
        return "folder", made_folder(name)
    path = Path(name).expanduser()
    if name.lower().endswith(".gguf"):
        check_magic(real := check_allowed(Path(name), roots))
        return "gguf", real
    if path.is_absolute() or name.startswith((".", "~")) or (name and (path.is_dir() or path.suffix == ".safetensors")):
        real = check_allowed(Path(name), roots)
        if not real.exists():
            raise RequestError(f"There is no folder {name}; give {FORMS}.")
        return "folder", real
    if _REPOSITORY.fullmatch(name):
        return "hub", None
    raise RequestError(f"There is no starter '{name}'; choose {', '.join(STARTERS)}, or give {FORMS}.")


def check_allowed(path: Path, roots: Sequence[Path] | None) -> Path:
    """The path with symbolic links followed; `RequestError` if that leaves the allowed folders and those of FNet."""
    real = path.expanduser().resolve()
    if roots is not None and not is_inside(real, roots):
        raise RequestError(
            f"{path} is outside the folders that this server may read; name a starter or a hub repository, or start "
            f"the server with a folder that holds it: fnet dashboard --root FOLDER, or {ROOTS}."
        )
    return real


def is_inside(real: Path, roots: Sequence[Path]) -> bool:
    """Whether a resolved path lies in one of the roots, or in the models or exports of the cache folder."""
    own = home() / "models", home() / "exports"
    return any(real.is_relative_to(Path(root).expanduser().resolve()) for root in (*roots, *own))
