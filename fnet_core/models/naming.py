"""What the name of a model means, judged by what lies on this machine and without any library that runs models."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fnet_core.errors import RequestError
from fnet_core.models.adapters import adapter_and_base
from fnet_core.models.sources.gguf_file import check_magic
from fnet_core.models.sources.starter_table import STARTERS
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


def _locate(name: str, roots: Sequence[Path] | None) -> tuple[Kind, Path | None]:
    adapter, base = adapter_and_base(name)
    if base is not None:
        _locate(base, roots)
        return "folder", check_allowed(Path(adapter).expanduser(), roots)
    if name in STARTERS:
        return "starter", None
    if re.fullmatch(r"\w[\w.-]*", name) and (home() / "models" / name / "config.json").is_file():
        return "folder", home() / "models" / name
    path = Path(name).expanduser()
    if name.lower().endswith(".gguf"):
        check_magic(check_allowed(path, roots))
        return "gguf", path.resolve()
    if path.is_absolute() or name.startswith((".", "~")) or (name and (path.is_dir() or path.suffix == ".safetensors")):
        real = check_allowed(path, roots)
        if not real.exists():
            raise RequestError(f"There is no folder {name}; give {FORMS}.")
        return "folder", real
    if _REPOSITORY.fullmatch(name):
        return "hub", None
    raise RequestError(f"There is no starter '{name}'; choose {', '.join(STARTERS)}, or give {FORMS}.")


def check_allowed(path: Path, roots: Sequence[Path] | None) -> Path:
    """The path with symbolic links followed; `RequestError` if that leaves the allowed folders."""
    real = path.resolve()
    if roots is not None and not any(real.is_relative_to(Path(root).resolve()) for root in (*roots, home())):
        listed = ", ".join(str(root) for root in roots) or "none"
        raise RequestError(
            f"{path} is outside the folders that this server may read ({listed}); move the model there, or "
            "name a starter or a hub repository."
        )
    return real
