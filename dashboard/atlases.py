"""Atlases for the pages: loaded once, shared by all sessions, never changed."""

import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from fnet_core.choices import SITES, Site, is_scope
from fnet_core.errors import RequestError
from fnet_core.networks import annotations
from fnet_core.networks.atlas import ATLASES, KIND, Atlas
from fnet_core.networks.example import EXAMPLE, EXAMPLE_FILE
from fnet_core.storage import artifacts

UPLOADS = f"{KIND}-upload"
"""Where imported atlases are kept: apart, or a forged one could stand in for a model's own."""
IMPORTED = "imported-"
"""What the key of an imported atlas begins with."""
_MOST_PROVISIONAL = 4
_provisional: OrderedDict[str, Atlas] = OrderedDict()
"""The newest provisional atlases, which no file has."""


@dataclass(frozen=True)
class SavedAtlas:
    """A line of the list of saved atlases."""

    key: str
    model: str
    networks: int
    site: Site
    scope: str
    passages: int


def load(key: str) -> Atlas:
    """The atlas of this key, saved or held; `RequestError` if the key means nothing or the file cannot be read."""
    if held := _provisional.get(key):
        return held
    path = file_of(key)
    if not path.is_file():
        raise RequestError(
            f"There is no saved atlas '{key[:16]}'; it may have been removed. Press 'Find networks' to make it again."
        )
    return _load(str(path), path.stat().st_mtime_ns)


def annotated(key: str) -> tuple[Atlas, str]:
    """The atlas under this key with what is said of its networks, and the problem of a file of labels, or nothing.

    RequestError as `load`.
    """
    atlas = load(key)
    try:
        return annotations.annotated(atlas, kept_under(key)), ""
    except RequestError as error:
        return atlas, str(error)


def kept_under(key: str) -> str | None:
    """Under what is said of an atlas is kept: its own key, but an imported one's is apart, as its file is."""
    return key if key.startswith(IMPORTED) else None


def key_of(recipe: dict[str, Any]) -> str | None:
    """The key of the atlas that has this recipe: in the store, imported, or the example; None where none has."""
    try:
        wanted = ATLASES.key(recipe)
    except (TypeError, ValueError):
        return None
    if artifacts.artifact_path(KIND, wanted).is_file():
        return wanted
    imported = [f"{IMPORTED}{path.stem}" for path in artifacts.list_artifacts(UPLOADS)]
    for key in (*imported, EXAMPLE):
        try:
            found = artifacts.read_header(file_of(key))["recipe"]
            if ATLASES.key(found) == wanted:
                return key
        except (RequestError, KeyError, TypeError, ValueError, AttributeError):
            continue
    return None


def hold(atlas: Atlas) -> str:
    """Hold a provisional atlas in memory, in place of the oldest one if there are many; its key."""
    _provisional[atlas.key] = atlas
    while len(_provisional) > _MOST_PROVISIONAL:
        _provisional.popitem(last=False)
    return atlas.key


def file_of(key: str) -> Path:
    """The file of the atlas of this key: in the store, imported, or the one that comes with the project."""
    if key.startswith(IMPORTED):
        return artifacts.artifact_path(UPLOADS, key.removeprefix(IMPORTED))
    return EXAMPLE_FILE if key == EXAMPLE else artifacts.artifact_path(KIND, key)


@st.cache_resource(max_entries=4, show_spinner="Opening the atlas")
def _load(path: str, changed: int) -> Atlas:
    return Atlas.load(Path(path))


def saved(limit: int) -> tuple[list[SavedAtlas], list[str]]:
    """The newest saved atlases, and the sentences about files that could not be read."""
    found, sentences = [], []
    for path in artifacts.list_artifacts(KIND)[:limit]:
        try:
            found.append(_line(path))
        except RequestError as error:
            sentences.append(str(error))
    return found, sentences


def _line(path: Path) -> SavedAtlas:
    header = artifacts.read_header(path)
    if header["kind"] != KIND:
        raise RequestError(f"{path} holds {header['kind']!r} and no atlas; remove it from this folder.")
    try:
        recipe = header["recipe"]
        site, scope = recipe["site"], recipe["scope"]
        if site not in SITES or not is_scope(scope):
            raise ValueError
        return SavedAtlas(path.stem, str(recipe["model"]), len(header["labels"]), site, scope, len(header["passages"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{path} is no whole atlas; remove it.") from error


def file_stem(atlas: Atlas) -> str:
    """A file name for a downloaded atlas that says what it is."""
    model = re.sub(r"[^\w.-]+", "-", atlas.model_name).strip("-.") or "model"
    return f"atlas-{model}-{atlas.site}-{len(atlas)}"
