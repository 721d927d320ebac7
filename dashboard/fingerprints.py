"""Fingerprints for the pages: how the address names them, where they are kept, and what two of them give.

A side of a comparison is written as a model's name, or as a reference to a fingerprint: `saved:` with its key in the
store, `file:` with the digest of an uploaded one. Uploaded files are kept apart from those that were measured here, or
a forged one could stand in for a model's own.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from fnet_core.errors import RequestError
from fnet_core.lineage.comparison import Comparison, compare
from fnet_core.lineage.fingerprint import KIND, Fingerprint, ModelIdentity
from fnet_core.lineage.signing import Signature
from fnet_core.lineage.verdict import REFERENCE_FILE
from fnet_core.networks.atlas import KIND as ATLAS
from fnet_core.storage import artifacts, library

MODEL, SAVED, FILE = "model", "saved", "file"
_PLACES = {SAVED: KIND, FILE: f"{KIND}-upload"}
_BETWEEN = ","
_ATLASES_SEARCHED = 200


@dataclass(frozen=True)
class Header:
    """What is known of a fingerprint without its arrays."""

    model: ModelIdentity
    protocol: dict[str, Any]
    networks: int
    passages: int
    span: int
    """Characters of the longest stretch that was read at once; 0 for whole passages."""
    signature: Signature | None
    """As the file has it, which was held against its content when it was taken in, and is again when it is opened."""


def parse(side: str) -> tuple[str, str]:
    """What a side is, and the model's name or the fingerprint's key."""
    place, colon, key = side.partition(":")
    return (place, key) if colon and place in _PLACES else (MODEL, side)


def saved(key: str) -> str:
    """The reference to a fingerprint in the store."""
    return f"{SAVED}:{key}"


def reference_to(path: Path) -> str:
    """The reference to a fingerprint file of the store, measured here or uploaded."""
    place = next(place for place, kind in _PLACES.items() if path.parent.name == kind)
    return f"{place}:{path.stem}"


def path_of(reference: str) -> Path:
    """The file of a fingerprint; `RequestError` if the reference means nothing or the file is gone."""
    place, key = parse(reference)
    if place == MODEL:
        raise RequestError(f"'{reference[:40]}' names no fingerprint; choose a saved one or upload a file.")
    path = artifacts.artifact_path(_PLACES[place], key)
    if not path.is_file():
        raise RequestError(
            f"There is no fingerprint '{key[:16]}' here; it may have been removed. Choose the model or upload the file."
        )
    return path


def load(reference: str) -> Fingerprint:
    """The fingerprint of a reference; `RequestError` if it is missing or damaged."""
    path = path_of(reference)
    return _load(str(path), path.stat().st_mtime_ns)


@st.cache_resource(max_entries=8, show_spinner="Opening the fingerprint")
def _load(path: str, changed: int) -> Fingerprint:
    with _called(Path(path), "The fingerprint"):
        return Fingerprint.load(Path(path))


def listed(limit: int) -> tuple[dict[str, Header], list[str]]:
    """The newest fingerprints measured here by reference, and the sentences about files that could not be read."""
    found, sentences = {}, []
    for path in artifacts.list_artifacts(KIND)[:limit]:
        try:
            found[saved(path.stem)] = _header(str(path), path.stat().st_mtime_ns)
        except RequestError as error:
            sentences.append(str(error))
        except FileNotFoundError:
            continue
    return found, sentences


def header(reference: str) -> Header:
    """What a fingerprint says of itself; `RequestError` if it cannot be read."""
    path = path_of(reference)
    return _header(str(path), path.stat().st_mtime_ns)


@st.cache_data(max_entries=256, show_spinner=False)
def _header(path: str, changed: int) -> Header:
    try:
        content = artifacts.read_header(Path(path))
        if content["kind"] != KIND:
            raise RequestError(f"{path} holds no fingerprint; remove it.")
        recipe = content["recipe"]
        model = ModelIdentity(**content["model"])
        counts = len(content["labels"]), len(content["passages"])
        signed = content.get("signature")
        signature = None if signed is None else Signature.from_header(signed)
        return Header(model, recipe["protocol"], *counts, recipe.get("span", 0), signature)
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{path} is no whole fingerprint; remove it.") from error


def keep(content: bytes, name: str) -> str:
    """Check an uploaded fingerprint and keep it; the reference to it.

    `RequestError` names the file as uploaded, or says that the library is full.
    """
    folder = Path(tempfile.mkdtemp(prefix="fnet-"))
    try:
        path = folder / "upload.safetensors"
        path.write_bytes(content)
        with _called(path, name):
            found = Fingerprint.load(path)
        digest = found.content_digest()
        if found.signature:
            digest = artifacts.digest([digest, vars(found.signature)])
        target = artifacts.artifact_path(_PLACES[FILE], digest)
        if not target.is_file():
            library.check_room(len(content))
            found.save(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return f"{FILE}:{digest}"


@contextmanager
def _called(path: Path, name: str) -> Iterator[None]:
    """Put a name that means something to the person in place of the path in an error."""
    try:
        yield
    except RequestError as error:
        raise RequestError(str(error).replace(str(path), name)) from error


def atlas_of(side: Fingerprint) -> tuple[str, str] | None:
    """The saved atlas that a fingerprint was taken from, where it is on this machine: its key, and the model's place.

    A fingerprint knows a folder by its own name only; the atlas knows where it is.
    """
    protocol, recipe = side.protocol, side.recipe
    wanted = {name: protocol.get(name) for name in ("site", "components", "restarts", "contrast", "sketch_factor")} | {
        "model_digest": side.model.digest,
        "scope": "model",
        "seed": recipe["seed"],
        "method_version": protocol.get("method_versions", [None])[-1],
    }
    if texts := recipe.get("atlas_texts_digest"):
        wanted["texts_digest"] = texts
    else:  # one from before it was noted
        wanted |= {"texts": recipe["texts"][0], "passages": protocol.get("passages", [None])[0]}
    for path in artifacts.list_artifacts(ATLAS)[:_ATLASES_SEARCHED]:
        try:
            found = _atlas_recipe(str(path), path.stat().st_mtime_ns)
        except (RequestError, FileNotFoundError, KeyError):
            continue
        if isinstance(found, dict) and "model" in found and all(found.get(name) == wanted[name] for name in wanted):
            return path.stem, found["model"]
    return None


@st.cache_data(max_entries=512, show_spinner=False)
def _atlas_recipe(path: str, changed: int) -> dict[str, Any]:
    return artifacts.read_header(Path(path))["recipe"]


def pair(a: str, b: str) -> str:
    """Two references as the address writes them."""
    return f"{a}{_BETWEEN}{b}"


def split(compared: str) -> tuple[str, str]:
    """The two references of a shown comparison; `RequestError` if the address does not name two."""
    a, between, b = compared.partition(_BETWEEN)
    if not between or MODEL in (parse(a)[0], parse(b)[0]):
        raise RequestError("The address does not name two fingerprints; press 'Compare' to make the comparison again.")
    return a, b


def comparison(compared: str) -> Comparison:
    """Two fingerprints compared, held for all sessions; `RequestError` when they cannot be."""
    paths = [path_of(reference) for reference in split(compared)]
    reference = REFERENCE_FILE.stat().st_mtime_ns if REFERENCE_FILE.exists() else 0
    return _comparison(compared, tuple(path.stat().st_mtime_ns for path in paths), reference)


@st.cache_resource(max_entries=4, show_spinner="Comparing")
def _comparison(compared: str, changed: tuple[int, ...], reference: int) -> Comparison:
    a, b = (load(reference) for reference in split(compared))
    return compare(a, b)
